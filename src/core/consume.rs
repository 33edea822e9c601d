//! Reads topics: the dead-letter topic for `dlq`, event topics for `tail`, and the topics of a trial for `verify`. This
//! is the only consumer.
//!
//! Partitions are assigned directly, from where the reader wants to begin. No group is joined and no offset is
//! committed, so reading changes nothing and needs only the right to read. Records that were read wait in a short
//! queue.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{self, Headers as _, Message};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::debug;

use crate::config::Kafka;

/// Records read but not yet taken. Each may be as large as the largest record allowed.
const READ_AHEAD_RECORDS: usize = 16;
const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(100);
/// After an outage, the brokers have this long to show that they are back.
const BACK_TIMEOUT: Duration = Duration::from_secs(1);
/// The brokers count as unreachable after this long without a record before the end is reached.
const STALLED: Duration = Duration::from_secs(30);

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The topic does not exist or is not visible.
    #[error("topic {topic} cannot be read ({detail}): does it exist, and may this user read it?")]
    Topic {
        /// Its name.
        topic: Arc<str>,
        /// librdkafka's message.
        detail: String,
    },
    /// The brokers do not answer.
    #[error("Kafka does not answer ({0}): are the brokers of kafka.brokers up and reachable? then try again")]
    Away(String),
    /// Reading panicked.
    #[error("reading panicked (the panic is logged above): try again, and please report this")]
    Panicked,
}

/// A record as a consumer sees it.
pub struct ConsumedRecord {
    /// Where it is stored.
    pub position: Position,
    /// Its timestamp in Unix milliseconds.
    pub timestamp_ms: Option<i64>,
    /// The timestamp, if the broker set it when appending (`message.timestamp.type=LogAppendTime`).
    pub appended_ms: Option<i64>,
    /// Its key, empty if there is none.
    pub key: String,
    /// Its headers in their order.
    pub headers: Vec<(String, String)>,
    /// Its value, empty if there is none.
    pub value: Vec<u8>,
}

/// The position of a record in its topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The partition.
    pub partition: i32,
    /// The offset in the partition.
    pub offset: i64,
}

impl ConsumedRecord {
    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_str())
    }

    fn read<M: Message>(message: &M) -> Self {
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        Self {
            position: Position { partition: message.partition(), offset: message.offset() },
            timestamp_ms: message.timestamp().to_millis(),
            appended_ms: if let message::Timestamp::LogAppendTime(ms) = message.timestamp() { Some(ms) } else { None },
            key: text(message.key()),
            headers: message
                .headers()
                .map(|headers| headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect())
                .unwrap_or_default(),
            value: message.payload().unwrap_or_default().to_vec(),
        }
    }
}

/// The records, until there are no more or reading fails.
pub type Records = mpsc::Receiver<Result<ConsumedRecord, ReadError>>;
type Sender = mpsc::Sender<Result<ConsumedRecord, ReadError>>;

/// At the end the consumer outlives the brokers briefly. What librdkafka logs about that is only worth a debug line.
struct Quiet;

impl ClientContext for Quiet {
    fn stats(&self, _statistics: Statistics) {}

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!(?level, facility, message, "librdkafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        debug!(%error, reason, "librdkafka");
    }
}

impl ConsumerContext for Quiet {}

/// Where in a topic to begin reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record.
    Beginning,
    /// After the newest record.
    End,
    /// At the first record with this timestamp or a later one.
    At(Timestamp),
}

/// Brokers became unreachable or reachable again, for those who follow a topic onward.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brokers {
    /// They do not answer. Holds librdkafka's message.
    Away(String),
    /// They answer again.
    Back,
}

/// The part of a partition that existed when the topic was opened: from `start` up to but not including `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: i64,
    end: i64,
}

/// A topic, with the part of each partition that existed when it was opened.
#[derive(Clone)]
pub struct TopicReader {
    config: ClientConfig,
    topic: Arc<str>,
    spans: BTreeMap<i32, Span>,
}

impl TopicReader {
    /// [`TopicReader::open_from`] the beginning.
    ///
    /// # Errors
    /// If there is no such topic, or no broker answers.
    pub async fn open(kafka: &Kafka, topic: Arc<str>) -> Result<Self, ReadError> {
        Self::open_from(kafka, topic, Start::Beginning).await
    }

    /// Asks the brokers for the topic's partitions, and where to begin and end in each.
    ///
    /// # Errors
    /// If there is no such topic, or no broker answers.
    pub async fn open_from(kafka: &Kafka, topic: Arc<str>, start: Start) -> Result<Self, ReadError> {
        let config = client_config(kafka);
        let opening = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer<Quiet> = create(&config)?;
            let spans = spans(&consumer, &topic, start)?;
            Ok(Self { config, topic, spans })
        });
        opening.await.unwrap_or(Err(ReadError::Panicked))
    }

    /// Everything that was in the topic when it was opened. Each partition is read in its order.
    #[must_use]
    pub fn to_the_end(&self) -> Records {
        self.read(true, |_| {})
    }

    /// Everything in the topic, then new records for as long as the receiver exists. Waits for unreachable brokers and
    /// reports them through `tell`.
    #[must_use]
    pub fn onward(&self, tell: impl FnMut(Brokers) + Send + 'static) -> Records {
        self.read(false, tell)
    }

    fn read(&self, to_the_end: bool, mut tell: impl FnMut(Brokers) + Send + 'static) -> Records {
        let (sender, receiver) = mpsc::channel(READ_AHEAD_RECORDS);
        let (reader, to_reader) = (self.clone(), sender.clone());
        // librdkafka's consumer blocks, so it gets its own thread. The thread ends when the receiver is dropped.
        let pumping = tokio::task::spawn_blocking(move || {
            if to_the_end { reader.pump_to_the_end(&to_reader) } else { reader.pump(&to_reader, &mut tell) }
        });
        tokio::spawn(async move {
            // Without this, a panic would look like the end of the topic.
            let ended = pumping.await.unwrap_or(Err(ReadError::Panicked));
            if let Err(error) = ended {
                // If this fails, the receiver is gone.
                drop(sender.send(Err(error)).await);
            }
        });
        receiver
    }

    fn pump_to_the_end(self, sender: &Sender) -> Result<(), ReadError> {
        let mut open = self.spans.clone();
        open.retain(|_, span| span.start < span.end);
        let consumer = self.consumer(&open)?;
        let mut heard_at = Instant::now();
        let mut last_error = "no records come".to_owned();
        while !open.is_empty() && !sender.is_closed() {
            let partition_at_end = match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let end = open.get(&message.partition()).map(|span| span.end);
                    if end.is_none_or(|end| message.offset() >= end) {
                        // Written after the topic was opened, so the end was passed.
                        Some(message.partition())
                    } else {
                        if sender.blocking_send(Ok(ConsumedRecord::read(&message))).is_err() {
                            return Ok(());
                        }
                        heard_at = Instant::now();
                        end.is_some_and(|end| message.offset() + 1 >= end).then_some(message.partition())
                    }
                }
                // The last offsets may hold no records: only a transaction marker, or gaps left by compaction.
                Some(Err(KafkaError::PartitionEOF(partition))) => Some(partition),
                Some(Err(error)) => {
                    if let Some(detail) = self.trouble(&consumer, &error, METADATA_TIMEOUT)? {
                        last_error = detail;
                    }
                    None
                }
                None => None,
            };
            if let Some(partition) = partition_at_end {
                open.remove(&partition);
            }
            if heard_at.elapsed() > STALLED {
                return Err(ReadError::Away(last_error));
            }
        }
        Ok(())
    }

    fn pump(self, sender: &Sender, tell: &mut impl FnMut(Brokers)) -> Result<(), ReadError> {
        let consumer = self.consumer(&self.spans)?;
        let mut are_away = false;
        while !sender.is_closed() {
            match consumer.poll(POLL) {
                Some(Ok(message)) => {
                    if sender.blocking_send(Ok(ConsumedRecord::read(&message))).is_err() {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Err(error)) => {
                    let patience = if are_away { BACK_TIMEOUT } else { METADATA_TIMEOUT };
                    if let Some(detail) = self.trouble(&consumer, &error, patience)? {
                        if !are_away {
                            tell(Brokers::Away(detail));
                        }
                        are_away = true;
                        continue;
                    }
                }
                None if are_away && consumer.fetch_metadata(Some(&self.topic), BACK_TIMEOUT).is_ok() => {}
                None => continue,
            }
            if are_away {
                tell(Brokers::Back);
            }
            are_away = false;
        }
        Ok(())
    }

    fn consumer(&self, spans: &BTreeMap<i32, Span>) -> Result<BaseConsumer<Quiet>, ReadError> {
        let consumer: BaseConsumer<Quiet> = create(&self.config)?;
        let mut assignment = TopicPartitionList::new();
        for (partition, span) in spans {
            let added = assignment.add_partition_offset(&self.topic, *partition, Offset::Offset(span.start));
            added.map_err(|error| self.unreadable(&error))?;
        }
        consumer.assign(&assignment).map_err(|error| self.unreadable(&error))?;
        Ok(consumer)
    }

    /// The message of an error that may go away by itself. Any other error ends the reading. `None` if it is no error:
    /// what librdkafka reports about brokers is only a reason to ask them, because it also reports idle connections
    /// that the other side closed.
    fn trouble(
        &self,
        consumer: &BaseConsumer<Quiet>,
        error: &KafkaError,
        patience: Duration,
    ) -> Result<Option<String>, ReadError> {
        let end = || Err(self.unreadable(error));
        if is_about_topic(error) {
            return end();
        }
        match consumer.fetch_metadata(Some(&self.topic), patience) {
            Ok(_) => Ok(None),
            Err(_) if is_about_login(error) => end(),
            Err(_) => Ok(Some(error.to_string())),
        }
    }

    fn unreadable(&self, error: &KafkaError) -> ReadError {
        ReadError::Topic { topic: Arc::clone(&self.topic), detail: error.to_string() }
    }
}

/// The operator's properties say how to log in. Properties that only a producer has are skipped.
fn client_config(kafka: &Kafka) -> ClientConfig {
    let before = [("client.id", "chatbridge"), ("reconnect.backoff.max.ms", "2000")];
    let behind = [
        ("bootstrap.servers", kafka.brokers.as_str()),
        // librdkafka only wants a name here: no group is joined.
        ("group.id", "chatbridge-reader"),
        ("enable.auto.commit", "false"),
        ("enable.partition.eof", "true"),
        ("auto.offset.reset", "earliest"),
        ("allow.auto.create.topics", "false"),
    ];
    let mut config = ClientConfig::from_iter(kafka.client_properties(&before, &behind));
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

fn create(config: &ClientConfig) -> Result<BaseConsumer<Quiet>, ReadError> {
    config.create_with_context(Quiet).map_err(|error| ReadError::Away(error.to_string()))
}

fn spans(consumer: &BaseConsumer<Quiet>, topic: &Arc<str>, start: Start) -> Result<BTreeMap<i32, Span>, ReadError> {
    let away = |error: KafkaError| ReadError::Away(error.to_string());
    let metadata = consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT).map_err(away)?;
    let found = metadata.topics().iter().find(|found| found.name() == &**topic);
    let usable = found.filter(|found| found.error().is_none() && !found.partitions().is_empty());
    let Some(usable) = usable else {
        let error = found.and_then(|found| found.error()).map(|error| format!("{:?}", Code::from(error)));
        let detail = error.unwrap_or_else(|| "no partitions".to_owned());
        return Err(ReadError::Topic { topic: Arc::clone(topic), detail });
    };
    let mut spans = BTreeMap::new();
    for partition in usable.partitions() {
        let (oldest, end) = consumer.fetch_watermarks(topic, partition.id(), METADATA_TIMEOUT).map_err(away)?;
        let start = if start == Start::End { end } else { oldest };
        spans.insert(partition.id(), Span { start, end });
    }
    if let Start::At(time) = start {
        let mut wanted = TopicPartitionList::new();
        for partition in spans.keys() {
            let moment = Offset::Offset(time.as_millisecond());
            wanted.add_partition_offset(topic, *partition, moment).map_err(away)?;
        }
        let found = consumer.offsets_for_times(wanted, METADATA_TIMEOUT).map_err(away)?;
        for place in found.elements() {
            place.error().map_err(away)?;
            if let Some(span) = spans.get_mut(&place.partition()) {
                // No record is that recent, so there is no offset. Begin with the next record to be written.
                span.start = place.offset().to_raw().filter(|offset| *offset >= 0).unwrap_or(span.end);
            }
        }
    }
    Ok(spans)
}

/// A broker's answer about the topic that waiting does not change.
fn is_about_topic(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::TopicAuthorizationFailed
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
        )
    )
}

/// A broker refuses the login. Waiting does not help if every broker does.
fn is_about_login(error: &KafkaError) -> bool {
    matches!(error.rdkafka_error_code(), Some(Code::SaslAuthenticationFailed | Code::Authentication))
}
