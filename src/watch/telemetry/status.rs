//! The status board: each instance's state, for `/status` and for the gauges that are ages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;

use super::loss_radar::{Cause, DrainRate, LossLevel, Seen, Thresholds};
use super::words::{LastError, LastEvent, NOT_CALLED, Phase};
use chatbridge_base::clock::Reading;
use chatbridge_event::event::InstanceId;

mod view;

pub use view::InstanceView;

/// Three times the default interval between two counts.
const QUEUE_DEPTH_VALID: Duration = Duration::from_secs(15 * 60);

/// Has events that may wait for Kafka.
pub trait WaitsForKafka: Send + Sync {
    /// How long each of its waiting parts has waited for Kafka.
    fn waits_for_kafka(&self) -> Vec<Duration>;
}

/// Every instance's status.
pub struct StatusBoard {
    instances: Mutex<BTreeMap<InstanceId, Arc<InstanceStatus>>>,
    /// Others that may wait for Kafka.
    others: Mutex<Vec<Arc<dyn WaitsForKafka>>>,
    thresholds: Thresholds,
    queue_depth_valid: Duration,
}

impl Default for StatusBoard {
    fn default() -> Self {
        Self::new(Thresholds::default(), QUEUE_DEPTH_VALID)
    }
}

impl StatusBoard {
    /// An empty board. A queue length older than `queue_depth_valid` counts as unknown.
    #[must_use]
    pub fn new(thresholds: Thresholds, queue_depth_valid: Duration) -> Self {
        Self { instances: Mutex::default(), others: Mutex::default(), thresholds, queue_depth_valid }
    }

    /// Adds an instance; an existing one keeps its status.
    pub fn add(&self, instance: InstanceId) -> Arc<InstanceStatus> {
        let new = || Arc::new(InstanceStatus::new(instance, self.thresholds, self.queue_depth_valid));
        Arc::clone(self.instances.lock().entry(instance).or_insert_with(new))
    }

    /// Forgets an instance that is no longer polled.
    pub fn remove(&self, instance: InstanceId) {
        self.instances.lock().remove(&instance);
    }

    /// The ages of a head that are a warning and an alarm.
    #[must_use]
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Also counts what others than instances wait for.
    pub fn watch_others(&self, others: Arc<dyn WaitsForKafka>) {
        self.others.lock().push(others);
    }

    /// How many instances and channels have waited for Kafka for at least `least`, and how long the longest has.
    #[must_use]
    pub fn waiting_for_kafka(&self, least: Duration) -> (usize, Duration) {
        let now = Instant::now();
        let waits = self
            .instances
            .lock()
            .values()
            .filter_map(|status| status.inner.lock().in_hand_since.map(|since| now.duration_since(since)))
            .chain(self.others.lock().iter().flat_map(|others| others.waits_for_kafka()))
            .filter(|wait| *wait >= least)
            .collect::<Vec<_>>();
        (waits.len(), waits.into_iter().max().unwrap_or_default())
    }

    /// An instance whose poller has taken no step for longer than `silence_max`, although it does not wait for Kafka.
    /// Such a task is stuck, and only a restart helps.
    #[must_use]
    pub fn stalled(&self, silence_max: Duration) -> Option<InstanceId> {
        let now = Instant::now();
        let is_stalled = |inner: &Inner| {
            let at_work = !matches!(inner.phase, Phase::Starting | Phase::Listening | Phase::Stopped)
                && inner.in_hand_since.is_none();
            at_work && now.duration_since(inner.last_step) > silence_max
        };
        self.instances.lock().values().find(|status| is_stalled(&status.inner.lock())).map(|status| status.instance)
    }

    /// Every instance, ordered by id.
    #[must_use]
    pub fn instances(&self) -> Vec<Arc<InstanceStatus>> {
        self.instances.lock().values().cloned().collect()
    }
}

/// One instance's status.
pub struct InstanceStatus {
    instance: InstanceId,
    thresholds: Thresholds,
    queue_depth_valid: Duration,
    inner: Mutex<Inner>,
}

struct Inner {
    phase: Phase,
    state: Option<String>,
    queue_depth: Option<QueueDepth>,
    /// Since when something is, or may be, at the head of the queue. Counted from boot, like the next field, because
    /// the time of day may be set.
    head_since: Option<SignedDuration>,
    last_contact: SignedDuration,
    /// Since when a notification has waited for Kafka.
    in_hand_since: Option<Instant>,
    /// When the poller last did something.
    last_step: Instant,
    last_event: Option<LastEvent>,
    last_error: Option<LastError>,
    /// Whether nothing has gone well since the last error.
    error_lasts: bool,
    rival_suspected_at: Option<Timestamp>,
    received: u64,
    deleted: u64,
    drain_rate: DrainRate,
    /// As last reported.
    loss_level: LossLevel,
}

/// A queue length that GREEN-API reported, and the deletions since.
#[derive(Clone, Copy)]
struct QueueDepth {
    count: i64,
    at: Instant,
    deleted_since: u64,
}

/// An instance's loss level has changed.
#[derive(Debug, Clone)]
pub struct LossChange {
    /// The instance, with the new level.
    pub view: InstanceView,
    /// The most likely reason why its queue is not drained.
    pub cause: Cause,
}

impl Inner {
    /// The class of the last error, if nothing has gone well since.
    fn lasting_error(&self) -> Option<&str> {
        self.last_error.as_ref().filter(|_| self.error_lasts).map(|error| error.class.as_str())
    }

    fn cause(&self) -> Cause {
        Cause::of(self.phase, self.in_hand_since.map(|since| since.elapsed()), self.lasting_error())
    }
}

impl InstanceStatus {
    fn new(instance: InstanceId, thresholds: Thresholds, queue_depth_valid: Duration) -> Self {
        let now = Reading::now().up;
        let inner = Inner {
            phase: Phase::Starting,
            state: None,
            queue_depth: None,
            // Until the first answer the queue may hold something that gets older while the start waits for Kafka.
            head_since: Some(now),
            last_contact: now,
            in_hand_since: None,
            last_step: Instant::now(),
            last_event: None,
            last_error: None,
            error_lasts: false,
            rival_suspected_at: None,
            received: 0,
            deleted: 0,
            drain_rate: DrainRate::new(Instant::now()),
            loss_level: LossLevel::Ok,
        };
        Self { instance, thresholds, queue_depth_valid, inner: Mutex::new(inner) }
    }

    /// The instance.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// Every step of the poller goes through here.
    fn step(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock();
        inner.last_step = Instant::now();
        inner
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        let mut inner = self.step();
        // A retry is not a recovery: the instance shows its trouble until an answer comes.
        let still_troubled =
            phase == Phase::Polling && matches!(inner.phase, Phase::BackingOff | Phase::Waiting | Phase::Misconfigured);
        if !still_troubled {
            inner.phase = phase;
        }
    }

    /// Only GREEN-API's next call will tell whether something waits there.
    pub(super) fn listening(&self) {
        let mut inner = self.step();
        inner.phase = Phase::Listening;
        inner.head_since = None;
        inner.error_lasts = false;
    }

    /// Whether the last error was that GREEN-API did not call.
    pub(super) fn nothing_to_call_for(&self) -> bool {
        let mut inner = self.inner.lock();
        if inner.phase != Phase::Listening {
            return false;
        }
        // Anything found at the next look has come since now.
        inner.last_contact = Reading::now().up;
        let feared = inner.lasting_error() == Some(NOT_CALLED);
        if feared {
            inner.head_since = None;
            inner.error_lasts = false;
        }
        feared
    }

    pub(super) fn acknowledged(&self) {
        self.deleted();
        self.listening();
    }

    pub(super) fn queue_empty(&self) {
        let mut inner = self.step();
        inner.phase = Phase::Polling;
        inner.last_contact = Reading::now().up;
        inner.head_since = None;
        inner.error_lasts = false;
        if let Some(depth) = &mut inner.queue_depth {
            depth.deleted_since = u64::MAX;
        }
    }

    pub(super) fn received(&self, kind: &'static str, event_time: Option<Timestamp>) {
        let now = Reading::now();
        let mut inner = self.step();
        inner.phase = Phase::Delivering;
        inner.last_contact = now.up;
        // The event's clock may be ahead, but the queue cannot hold events from the future.
        let age = event_time.map_or(SignedDuration::ZERO, |time| now.wall.duration_since(time.min(now.wall)));
        inner.head_since = Some(now.up.saturating_sub(age));
        inner.last_event = Some(LastEvent { kind, received_at: now.wall, time: event_time });
        inner.received += 1;
    }

    pub(super) fn deleted(&self) {
        let mut inner = self.step();
        inner.phase = Phase::Polling;
        inner.last_contact = Reading::now().up;
        // The head's age is kept: the notifications behind it may be just as old. The next answer will tell.
        inner.error_lasts = false;
        inner.deleted += 1;
        inner.drain_rate.count(Instant::now());
        if let Some(depth) = &mut inner.queue_depth {
            depth.deleted_since = depth.deleted_since.saturating_add(1);
        }
    }

    pub(super) fn failed(&self, class: &str, message: &str) {
        let mut inner = self.step();
        // What came since the last answer is unknown: assume the worst instead of showing zero.
        let last_contact = inner.last_contact;
        inner.head_since.get_or_insert(last_contact);
        inner.error_lasts = true;
        inner.last_error =
            Some(LastError { class: class.to_owned(), message: message.to_owned(), at: Timestamp::now() });
    }

    pub(super) fn rival_suspected(&self, message: &str) {
        self.failed("rival", message);
        self.inner.lock().rival_suspected_at = Some(Timestamp::now());
    }

    pub(super) fn set_state(&self, state: &str) {
        self.inner.lock().state = Some(state.to_owned());
    }

    pub(super) fn set_in_hand(&self, in_hand: bool) {
        self.step().in_hand_since = in_hand.then(Instant::now);
    }

    pub(super) fn set_queue_depth(&self, depth: i64) {
        let depth = QueueDepth { count: depth, at: Instant::now(), deleted_since: 0 };
        self.inner.lock().queue_depth = Some(depth);
    }

    /// The change, if the loss level differs from the last call.
    pub(super) fn loss_level_changed(&self) -> Option<LossChange> {
        let view = self.view();
        let mut inner = self.inner.lock();
        if std::mem::replace(&mut inner.loss_level, view.loss_level) == view.loss_level {
            return None;
        }
        let cause = inner.cause();
        Some(LossChange { view, cause })
    }

    /// The most likely reason why its queue is not drained.
    #[must_use]
    pub fn cause(&self) -> Cause {
        self.inner.lock().cause()
    }

    /// Notifications deleted in each of the last slices (see [`DrainRate::passed`]).
    #[must_use]
    pub fn deleted_lately(&self) -> [u32; DrainRate::PASSED] {
        self.inner.lock().drain_rate.passed(Instant::now())
    }

    /// The current state.
    #[must_use]
    pub fn view(&self) -> InstanceView {
        let inner = self.inner.lock();
        let head_age = inner.head_since.map_or(0, |since| Reading::now().up.saturating_sub(since).as_secs());
        // Whole seconds throughout, so that age and time left add up.
        let head_age = Duration::from_secs(u64::try_from(head_age).unwrap_or(0));
        let depth = inner.queue_depth.filter(|depth| depth.at.elapsed() <= self.queue_depth_valid);
        let seen = Seen {
            head_age,
            waiting: depth.map(|depth| u64::try_from(depth.count).unwrap_or(0).saturating_sub(depth.deleted_since)),
            drain_rate_per_second: inner.drain_rate.per_second(Instant::now()),
        };
        InstanceView {
            instance: self.instance,
            phase: inner.phase,
            state: inner.state.clone(),
            queue_depth: depth.map(|depth| depth.count),
            waiting: seen.waiting,
            head_age_seconds: whole_seconds(head_age),
            seconds_until_loss: whole_seconds(seen.until_loss()),
            loss_level: LossLevel::at(head_age, inner.loss_level, &self.thresholds),
            drain_rate_per_second: (seen.drain_rate_per_second * 1000.0).round() / 1000.0,
            drain_seconds: seen.drain_seconds(),
            drain_forecast: seen.forecast(),
            received: inner.received,
            deleted: inner.deleted,
            last_event: inner.last_event.clone(),
            last_error: inner.last_error.clone(),
            rival_suspected_at: inner.rival_suspected_at,
        }
    }
}

fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
