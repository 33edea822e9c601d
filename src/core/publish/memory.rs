//! A publisher in memory, for tests: it keeps what it takes and fails as it is told.

use std::collections::VecDeque;

use super::{Delivered, PublishError, Publisher};
use chatbridge_event::record::Record;
use parking_lot::Mutex;

/// Keeps records; answers with the planned failures first.
#[derive(Default)]
pub struct MemoryPublisher {
    records: Mutex<Vec<Record>>,
    failures: Mutex<VecDeque<PublishError>>,
    value_bytes_max: Option<usize>,
}

impl MemoryPublisher {
    /// Finds values longer than this too large.
    pub fn with_value_bytes_max(value_bytes_max: usize) -> Self {
        Self { value_bytes_max: Some(value_bytes_max), ..Self::default() }
    }

    /// Fails the next publishes, one after the other.
    pub fn fail_next(&self, failures: impl IntoIterator<Item = PublishError>) {
        self.failures.lock().extend(failures);
    }

    /// Everything taken so far.
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().clone()
    }
}

/// An acknowledgement, for publishers that a test makes elsewhere.
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
