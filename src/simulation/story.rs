//! What happened in a history, in order. Two runs are compared by it, and people read it when a history fails.

use std::fmt;
use std::time::Duration;

/// One thing that happened. Instances, entries and lives count from one.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Happening {
    /// A poller began to run.
    LifeBegins { life: u64, fate: String },
    /// A poller's life ended.
    LifeEnds { life: u64, how: &'static str },
    /// Upstream queued an event.
    Queued { entry: u64, bytes: usize, what: &'static str },
    /// Upstream handed it out.
    HandedOut { entry: u64, receipt: u64 },
    /// An answer with a notification reached the poller.
    Arrived { life: u64, entry: u64, receipt: String, mutilated: bool },
    /// A receive failed.
    ReceiveFault(&'static str),
    /// A delete reached upstream. `removed` is the entry that it removed.
    Delete { receipt: String, removed: Option<u64> },
    /// A delete failed.
    DeleteFault(&'static str),
    /// Upstream dropped an event because of its age.
    Expired { entry: u64 },
    /// Another reader received, and perhaps deleted.
    Rival { entry: u64, deleted: bool },
    /// A record was handed to the broker.
    Publish { entry: u64, topic: String, bytes: usize },
    /// The broker's log grew.
    Appended { entry: u64, topic: String, orphan: bool },
    /// The broker refused the record or did not answer.
    PublishFault(&'static str),
    /// The publisher got the broker's acknowledgement.
    Acknowledged { entry: u64 },
    /// From here on there are no faults.
    Calm,
}

/// What happened, when (virtual time), and to which instance (0 means all).
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Story(Vec<(Duration, usize, Happening)>);

impl Story {
    pub(super) fn tell(&mut self, at: Duration, instance: usize, what: Happening) {
        self.0.push((at, instance, what));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Story {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, instance, what) in &self.0 {
            writeln!(out, "{:>12.3} s  instance {instance}  {what:?}", at.as_secs_f64())?;
        }
        Ok(())
    }
}
