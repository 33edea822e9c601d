//! What publishing a record promises.

use std::future::Future;
use std::sync::Arc;

use chatbridge_event::record::Record;

pub mod kafka;
// A fuzzer also needs acknowledgements without a broker.
#[cfg(any(test, fuzzing))]
pub mod memory;

/// The broker's acknowledgement of one record: every in-sync replica has it.
///
/// Its field is private, so only a publisher can make one. Everything that deletes upstream needs one.
#[derive(Debug, Clone)]
#[must_use = "an acknowledgement that nobody looks at lets nobody delete"]
pub struct Delivered {
    /// The partition that holds the record.
    partition: i32,
}

impl Delivered {
    /// The partition that holds the record. There is no offset, because librdkafka reports -1 after a retry that the
    /// broker recognised as one.
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }
}

/// Why a record is not in Kafka, grouped by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Publish the same record again: the broker is unreachable, not ready, or temporarily refuses.
    #[error("Kafka did not take the record: {0}")]
    Unavailable(String),
    /// Do not publish this record again: it is larger than the broker accepts.
    #[error("the record is larger than Kafka takes: {0}")]
    TooLarge(String),
    /// Do not publish this record again, for another reason.
    #[error("Kafka refuses the record: {0}")]
    Refused(String),
}

impl PublishError {
    /// The metric's label.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::TooLarge(_) => "too_large",
            Self::Refused(_) => "refused",
        }
    }
}

/// Publishes records to the broker.
pub trait Publisher: Send + Sync + 'static {
    /// Returns once the broker has acknowledged `record` or refused it. While the broker is unreachable this waits
    /// without a limit: the caller holds the only copy and has nothing else to do.
    fn publish(&self, record: &Record) -> impl Future<Output = Result<Delivered, PublishError>> + Send;
}

impl<P: Publisher> Publisher for Arc<P> {
    fn publish(&self, record: &Record) -> impl Future<Output = Result<Delivered, PublishError>> + Send {
        P::publish(self, record)
    }
}
