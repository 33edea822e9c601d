//! How close an instance is to losing notifications. Pure: ages, counts and clock readings come in, a judgement comes
//! out.
//!
//! GREEN-API deletes a notification 24 hours after it was queued, without saying so. Known are the age of the head, how
//! many notifications wait behind it, as last counted, and how fast they are deleted. From these follow how long the
//! head has left at least, and whether the others are reached in time. *When* each of the others was queued is not
//! known, so the forecast can also be "uncertain".

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::words::{NOT_CALLED, NOT_CALLED_ADVICE, PANIC, Phase};

/// GREEN-API keeps a notification this long.
pub const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// A delivery that takes this long is held up by Kafka, not merely slow.
const HELD_UP: Duration = Duration::from_secs(30);
/// The ages of the head at which an operator is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// From this age on [`LossLevel::Warn`].
    pub warn_after: Duration,
    /// From this age on [`LossLevel::Alarm`]; more than `warn_after`, less than [`RETENTION`].
    pub alarm_after: Duration,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { warn_after: RETENTION / 4, alarm_after: RETENTION / 4 * 3 }
    }
}

/// How serious it is, by the age of the head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LossLevel {
    /// Nothing to do.
    #[default]
    Ok,
    /// Somebody should look within hours.
    Warn,
    /// Somebody has to act now.
    Alarm,
}

impl LossLevel {
    /// The metric's value.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Ok => 0,
            Self::Warn => 1,
            Self::Alarm => 2,
        }
    }

    /// The level at this age. A level is left only a tenth below its threshold. Otherwise a backlog that is drained as
    /// fast as it grows would cross the threshold, and log that, for hours.
    #[must_use]
    pub fn at(head_age: Duration, before: Self, thresholds: &Thresholds) -> Self {
        let holds = |level: Self, after: Duration| {
            let line = if before >= level { after * 9 / 10 } else { after };
            head_age >= line
        };
        if holds(Self::Alarm, thresholds.alarm_after) {
            Self::Alarm
        } else if holds(Self::Warn, thresholds.warn_after) {
            Self::Warn
        } else {
            Self::Ok
        }
    }
}

/// Whether what waits now is reached before GREEN-API forgets it, if deleting goes on as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Forecast {
    /// All of it, whenever it was queued: even something as old as the head would be.
    InTime,
    /// If it was queued evenly, yes; if most of it is as old as the head, no.
    Uncertain,
    /// Not all of it, even if the last was queued this moment.
    TooLate,
    /// Nothing is being deleted: the head goes first, when its time is up.
    Stalled,
}

/// The figures of a queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// The greatest age that the head can have.
    pub head_age: Duration,
    /// How many notifications wait, if known.
    pub waiting: Option<u64>,
    /// How many are deleted per second.
    pub drain_rate_per_second: f64,
}

impl Seen {
    /// How long the head has left at least.
    #[must_use]
    pub fn until_loss(&self) -> Duration {
        RETENTION.saturating_sub(self.head_age)
    }

    /// How long it takes to delete what waits now; `None` if the number is unknown or nothing is being deleted.
    #[must_use]
    pub fn drain_seconds(&self) -> Option<u64> {
        match self.waiting? {
            0 => Some(0),
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and is positive")]
            waiting => {
                (self.drain_rate_per_second > 0.0).then(|| (waiting as f64 / self.drain_rate_per_second).ceil() as u64)
            }
        }
    }

    /// The forecast for what waits; `None` if the number is unknown.
    #[must_use]
    pub fn forecast(&self) -> Option<Forecast> {
        self.waiting?;
        Some(match self.drain_seconds().map(Duration::from_secs) {
            None => Forecast::Stalled,
            Some(drain) if drain <= self.until_loss() => Forecast::InTime,
            Some(drain) if drain <= RETENTION => Forecast::Uncertain,
            Some(_) => Forecast::TooLate,
        })
    }
}

/// The most likely reason why the head is not deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Kafka takes no records.
    Kafka,
    /// The dead-letter topic takes no records.
    DeadLetters,
    /// Polling has not begun.
    NotStarted,
    /// Polling has ended.
    Stopped,
    /// The poller panics again and again.
    Panic,
    /// The instance is misconfigured, not authorised or expired.
    Instance,
    /// The head can neither be read nor deleted.
    Unreadable,
    /// GREEN-API, or something in between, garbles its answers.
    Garbled,
    /// GREEN-API limits the rate of requests.
    RateLimited,
    /// The answers come from something that is not the queue.
    Stranger,
    /// GREEN-API answers only with errors.
    Refusing,
    /// GREEN-API does not answer.
    GreenApi,
    /// GREEN-API has notifications but does not call.
    NotCalled,
    /// None: the queue is being drained, but its notifications are old.
    Backlog,
}

impl Cause {
    /// Derived from what the poller does, how long its current notification has waited for Kafka, and the class of the
    /// last error (see [`QueueError::class`](crate::green_api::queue::QueueError::class)) if nothing has gone well
    /// since.
    #[must_use]
    pub fn of(phase: Phase, in_hand_for: Option<Duration>, error: Option<&str>) -> Self {
        match phase {
            Phase::Parked => Self::DeadLetters,
            _ if in_hand_for.is_some_and(|waited| waited >= HELD_UP) => Self::Kafka,
            Phase::Stopped => Self::Stopped,
            // A panic has no phase of its own: the phase is the one in which it happened.
            _ if error == Some(PANIC) => Self::Panic,
            Phase::Starting => Self::NotStarted,
            Phase::Misconfigured | Phase::Waiting => Self::Instance,
            Phase::BackingOff => match error {
                Some("unreadable") => Self::Unreadable,
                Some("garbled") => Self::Garbled,
                Some("rate_limited") => Self::RateLimited,
                Some("no_answer" | "not_json" | "unexpected") => Self::Stranger,
                Some("server_error") => Self::Refusing,
                _ => Self::GreenApi,
            },
            Phase::Listening if error == Some(NOT_CALLED) => Self::NotCalled,
            Phase::Polling | Phase::Listening | Phase::Delivering => Self::Backlog,
        }
    }

    /// Whether it affects all instances at once.
    #[must_use]
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Kafka | Self::NotStarted)
    }

    /// What it is, and what to do about it.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Kafka => {
                "Kafka does not take the notification in hand: bring back the brokers, the topic, or this user's right \
                 to write"
            }
            Self::DeadLetters => {
                "the dead-letter topic takes nothing: make it take records as large as the topic of events takes"
            }
            Self::NotStarted => {
                "polling has not begun, since Kafka or the schema registry is missing; the queue may be older than this \
                 process knows"
            }
            Self::Stopped => {
                "the instance is no longer polled: chatbridge is stopping, or a reload puts a new poller in its place; \
                 should this last, restart chatbridge"
            }
            Self::Panic => {
                "its poller panics each time: please report the log line of the panic; a newer version, or the one \
                 before, may get past the notification"
            }
            Self::Instance => "the instance cannot be polled: do what its last error says",
            Self::Unreadable => {
                "the head of the queue can be neither read nor deleted, and everything waits behind it: look for a proxy \
                 that changes answers; if there is none, ask GREEN-API's support to remove it"
            }
            Self::Garbled => {
                "answers arrive cut or changed: look for a proxy that cuts them, and at the network's quality"
            }
            Self::RateLimited => {
                "GREEN-API answers \"too many requests\": look for somebody else who polls this instance, or for too many \
                 instances behind this address"
            }
            Self::Stranger => {
                "what answers does not speak for the queue: look for a proxy that answers in GREEN-API's place, and \
                 whether api_url is the console's apiUrl"
            }
            Self::Refusing => {
                "GREEN-API answers with server errors: look at the vendor's status page, and ask its support if it shows \
                 none"
            }
            Self::GreenApi => {
                "GREEN-API does not answer: look at the network, at the proxy and at the vendor's status page"
            }
            Self::NotCalled => NOT_CALLED_ADVICE,
            Self::Backlog => {
                "an old backlog is being drained; if the time that takes does not shrink, it grows faster than that: look \
                 for slow acknowledgements, or for a slow way to GREEN-API"
            }
        }
    }
}

/// Deletions in the last minutes, in a fixed amount of memory.
#[derive(Debug)]
pub struct DrainRate {
    began: Instant,
    /// Deletions in each slice of time, as a ring.
    slices: [u32; Self::SLICES as usize],
    /// The number of the youngest slice.
    youngest: u64,
}

impl DrainRate {
    /// How many past slices [`DrainRate::passed`] returns.
    pub const PASSED: usize = 60;
    /// The length of a slice.
    pub const SLICE: Duration = Duration::from_secs(5);
    /// The past slices and the current one.
    const SLICES: u64 = Self::PASSED as u64 + 1;
    /// The slices that a rate is computed from: one minute.
    const RATE_SLICES: u64 = 12;

    /// Nothing has been deleted yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { began: now, slices: [0; Self::SLICES as usize], youngest: 0 }
    }

    /// One was deleted.
    pub fn count(&mut self, now: Instant) {
        let current = self.slice_of(now);
        for passed in (self.youngest + 1..=current).take(Self::SLICES as usize) {
            self.slices[Self::place(passed)] = 0;
        }
        // A slice that the loop did not reach shares its place with one that was just cleared.
        self.youngest = self.youngest.max(current);
        let slice = &mut self.slices[Self::place(self.youngest)];
        *slice = slice.saturating_add(1);
    }

    /// Deletions in each past slice, oldest first; slices before the beginning are 0.
    #[must_use]
    pub fn passed(&self, now: Instant) -> [u32; Self::PASSED] {
        let current = self.slice_of(now).max(self.youngest);
        let mut passed = [0; Self::PASSED];
        for (back, count) in (1..).zip(passed.iter_mut().rev()) {
            // Slices after the youngest are not cleared yet, but nothing was counted in them.
            *count = match current.checked_sub(back) {
                Some(slice) if slice <= self.youngest => self.slices[Self::place(slice)],
                _ => 0,
            };
        }
        passed
    }

    /// Deletions per second, over the last minute.
    #[must_use]
    pub fn per_second(&self, now: Instant) -> f64 {
        let current = self.slice_of(now).max(self.youngest);
        let oldest = (current + 1).saturating_sub(Self::RATE_SLICES);
        let deleted: u64 = (oldest..=self.youngest).map(|slice| u64::from(self.slices[Self::place(slice)])).sum();
        let covered = now.duration_since(self.began).as_secs_f64() - (oldest * Self::SLICE.as_secs()) as f64;
        // A single deletion in the first fraction of a second would give an absurd rate.
        deleted as f64 / covered.max(1.0)
    }

    fn slice_of(&self, now: Instant) -> u64 {
        now.duration_since(self.began).as_secs() / Self::SLICE.as_secs()
    }

    fn place(slice: u64) -> usize {
        (slice % Self::SLICES) as usize
    }
}

#[cfg(test)]
mod tests;
