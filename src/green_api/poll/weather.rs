//! What a poller remembers of recent trouble: how long to wait next, and whether there is news to tell.
//!
//! Receiving and deleting fail apart (an upstream may hand out for ever what it cannot delete), so each has its own
//! memory. Pure but for the clock's readings.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::overlap::Overlap;
use super::rival::RivalWatch;
use super::throttle::Throttle;
use crate::green_api::poll::episode::{Episode, Over};
use crate::green_api::queue::QueueError;
use chatbridge_base::retry::Backoff;
use chatbridge_event::event::{EventId, Notification, SourceId};

/// How a poller paces itself.
#[derive(Debug, Clone)]
pub struct Pacing {
    /// How long a poll was asked to be held.
    pub receive_timeout: Duration,
    /// The first wait after a failure.
    pub retry_min: Duration,
    /// The longest wait after failures.
    pub retry_max: Duration,
    /// The wait while the instance is misconfigured.
    pub misconfigured_retry: Duration,
    /// Whether the next receive may begin while a delete is still on its way.
    pub overlap_delete: bool,
}

/// Between tries while an instance is starting or not authorised.
const WAITING_MIN: Duration = Duration::from_secs(5);
const WAITING_MAX: Duration = Duration::from_secs(60);
/// Nobody is asked more often than this after "too many requests" …
const RATE_LIMITED_MIN: Duration = Duration::from_secs(1);
/// … and nobody makes us sleep for a day.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Answers that say nothing about the queue are ordinary for a while: some proxies end idle polls so.
const SILENCE_MAX: Duration = Duration::from_secs(5 * 60);

/// So many closed connections in a row are forgiven: a delete and a receive beside each other keep two alive, and both may
/// have been closed. The next one is new.
const CLOSED_MAX: u32 = 2;
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
    pub(super) throttle: Throttle,
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
            throttle: Throttle::default(),
            silent_since: None,
            doubtful: VecDeque::new(),
        }
    }

    /// An answer came that speaks for the queue. Gives the trouble that is over, where there was some.
    pub(super) fn answered(&mut self, now: Instant) -> Option<Over> {
        self.silent_since = None;
        self.receiving.worked(now)
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
    /// So many tries in a row found their connection closed.
    closed: u32,
    episode: Episode,
}

impl Trouble {
    fn new(pacing: &Pacing) -> Self {
        Self {
            failures: Backoff::new(pacing.retry_min, pacing.retry_max),
            waiting: Backoff::new(WAITING_MIN, WAITING_MAX),
            misconfigured_retry: pacing.misconfigured_retry,
            closed: 0,
            episode: Episode::default(),
        }
    }

    /// The step worked. Gives the trouble that is over, where there was some.
    pub(super) fn worked(&mut self, now: Instant) -> Option<Over> {
        self.failures.reset();
        self.waiting.reset();
        self.closed = 0;
        self.episode.worked(now)
    }

    /// Whether the failure is a closed connection that is no trouble yet.
    pub(super) fn is_forgiven(&mut self, failure: &QueueError) -> bool {
        let is_closed = matches!(failure, QueueError::Closed { .. });
        self.closed = if is_closed { self.closed.saturating_add(1) } else { self.closed };
        is_closed && self.closed <= CLOSED_MAX
    }

    /// How long to wait after one more failure. `chance` lies in 0..1.
    pub(super) fn wait(&mut self, failure: &QueueError, chance: f64) -> Duration {
        match failure {
            QueueError::Unreachable { .. }
            | QueueError::Closed { .. }
            | QueueError::Unreadable { .. }
            | QueueError::NoAnswer { .. } => self.failures.next(chance),
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

    /// Whether the failure is to be told: the first time, and again when it has lasted.
    pub(super) fn is_news(&mut self, failure: &QueueError, now: Instant) -> bool {
        self.episode.failed(failure.class(), now)
    }
}
