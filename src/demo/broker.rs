//! The demo's Kafka: librdkafka's mock cluster in this process, or one that exists. And a consumer of it.

use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::debug;

const PARTITIONS: i32 = 12;
/// Records read and not yet judged.
const APPEARED_MAX: usize = 10_000;
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer strings are cut where a record is shown: thumbnails say nothing to a reader.
const SHOWN_CHARS_MAX: usize = 72;

/// The consumer outlives the brokers by a moment at the end; what librdkafka says about that is for the curious.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Quiet {}

pub(super) struct Broker {
    bootstrap: String,
    topic: String,
    dead_letter_topic: String,
    /// Its brokers live as long as this does.
    mock: Option<MockCluster<'static, DefaultProducerContext>>,
}

/// A record as the consumer saw it.
pub(super) struct Appeared {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) at: Instant,
    partition: i32,
    offset: i64,
    headers: Vec<(String, String)>,
    value: String,
}

impl Broker {
    pub(super) fn start(existing: Option<String>) -> Result<Self, KafkaError> {
        if let Some(bootstrap) = existing {
            // Names of its own, so that the demo neither reads nor disturbs what is there.
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

    /// Every record of the topic from now on, in the order of its partition.
    pub(super) async fn consume(&self) -> Result<mpsc::Receiver<Appeared>, KafkaError> {
        let consumer: BaseConsumer<Quiet> = ClientConfig::new()
            .set("bootstrap.servers", &self.bootstrap)
            // Partitions are assigned below; the group is only a name librdkafka asks for.
            .set("group.id", "chatbridge-demo")
            .set("enable.auto.commit", "false")
            .set("allow.auto.create.topics", "true")
            .set("fetch.wait.max.ms", "10")
            .create_with_context(Quiet)?;
        let topic = self.topic.clone();
        let (sender, receiver) = mpsc::channel(APPEARED_MAX);
        let (ready, started) = tokio::sync::oneshot::channel();
        // librdkafka's consumer blocks; it gets a thread, and ends when nobody listens any more.
        tokio::task::spawn_blocking(move || {
            let outcome = assign(&consumer, &topic);
            let assigned = outcome.is_ok();
            drop(ready.send(outcome));
            while assigned && !sender.is_closed() {
                let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
                if sender.blocking_send(Appeared::read(&message)).is_err() {
                    return;
                }
            }
        });
        started.await.unwrap_or(Err(KafkaError::Canceled)).map(|()| receiver)
    }
}

fn assign(consumer: &BaseConsumer<Quiet>, topic: &str) -> Result<(), KafkaError> {
    let mut partitions = 0;
    // A broker that creates topics when asked for them needs a moment to do so.
    for _ in 0..20 {
        let metadata = consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
        partitions = metadata.topics().iter().find(|found| found.name() == topic).map_or(0, |t| t.partitions().len());
        if partitions > 0 {
            break;
        }
        drop(consumer.poll(Duration::from_millis(500)));
    }
    if partitions == 0 {
        return Err(KafkaError::MetadataFetch(rdkafka::types::RDKafkaErrorCode::UnknownTopicOrPartition));
    }
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition as i32, Offset::Beginning)?;
    }
    consumer.assign(&assignment)
}

impl Appeared {
    fn read<M: Message>(message: &M) -> Self {
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        let headers: Vec<(String, String)> = message
            .headers()
            .map(|headers| headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect())
            .unwrap_or_default();
        Self {
            id: headers.iter().find(|(name, _)| name == "ce_id").map(|(_, id)| id.clone()).unwrap_or_default(),
            key: text(message.key()),
            at: Instant::now(),
            partition: message.partition(),
            offset: message.offset(),
            headers,
            value: text(message.payload()),
        }
    }

    /// For reading: where it lies, its headers, its value without the raw body.
    pub(super) fn as_a_consumer_sees_it(&self) -> String {
        let mut shown = format!("partition {} offset {} key {}\n", self.partition, self.offset, self.key);
        for (name, value) in &self.headers {
            shown.push_str(&format!("  {name}: {value}\n"));
        }
        let value = match serde_json::from_str::<Value>(&self.value) {
            Ok(mut value) => {
                if let Some(raw) = value.get_mut("raw") {
                    *raw = "…the body exactly as it came…".into();
                }
                shorten(&mut value);
                value.to_string()
            }
            Err(_) => self.value.clone(),
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
