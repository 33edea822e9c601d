//! What a delivery reports, whatever source it came from.

use std::sync::Arc;
use std::time::Duration;

use crate::core::policy::DropReason;
use crate::core::prepared::Prepared;
use crate::core::publish::PublishError;
use crate::core::settled::Outcome;
use chatbridge_event::event::{DeadLetterReason, Event};

/// Is told how the deliveries of one source go.
pub trait Witness: Sync {
    /// Ends the count of one delivery in flight when it is dropped.
    type InFlight: Send;

    /// Counts one delivery in flight until the guard is dropped.
    #[must_use]
    fn in_flight(&self) -> Self::InFlight;

    /// Kafka acknowledged an event. `took` is the time since it was handed over.
    fn published(&self, event: &Event, took: Duration);

    /// Kafka acknowledged a dead letter.
    fn dead_lettered(&self, reason: DeadLetterReason);

    /// An event was dropped by configuration.
    fn dropped(&self, reason: DropReason);

    /// A publish did not succeed.
    fn publish_failed(&self, failure: &PublishError);

    /// The dead-letter topic accepts nothing.
    fn parked(&self, detail: &str);

    /// What was received may be deleted upstream. `took` is the time since it was handed over, `topic` is where it
    /// went.
    fn settled(&self, prepared: &Prepared, topic: Option<&Arc<str>>, outcome: &Outcome, took: Duration);
}
