//! The proof that a notification may be deleted upstream.

use super::policy::DropReason;
use super::publish::Delivered;
use chatbridge_event::event::{DeadLetterReason, EventId};

/// The proof that a notification may be deleted upstream. Only [`Bridge::deliver`](super::bridge::Bridge::deliver)
/// makes one: from the broker's acknowledgement, or because the configuration drops the event.
#[derive(Debug)]
#[must_use = "what is settled has to be deleted, or it comes again"]
pub struct Settled {
    id: EventId,
    outcome: Outcome,
}

impl Settled {
    /// The event that was settled.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id
    }

    /// How it was settled.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Called by [`Bridge::deliver`](super::bridge::Bridge::deliver) alone.
    pub(super) fn new(id: EventId, outcome: Outcome) -> Self {
        Self { id, outcome }
    }

    /// For tests of code that needs a proof.
    #[cfg(test)]
    pub(crate) fn dropped(id: EventId) -> Self {
        Self { id, outcome: Outcome::Dropped(DropReason::Type) }
    }
}

/// How a notification was settled.
#[derive(Debug)]
pub enum Outcome {
    /// Kafka has it as an event.
    Published(Delivered),
    /// Kafka has it as a dead letter.
    DeadLettered(Delivered, DeadLetterReason),
    /// The configuration drops it.
    Dropped(DropReason),
}
