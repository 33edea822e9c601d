//! Does Kafka take records? Waits for it at the start, watches it afterwards, and logs trouble once a minute.
//!
//! While brokers are away, asking them is of no use; the client says when it is worth it. Brokers that are there but
//! take no records (missing permission, deleted topic, hanging broker, too few replicas) only show in records that
//! wait. Both are logged here, once for the whole process and not for every instance.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_with::skip_serializing_none;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::{self, Config, CreateTopics};
use crate::core::publish::kafka::topics::{Made, TopicMaker};
use crate::core::publish::kafka::{Health, KafkaPublisher, fix};
use crate::reminder::Reminder;
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::status::StatusBoard;

/// How often the brokers are tried while they are away.
const PROBE_INTERVAL: Duration = Duration::from_secs(2);
/// How often an operator is reminded of trouble that stays.
const REMINDER: Duration = Duration::from_secs(60);
/// A record that waits this long is not merely slow.
const RECORD_WAIT_MAX: Duration = Duration::from_secs(30);

/// How Kafka is, for `/status`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KafkaStatus {
    /// Whether records can be expected to be taken.
    pub usable: bool,
    /// Since when the brokers, or a topic, cannot be reached.
    pub away_seconds: Option<u64>,
    /// How many instances hold a notification that Kafka has not taken for half a minute or more.
    pub waiting_instances: usize,
    /// How long the one that waits longest has.
    pub longest_wait_seconds: Option<u64>,
    /// What was heard last that was wrong.
    pub last_error: Option<String>,
}

/// Watches Kafka for one process.
pub struct KafkaWatch {
    publisher: Arc<KafkaPublisher>,
    brokers: String,
    topics: Vec<Arc<str>>,
    /// Set if missing topics are to be created: how, and on which cluster.
    create_topics: Option<(config::Kafka, CreateTopics)>,
    board: Arc<StatusBoard>,
    metrics: Arc<Metrics>,
}

/// The health of Kafka now.
#[must_use]
pub fn status(health: &Health, board: &StatusBoard) -> KafkaStatus {
    let away_seconds = health.down_since().map(|since| since.elapsed().as_secs());
    let (waiting_instances, longest) = board.waiting_for_kafka(RECORD_WAIT_MAX);
    KafkaStatus {
        usable: away_seconds.is_none() && waiting_instances == 0,
        away_seconds,
        waiting_instances,
        longest_wait_seconds: (waiting_instances > 0).then_some(longest.as_secs()),
        last_error: health.last_error(),
    }
}

impl KafkaWatch {
    /// A watch over `publisher`'s brokers and every topic of `config`.
    #[must_use]
    pub fn new(
        publisher: Arc<KafkaPublisher>,
        config: &Config,
        board: Arc<StatusBoard>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let create_topics = config.kafka.create_topics.clone().map(|how| (config.kafka.clone(), how));
        Self {
            publisher,
            brokers: config.kafka.brokers.clone(),
            topics: config.topics(),
            create_topics,
            board,
            metrics,
        }
    }

    /// Returns when the brokers answer and every topic exists. Nothing is received before that: it could only be held
    /// in memory.
    pub async fn found(self: Arc<Self>) {
        // One client for all tries, dropped when it is no longer needed.
        let maker = self.create_topics.as_ref().map(|(kafka, how)| TopicMaker::new(kafka, how.clone()));
        let maker = maker.transpose();
        self.try_until_found(maker.as_ref().map(Option::as_ref)).await;
        if let Ok(Some(maker)) = maker {
            maker.end();
        }
    }

    async fn try_until_found(&self, maker: Result<Option<&TopicMaker>, &String>) {
        let mut reminder = Reminder::every(REMINDER);
        loop {
            let asked_at = Instant::now();
            let created = match maker {
                Ok(Some(maker)) => self.create_missing(maker).await,
                Ok(None) => Ok(()),
                Err(why) => Err(why.clone()),
            };
            let found = self.find().await.map_err(|reason| match created {
                Ok(()) => reason,
                Err(why) => format!("{reason}; {why}"),
            });
            let Err(reason) = found else {
                self.metrics.kafka_up(true);
                return;
            };
            if reminder.is_due() {
                warn!(
                    brokers = self.brokers,
                    reason,
                    fix = fix(&reason),
                    "Kafka cannot be used yet; nothing is received from GREEN-API until it can"
                );
            }
            tokio::time::sleep_until(asked_at + PROBE_INTERVAL).await;
        }
    }

    /// Logs when Kafka stops taking records and when it takes them again. Never returns.
    pub async fn watch(self: Arc<Self>) {
        let mut reminder = Reminder::every(REMINDER);
        loop {
            tokio::time::sleep(PROBE_INTERVAL).await;
            let health = self.publisher.health();
            if health.take_suspicion() || health.down_since().is_some() {
                // Before anything is logged. Without traffic the client does not notice that brokers are back. The
                // outcome shows in the health.
                drop(self.find().await);
            }
            let now = status(&health, &self.board);
            self.metrics.kafka_up(now.usable);
            if now.usable {
                if reminder.over() {
                    info!("Kafka takes records again");
                }
                continue;
            }
            if reminder.is_due() {
                tell(&now);
            }
        }
    }

    /// Creates missing topics, if that is wanted. A failure only matters if a topic is missing afterwards.
    async fn create_missing(&self, maker: &TopicMaker) -> Result<(), String> {
        let Made { names: made, trouble } = maker.create_missing(&self.topics).await?;
        if !made.is_empty() {
            let CreateTopics { partitions, replication_factor, .. } = maker.how();
            info!(?made, partitions, replication_factor, "topics were missing and are created");
        }
        trouble.map_or(Ok(()), Err)
    }

    /// Looks for every topic; the error is the most useful reason for a failure.
    async fn find(&self) -> Result<(), String> {
        for topic in &self.topics {
            if let Err(reason) = self.publisher.find_topic(Arc::clone(topic)).await {
                let heard = self.publisher.health().last_error().filter(|heard| *heard != reason);
                return Err(heard.map_or(reason.clone(), |heard| format!("{reason} ({heard})")));
            }
        }
        self.publisher.found();
        Ok(())
    }
}

fn tell(now: &KafkaStatus) {
    let reason = now.last_error.as_deref().unwrap_or("the brokers say nothing about it");
    match now.away_seconds {
        Some(away_seconds) => warn!(
            away_seconds,
            reason,
            fix = fix(reason),
            "Kafka is away; notifications stay in GREEN-API's queues, which keep them for 24 hours"
        ),
        None => warn!(
            waiting_instances = now.waiting_instances,
            longest_wait_seconds = now.longest_wait_seconds,
            reason,
            "Kafka answers but does not take records: look at this user's right to write, at the topics and their \
             replicas; notifications stay in GREEN-API's queues, which keep them for 24 hours"
        ),
    }
}
