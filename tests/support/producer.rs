//! A librdkafka producer as it comes: what the harness tries its brokers with. The bridge's own is not used here.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{FutureProducer, FutureRecord};

/// What brokers know reaches all of them within this, or something is wrong.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(20);

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

/// Sends records until the verdict on one is as wanted, and says how long that one took.
///
/// What metadata and rights say of a partition, its leader may know a moment later or earlier than the broker that was
/// asked; with `retries=0` its verdict of that moment is final. So the leader is asked until it agrees.
pub(crate) fn produce_until(producer: &FutureProducer, topic: &str, wanted: Result<(), RDKafkaErrorCode>) -> Duration {
    let deadline = Instant::now() + PATIENCE;
    let wanted = wanted.map_err(KafkaError::MessageProduction);
    loop {
        let begun = Instant::now();
        let found = produce(producer, topic);
        if found == wanted {
            return begun.elapsed();
        }
        assert!(Instant::now() < deadline, "{topic}: {found:?} and not {wanted:?}");
        thread::sleep(POLL);
    }
}
