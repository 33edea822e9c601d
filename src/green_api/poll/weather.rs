//! What a poller remembers of recent trouble: how long to wait next, and whether to report something.
//!
//! Receiving and deleting fail separately (upstream may keep handing out what it cannot delete), so each has its own
//! memory. Pure apart from reading the clock.

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
    /// How long upstream is asked to hold a poll.
    pub receive_timeout: Duration,
    /// The first wait after a failure.
    pub retry_min: Duration,
    /// The longest wait after failures.
    pub retry_max: Duration,
    /// The wait while the instance is misconfigured.
    pub misconfigured_retry: Duration,
    /// Whether the next receive may begin before a delete is answered.
    pub overlap_delete: bool,
}

/// The shortest wait between tries while an instance is starting or not authorised.
const WAITING_MIN: Duration = Duration::from_secs(5);
const WAITING_MAX: Duration = Duration::from_secs(60);
/// The shortest wait after "too many requests" …
const RATE_LIMITED_MIN: Duration = Duration::from_secs(1);
/// … and the longest wait that upstream can ask for with it.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Answers that say nothing about the queue are normal for this long: some proxies end idle polls that way.
const SILENCE_MAX: Duration = Duration::from_secs(5 * 60);

/// This many closed connections in a row are no trouble. A delete and a receive in parallel keep two connections open,
/// and both may have been closed. The next connection is new.
const CLOSED_MAX: u32 = 2;
/// How many unreadable answers are remembered.
const DOUBTFUL_MAX: usize = 256;

/// What is remembered for one instance.
pub(super) struct Weather {
    pub(super) receiving: Trouble,
    pub(super) deleting: Trouble,
    pub(super) rivals: RivalWatch,
    /// How many notifications in a row repeated the one settled last.
    pub(super) repeats_in_a_row: u32,
    pub(super) overlap: Overlap,
    pub(super) throttle: Throttle,
    /// Since when no answer has said anything about the queue.
    silent_since: Option<Instant>,
    /// Unreadable answers that were seen once since the last readable notification.
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

    /// An answer came that says something about the queue. Returns the trouble that is over, if any.
    pub(super) fn answered(&mut self, now: Instant) -> Option<Over> {
        self.silent_since = None;
        self.receiving.worked(now)
    }

    /// Whether answers that say nothing have gone on long enough to be trouble.
    pub(super) fn is_silent_too_long(&mut self, now: Instant) -> bool {
        now.duration_since(*self.silent_since.get_or_insert(now)) >= SILENCE_MAX
    }

    /// Whether an unreadable answer is seen for the first time. It may have been cut on its way, and a dead-lettered
    /// notification is deleted, so it is asked for once more. Other unreadable answers may come between the two sights,
    /// if upstream hands out the next notification meanwhile. After a readable notification the memory is cleared,
    /// because the same bytes may then be a cut of another notification.
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
    /// How many tries in a row found their connection closed.
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

    /// The step worked. Returns the trouble that is over, if any.
    pub(super) fn worked(&mut self, now: Instant) -> Option<Over> {
        self.failures.reset();
        self.waiting.reset();
        self.closed = 0;
        self.episode.worked(now)
    }

    /// Whether the failure is a closed connection that does not count as trouble yet.
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

    /// How long to wait before the step is tried again although nothing failed.
    pub(super) fn pause(&mut self, chance: f64) -> Duration {
        self.failures.next(chance)
    }

    /// Whether the failure is to be reported: the first time, and again if it lasts.
    pub(super) fn is_news(&mut self, failure: &QueueError, now: Instant) -> bool {
        self.episode.failed(failure.class(), now)
    }
}
