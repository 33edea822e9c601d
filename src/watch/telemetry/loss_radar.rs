//! How close an instance is to losing something. Pure: ages, counts and the clock's readings come in, a judgement comes
//! out.
//!
//! GREEN-API forgets a notification 24 hours after it was queued and says nothing. What can be known is
//! the age of the head; how many wait behind it, as last counted; and how fast they are deleted. From these follows how
//! long the head has left at least, and whether what waits behind it is reached in time. *When* each of those was queued
//! nobody says, so the forecast has a word for "that depends".

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::words::{NOT_CALLED, NOT_CALLED_ADVICE, PANIC, Phase};

/// GREEN-API keeps a notification this long.
pub const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// A delivery that takes so long is held up by Kafka, not merely slow.
const HELD_UP: Duration = Duration::from_secs(30);
/// From which age of the head on an operator hears of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// [`LossLevel::Warn`] from here on.
    pub warn_after: Duration,
    /// [`LossLevel::Alarm`] from here on; later than `warn_after`, earlier than [`RETENTION`].
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

    /// The level at this age. One that was reached is left only a tenth below its threshold: a backlog drained as fast
    /// as it grows would otherwise cross the line, and say so, for hours.
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

/// What is known of a queue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seen {
    /// How old the head is at most.
    pub head_age: Duration,
    /// How many wait, as far as that is known.
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

    /// How long deleting what waits now takes; `None` where the count is unknown, or nothing is being deleted.
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

    /// What becomes of what waits; `None` where nobody knows how much that is.
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

/// What keeps the head from being deleted, most likely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Kafka takes nothing.
    Kafka,
    /// The dead-letter topic takes nothing.
    DeadLetters,
    /// Polling has not begun.
    NotStarted,
    /// Polling has ended.
    Stopped,
    /// The poller panics, again and again.
    Panic,
    /// The instance is misconfigured, not authorised, expired …
    Instance,
    /// The head can be neither read nor deleted.
    Unreadable,
    /// GREEN-API, or somebody on the way to it, spoils what it answers.
    Garbled,
    /// GREEN-API asks to be asked less.
    RateLimited,
    /// Something answers that does not speak for the queue.
    Stranger,
    /// GREEN-API answers, and only with errors.
    Refusing,
    /// GREEN-API does not answer.
    GreenApi,
    /// GREEN-API has something to push and does not call.
    NotCalled,
    /// Nothing: it is being drained, and is old.
    Backlog,
}

impl Cause {
    /// By what the poller does, how long the notification in its hand has waited for Kafka, and the class of the last
    /// error (see [`QueueError::class`](crate::green_api::queue::QueueError::class)) where nothing has gone well since.
    #[must_use]
    pub fn of(phase: Phase, in_hand_for: Option<Duration>, error: Option<&str>) -> Self {
        match phase {
            Phase::Parked => Self::DeadLetters,
            _ if in_hand_for.is_some_and(|waited| waited >= HELD_UP) => Self::Kafka,
            Phase::Stopped => Self::Stopped,
            // A panic has no phase of its own: it leaves the one it struck in.
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

    /// Whether it is one for all instances rather than each one's own.
    #[must_use]
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Kafka | Self::NotStarted)
    }

    /// What it is and what to do about it.
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

/// Deletions of the last minutes, in a fixed amount of memory.
#[derive(Debug)]
pub struct DrainRate {
    began: Instant,
    /// Deletions of a slice of time each, in a ring.
    slices: [u32; Self::SLICES as usize],
    /// The number of the youngest slice.
    youngest: u64,
}

impl DrainRate {
    /// How many slices of time have passed that [`DrainRate::passed`] tells of.
    pub const PASSED: usize = 60;
    /// How long a slice is.
    pub const SLICE: Duration = Duration::from_secs(5);
    /// Those that have passed, and the one that has not.
    const SLICES: u64 = Self::PASSED as u64 + 1;
    /// What a rate is made of: a minute.
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
        // A slice that was passed over lies beyond the ring, so it is one of those just cleared.
        self.youngest = self.youngest.max(current);
        let slice = &mut self.slices[Self::place(self.youngest)];
        *slice = slice.saturating_add(1);
    }

    /// How many in each slice that has passed, the oldest first; those before the beginning are 0.
    #[must_use]
    pub fn passed(&self, now: Instant) -> [u32; Self::PASSED] {
        let current = self.slice_of(now).max(self.youngest);
        let mut passed = [0; Self::PASSED];
        for (back, count) in (1..).zip(passed.iter_mut().rev()) {
            // Behind the youngest nothing was cleared yet, for nothing was counted there.
            *count = match current.checked_sub(back) {
                Some(slice) if slice <= self.youngest => self.slices[Self::place(slice)],
                _ => 0,
            };
        }
        passed
    }

    /// How many a second, over the last minute.
    #[must_use]
    pub fn per_second(&self, now: Instant) -> f64 {
        let current = self.slice_of(now).max(self.youngest);
        let oldest = (current + 1).saturating_sub(Self::RATE_SLICES);
        let deleted: u64 = (oldest..=self.youngest).map(|slice| u64::from(self.slices[Self::place(slice)])).sum();
        let covered = now.duration_since(self.began).as_secs_f64() - (oldest * Self::SLICE.as_secs()) as f64;
        // Within the first second one deletion says nothing of a second.
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
