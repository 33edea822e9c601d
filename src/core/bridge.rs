//! From notification to proof: parse, decide, publish until the broker has it.
//!
//! [`prepare`] is pure. [`Bridge::deliver`] returns only when the notification may be deleted upstream: Kafka
//! acknowledged it as an event, Kafka acknowledged it as a dead letter, or the configuration drops it. There is no
//! other outcome and no error: what cannot be published now is published later, however long that takes.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tracing::{error, warn};

use super::policy::Policy;
use super::prepared::{Destination, Prepared, letter_of_event, prepare, prepare_event};
use super::publish::{Delivered, PublishError, Publisher};
use super::settled::{Outcome, Settled};
use super::witness::Witness;
use crate::redact::Redactor;
use chatbridge_base::retry::Backoff;
use chatbridge_event::event::{DeadLetterReason, Event, Notification};
use chatbridge_event::record::dead_letter::DeadLetter;
use chatbridge_event::record::{Extent, Record, RecordFactory};

/// How much of a dead letter is kept, tried in this order, if the broker finds it too large.
const DEAD_LETTER_BYTES_TRIED: [usize; 4] = [usize::MAX, 512 * 1024, 16 * 1024, 0];
/// The wait before a dead letter that was refused in every size is tried again.
const PARKED_RETRY: Duration = Duration::from_secs(60);
const PUBLISH_RETRY_MIN: Duration = Duration::from_millis(100);
const PUBLISH_RETRY_MAX: Duration = Duration::from_secs(10);

/// A publisher, together with the policy and the form of the records.
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

    /// Removes what `redactor` knows from broker messages before they are written into dead letters.
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

    /// Returns when the notification may be deleted upstream, however long that takes.
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
        Settled::new(prepared.id, outcome)
    }

    fn topic_of(&self, prepared: &Prepared, outcome: &Outcome) -> Option<&Arc<str>> {
        match outcome {
            Outcome::Published(_) => prepared.event().map(|event| self.records.topic_of(event.kind.name())),
            Outcome::DeadLettered(..) => Some(&self.records.dead_letter_topic),
            Outcome::Dropped(_) => None,
        }
    }

    /// Tries the whole event, then one without thumbnails if Kafka finds it too large, then a dead letter if Kafka
    /// refuses it for good.
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

    /// Publishes a dead letter, cut to the size the broker accepts. If even the smallest is refused, its source is
    /// parked: nothing is deleted upstream, and the letter is tried again until somebody repairs the topic.
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

    /// Publishes until the broker has acknowledged the record or refused it for good. On a temporary failure it waits,
    /// without a limit: upstream keeps everything else meanwhile, and memory holds only this record.
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

#[cfg(test)]
mod tests;
