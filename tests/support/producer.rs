//! A librdkafka producer as it comes: what the harness tries its brokers with. The bridge's own is not used here.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{FutureProducer, FutureRecord};

/// A producer with these properties of librdkafka.
pub(crate) fn producer(bootstrap: &str, properties: &[(&str, &str)]) -> FutureProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("acks", "all").set("log_level", "2");
    for (key, value) in properties {
        config.set(*key, *value);
    }
    config.create().expect("properties that librdkafka takes")
}

/// Sends one record and waits for the verdict.
pub(crate) fn produce(producer: &FutureProducer, topic: &str) -> Result<(), KafkaError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let record = FutureRecord::to(topic).key("79001234567@c.us").payload("{}");
    runtime.block_on(producer.send(record, Duration::ZERO)).map(drop).map_err(|(error, _)| error)
}
