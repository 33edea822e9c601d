//! What every instance needs from the simulator.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::fault::Fault;
use super::journal::JournalEntry;
use super::method::RateLimits;
use super::queue::QueueRules;
use crate::kit::Kit;

pub(super) struct Common {
    pub(super) kit: Kit<JournalEntry, Fault>,
    pub(super) seed: u64,
    pub(super) queue_rules: QueueRules,
    pub(super) rate_limits: RateLimits,
    /// Events in all queues.
    pub(super) depth: AtomicUsize,
    pub(super) emptied: Notify,
}

impl Common {
    /// Counts events that have left a queue.
    pub(super) fn shrink(&self, events: usize) {
        if self.depth.fetch_sub(events, Ordering::SeqCst) == events {
            self.emptied.notify_waiters();
        }
    }
}
