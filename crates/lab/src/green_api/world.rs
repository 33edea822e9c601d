//! All instances and what they have in common.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::common::Common;
use super::config::{PushConfig, SimulatedInstance, SimulatorConfig, SpentReceipt};
use super::fault::Fault;
use super::instance::Instance;
use super::journal::JournalEntry;
use super::method::RateLimits;
use super::push;
use crate::kit::Kit;
use crate::kit::control::Controlled;
use crate::kit::until::until;

/// The whole simulated service.
pub(super) struct World {
    pub(super) common: Arc<Common>,
    pub(super) latency: Duration,
    pub(super) long_poll_max: Duration,
    pub(super) spent_receipt: SpentReceipt,
    push: Arc<PushConfig>,
    instances_max: usize,
    instances: RwLock<HashMap<u64, Arc<Instance>>>,
    /// Long polls that wait right now.
    waiting: AtomicUsize,
    waiting_changed: Notify,
}

/// Why an instance was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddInstanceError {
    /// There is one with this id.
    #[error("instance {0} exists already")]
    Exists(u64),
    /// There are as many as [`SimulatorConfig::instances_max`] allows.
    #[error("there are {0} instances, as many as allowed")]
    TooMany(usize),
}

impl World {
    pub(super) fn new(config: &SimulatorConfig) -> io::Result<Self> {
        let common = Common {
            kit: Kit::new(&config.journal, config.body_bytes_max)?,
            seed: config.seed,
            queue_rules: config.into(),
            rate_limits: RateLimits {
                queue_per_second_max: config.requests_per_second_max,
                other_per_second_max: config.other_requests_per_second_max,
            },
            depth: AtomicUsize::new(0),
            emptied: Notify::new(),
        };
        let world = Self {
            common: Arc::new(common),
            latency: config.latency,
            long_poll_max: config.long_poll_max,
            spent_receipt: config.spent_receipt,
            push: Arc::new(config.push.clone()),
            instances_max: config.instances_max,
            instances: RwLock::default(),
            waiting: AtomicUsize::new(0),
            waiting_changed: Notify::new(),
        };
        // Where one is refused, those before it end.
        let unless_whole = world.kit().stop.clone().drop_guard();
        for instance in &config.instances {
            world.add(instance.clone()).map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        }
        unless_whole.disarm();
        Ok(world)
    }

    pub(super) fn add(&self, made: SimulatedInstance) -> Result<(), AddInstanceError> {
        let mut instances = self.instances.write().unwrap_or_else(PoisonError::into_inner);
        if instances.contains_key(&made.id) {
            return Err(AddInstanceError::Exists(made.id));
        }
        if instances.len() >= self.instances_max {
            return Err(AddInstanceError::TooMany(instances.len()));
        }
        let instance = Arc::new(Instance::new(made, Arc::clone(&self.common)));
        let pushes = push::run(Arc::clone(&instance), Arc::clone(&self.push), self.kit().stop.clone());
        self.kit().spawn(pushes);
        instances.insert(instance.id(), instance);
        Ok(())
    }

    pub(super) fn instance(&self, id: u64) -> Option<Arc<Instance>> {
        self.instances.read().unwrap_or_else(PoisonError::into_inner).get(&id).map(Arc::clone)
    }

    pub(super) fn instances(&self) -> Vec<Arc<Instance>> {
        let mut all: Vec<_> =
            self.instances.read().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect();
        all.sort_by_key(|instance| instance.id());
        all
    }

    /// Resolves once every queue is empty, be it by deletes or by age.
    pub(super) async fn emptied(&self) {
        loop {
            let emptied = self.common.emptied.notified();
            tokio::pin!(emptied);
            // Registered before the look, so that a delete in between is not missed.
            emptied.as_mut().enable();
            let instances = self.instances();
            if instances.iter().map(|instance| instance.depth()).sum::<usize>() == 0 {
                return;
            }
            let next_expiry = instances.iter().filter_map(|instance| instance.next_expiry()).min();
            tokio::select! {
                () = emptied => {}
                () = sleep_until_some(next_expiry) => {}
            }
        }
    }

    /// Resolves once at least so many long polls wait.
    pub(super) async fn polls_waiting(&self, polls: usize) {
        until(&self.waiting_changed, || (self.waiting() >= polls).then_some(())).await;
    }

    /// Long polls that wait right now.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Counts a long poll for as long as it waits.
    pub(super) fn wait(&self) -> WaitingPoll<'_> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.waiting_changed.notify_waiters();
        WaitingPoll(self)
    }
}

impl Controlled for World {
    type Entry = JournalEntry;
    type Fault = Fault;

    fn kit(&self) -> &Kit<JournalEntry, Fault> {
        &self.common.kit
    }

    fn journal_after(&self, sequence: u64) -> Vec<JournalEntry> {
        // Looking lets what is too old expire, so that the journal says so too.
        self.instances().iter().for_each(|instance| instance.expire());
        self.kit().journal.after(sequence)
    }
}

/// A long poll that waits; also when its client goes away it is counted out.
pub(super) struct WaitingPoll<'w>(&'w World);

impl Drop for WaitingPoll<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
        self.0.waiting_changed.notify_waiters();
    }
}

/// Sleeps until then; for ever when there is no such time.
pub(super) async fn sleep_until_some(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
