//! What a delivery tells of itself, whatever it was received from.

use std::sync::Arc;
use std::time::Duration;

use crate::core::policy::DropReason;
use crate::core::prepared::Prepared;
use crate::core::publish::PublishError;
use crate::core::settled::Outcome;
use chatbridge_event::event::{DeadLetterReason, Event};

/// Hears how deliveries of one source go.
pub trait Witness: Sync {
    /// Uncounts a delivery in flight when it is dropped.
    type InFlight: Send;

    /// Counts one delivery in flight until the guard is dropped.
    #[must_use]
    fn in_flight(&self) -> Self::InFlight;

    /// Kafka acknowledged an event, this long after it was handed over.
    fn published(&self, event: &Event, took: Duration);

    /// Kafka acknowledged a dead letter.
    fn dead_lettered(&self, reason: DeadLetterReason);

    /// An event was dropped by configuration.
    fn dropped(&self, reason: DropReason);

    /// A publish did not succeed.
    fn publish_failed(&self, failure: &PublishError);

    /// The dead-letter topic takes nothing.
    fn parked(&self, detail: &str);

    /// What was received may be forgotten, this long after it was handed over; `topic` is where it went.
    fn settled(&self, prepared: &Prepared, topic: Option<&Arc<str>>, outcome: &Outcome, took: Duration);
}
