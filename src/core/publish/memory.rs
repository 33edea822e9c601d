//! An in-memory publisher for tests. It keeps the records it is given and fails when told to.

use std::collections::VecDeque;

use super::{Delivered, PublishError, Publisher};
use chatbridge_event::record::Record;
use parking_lot::Mutex;

/// Keeps records. Planned failures are returned first.
#[derive(Default)]
pub struct MemoryPublisher {
    records: Mutex<Vec<Record>>,
    failures: Mutex<VecDeque<PublishError>>,
    value_bytes_max: Option<usize>,
}

impl MemoryPublisher {
    /// Rejects values longer than this as too large.
    pub fn with_value_bytes_max(value_bytes_max: usize) -> Self {
        Self { value_bytes_max: Some(value_bytes_max), ..Self::default() }
    }

    /// Fails the next publishes, one failure each.
    pub fn fail_next(&self, failures: impl IntoIterator<Item = PublishError>) {
        self.failures.lock().extend(failures);
    }

    /// All records so far.
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().clone()
    }
}

/// An acknowledgement for publishers that tests write themselves.
pub fn acknowledgement() -> Delivered {
    Delivered { partition: 0 }
}

impl Publisher for MemoryPublisher {
    async fn publish(&self, record: &Record) -> Result<Delivered, PublishError> {
        tokio::task::yield_now().await;
        if let Some(failure) = self.failures.lock().pop_front() {
            return Err(failure);
        }
        if self.value_bytes_max.is_some_and(|max| record.value.len() > max) {
            return Err(PublishError::TooLarge("planned".to_owned()));
        }
        self.records.lock().push(record.clone());
        Ok(acknowledgement())
    }
}
