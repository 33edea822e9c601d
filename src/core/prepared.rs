//! What a notification means and where it goes. Pure.

use jiff::Timestamp;

use super::policy::{DropReason, Policy, Verdict};
use chatbridge_event::event::{
    Body, ChatId, DeadLetterReason, Direction, Event, EventId, Kind, Notification, SourceId, Undecodable,
};
use chatbridge_event::normalize::green_api::normalize;
use chatbridge_event::record::dead_letter::DeadLetter;
use chatbridge_event::record::{self, Extent, Record, RecordFactory};

/// A notification that was parsed and routed, ready for [`Bridge::deliver`](super::bridge::Bridge::deliver).
pub struct Prepared {
    pub(super) id: EventId,
    pub(super) first_seen: Timestamp,
    pub(super) receipt_id: Option<String>,
    pub(super) destination: Destination,
}

/// Where it goes.
pub(super) enum Destination {
    Topic(Box<Event>),
    DeadLetters(Box<DeadLetter>),
    Nowhere(Box<Event>, DropReason),
}

impl Prepared {
    /// The identity of the content. Preparing the same event twice gives the same id.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id
    }

    /// When it was received.
    #[must_use]
    pub fn first_seen(&self) -> Timestamp {
        self.first_seen
    }

    /// When it happened, if that is known.
    #[must_use]
    pub fn event_time(&self) -> Option<Timestamp> {
        self.event().and_then(|event| event.time)
    }

    /// The caller as spelled in the key, if this is an incoming call that will be published.
    #[must_use]
    pub fn caller(&self) -> Option<ChatId> {
        match &self.destination {
            Destination::Topic(event) => match &event.kind {
                Kind::Call(call) if call.direction == Direction::Incoming => {
                    event.chat.as_ref().and_then(|chat| ChatId::new(&record::chat_key(&chat.id)))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Sets the name of [`Prepared::caller`]. The id was made before and does not change.
    pub fn set_caller_name(&mut self, name: String) {
        if let Destination::Topic(event) = &mut self.destination
            && let Kind::Call(call) = &mut event.kind
        {
            call.caller_name = Some(name);
        }
    }

    /// The record of the first try, or `None` if it is dropped.
    #[must_use]
    pub fn record(&self, records: &RecordFactory, now: Timestamp) -> Option<Record> {
        match &self.destination {
            Destination::Topic(event) => Some(records.record(event, Extent::Whole, now)),
            Destination::DeadLetters(letter) => Some(records.dead_letter(letter, usize::MAX, now)),
            Destination::Nowhere(..) => None,
        }
    }

    /// The event, if the notification could be read as one.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match &self.destination {
            Destination::Topic(event) | Destination::Nowhere(event, _) => Some(event),
            Destination::DeadLetters(_) => None,
        }
    }
}

/// Parses the notification and decides where it goes. Never fails, does no I/O.
#[must_use]
pub fn prepare(notification: Notification, policy: &Policy, now: Timestamp) -> Prepared {
    let Notification { instance, receipt_id, body } = notification;
    let source = SourceId::GreenApi(instance);
    let undecodable_content = body.undecodable_content();
    match body {
        Body::Json(raw) => decided(normalize(instance, raw), receipt_id, policy, now),
        Body::Undecodable { bytes, reason, error, .. } => {
            let id = EventId::of(&source.uri(), &undecodable_content.unwrap_or_default());
            buried(source, id, Undecodable { bytes, reason, error }, receipt_id, now)
        }
    }
}

/// Decides where an event goes that was parsed elsewhere. `first_seen` is when it was received.
#[must_use]
pub fn prepare_event(event: Event, policy: &Policy, first_seen: Timestamp) -> Prepared {
    decided(event, None, policy, first_seen)
}

/// Sends unreadable bytes of `source` to the dead letters, under this id.
#[must_use]
pub fn prepare_undecodable(source: SourceId, id: EventId, undecodable: Undecodable, first_seen: Timestamp) -> Prepared {
    buried(source, id, undecodable, None, first_seen)
}

fn buried(
    source: SourceId,
    id: EventId,
    undecodable: Undecodable,
    receipt_id: Option<String>,
    first_seen: Timestamp,
) -> Prepared {
    let Undecodable { bytes, reason, error } = undecodable;
    let letter = DeadLetter {
        id,
        kind: None,
        key: source.key(),
        source,
        reason,
        error,
        receipt_id: receipt_id.clone(),
        attempts: 1,
        first_seen,
        event_headers: Vec::new(),
        bytes,
    };
    Prepared { id: letter.id, first_seen, receipt_id, destination: Destination::DeadLetters(Box::new(letter)) }
}

fn decided(mut event: Event, receipt_id: Option<String>, policy: &Policy, first_seen: Timestamp) -> Prepared {
    policy.annotate(&mut event);
    let id = event.id;
    let destination = match policy.verdict(&event) {
        Verdict::Publish => Destination::Topic(Box::new(event)),
        Verdict::Drop(reason) => Destination::Nowhere(Box::new(event), reason),
        Verdict::DeadLetter(reason) => {
            let error = "events.unknown sends types this version does not know here";
            Destination::DeadLetters(Box::new(letter_of_event(&event, reason, error, receipt_id.clone(), first_seen)))
        }
    };
    Prepared { id, first_seen, receipt_id, destination }
}

/// The dead letter of an event that goes to no other topic.
pub(super) fn letter_of_event(
    event: &Event,
    reason: DeadLetterReason,
    error: &str,
    receipt_id: Option<String>,
    first_seen: Timestamp,
) -> DeadLetter {
    DeadLetter {
        id: event.id,
        key: record::key(&event.source.id(), event.chat.as_ref()),
        source: event.source.id(),
        kind: Some(event.kind.name()),
        reason,
        error: error.to_owned(),
        receipt_id,
        attempts: 1,
        first_seen,
        event_headers: record::headers(event),
        bytes: event.raw.get().as_bytes().to_vec(),
    }
}
