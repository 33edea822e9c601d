//! The rdkafka producer, and the one table that classifies its errors.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::Offset;
use tokio::time::Instant;
use tracing::{debug, error};

use super::{Delivered, PublishError, Publisher};
use crate::config::Kafka;
use chatbridge_event::record::Record;

mod advice;
mod properties;
pub mod topics;

pub use advice::fix;
pub(crate) use properties::{client_config, plain};
pub use properties::{librdkafka_features, librdkafka_version, problems};

const METADATA_TIMEOUT: Duration = Duration::from_secs(5);
/// A replacement producer is not replaced again before this pause.
const REPLACE_PAUSE: Duration = Duration::from_secs(10);

/// The state of the brokers, as far as they were asked. An error that librdkafka reports by itself is only a reason to
/// ask: it also reports an idle connection that the other side closed.
#[derive(Debug, Default)]
pub struct Health {
    inner: Mutex<HealthInner>,
}

#[derive(Debug, Default)]
struct HealthInner {
    down_since: Option<Instant>,
    last_error: Option<String>,
    is_suspected: bool,
}

impl Health {
    /// Since when the brokers have been unreachable, or `None` if they are reachable.
    #[must_use]
    pub fn down_since(&self) -> Option<Instant> {
        self.lock().down_since
    }

    /// Whether librdkafka has reported anything since the last call that makes it worth asking the brokers.
    pub(crate) fn take_suspicion(&self) -> bool {
        std::mem::take(&mut self.lock().is_suspected)
    }

    /// The last error, until something worked again.
    #[must_use]
    pub fn last_error(&self) -> Option<String> {
        self.lock().last_error.clone()
    }

    /// The brokers did not answer. `reason` is used only if no more specific error was reported: "no broker answers"
    /// says less than "SSL handshake failed".
    fn down(&self, reason: &str) {
        let mut inner = self.lock();
        inner.down_since.get_or_insert_with(Instant::now);
        inner.last_error.get_or_insert_with(|| reason.to_owned());
    }

    fn heard(&self, reason: &str) {
        self.lock().last_error = Some(reason.to_owned());
    }

    fn suspect(&self) {
        self.lock().is_suspected = true;
    }

    /// A suspicion stays set: it may be newer than the answer.
    fn up(&self) {
        let mut inner = self.lock();
        (inner.down_since, inner.last_error) = (None, None);
    }

    fn lock(&self) -> parking_lot::MutexGuard<'_, HealthInner> {
        self.inner.lock()
    }
}

/// Receives librdkafka's errors, statistics and log lines.
#[derive(Clone, Default)]
struct Context {
    health: Arc<Health>,
}

impl ClientContext for Context {
    /// Not logged here, because it occurs at every reconnect. Whoever watches [`Health`] reports it about once a
    /// minute.
    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "librdkafka");
        match error.rdkafka_error_code() {
            Some(Code::AllBrokersDown) => self.health.suspect(),
            Some(Code::Authentication | Code::SaslAuthenticationFailed | Code::SSL) => {
                self.health.heard(reason);
                self.health.suspect();
            }
            _ => self.health.heard(reason),
        }
    }

    /// By default librdkafka's statistics would be logged in full at every configured interval.
    fn stats(&self, _statistics: Statistics) {}

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!(severity = ?level, facility, message, "librdkafka");
        // librdkafka only logs a broker hang-up.
        if facility == "FAIL" && fix(message).is_some() {
            self.health.heard(message.split_once("]: ").map_or(message, |(_thread, words)| words));
        }
    }
}

type Client = FutureProducer<Context>;

/// A publisher on top of rdkafka that survives fatal errors of its producer.
pub struct KafkaPublisher {
    config: ClientConfig,
    context: Context,
    shared: RwLock<Generation>,
    /// Sends each record in a request of its own. Made when first needed, dropped when it fails.
    alone: tokio::sync::Mutex<Option<Client>>,
}

struct Generation {
    number: u64,
    client: Client,
    made_at: Instant,
}

/// Why no producer could be made: librdkafka refused the configuration.
#[derive(Debug, thiserror::Error)]
#[error("failed to make the Kafka producer: {0}")]
pub struct ProducerError(String);

impl fmt::Debug for KafkaPublisher {
    /// Shows neither configuration nor properties, because they hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaPublisher").finish_non_exhaustive()
    }
}

impl KafkaPublisher {
    /// A publisher to the configured brokers. Does not wait for them.
    ///
    /// # Errors
    /// If librdkafka refuses the configuration.
    pub fn new(kafka: &Kafka) -> Result<Self, ProducerError> {
        let config = client_config(kafka);
        let context = Context::default();
        let client = config.create_with_context(context.clone()).map_err(|error| ProducerError(plain(&error, "")))?;
        let shared = RwLock::new(Generation { number: 0, client, made_at: Instant::now() });
        Ok(Self { config, context, shared, alone: tokio::sync::Mutex::new(None) })
    }

    /// The state of the brokers.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.context.health)
    }

    /// Asks the brokers once for `topic`: are they reachable, and does it exist?
    ///
    /// # Errors
    /// In words: what is wrong and what to do.
    pub async fn find_topic(&self, topic: Arc<str>) -> Result<(), String> {
        let (_, client) = self.current();
        let asked = tokio::task::spawn_blocking(move || {
            let asked = client.client().fetch_metadata(Some(&topic), METADATA_TIMEOUT);
            let metadata = asked.map_err(|error| format!("no broker answers: {error}"))?;
            match metadata.topics().iter().find(|found| found.name() == &*topic) {
                Some(found) if found.error().is_none() && !found.partitions().is_empty() => Ok(()),
                found => {
                    let error = found.and_then(|found| found.error()).map(|error| format!("{:?}", Code::from(error)));
                    let error = error.unwrap_or_else(|| "no partitions".to_owned());
                    Err(format!("topic {topic} cannot be used ({error}): create it, or let this user see and write it"))
                }
            }
        })
        .await
        .unwrap_or_else(|panic| Err(panic.to_string()));
        if let Err(reason) = &asked {
            self.context.health.down(reason);
        }
        asked
    }

    /// Every topic was found, so an earlier error no longer counts.
    pub fn found(&self) {
        self.context.health.up();
    }

    /// Waits until everything handed over is acknowledged, at most `timeout`. What is not acknowledged by then is not
    /// deleted upstream either.
    pub async fn flush(self: Arc<Self>, timeout: Duration) {
        let flushed = tokio::task::spawn_blocking(move || self.current().1.flush(timeout));
        if let Ok(Err(error)) = flushed.await {
            debug!(%error, "not everything was acknowledged before the end; it stays in GREEN-API's queue");
        }
    }

    fn current(&self) -> (u64, Client) {
        let shared = self.shared.read();
        (shared.number, shared.client.clone())
    }

    /// A fatal error ends a producer for good. This replaces generation `number`, unless another instance has already
    /// done so.
    fn replace(&self, number: u64, reason: &str) {
        let mut shared = self.shared.write();
        // A producer may fail at once, for example if the cluster allows no idempotence. Then pause before replacing it
        // again.
        if shared.number != number || (number > 0 && shared.made_at.elapsed() < REPLACE_PAUSE) {
            return;
        }
        match self.config.create_with_context(self.context.clone()) {
            Ok(client) => {
                error!(reason, "Kafka's producer failed for good; a new one takes over and publishes again");
                let next = Generation { number: number + 1, client, made_at: Instant::now() };
                let ended = std::mem::replace(&mut *shared, next);
                drop(shared);
                drop_elsewhere(ended);
            }
            Err(error) => error!(
                error = plain(&error, ""),
                reason, "Kafka's producer failed for good and no new one could be made"
            ),
        }
    }

    /// Publishes the record in a request of its own. In a shared request one oversized record also gets its neighbours
    /// refused. Only one such record is sent at a time, because they are rare.
    async fn publish_alone(&self, record: &Record) -> Result<Delivered, PublishError> {
        let mut kept = self.alone.lock().await;
        let client = match kept.take() {
            Some(client) => client,
            None => {
                let mut config = self.config.clone();
                config.set("batch.num.messages", "1");
                let made = config.create_with_context(self.context.clone());
                made.map_err(|error| PublishError::Unavailable(plain(&error, "")))?
            }
        };
        let verdict = self.send(&client, record).await.map_err(|error| classify(&error));
        match &verdict {
            Err(PublishError::Unavailable(_)) => drop_elsewhere(client),
            _ => *kept = Some(client),
        }
        verdict
    }

    /// A topic may refuse old timestamps. That is no reason to dead-letter what happened during an outage. If the
    /// broker refuses the present time as well, this machine's clock is wrong and not the record.
    async fn publish_stamped_now(&self, record: &Record) -> Result<Delivered, PublishError> {
        let timestamp_ms = Timestamp::now().as_millisecond();
        self.publish_alone(&Record { timestamp_ms, ..record.clone() }).await.map_err(|failure| match failure {
            PublishError::Unavailable(detail) => self.unavailable(format!("topic {}: {detail}", record.topic)),
            refused => refused,
        })
    }

    fn unavailable(&self, detail: String) -> PublishError {
        self.context.health.heard(&detail);
        PublishError::Unavailable(detail)
    }

    async fn send(&self, client: &Client, record: &Record) -> Result<Delivered, KafkaError> {
        let headers = record
            .headers
            .iter()
            .fold(OwnedHeaders::new_with_capacity(record.headers.len()), |headers, (key, value)| {
                headers.insert(Header { key, value: Some(value) })
            });
        let future = client
            .send_result(
                FutureRecord::to(&record.topic)
                    .key(&record.key)
                    .payload(&record.value)
                    .timestamp(record.timestamp_ms)
                    .headers(headers),
            )
            .map_err(|(error, _)| error)?;
        match future.await {
            // No offset at all: librdkafka got an error for this record and an acknowledgement for a later one, and
            // concludes that both were written. But a partition that was recreated accepts whatever sequence number
            // comes first, so the earlier record is lost there. (A retry that the broker recognised has offset -1
            // instead.)
            Ok(Ok(delivery)) if Offset::from_raw(delivery.offset) == Offset::Invalid => {
                Err(KafkaError::MessageProduction(Code::Inconsistent))
            }
            Ok(Ok(delivery)) => {
                self.context.health.up();
                Ok(Delivered { partition: delivery.partition })
            }
            Ok(Err((error, _))) => Err(error),
            // The producer was dropped with the record in it. Treat the record as purged.
            Err(_) => Err(KafkaError::MessageProduction(Code::PurgeQueue)),
        }
    }
}

impl Publisher for KafkaPublisher {
    async fn publish(&self, record: &Record) -> Result<Delivered, PublishError> {
        let (number, client) = self.current();
        let error = match self.send(&client, record).await {
            Ok(delivered) => return Ok(delivered),
            Err(error) => error,
        };
        if let Some((_, reason)) = client.client().fatal_error() {
            // Another instance may have replaced it by now, and dropping the last copy waits for its threads.
            drop_elsewhere(client);
            self.replace(number, &reason);
            return Err(self.unavailable(format!("the producer failed for good: {reason}")));
        }
        match classify(&error) {
            _ if error.rdkafka_error_code() == Some(Code::InvalidTimestamp) => self.publish_stamped_now(record).await,
            PublishError::Unavailable(detail) => Err(self.unavailable(format!("topic {}: {detail}", record.topic))),
            _ => self.publish_alone(record).await,
        }
    }
}

/// Dropping a producer waits for its threads. That is too long for a task that shares its thread with others.
fn drop_elsewhere<T: Send + 'static>(ended: T) {
    std::thread::spawn(move || drop(ended));
}

/// What an error means for its record. A record is refused for good only if waiting cannot make it acceptable.
/// Everything else, such as a missing topic or missing rights, can be repaired in the cluster.
fn classify(error: &KafkaError) -> PublishError {
    let detail = error.to_string();
    match error.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize) => PublishError::TooLarge(detail),
        Some(Code::PolicyViolation | Code::InvalidRecord) => PublishError::Refused(detail),
        Some(Code::InvalidTimestamp) => {
            PublishError::Unavailable(format!("{detail}: compare this machine's clock with the broker's"))
        }
        Some(Code::Inconsistent) => PublishError::Unavailable(
            "a later record was acknowledged and this one was not: it is sent again".to_owned(),
        ),
        _ => PublishError::Unavailable(detail),
    }
}

#[cfg(test)]
mod tests;
