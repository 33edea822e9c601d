//! What handing a record to the broker promises.

use std::future::Future;
use std::sync::Arc;

use chatbridge_event::record::Record;

pub mod kafka;
// A fuzzer, too, needs acknowledgements without a broker.
#[cfg(any(test, fuzzing))]
pub mod memory;

/// The broker's acknowledgement of one record: every in-sync replica has it.
///
/// Its field is private, so only a publisher can make one. Everything that deletes asks for it.
#[derive(Debug, Clone)]
#[must_use = "an acknowledgement that nobody looks at lets nobody delete"]
pub struct Delivered {
    /// The partition it lies on.
    partition: i32,
}

impl Delivered {
    /// The partition the record lies on. (There is no offset: after a retry that the broker recognised as one,
    /// librdkafka reports -1.)
    #[must_use]
    pub fn partition(&self) -> i32 {
        self.partition
    }
}

/// Why a record is not in Kafka, by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Publish the same record again: the broker is away, not ready, or does not let us just now.
    #[error("Kafka did not take the record: {0}")]
    Unavailable(String),
    /// Never this record: it is larger than the broker takes.
    #[error("the record is larger than Kafka takes: {0}")]
    TooLarge(String),
    /// Never this record, for another reason.
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

/// Hands records to the broker.
pub trait Publisher: Send + Sync + 'static {
    /// Returns once the broker has acknowledged `record`, or has let us know that it will not. While the broker is
    /// away this waits without a limit of its own: the caller holds the one copy and has nothing better to do.
    fn publish(&self, record: &Record) -> impl Future<Output = Result<Delivered, PublishError>> + Send;
}

impl<P: Publisher> Publisher for Arc<P> {
    fn publish(&self, record: &Record) -> impl Future<Output = Result<Delivered, PublishError>> + Send {
        P::publish(self, record)
    }
}
