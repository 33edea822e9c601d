//! The status board: each instance's situation, for `/status` and for the gauges that are ages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_with::skip_serializing_none;
use tokio::time::Instant;

use crate::event::InstanceId;

/// GREEN-API keeps a notification this long (reference §2.3).
const RETENTION_SECONDS: i64 = 24 * 60 * 60;

/// What an instance's poller is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not yet polled.
    Starting,
    /// Waiting for notifications.
    Polling,
    /// A notification is in hand.
    Delivering,
    /// GREEN-API does not answer well; trying again soon.
    BackingOff,
    /// The instance is not ready; trying again soon.
    Waiting,
    /// An operator has to act; trying again rarely.
    Misconfigured,
    /// The dead-letter topic takes nothing; trying again rarely.
    Parked,
    /// No longer polled.
    Stopped,
}

/// Every instance's status.
#[derive(Default)]
pub struct StatusBoard {
    instances: Mutex<BTreeMap<InstanceId, Arc<InstanceStatus>>>,
}

impl StatusBoard {
    /// Adds an instance; one that is there keeps its status.
    pub fn add(&self, instance: InstanceId) -> Arc<InstanceStatus> {
        let mut instances = lock(&self.instances);
        Arc::clone(instances.entry(instance).or_insert_with(|| Arc::new(InstanceStatus::new(instance))))
    }

    /// Forgets an instance that is no longer polled.
    pub fn remove(&self, instance: InstanceId) {
        lock(&self.instances).remove(&instance);
    }

    /// How many notifications have waited for Kafka for at least `least`, and how long the one that waits longest has.
    #[must_use]
    pub fn waiting_for_kafka(&self, least: Duration) -> (usize, Duration) {
        let now = Instant::now();
        let waits = lock(&self.instances)
            .values()
            .filter_map(|status| lock(&status.inner).in_hand_since.map(|since| now.duration_since(since)))
            .filter(|wait| *wait >= least)
            .collect::<Vec<_>>();
        (waits.len(), waits.into_iter().max().unwrap_or_default())
    }

    /// Every instance, in the order of their ids.
    #[must_use]
    pub fn instances(&self) -> Vec<Arc<InstanceStatus>> {
        lock(&self.instances).values().cloned().collect()
    }
}

/// One instance's status.
pub struct InstanceStatus {
    instance: InstanceId,
    inner: Mutex<Inner>,
}

struct Inner {
    phase: Phase,
    state: Option<String>,
    queue_depth: Option<i64>,
    /// Since when something is known, or must be feared, to lie at the head of the queue.
    head_since: Option<Timestamp>,
    last_contact: Timestamp,
    /// Since when a notification waits for Kafka.
    in_hand_since: Option<Instant>,
    last_event: Option<LastEvent>,
    last_error: Option<LastError>,
    received: u64,
    deleted: u64,
}

/// What `/status` shows of an instance.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub struct InstanceView {
    /// The instance.
    pub instance: InstanceId,
    /// What its poller is doing.
    pub phase: Phase,
    /// The instance's own state, where known.
    pub state: Option<String>,
    /// How many notifications wait at GREEN-API, where asked.
    pub queue_depth: Option<i64>,
    /// Age of the latest head of the queue, until an answer shows the queue to be empty: a bound on how old the oldest
    /// notification is that is not yet in Kafka.
    pub head_age_seconds: i64,
    /// Until GREEN-API's 24 hours take it.
    pub seconds_until_loss: i64,
    /// Notifications received by this process.
    pub received: u64,
    /// Notifications deleted by this process.
    pub deleted: u64,
    /// The latest notification.
    pub last_event: Option<LastEvent>,
    /// The latest failure; it stays visible after things went well again, with its time.
    pub last_error: Option<LastError>,
}

/// The latest notification.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub struct LastEvent {
    /// Its kind.
    pub kind: &'static str,
    /// When it was received.
    pub received_at: Timestamp,
    /// When it happened.
    pub time: Option<Timestamp>,
}

/// The latest failure.
#[derive(Debug, Clone, Serialize)]
pub struct LastError {
    /// The metric's label.
    pub class: String,
    /// What happened and what to do.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

impl InstanceStatus {
    fn new(instance: InstanceId) -> Self {
        let inner = Inner {
            phase: Phase::Starting,
            state: None,
            queue_depth: None,
            head_since: None,
            last_contact: Timestamp::now(),
            in_hand_since: None,
            last_event: None,
            last_error: None,
            received: 0,
            deleted: 0,
        };
        Self { instance, inner: Mutex::new(inner) }
    }

    /// Whose status this is.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        let mut inner = lock(&self.inner);
        // A retry is not yet a recovery: a troubled instance shows its trouble until an answer comes.
        let still_troubled =
            phase == Phase::Polling && matches!(inner.phase, Phase::BackingOff | Phase::Waiting | Phase::Misconfigured);
        if !still_troubled {
            inner.phase = phase;
        }
    }

    pub(super) fn queue_empty(&self) {
        let mut inner = lock(&self.inner);
        inner.phase = Phase::Polling;
        inner.last_contact = Timestamp::now();
        inner.head_since = None;
    }

    pub(super) fn received(&self, kind: &'static str, event_time: Option<Timestamp>) {
        let now = Timestamp::now();
        let mut inner = lock(&self.inner);
        inner.phase = Phase::Delivering;
        inner.last_contact = now;
        // An event's own clock may run ahead; the queue cannot hold what has not happened.
        inner.head_since = Some(event_time.map_or(now, |time| time.min(now)));
        inner.last_event = Some(LastEvent { kind, received_at: now, time: event_time });
        inner.received += 1;
    }

    pub(super) fn deleted(&self) {
        let mut inner = lock(&self.inner);
        inner.phase = Phase::Polling;
        inner.last_contact = Timestamp::now();
        // Not the end of the head's age: behind it may lie a backlog just as old. The next answer tells.
        inner.deleted += 1;
    }

    pub(super) fn failed(&self, class: &str, message: &str) {
        let mut inner = lock(&self.inner);
        // Whatever came since the last answer waits unseen: fear the worst rather than show a zero.
        let last_contact = inner.last_contact;
        inner.head_since.get_or_insert(last_contact);
        inner.last_error =
            Some(LastError { class: class.to_owned(), message: message.to_owned(), at: Timestamp::now() });
    }

    /// The previous state, where it differs.
    pub(super) fn set_state(&self, state: &str) -> Option<String> {
        let mut inner = lock(&self.inner);
        if inner.state.as_deref() == Some(state) {
            return None;
        }
        inner.state.replace(state.to_owned())
    }

    pub(super) fn set_in_hand(&self, in_hand: bool) {
        lock(&self.inner).in_hand_since = in_hand.then(Instant::now);
    }

    pub(super) fn set_queue_depth(&self, depth: i64) {
        lock(&self.inner).queue_depth = Some(depth);
    }

    /// The situation at this moment.
    #[must_use]
    pub fn view(&self) -> InstanceView {
        let inner = lock(&self.inner);
        let head_age_seconds =
            inner.head_since.map_or(0, |since| Timestamp::now().duration_since(since).as_secs().max(0));
        InstanceView {
            instance: self.instance,
            phase: inner.phase,
            state: inner.state.clone(),
            queue_depth: inner.queue_depth,
            head_age_seconds,
            seconds_until_loss: (RETENTION_SECONDS - head_age_seconds).max(0),
            received: inner.received,
            deleted: inner.deleted,
            last_event: inner.last_event.clone(),
            last_error: inner.last_error.clone(),
        }
    }
}

/// A panic elsewhere must not take the status down with it; the data are plain values and always whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
