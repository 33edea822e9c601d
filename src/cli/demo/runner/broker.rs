//! The demo's Kafka: librdkafka's mock cluster in this process, or an existing one. Also reads what appears in it.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::error;

use crate::config::{CloudEventsMode, Kafka};
use crate::core::consume::{ConsumedRecord, Position, ReadError, TopicReader};

const PARTITIONS: i32 = 12;
/// Records read but not yet judged.
const APPEARED_MAX: usize = 10_000;
/// How often the topic is looked for until it appears.
const TOPIC_TRIES: u32 = 20;
const TOPIC_RETRY: Duration = Duration::from_millis(500);

/// Longer strings are cut when a record is shown: thumbnails mean nothing to a reader.
const SHOWN_CHARS_MAX: usize = 72;

pub(super) struct Broker {
    bootstrap: String,
    topic: String,
    dead_letter_topic: String,
    /// Its brokers live as long as this does.
    mock: Option<MockCluster<'static, DefaultProducerContext>>,
}

/// A record as the consumer saw it.
pub(crate) struct Appeared {
    pub(super) id: String,
    pub(super) at: Instant,
    record: ConsumedRecord,
}

impl Broker {
    pub(super) fn start(existing: Option<String>) -> Result<Self, KafkaError> {
        if let Some(bootstrap) = existing {
            // Use a topic of its own, so that the demo neither reads nor disturbs existing ones.
            let topic = format!("chatbridge-demo-{:08x}", fastrand::u32(..));
            return Ok(Self { bootstrap, dead_letter_topic: format!("{topic}-dlq"), topic, mock: None });
        }
        let mock = MockCluster::new(1)?;
        let (topic, dead_letter_topic) = ("chat-events".to_owned(), "chat-events-dlq".to_owned());
        mock.create_topic(&topic, PARTITIONS, 1)?;
        mock.create_topic(&dead_letter_topic, 1, 1)?;
        Ok(Self { bootstrap: mock.bootstrap_servers(), topic, dead_letter_topic, mock: Some(mock) })
    }

    pub(super) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    pub(super) fn dead_letter_topic(&self) -> &str {
        &self.dead_letter_topic
    }

    pub(super) fn description(&self) -> String {
        match self.mock {
            Some(_) => format!("Kafka in this process (librdkafka's mock cluster) at {}", self.bootstrap),
            None => format!("Kafka at {}, topic {}", self.bootstrap, self.topic),
        }
    }

    /// All records of the topic, present and future, in the order of their partitions.
    pub(super) async fn consume(&self) -> Result<mpsc::Receiver<Appeared>, ReadError> {
        let kafka = Kafka {
            brokers: self.bootstrap.clone(),
            topic: self.topic.as_str().into(),
            dead_letter_topic: self.dead_letter_topic.as_str().into(),
            cloudevents_mode: CloudEventsMode::Binary,
            // The demo measures latencies, and the mock cluster answers a fetch only after this time.
            create_topics: None,
            properties: [("fetch.wait.max.ms".to_owned(), "10".to_owned().into())].into(),
        };
        let mut records = self.open(&kafka).await?.onward(|_| {});
        let (sender, receiver) = mpsc::channel(APPEARED_MAX);
        tokio::spawn(async move {
            while let Some(read) = records.recv().await {
                match read {
                    Ok(record) => {
                        if sender.send(Appeared::new(record)).await.is_err() {
                            return;
                        }
                    }
                    Err(error) => return error!(%error, "failed to read the demo's topic back"),
                }
            }
        });
        Ok(receiver)
    }

    /// A broker that creates topics on first use needs a moment to do so.
    async fn open(&self, kafka: &Kafka) -> Result<TopicReader, ReadError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match TopicReader::open(kafka, Arc::clone(&kafka.topic)).await {
                Err(ReadError::Topic { .. }) if tries < TOPIC_TRIES => tokio::time::sleep(TOPIC_RETRY).await,
                opened => return opened,
            }
        }
    }
}

impl Appeared {
    fn new(record: ConsumedRecord) -> Self {
        Self { id: record.header("ce_id").unwrap_or_default().to_owned(), at: Instant::now(), record }
    }

    pub(super) fn key(&self) -> &str {
        &self.record.key
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.record.value
    }

    /// The record in readable form: its position, its headers, and its value without the raw body.
    pub(super) fn as_a_consumer_sees_it(&self) -> String {
        let Position { partition, offset } = self.record.position;
        let mut shown = format!("partition {partition} offset {offset} key {}\n", self.record.key);
        for (name, value) in &self.record.headers {
            shown.push_str(&format!("  {name}: {value}\n"));
        }
        let value = match serde_json::from_slice::<Value>(&self.record.value) {
            Ok(mut value) => {
                if let Some(raw) = value.get_mut("raw") {
                    *raw = "…the body exactly as it came…".into();
                }
                shorten(&mut value);
                value.to_string()
            }
            Err(_) => String::from_utf8_lossy(&self.record.value).into_owned(),
        };
        shown + "  " + &value
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::String(text) if text.chars().count() > SHOWN_CHARS_MAX => {
            *text = text.chars().take(SHOWN_CHARS_MAX).chain(['…']).collect();
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(members) => members.values_mut().for_each(shorten),
        _ => {}
    }
}
