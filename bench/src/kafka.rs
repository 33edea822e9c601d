//! Topics: made before a run, read back after it.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

const PARTITIONS: i32 = 12;
const PATIENCE: Duration = Duration::from_secs(30);

/// What was found in a topic.
pub(crate) struct Found {
    /// Identity of the notification's body, however the contender framed it.
    pub(crate) body: u64,
    /// When the broker appended it, Unix milliseconds.
    pub(crate) appended_ms: u64,
}

/// Makes topics whose records carry the broker's clock.
pub(crate) fn create(brokers: &str, topics: &[String]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().expect("an admin client");
    let topics: Vec<_> = topics
        .iter()
        .map(|name| {
            NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1)).set("message.timestamp.type", "LogAppendTime")
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let made = runtime.block_on(admin.create_topics(&topics, &AdminOptions::new().operation_timeout(Some(PATIENCE))));
    for topic in made.expect("Kafka answers") {
        topic.expect("the topic is made");
    }
}

/// Everything in the topic now; whoever was cut off may still write into it.
pub(crate) fn read(brokers: &str, topic: &str) -> Vec<Found> {
    let reader: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .create()
        .expect("a consumer");
    let (mut wanted, mut ends) = (0, Vec::new());
    let mut all = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        let (low, high) = reader.fetch_watermarks(topic, partition, PATIENCE).expect("watermarks");
        wanted += usize::try_from(high - low).unwrap_or_default();
        ends.push(high);
        all.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    }
    reader.assign(&all).expect("assigned");
    let mut found = Vec::with_capacity(wanted);
    while found.len() < wanted {
        let record = reader.poll(PATIENCE).expect("the records up to the watermarks").expect("readable");
        if ends.get(record.partition() as usize).is_none_or(|end| record.offset() >= *end) {
            continue;
        }
        let value: Value = serde_json::from_slice(record.payload().unwrap_or_default()).expect("JSON");
        let appended_ms = u64::try_from(record.timestamp().to_millis().unwrap_or_default()).unwrap_or_default();
        found.push(Found { body: identity(value), appended_ms });
    }
    found
}

/// Of what chatbridge publishes, the body as it came; of the others, the value is that body.
fn identity(mut value: Value) -> u64 {
    let body = match value.get_mut("raw") {
        Some(raw) => raw.take(),
        None => value,
    };
    // serde_json sorts keys, so whoever wrote it, the same body has the same text.
    fnv1a(body.to_string().as_bytes())
}

/// Of a body's text.
pub(crate) fn identity_of(body: &str) -> u64 {
    identity(serde_json::from_str(body).expect("the simulator queues JSON"))
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
