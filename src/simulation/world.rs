//! What one history shares: one lock, one random number generator, one virtual clock.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use hyper::body::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::bodies::Made;
use super::conditions::{Conditions, RETENTION, Rival, end_of, up_to};
use super::judge::Judge;
use super::story::{Happening, Story};
use chatbridge_event::event::InstanceId;
use chatbridge_lab::green_api::Redelivery;
use chatbridge_lab::green_api::queue::{HandOut, Queue, QueueRules, Received};

/// The first instance's id.
const FIRST_INSTANCE: u64 = 1_101_000_001;

/// One history's world.
pub(super) struct World {
    pub(super) dice: Rng,
    pub(super) conditions: Conditions,
    pub(super) judge: Judge,
    pub(super) story: Story,
    /// No faults from now on.
    pub(super) calm: bool,
    began: Instant,
    queues: Vec<Queue>,
    changed: Vec<Arc<Notify>>,
    lives: u64,
}

/// The shared world. Nobody holds the lock across an await, and there is only one thread, so nobody ever waits for it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<World>>);

impl Shared {
    pub(super) fn new(mut dice: Rng) -> Self {
        let conditions = Conditions::draw(&mut dice);
        let rules = QueueRules {
            retention: RETENTION,
            redelivery: conditions.redelivery,
            receipts: conditions.receipts,
            first_receipt: dice.u64(1..1_000),
            events_max: usize::MAX,
        };
        let next_unacked = matches!(conditions.redelivery, Redelivery::NextUnacked(_));
        Self(Arc::new(Mutex::new(World {
            judge: Judge::new(conditions.instances, next_unacked, conditions.may_expire()),
            story: Story::default(),
            calm: false,
            began: Instant::now(),
            queues: (0..conditions.instances).map(|_| Queue::new(rules)).collect(),
            changed: (0..conditions.instances).map(|_| Arc::default()).collect(),
            lives: 0,
            dice,
            conditions,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock()
    }

    /// The travel time of a request or an answer.
    pub(super) async fn travel(&self) {
        let wait = {
            let mut world = self.lock();
            let max = world.conditions.latency_max;
            up_to(&mut world.dice, max)
        };
        if wait.is_zero() { tokio::task::yield_now().await } else { tokio::time::sleep(wait).await }
    }
}

impl World {
    /// The time since the history began.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn tell(&mut self, instance: usize, what: Happening) {
        let now = self.now();
        self.story.tell(now, instance + 1, what);
    }

    pub(super) fn next_life(&mut self) -> u64 {
        self.lives += 1;
        self.lives
    }

    pub(super) fn id(instance: usize) -> InstanceId {
        InstanceId::new(FIRST_INSTANCE + instance as u64)
    }

    /// Draws whether a fault of these odds happens.
    pub(super) fn fault(&mut self, odds: f64) -> bool {
        !self.calm && self.dice.f64() < odds
    }

    pub(super) fn kafka_back_at(&self) -> Option<Duration> {
        end_of(&self.conditions.kafka_away, self.now()).filter(|_| !self.calm)
    }

    pub(super) fn is_misconfigured(&self) -> bool {
        !self.calm && end_of(&self.conditions.misconfigured, self.now()).is_some()
    }

    // --- The queues of upstream ---

    pub(super) fn enqueue(&mut self, instance: usize, made: Made) {
        let body = Bytes::from(made.body.clone());
        let entry = self.queues[instance].enqueue(body, Instant::now()).expect("it has no limit").0;
        self.tell(instance, Happening::Queued { entry, bytes: made.body.len(), what: made.what });
        self.judge.queued(instance, made);
        self.changed[instance].notify_waiters();
    }

    pub(super) fn hand_out(&mut self, instance: usize) -> Received {
        self.expire(instance);
        let received = self.queues[instance].receive(Instant::now());
        if let Received::Event(HandOut { entry, receipt, .. }) = &received {
            let (entry, receipt) = (entry.0, *receipt);
            self.judge.handed_out(instance, entry);
            self.tell(instance, Happening::HandedOut { entry, receipt });
        }
        received
    }

    /// A delete from the bridge takes effect.
    pub(super) fn delete(&mut self, instance: usize, receipt: &str) -> bool {
        self.expire(instance);
        let removed = receipt.parse().ok().and_then(|receipt| self.queues[instance].delete(receipt));
        let removed = removed.map(|entry| entry.0);
        self.tell(instance, Happening::Delete { receipt: receipt.to_owned(), removed });
        if let Some(entry) = removed {
            self.judge.deleted(instance, entry);
            self.changed[instance].notify_waiters();
        }
        removed.is_some()
    }

    /// Another reader receives. Returns the receipt that it could delete with.
    pub(super) fn rival_receives(&mut self, instance: usize) -> Option<u64> {
        match self.hand_out(instance) {
            Received::Event(HandOut { entry, receipt, .. }) => {
                self.tell(instance, Happening::Rival { entry: entry.0, deleted: false });
                Some(receipt).filter(|_| self.conditions.rival == Rival::Deletes)
            }
            Received::Nothing { .. } => None,
        }
    }

    pub(super) fn rival_deletes(&mut self, instance: usize, receipt: u64) {
        self.expire(instance);
        if let Some(entry) = self.queues[instance].delete(receipt) {
            self.tell(instance, Happening::Rival { entry: entry.0, deleted: true });
            self.judge.taken(instance, entry.0);
            self.changed[instance].notify_waiters();
        }
    }

    fn expire(&mut self, instance: usize) {
        for entry in self.queues[instance].expire(Instant::now()) {
            self.tell(instance, Happening::Expired { entry: entry.0 });
            self.judge.expired(instance, entry.0);
        }
    }

    pub(super) fn changed(&self, instance: usize) -> Arc<Notify> {
        Arc::clone(&self.changed[instance])
    }

    /// The number of events in all queues.
    pub(super) fn depth(&mut self) -> usize {
        (0..self.queues.len()).for_each(|instance| self.expire(instance));
        self.queues.iter().map(Queue::len).sum()
    }
}
