//! One instance: its queue, account and counters behind one lock, which is never held across an
//! await.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::account::{Account, Webhook};
use super::common::Common;
use super::config::{EntryId, SimulatedInstance};
use super::fault::Fault;
use super::journal::{JournalBody, JournalEntry, JournalEvent, PushFailure};
use super::method::{Method, Rates};
use super::queue::{HandOut, Queue, QueueFull, Received};
use crate::kit::until::until;

/// How stale the answer of `getWebhooksCount` may be (about 10 s).
const COUNT_REFRESH: Duration = Duration::from_secs(10);

/// A simulated instance.
pub(super) struct Instance {
    id: u64,
    token: String,
    common: Arc<Common>,
    inner: Mutex<Inner>,
    /// The queue or the settings changed: waiting polls look again.
    changed: Notify,
    /// The settings changed: of the two, the one that an idle pusher of ten thousand waits for.
    account_changed: Notify,
}

struct Inner {
    queue: Queue,
    account: Account,
    rates: Rates,
    dice: fastrand::Rng,
    counted: Option<(Instant, usize)>,
}

/// What the gate says to a request before its method runs.
pub(super) enum Admission {
    Admitted(Option<Arc<Fault>>),
    TooMany,
}

/// What a receive comes back with at once.
pub(super) enum Look {
    Event(HandOut),
    /// Events go to a URL.
    Pushes,
    /// All switches are off.
    Silent,
    Nothing {
        hidden_until: Option<Instant>,
    },
}

impl Instance {
    pub(super) fn new(made: SimulatedInstance, common: Arc<Common>) -> Self {
        // The golden ratio spreads neighbouring ids over the seeds.
        let seed = common.seed ^ made.id.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut account = Account::new(made.id);
        account.set_webhook_url(&made.webhook_url);
        account.set_webhook_token(&made.webhook_token);
        let inner = Inner {
            queue: Queue::new(common.queue_rules),
            account,
            rates: Rates::default(),
            dice: fastrand::Rng::with_seed(seed),
            counted: None,
        };
        Self {
            id: made.id,
            token: made.token,
            common,
            inner: Mutex::new(inner),
            changed: Notify::new(),
            account_changed: Notify::new(),
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn knows(&self, token: &str) -> bool {
        self.token == token
    }

    pub(super) fn changed(&self) -> &Notify {
        &self.changed
    }

    /// Counts the call and throws the dice for a fault.
    pub(super) fn admit(&self, method: Method, now: Instant) -> Admission {
        let mut inner = self.lock();
        if !inner.rates.admits(method, self.common.rate_limits, now) {
            self.record(JournalEvent::RateLimited { method });
            return Admission::TooMany;
        }
        Admission::Admitted(self.draw_fault(&mut inner, method))
    }

    /// Throws the dice for a push.
    pub(super) fn push_fault(&self) -> Option<Arc<Fault>> {
        self.draw_fault(&mut self.lock(), Method::Push)
    }

    fn draw_fault(&self, inner: &mut Inner, method: Method) -> Option<Arc<Fault>> {
        let fault = self.common.kit.faults.draw((self.id, method), &mut inner.dice)?;
        let name = fault.kind.name().to_owned();
        self.record(JournalEvent::Faulted { method, fault: name });
        Some(fault)
    }

    pub(super) fn enqueue(&self, body: Bytes) -> Result<EntryId, QueueFull> {
        let now = Instant::now();
        let mut inner = self.current(now);
        let entry = inner.queue.enqueue(body.clone(), now)?;
        self.common.depth.fetch_add(1, Ordering::SeqCst);
        self.record(JournalEvent::Enqueued { entry, body: JournalBody(body) });
        drop(inner);
        self.changed.notify_waiters();
        Ok(entry)
    }

    pub(super) fn look(&self, now: Instant) -> Look {
        let mut inner = self.current(now);
        if inner.account.webhook().is_some() {
            return Look::Pushes;
        }
        match inner.queue.receive(now) {
            Received::Event(out) => {
                let (entry, receipt) = (out.entry, out.receipt);
                self.record(JournalEvent::HandedOut { entry, receipt });
                Look::Event(out)
            }
            Received::Nothing { .. } if inner.account.is_silent() => Look::Silent,
            Received::Nothing { hidden_until } => Look::Nothing { hidden_until },
        }
    }

    /// Deletes for a client; `None` when the receipt is not the latest of any event.
    pub(super) fn delete(&self, receipt: u64) -> Option<EntryId> {
        let deleted = |entry| JournalEvent::Deleted { entry, receipt };
        self.remove(receipt, deleted, Some(JournalEvent::DeleteRefused { receipt }))
    }

    /// Deletes in the name of an imaginary second consumer.
    pub(super) fn steal(&self, receipt: u64) {
        self.remove(receipt, |entry| JournalEvent::Stolen { entry, receipt }, None);
    }

    fn remove(
        &self,
        receipt: u64,
        removed: impl FnOnce(EntryId) -> JournalEvent,
        refused: Option<JournalEvent>,
    ) -> Option<EntryId> {
        let now = Instant::now();
        let mut inner = self.current(now);
        let entry = inner.queue.delete(receipt);
        match (entry, refused) {
            (Some(entry), _) => {
                self.record(removed(entry));
                drop(inner);
                self.common.shrink(1);
                self.changed.notify_waiters();
            }
            (None, Some(refused)) => self.record(refused),
            (None, None) => {}
        }
        entry
    }

    /// Resolves once a `webhookUrl` is set.
    pub(super) async fn webhook(&self) -> Webhook {
        until(&self.account_changed, || self.read_account(Account::webhook)).await
    }

    /// Resolves once events are to go anywhere but there.
    pub(super) async fn webhook_replaced(&self, webhook: &Webhook) {
        let replaced = || (self.read_account(Account::webhook).as_ref() != Some(webhook)).then_some(());
        until(&self.account_changed, replaced).await;
    }

    /// Resolves with the oldest event once there is one.
    pub(super) async fn head(&self) -> (EntryId, Bytes) {
        until(&self.changed, || self.current(Instant::now()).queue.head()).await
    }

    /// Notes that a push of this event begins.
    pub(super) fn pushed(&self, entry: EntryId) {
        self.record(JournalEvent::Pushed { entry });
    }

    /// Notes how a push of this event failed.
    pub(super) fn push_failed(&self, entry: EntryId, why: PushFailure) {
        self.record(JournalEvent::PushFailed { entry, why });
    }

    /// Removes an event that `webhook` has answered with 200, unless events no longer go there: what then becomes of
    /// it is between the queue and its receiver.
    pub(super) fn acknowledge(&self, entry: EntryId, webhook: &Webhook) {
        let now = Instant::now();
        let mut inner = self.current(now);
        if inner.account.webhook().as_ref() == Some(webhook) && inner.queue.remove(entry).is_some() {
            self.record(JournalEvent::Acknowledged { entry });
            drop(inner);
            self.common.shrink(1);
        }
    }

    /// Lets what is too old go now, rather than at the next request.
    pub(super) fn expire(&self) {
        drop(self.current(Instant::now()));
    }

    /// Events in the queue, after the too old ones have gone.
    pub(super) fn depth(&self) -> usize {
        self.current(Instant::now()).queue.len()
    }

    /// The answer of `getWebhooksCount`: refreshed only so often.
    pub(super) fn stale_depth(&self) -> usize {
        let now = Instant::now();
        let mut inner = self.current(now);
        match inner.counted {
            Some((at, count)) if now.duration_since(at) < COUNT_REFRESH => count,
            _ => {
                let count = inner.queue.len();
                inner.counted = Some((now, count));
                count
            }
        }
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.lock().queue.next_expiry()
    }

    pub(super) fn read_account<T>(&self, read: impl FnOnce(&Account) -> T) -> T {
        read(&self.lock().account)
    }

    pub(super) fn change_account(&self, change: impl FnOnce(&mut Account)) {
        change(&mut self.lock().account);
        self.changed.notify_waiters();
        self.account_changed.notify_waiters();
    }

    /// The state as of `now`: events older than the retention have vanished.
    fn current(&self, now: Instant) -> MutexGuard<'_, Inner> {
        let mut inner = self.lock();
        let expired = inner.queue.expire(now);
        if !expired.is_empty() {
            self.common.shrink(expired.len());
            for entry in expired {
                self.record(JournalEvent::Expired { entry });
            }
        }
        inner
    }

    /// What changes the queue is recorded under its lock, so that the order of the entries is that of the effects.
    fn record(&self, what: JournalEvent) {
        self.common.kit.journal.record(|stamp| JournalEntry::new(stamp, self.id, what));
    }

    /// A panic elsewhere must not take the simulator with it: the state is valid between any two statements
    /// that can panic.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
