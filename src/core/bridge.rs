//! From notification to proof: understand, decide, publish until the broker has it.
//!
//! [`prepare`] is pure; [`Bridge::deliver`] returns only when the notification may be forgotten: acknowledged
//! by Kafka as an event, acknowledged as a dead letter, or dropped because the configuration says so. There is no
//! fourth way out, and no error: what cannot be published *now* is published later, for as long as it takes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{error, warn};

use crate::core::policy::{DropReason, Policy, Verdict};
use crate::core::publish::{Delivered, PublishError, Publisher};
use crate::core::witness::Witness;
use crate::redact::Redactor;
use chatbridge_base::retry::Backoff;
use chatbridge_event::event::{
    Body, ChatId, DeadLetterReason, Direction, Event, EventId, Kind, Notification, SourceId, Undecodable,
};
use chatbridge_event::normalize::green_api::normalize;
use chatbridge_event::record::dead_letter::DeadLetter;
use chatbridge_event::record::{self, Extent, Record, RecordFactory};

/// How much of a dead letter is kept, one try after the other, when the broker finds it too large.
const DEAD_LETTER_BYTES_TRIED: [usize; 4] = [usize::MAX, 512 * 1024, 16 * 1024, 0];
/// The wait before a dead letter that was refused in every size is offered again.
const PARKED_RETRY: Duration = Duration::from_secs(60);
const PUBLISH_RETRY_MIN: Duration = Duration::from_millis(100);
const PUBLISH_RETRY_MAX: Duration = Duration::from_secs(10);

/// The proof that a notification may be forgotten. Only [`Bridge::deliver`] makes one, and only from the broker's
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

/// A notification, understood and decided about, ready for [`Bridge::deliver`].
pub struct Prepared {
    id: EventId,
    first_seen: Timestamp,
    receipt_id: Option<String>,
    destination: Destination,
}

enum Destination {
    Topic(Box<Event>),
    DeadLetters(Box<DeadLetter>),
    Nowhere(Box<Event>, DropReason),
}

impl Prepared {
    /// Identity of the content: the same event prepared twice has the same.
    #[must_use]
    pub fn id(&self) -> EventId {
        self.id
    }

    /// When it was handed out.
    #[must_use]
    pub fn first_seen(&self) -> Timestamp {
        self.first_seen
    }

    /// When it happened, where that is known.
    #[must_use]
    pub fn event_time(&self) -> Option<Timestamp> {
        self.event().and_then(|event| event.time)
    }

    /// Who is calling, in the one spelling of the key, where this is an incoming call that will be published.
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

    /// Says who [`Prepared::caller`] is. The id was made before and stays.
    pub fn set_caller_name(&mut self, name: String) {
        if let Destination::Topic(event) = &mut self.destination
            && let Kind::Call(call) = &mut event.kind
        {
            call.caller_name = Some(name);
        }
    }

    /// The record of the first try; `None` for what is dropped.
    #[must_use]
    pub fn record(&self, records: &RecordFactory, now: Timestamp) -> Option<Record> {
        match &self.destination {
            Destination::Topic(event) => Some(records.record(event, Extent::Whole, now)),
            Destination::DeadLetters(letter) => Some(records.dead_letter(letter, usize::MAX, now)),
            Destination::Nowhere(..) => None,
        }
    }

    /// The event, where it could be read as one.
    #[must_use]
    pub fn event(&self) -> Option<&Event> {
        match &self.destination {
            Destination::Topic(event) | Destination::Nowhere(event, _) => Some(event),
            Destination::DeadLetters(_) => None,
        }
    }
}

/// Reads the notification and decides where it goes. Never fails, does no I/O.
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

/// Decides where an event goes that was understood elsewhere. `first_seen` is when it was received.
#[must_use]
pub fn prepare_event(event: Event, policy: &Policy, first_seen: Timestamp) -> Prepared {
    decided(event, None, policy, first_seen)
}

/// Sends bytes of `source` that nobody could read to the dead letters, under this id.
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

/// Joins a publisher with what is published, and how.
pub struct Bridge<P> {
    publisher: P,
    records: RecordFactory,
    policy: Policy,
    redactor: Redactor,
}

impl<P: Publisher> Bridge<P> {
    /// A bridge to `publisher`.
    pub fn new(publisher: P, records: RecordFactory, policy: Policy) -> Self {
        Self { publisher, records, policy, redactor: Redactor::default() }
    }

    /// What a broker says reaches the dead letters without what `redactor` knows.
    #[must_use]
    pub fn with_redactor(self, redactor: Redactor) -> Self {
        Self { redactor, ..self }
    }

    /// [`prepare`] under this bridge's policy.
    #[must_use]
    pub fn prepare(&self, notification: Notification, now: Timestamp) -> Prepared {
        prepare(notification, &self.policy, now)
    }

    /// [`prepare_event`] under this bridge's policy.
    #[must_use]
    pub fn prepare_event(&self, event: Event, first_seen: Timestamp) -> Prepared {
        prepare_event(event, &self.policy, first_seen)
    }

    /// Returns when the notification may be forgotten, however long that takes.
    pub async fn deliver(&self, prepared: &Prepared, telemetry: &impl Witness) -> Settled {
        let _in_flight = telemetry.in_flight();
        let started = Instant::now();
        let outcome = match &prepared.destination {
            Destination::Topic(event) => self.deliver_event(prepared, event, telemetry).await,
            Destination::DeadLetters(letter) => self.bury(letter, telemetry).await,
            Destination::Nowhere(_, reason) => {
                telemetry.dropped(*reason);
                Outcome::Dropped(*reason)
            }
        };
        telemetry.settled(prepared, self.topic_of(prepared, &outcome), &outcome, started.elapsed());
        Settled { id: prepared.id, outcome }
    }

    fn topic_of(&self, prepared: &Prepared, outcome: &Outcome) -> Option<&Arc<str>> {
        match outcome {
            Outcome::Published(_) => prepared.event().map(|event| self.records.topic_of(event.kind.name())),
            Outcome::DeadLettered(..) => Some(&self.records.dead_letter_topic),
            Outcome::Dropped(_) => None,
        }
    }

    /// Whole; without thumbnails, should Kafka find it too large; as a dead letter, should Kafka refuse it for good.
    async fn deliver_event(&self, prepared: &Prepared, event: &Event, telemetry: &impl Witness) -> Outcome {
        let started = Instant::now();
        let mut extent = Extent::Whole;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let record = self.records.record(event, extent, Timestamp::now());
            let refusal = match self.publish_until_answered(&record, telemetry).await {
                Ok(delivered) => {
                    telemetry.published(event, started.elapsed());
                    return Outcome::Published(delivered);
                }
                Err(refusal) => refusal,
            };
            if refusal.too_large && extent == Extent::Whole {
                extent = Extent::WithoutThumbnails;
                continue;
            }
            let reason = if refusal.too_large { DeadLetterReason::TooLarge } else { DeadLetterReason::Refused };
            let receipt_id = prepared.receipt_id.clone();
            let letter = letter_of_event(
                event,
                reason,
                &self.redactor.outside(&refusal.detail),
                receipt_id,
                prepared.first_seen,
            );
            return self.bury(&DeadLetter { attempts, ..letter }, telemetry).await;
        }
    }

    /// Publishes a dead letter, cut as short as the broker wants it. Should even that be refused, its source is
    /// parked: nothing is forgotten and the letter is offered again until somebody has mended the topic.
    async fn bury(&self, letter: &DeadLetter, telemetry: &impl Witness) -> Outcome {
        loop {
            let mut last_refusal = None;
            for value_bytes_max in DEAD_LETTER_BYTES_TRIED {
                let record = self.records.dead_letter(letter, value_bytes_max, Timestamp::now());
                match self.publish_until_answered(&record, telemetry).await {
                    Ok(delivered) => {
                        warn!(
                            instance = letter.source.instance().map(display),
                            channel = letter.source.channel().map(display), reason = letter.reason.as_str(), error = %letter.error,
                            topic = %record.topic, partition = delivered.partition(), event = %letter.id,
                            "sent to the dead letters: look at them with a consumer of that topic"
                        );
                        telemetry.dead_lettered(letter.reason);
                        return Outcome::DeadLettered(delivered, letter.reason);
                    }
                    Err(refusal) => {
                        let too_large = refusal.too_large;
                        last_refusal = Some(refusal);
                        if !too_large {
                            break;
                        }
                    }
                }
            }
            let detail = last_refusal.map(|refusal| refusal.detail).unwrap_or_default();
            error!(
                instance = letter.source.instance().map(display), channel = letter.source.channel().map(display),
                topic = %self.records.dead_letter_topic, detail,
                "the dead-letter topic refuses a dead letter: its source is parked, nothing of it is forgotten; \
                 check the topic's limits, it is tried again in {} s", PARKED_RETRY.as_secs()
            );
            telemetry.parked(&detail);
            tokio::time::sleep(PARKED_RETRY).await;
        }
    }

    /// Publishes until the broker has said yes or never. "Not now" is answered by waiting, without a limit: the
    /// upstream keeps everything else meanwhile, and this one record is all there is in memory.
    async fn publish_until_answered(&self, record: &Record, telemetry: &impl Witness) -> Result<Delivered, Refusal> {
        let mut backoff = Backoff::new(PUBLISH_RETRY_MIN, PUBLISH_RETRY_MAX);
        loop {
            match self.publisher.publish(record).await {
                Ok(delivered) => return Ok(delivered),
                Err(failure) => {
                    telemetry.publish_failed(&failure);
                    match failure {
                        PublishError::Unavailable(_) => tokio::time::sleep(backoff.next(fastrand::f64())).await,
                        PublishError::TooLarge(detail) => return Err(Refusal { too_large: true, detail }),
                        PublishError::Refused(detail) => return Err(Refusal { too_large: false, detail }),
                    }
                }
            }
        }
    }
}

struct Refusal {
    too_large: bool,
    detail: String,
}

fn letter_of_event(
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

#[cfg(test)]
mod tests;
