//! The proof that something may be forgotten upstream.

use super::policy::DropReason;
use super::publish::Delivered;
use chatbridge_event::event::{DeadLetterReason, EventId};

/// The proof that a notification may be forgotten. Only [`Bridge::deliver`](super::bridge::Bridge::deliver) makes one, and only from the broker's
/// acknowledgement or from the configured wish to drop.
#[derive(Debug)]
#[must_use = "what is settled has to be deleted, or it comes again"]
pub struct Settled {
    id: EventId,
    outcome: Outcome,
}

impl Settled {
    /// The event this settles.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id
    }

    /// How it was settled.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Made by [`Bridge::deliver`](super::bridge::Bridge::deliver) alone.
    pub(super) fn new(id: EventId, outcome: Outcome) -> Self {
        Self { id, outcome }
    }

    /// For tests of those who are handed a proof.
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
    /// The configuration does not want it.
    Dropped(DropReason),
}
