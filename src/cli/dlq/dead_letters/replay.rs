//! Replays a dead letter: its bytes become an event as if they had just been received, and a mark is written after it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Letter;
use crate::core::consume::Position;
use crate::core::policy::{Policy, Verdict};
use crate::core::prepared::{prepare, prepare_event};
use crate::core::publish::{PublishError, Publisher};
use chatbridge_base::retry::Backoff;
use chatbridge_event::event::{Body, DeadLetterReason, Event, EventId, Notification, SourceId};
use chatbridge_event::normalize::chatapp::{Arrival, normalize};
use chatbridge_event::record::dead_letter::Mark;
use chatbridge_event::record::{Extent, Record, RecordFactory};

/// After this long without an acknowledgement the replay ends. Letters that have their mark stay done.
const KAFKA_AWAY: Duration = Duration::from_secs(60);
/// After a stop, records on their way have this long to arrive.
const STOP_GRACE: Duration = Duration::from_secs(5);
const PUBLISH_RETRY_MIN: Duration = Duration::from_millis(100);
const PUBLISH_RETRY_MAX: Duration = Duration::from_secs(5);

/// Why a letter stays where it is. Each is counted and reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Left {
    /// Its bytes are not JSON, or not a body: no replay can make an event of them.
    Undecodable,
    /// It holds a whole body of several items, and a letter has one id.
    SeveralItems,
    /// The broker had accepted only a part of its bytes.
    Truncated,
    /// Not written by this bridge, or its instance is missing.
    NotOurs,
    /// `events.unknown` still sends its type to the dead letters.
    StillUnknown,
    /// The configuration drops this event.
    Dropped,
    /// The topic that it was meant for cannot be used.
    NoTopic,
    /// Kafka refused it again.
    RefusedAgain,
}

impl Left {
    /// The word in the summary.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::SeveralItems => "several_items",
            Self::Truncated => "truncated",
            Self::NotOurs => "not_ours",
            Self::StillUnknown => "still_unknown",
            Self::Dropped => "dropped",
            Self::NoTopic => "no_topic",
            Self::RefusedAgain => "refused_again",
        }
    }

    /// What it means and what to do.
    #[must_use]
    pub(crate) fn explanation(self) -> &'static str {
        match self {
            Self::Undecodable => "no event can be made of the bytes: read them with a consumer of the topic",
            Self::SeveralItems => {
                "it holds a whole body of ChatApp, of several items: read it with a consumer of the topic"
            }
            Self::Truncated => "the broker had taken only a part of the bytes: ask GREEN-API's journals for the rest",
            Self::NotOurs => "no headers of a dead letter: something else writes to this topic",
            Self::StillUnknown => "set events.unknown = \"publish\", or use a version that knows the type",
            Self::Dropped => "the configuration drops it: see events and calls",
            Self::NoTopic => "its topic is not there, or not one of this configuration: create it, or use --reroute",
            Self::RefusedAgain => "Kafka refuses it still: raise the topic's max.message.bytes",
        }
    }

    /// Whether a repair and another replay may help.
    #[must_use]
    pub(crate) fn is_mendable(self) -> bool {
        matches!(self, Self::NoTopic | Self::RefusedAgain)
    }
}

/// The outcome for one letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Kafka has the event and the mark.
    Replayed,
    /// It stays.
    Left(Left),
}

/// Why a replay ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplayError {
    /// The brokers are away.
    #[error("Kafka took nothing for a minute ({0}): what was replayed is marked; run the same again later")]
    Away(String),
    /// A stop was asked for.
    #[error("interrupted: what was replayed is marked; run the same again to go on")]
    Interrupted,
    /// The topic accepts no marks.
    #[error("the dead-letter topic refuses the mark of a replayed letter ({0}): may this user write to it?")]
    NoMark(String),
}

/// Replays letters through a publisher.
pub(crate) struct Replayer<P> {
    publisher: P,
    records: RecordFactory,
    policy: Policy,
    /// Topics that cannot be used.
    unusable: Vec<Arc<str>>,
    /// Use the present routing instead of the topic that each letter was meant for.
    reroute: bool,
}

enum Plan {
    Publish(Box<Event>, Arc<str>),
    Leave(Left),
}

impl<P: Publisher> Replayer<P> {
    /// A replayer through `publisher`. It makes records and decides like a bridge with the present configuration.
    pub(crate) fn new(
        publisher: P,
        records: RecordFactory,
        policy: Policy,
        unusable: Vec<Arc<str>>,
        reroute: bool,
    ) -> Self {
        Self { publisher, records, policy, unusable, reroute }
    }

    /// What [`Replayer::replay`] would do, if the broker accepts everything.
    #[must_use]
    pub(crate) fn foresee(&self, letter: &Letter) -> Outcome {
        match self.plan(letter) {
            Plan::Publish(..) => Outcome::Replayed,
            Plan::Leave(left) => Outcome::Left(left),
        }
    }

    /// Publishes the letter's event, then its mark. Waits for each to be acknowledged.
    ///
    /// # Errors
    /// If the replay cannot go on. The letter is then unmarked, even if its event did arrive.
    pub(crate) async fn replay(&self, letter: &Letter, stop: &CancellationToken) -> Result<Outcome, ReplayError> {
        let (event, topic) = match self.plan(letter) {
            Plan::Publish(event, topic) => (event, topic),
            Plan::Leave(left) => return Ok(Outcome::Left(left)),
        };
        for extent in [Extent::Whole, Extent::WithoutThumbnails] {
            let record = self.records.record_to(&topic, &event, extent, Timestamp::now());
            match self.publish(&record, stop).await? {
                Ok(()) => {
                    let mark = Mark {
                        partition: letter.position.partition,
                        offset: letter.position.offset,
                        id: letter.id.map(|id| id.hyphenated().to_string()),
                        key: &letter.key,
                        topic: &topic,
                    };
                    let mark = self.records.mark(&mark, Timestamp::now());
                    return match self.publish(&mark, stop).await {
                        Ok(Ok(())) => Ok(Outcome::Replayed),
                        Ok(Err(refusal)) => Err(ReplayError::NoMark(refusal.to_string())),
                        // The event was accepted a moment ago, so only this topic refuses.
                        Err(ReplayError::Away(reason)) => Err(ReplayError::NoMark(reason)),
                        Err(other) => Err(other),
                    };
                }
                Err(refusal) => {
                    let Position { partition, offset } = letter.position;
                    warn!(partition, offset, error = %refusal, "Kafka refused the event of a dead letter again");
                    if !matches!(refusal, PublishError::TooLarge(_)) {
                        break;
                    }
                }
            }
        }
        Ok(Outcome::Left(Left::RefusedAgain))
    }

    fn plan(&self, letter: &Letter) -> Plan {
        use DeadLetterReason::{Crashed, NoBody, NotJson, NotUtf8, Refused, TooLarge, TooLong, UnknownType};
        match letter.known_reason() {
            None => return Plan::Leave(Left::NotOurs),
            Some(NotJson | NotUtf8 | NoBody | TooLong) => return Plan::Leave(Left::Undecodable),
            Some(TooLarge | Refused | UnknownType | Crashed) => {}
        }
        if letter.is_gap {
            return Plan::Leave(Left::Undecodable);
        }
        if letter.truncated_from_bytes.is_some() {
            return Plan::Leave(Left::Truncated);
        }
        let Some(source) = &letter.source else { return Plan::Leave(Left::NotOurs) };
        let body = String::from_utf8(letter.bytes.clone()).ok().and_then(|text| RawValue::from_string(text).ok());
        let Some(body) = body else { return Plan::Leave(Left::Undecodable) };
        let now = Timestamp::now();
        let prepared = match source {
            SourceId::GreenApi(instance) => {
                let (instance, receipt_id) = (*instance, letter.receipt_id.clone());
                prepare(Notification { instance, receipt_id, body: Body::Json(body) }, &self.policy, now)
            }
            SourceId::ChatApp(channel) => {
                let arrival = Arrival { channel: Some(channel.clone()), ..Arrival::default() };
                // A letter holds one item, unless it is a whole body that nobody read. Its id may have been made from
                // more than that, so the letter's id is used.
                let mut items = normalize(arrival, body);
                let Some(item) = items.next() else { return Plan::Leave(Left::Undecodable) };
                if letter.known_reason() == Some(Crashed) && items.next().is_some() {
                    return Plan::Leave(Left::SeveralItems);
                }
                let event = item.event;
                let id = letter.id.map_or(event.id, EventId::from_uuid);
                prepare_event(Event { id, ..event }, &self.policy, now)
            }
        };
        let Some(event) = prepared.event() else { return Plan::Leave(Left::StillUnknown) };
        match self.policy.verdict(event) {
            Verdict::Publish => {}
            Verdict::Drop(_) => return Plan::Leave(Left::Dropped),
            Verdict::DeadLetter(_) => return Plan::Leave(Left::StillUnknown),
        }
        let routed = self.records.topic_of(event.kind.name());
        // The letter was meant for the topic of unknown events. Now that its kind is known, it goes to the topic of
        // that kind.
        let now_known = letter.known_reason() == Some(UnknownType) && event.kind.is_understood();
        let topic = letter.topic.as_ref().filter(|_| !self.reroute && !now_known).unwrap_or(routed);
        // Another bridge's topic may hold values in another form, and only that bridge can write them.
        if self.unusable.contains(topic) || !self.records.is_event_topic(topic) {
            return Plan::Leave(Left::NoTopic);
        }
        Plan::Publish(Box::new(event.clone()), Arc::clone(topic))
    }

    /// The broker's answer for a record. Gives up after a while: nobody watches a command for days, and nothing is
    /// lost.
    async fn publish(
        &self,
        record: &Record,
        stop: &CancellationToken,
    ) -> Result<Result<(), PublishError>, ReplayError> {
        let give_up = Instant::now() + KAFKA_AWAY;
        let mut backoff = Backoff::new(PUBLISH_RETRY_MIN, PUBLISH_RETRY_MAX);
        let mut detail = "no acknowledgement".to_owned();
        let trying = async {
            loop {
                match self.publisher.publish(record).await {
                    Ok(_acknowledged) => return Ok(()),
                    Err(PublishError::Unavailable(reason)) => {
                        detail = reason;
                        tokio::time::sleep(backoff.next(fastrand::f64())).await;
                    }
                    Err(refusal) => return Err(refusal),
                }
            }
        };
        let stopped = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_GRACE).await;
        };
        let answer = tokio::select! {
            biased;
            answer = trying => Ok(answer),
            () = stopped => Err(true),
            () = tokio::time::sleep_until(give_up) => Err(false),
        };
        answer.map_err(|was_stopped| if was_stopped { ReplayError::Interrupted } else { ReplayError::Away(detail) })
    }
}

/// The outcome for many letters.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Events acknowledged and marked.
    pub replayed: usize,
    /// Letters that stay, by reason.
    pub left: BTreeMap<Left, usize>,
}

impl Tally {
    /// Counts one more.
    pub(crate) fn count(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Replayed => self.replayed += 1,
            Outcome::Left(left) => *self.left.entry(left).or_default() += 1,
        }
    }

    /// How many letters were looked at.
    #[must_use]
    pub(crate) fn total(&self) -> usize {
        self.replayed + self.left.values().sum::<usize>()
    }
}
