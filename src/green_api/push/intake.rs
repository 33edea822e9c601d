//! What GREEN-API pushes: deliver first, then acknowledge.
//!
//! This is the webhook's counterpart of the poller. GREEN-API holds each event until it gets a 200, sends one at a
//! time, and repeats it until then. So the guarantee needs only this: [`Acknowledged`] is made only from the proof, and
//! only it becomes a 200.
//!
//! The caller may give up before Kafka answers. The notification is still delivered, by a task of its own. GREEN-API's
//! later repeat waits behind it, is recognised by its content, and gets the answer that the first call did not wait
//! for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::core::publish::Publisher;
use crate::core::settled::Settled;
use crate::green_api::caller::{CallerNames, Nobody};
use crate::green_api::carrier::Carrier;
use crate::green_api::ending::Ending;
use crate::inbound::calls::NotNow;
use crate::inbound::door::Proof;
use crate::reminder::Reminder;
use crate::watch::telemetry::InstanceTelemetry;
use chatbridge_event::event::Notification;

/// The time between two log lines about calls that are not answered with 200.
const REMINDER: Duration = Duration::from_secs(60);

/// What was settled last for an instance, and the right to take in its notifications, which the holder of the lock has.
/// The next holder then knows what was settled before.
pub type Turn = Arc<Mutex<Option<Settled>>>;

/// The right to answer 200: Kafka has what the call brought, or the configuration drops it.
#[derive(Debug)]
#[must_use = "GREEN-API has to hear of it, or it sends the same again"]
pub struct Acknowledged(());

impl Proof for Acknowledged {}

impl From<&Settled> for Acknowledged {
    fn from(_proof: &Settled) -> Self {
        Self(())
    }
}

/// Takes in what GREEN-API pushes for one instance.
pub struct Intake<P, N = Nobody> {
    carrier: Arc<Carrier<P, N>>,
    turn: Turn,
    room: Arc<Semaphore>,
    patience: Duration,
    closed: CancellationToken,
    reminder: parking_lot::Mutex<Reminder>,
}

impl<P: Publisher, N: CallerNames> Intake<P, N> {
    /// An intake for at most `calls_max` calls at a time. Each waits at most `patience`.
    pub fn new(carrier: Carrier<P, N>, turn: Turn, calls_max: usize, patience: Duration) -> Self {
        let room = Arc::new(Semaphore::new(calls_max));
        let (closed, reminder) = (CancellationToken::new(), parking_lot::Mutex::new(Reminder::every(REMINDER)));
        Self { carrier: Arc::new(carrier), turn, room, patience, closed, reminder }
    }

    /// The instance's telemetry.
    pub fn telemetry(&self) -> &InstanceTelemetry {
        self.carrier.telemetry()
    }

    /// Delivers what a call brought, then acknowledges it.
    ///
    /// # Errors
    /// If the answer cannot be 200 yet and the same call has to come again. The same holds if the future is dropped.
    pub async fn take(&self, notification: Notification) -> Result<Acknowledged, NotNow> {
        self.telemetry().called();
        let Ok(_place) = Arc::clone(&self.room).try_acquire_owned() else { return Err(self.not_now(NotNow::Crowded)) };
        let until = Instant::now() + self.patience;
        let mine = tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(NotNow::Stopping),
            turn = tokio::time::timeout_at(until, Arc::clone(&self.turn).lock_owned()) => turn.map_err(|_| NotNow::Late),
        };
        let settling = match mine {
            Ok(turn) => tokio::spawn(settle(Arc::clone(&self.carrier), notification, turn)),
            Err(not_now) => return Err(self.not_now(not_now)),
        };
        match tokio::time::timeout_at(until, settling).await {
            Ok(Ok(acknowledged)) => {
                self.telemetry().acknowledged();
                Ok(acknowledged)
            }
            Ok(Err(_)) => Err(self.not_now(NotNow::Panicked)),
            Err(_) => Err(self.not_now(NotNow::Late)),
        }
    }

    /// Open until `ending`. Returns when nothing is in hand any more.
    pub async fn run(&self, ending: Ending) {
        tokio::select! {
            biased;
            () = ending.asked() => {}
            // Wait until the previous holder of the turn has reported its end.
            turn = self.turn.lock() => {
                self.telemetry().listening();
                drop(turn);
                ending.asked().await;
            }
        }
        self.closed.cancel();
        let _turn = self.turn.lock().await;
        // A successor may already have the turn and have reported its own phase.
        if !ending.retire.is_cancelled() {
            self.telemetry().stopped();
        }
    }

    fn not_now(&self, why: NotNow) -> NotNow {
        let telemetry = self.telemetry();
        telemetry.not_acknowledged();
        if why == NotNow::Panicked {
            telemetry.poller_panicked();
            error!(instance = %telemetry.instance(), "{why} (the panic is logged above); GREEN-API sends it again");
        } else if self.reminder.lock().is_due() {
            warn!(
                instance = %telemetry.instance(), waited_seconds = self.patience.as_secs(),
                "a webhook call is answered with 503: {why}; GREEN-API keeps the event and sends it again"
            );
        }
        why
    }
}

/// Deliver, acknowledge, remember. A repeat of what was settled last is recognised and not published again.
async fn settle<P: Publisher, N: CallerNames>(
    carrier: Arc<Carrier<P, N>>,
    notification: Notification,
    mut last: OwnedMutexGuard<Option<Settled>>,
) -> Acknowledged {
    let prepared = carrier.take(notification);
    let settled = match last.take().filter(|last| last.id() == prepared.id()) {
        Some(already) => carrier.repeated(already),
        None => carrier.deliver(prepared).await,
    };
    let acknowledged = Acknowledged::from(&settled);
    // Reported whether or not the caller still waits.
    carrier.telemetry().listening();
    *last = Some(settled);
    acknowledged
}

#[cfg(test)]
mod tests;
