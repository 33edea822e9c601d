//! What a poller remembers of recent trouble: how long to wait next, and whether there is news to tell.
//!
//! Receiving and deleting fail apart (an upstream may hand out for ever what it cannot delete), so each has its own
//! memory. Pure but for the clock's readings.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::QueueError;
use super::overlap::Overlap;
use super::queue::Pacing;
use super::rival::RivalWatch;
use chatbridge_base::retry::Backoff;
use chatbridge_event::event::{EventId, Notification, SourceId};

/// Between tries while an instance is starting or not authorised (reference §3, §15.8).
const WAITING_MIN: Duration = Duration::from_secs(5);
const WAITING_MAX: Duration = Duration::from_secs(60);
/// Nobody is asked more often than this after "too many requests" …
const RATE_LIMITED_MIN: Duration = Duration::from_secs(1);
/// … and nobody makes us sleep for a day.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// The same trouble is told again after this long, not at every try.
const REMINDER: Duration = Duration::from_secs(60);
const MISCONFIGURED_REMINDER: Duration = Duration::from_secs(60 * 60);
/// Answers that say nothing about the queue are ordinary for a while: some proxies end idle polls so.
const SILENCE_MAX: Duration = Duration::from_secs(5 * 60);

/// So many answers that could not be read are remembered.
const DOUBTFUL_MAX: usize = 256;

/// One instance's weather.
pub(super) struct Weather {
    pub(super) receiving: Trouble,
    pub(super) deleting: Trouble,
    pub(super) rivals: RivalWatch,
    /// Notifications in a row that were the one settled before.
    pub(super) repeats_in_a_row: u32,
    pub(super) overlap: Overlap,
    /// Since when nothing came that speaks for the queue.
    silent_since: Option<Instant>,
    /// Answers that could not be read, each seen once since a notification was taken up.
    doubtful: VecDeque<EventId>,
}

impl Weather {
    pub(super) fn new(pacing: &Pacing) -> Self {
        Self {
            receiving: Trouble::new(pacing),
            deleting: Trouble::new(pacing),
            rivals: RivalWatch::default(),
            repeats_in_a_row: 0,
            overlap: Overlap::default(),
            silent_since: None,
            doubtful: VecDeque::new(),
        }
    }

    /// An answer came that speaks for the queue; the class of the trouble it ends, where there was some.
    pub(super) fn answered(&mut self) -> Option<&'static str> {
        self.silent_since = None;
        self.receiving.over()
    }

    /// Whether answers without meaning have become trouble.
    pub(super) fn is_silent_too_long(&mut self, now: Instant) -> bool {
        now.duration_since(*self.silent_since.get_or_insert(now)) >= SILENCE_MAX
    }

    /// Whether this is the first sight of an answer that cannot be read: it may have been cut on its way, and what is
    /// buried is deleted, so it is asked for once more. Other unreadable answers may come between the two sights (of an
    /// upstream that hands out the next one meanwhile); behind a notification that was taken up, what looks the same may
    /// be the same cut of another.
    pub(super) fn is_first_sight_of_garbage(&mut self, notification: &Notification) -> bool {
        let Some(content) = notification.body.undecodable_content() else {
            self.doubtful.clear();
            return false;
        };
        let id = EventId::of(&SourceId::GreenApi(notification.instance).uri(), &content);
        let is_first = !self.doubtful.contains(&id);
        if is_first {
            self.doubtful.truncate(DOUBTFUL_MAX - 1);
            self.doubtful.push_front(id);
        } else {
            self.doubtful.clear();
        }
        is_first
    }
}

/// Failures of one step in a row.
pub(super) struct Trouble {
    failures: Backoff,
    waiting: Backoff,
    misconfigured_retry: Duration,
    told: Option<(&'static str, Instant)>,
}

impl Trouble {
    fn new(pacing: &Pacing) -> Self {
        Self {
            failures: Backoff::new(pacing.retry_min, pacing.retry_max),
            waiting: Backoff::new(WAITING_MIN, WAITING_MAX),
            misconfigured_retry: pacing.misconfigured_retry,
            told: None,
        }
    }

    /// The step worked; the class of the trouble that is over, where it had been told.
    pub(super) fn over(&mut self) -> Option<&'static str> {
        self.failures.reset();
        self.waiting.reset();
        self.told.take().map(|(class, _)| class)
    }

    /// How long to wait after one more failure. `chance` lies in 0..1.
    pub(super) fn wait(&mut self, failure: &QueueError, chance: f64) -> Duration {
        match failure {
            QueueError::Unreachable { .. } | QueueError::Unreadable { .. } | QueueError::NoAnswer { .. } => {
                self.failures.next(chance)
            }
            QueueError::RateLimited { retry_after } => {
                let least = retry_after.unwrap_or(RATE_LIMITED_MIN).clamp(RATE_LIMITED_MIN, RETRY_AFTER_MAX);
                self.failures.next_at_least(least, chance)
            }
            QueueError::Waiting { .. } => self.waiting.next_at_least(WAITING_MIN, chance).min(WAITING_MAX),
            QueueError::Misconfigured { .. } => self.misconfigured_retry,
        }
    }

    /// How long to wait before the step is tried again though nothing failed.
    pub(super) fn pause(&mut self, chance: f64) -> Duration {
        self.failures.next(chance)
    }

    /// A class of failure is told when it is new, and again when it has lasted.
    pub(super) fn is_news(&mut self, failure: &QueueError, now: Instant) -> bool {
        let reminder = match failure {
            QueueError::Misconfigured { .. } => MISCONFIGURED_REMINDER,
            _ => REMINDER,
        };
        let known = self
            .told
            .is_some_and(|(class, told_at)| class == failure.class() && now.duration_since(told_at) < reminder);
        if !known {
            self.told = Some((failure.class(), now));
        }
        !known
    }
}
