//! The faulty GREEN-API. It answers in bytes, which the bridge's own parser reads. A sent request takes effect whether
//! or not its process lives to hear of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::select;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::conditions::one_of;
use super::story::Happening;
use super::world::{Shared, World};
use crate::core::policy::Policy;
use crate::core::prepared::prepare;
use crate::core::settled::Settled;
use crate::green_api::answer::{self, Answer};
use crate::green_api::queue::{Deletion, NotificationQueue, QueueError, Receipt, Received};
use chatbridge_lab::green_api::SpentReceipt;
use chatbridge_lab::green_api::queue::{HandOut, Received as LookedUp};

/// How long a poll is held.
pub(super) const RECEIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// How long the client waits beyond that, and for a delete.
const PATIENCE: Duration = Duration::from_secs(15);
/// The delay of a request that is never answered: the client has given up long before.
const FOR_EVER: Duration = Duration::from_secs(10 * 60);

/// One life's connection to one instance's queue.
pub(super) struct Line {
    shared: Shared,
    instance: usize,
    life: u64,
    /// Planted bug: asks to be stopped before the second receive that follows a delete, so that every notification
    /// belongs to another process.
    one_notification_only: Option<CancellationToken>,
    has_deleted: AtomicBool,
    /// The entry received last.
    received: AtomicU64,
}

/// An answer.
struct Reply {
    answer: Answer,
    /// The entry that was handed out, and whether the answer was cut on its way.
    handed_out: Option<(u64, bool)>,
}

impl Reply {
    fn new(status: u16, bytes: impl Into<Vec<u8>>) -> Self {
        let answer = Answer { status, retry_after: None, bytes: bytes.into(), complete: true };
        Self { answer, handed_out: None }
    }
}

impl Line {
    pub(super) fn new(
        shared: Shared,
        instance: usize,
        life: u64,
        one_notification_only: Option<CancellationToken>,
    ) -> Self {
        Self {
            shared,
            instance,
            life,
            one_notification_only,
            has_deleted: AtomicBool::new(false),
            received: AtomicU64::new(0),
        }
    }

    /// Tells the judge what the poller receives, under the id that the bridge gives it.
    fn arrived(&self, received: &Received, (entry, mutilated): (u64, bool)) {
        self.received.store(entry, Ordering::Relaxed);
        let mut world = self.shared.lock();
        let known = if mutilated { None } else { world.judge.known_id(self.instance, entry) };
        let id = known.unwrap_or_else(|| {
            let notification = received.notification.clone();
            prepare(notification, &Policy::default(), Timestamp::UNIX_EPOCH).id().to_string()
        });
        world.judge.arrived(self.life, self.instance, entry, &id, mutilated);
        let receipt = received.receipt.as_str().to_owned();
        world.tell(self.instance, Happening::Arrived { life: self.life, entry, receipt, mutilated });
    }
}

impl NotificationQueue for Line {
    async fn receive(&self) -> Result<Option<Received>, QueueError> {
        if let Some(stop) = &self.one_notification_only
            && self.has_deleted.load(Ordering::Relaxed)
        {
            stop.cancel();
            return std::future::pending().await;
        }
        let (reply, answered) = oneshot::channel();
        tokio::spawn(serve_receive(self.shared.clone(), self.instance, reply));
        let Some(Reply { answer, handed_out }) = wait(answered, RECEIVE_TIMEOUT + PATIENCE).await else {
            return Err(broken());
        };
        let received = answer::received(World::id(self.instance), answer, &str::to_owned)?;
        if let (Some(received), Some(handed_out)) = (&received, handed_out) {
            self.arrived(received, handed_out);
        }
        Ok(received)
    }

    async fn delete(&self, receipt: Receipt, proof: &Settled) -> Result<Deletion, QueueError> {
        let entry = self.received.load(Ordering::Relaxed);
        self.shared.lock().judge.delete_asked(self.life, self.instance, entry, &proof.id().to_string());
        let (reply, answered) = oneshot::channel();
        tokio::spawn(serve_delete(self.shared.clone(), self.instance, receipt.as_str().to_owned(), reply));
        let outcome = match wait(answered, PATIENCE).await {
            Some(Reply { answer, .. }) => answer::deleted(&answer, &str::to_owned),
            None => Err(broken()),
        };
        self.shared.lock().judge.delete_answered(self.life, self.instance, entry);
        self.has_deleted.store(true, Ordering::Relaxed);
        outcome
    }
}

fn broken() -> QueueError {
    QueueError::Unreachable { class: "connection", detail: "simulated".to_owned() }
}

/// `None`: the connection was reset, or the answer is too late.
async fn wait(answered: oneshot::Receiver<Reply>, patience: Duration) -> Option<Reply> {
    tokio::time::timeout(patience, answered).await.ok()?.ok()
}

async fn serve_receive(shared: Shared, instance: usize, reply: oneshot::Sender<Reply>) {
    shared.travel().await;
    let early = shared.lock().receive_fault(instance, reply.is_closed());
    let answer = match early {
        Some(Fault::Reset) => return,
        Some(Fault::Hang) => return tokio::time::sleep(FOR_EVER).await,
        Some(Fault::Answer(answer)) => answer,
        None => match poll(&shared, instance, &reply).await {
            None => return,
            Some(LookedUp::Nothing { .. }) => Reply::new(200, "null"),
            Some(LookedUp::Event(handed_out)) => match shared.lock().on_its_way_back(instance, &handed_out) {
                Ok(answer) => answer,
                Err(Fault::Answer(answer)) => answer,
                Err(Fault::Reset | Fault::Hang) => return,
            },
        },
    };
    shared.travel().await;
    // The receiver may be gone.
    let _ = reply.send(answer);
}

/// Waits until there is something to hand out. `None` if the client is gone and upstream notices.
async fn poll(shared: &Shared, instance: usize, reply: &oneshot::Sender<Reply>) -> Option<LookedUp> {
    let deadline = Instant::now() + RECEIVE_TIMEOUT;
    loop {
        let (found, changed) = {
            let mut world = shared.lock();
            if reply.is_closed() && world.conditions.notices_dropped_polls {
                return None;
            }
            (world.hand_out(instance), world.changed(instance))
        };
        match found {
            LookedUp::Nothing { hidden_until } if Instant::now() < deadline => {
                let until = hidden_until.map_or(deadline, |until| until.min(deadline));
                select! {
                    biased;
                    () = changed.notified() => {}
                    () = tokio::time::sleep_until(until) => {}
                }
            }
            found => return Some(found),
        }
    }
}

async fn serve_delete(shared: Shared, instance: usize, receipt: String, reply: oneshot::Sender<Reply>) {
    shared.travel().await;
    let early = shared.lock().delete_fault(instance, reply.is_closed());
    let answer = match early {
        Some(Fault::Reset) => return,
        Some(Fault::Hang) => return tokio::time::sleep(FOR_EVER).await,
        Some(Fault::Answer(answer)) => answer,
        None => {
            let mut world = shared.lock();
            let removed = world.delete(instance, &receipt);
            match world.deleted_on_its_way_back(instance, removed) {
                Ok(answer) => answer,
                Err(Fault::Answer(answer)) => answer,
                Err(Fault::Reset | Fault::Hang) => return,
            }
        }
    };
    shared.travel().await;
    let _ = reply.send(answer);
}

enum Fault {
    Reset,
    Hang,
    Answer(Reply),
}

const HTML: &str = "<html><body><h1>502 Bad Gateway</h1></body></html>";
const UNACKED: &str = r#"{"message":"Cannot read properties of undefined (reading 'findUnAckedMessage')"}"#;
const RESULT_FALSE: &str = r#"{"result":false,"reason":"simulated"}"#;
const RESULT_TRUE: &str = r#"{"result":true,"reason":""}"#;
const WEBHOOK_URL_SET: &str = "Message cannot be received because custom webhook url is set.";

/// Faults before the request takes effect.
const RECEIVE_FAULTS: [(&str, u16, &str); 16] = [
    ("reset", 0, ""),
    ("hang", 1, ""),
    ("500", 500, "{}"),
    ("502 in HTML", 502, HTML),
    ("200 in HTML", 200, HTML),
    ("503", 503, ""),
    ("504", 504, ""),
    ("408", 408, ""),
    ("429", 429, "Too Many Requests"),
    ("466", 466, "{}"),
    ("starting", 400, "instance in starting process try later"),
    ("401", 401, ""),
    ("empty too soon", 200, "null"),
    ("nothing too soon", 200, ""),
    ("an empty object too soon", 200, "{}"),
    ("a refusal", 200, r#"{"status":false,"reason":"simulated"}"#),
];
/// The effect is lost, or the answer is wrong about it.
const DELETE_FAULTS: [(&str, u16, &str); 12] = [
    ("reset", 0, ""),
    ("hang", 1, ""),
    ("500", 500, "{}"),
    ("502 in HTML", 502, HTML),
    ("504", 504, ""),
    ("429", 429, ""),
    ("401", 401, ""),
    ("400", 400, "Parameter receiptId must be a Number"),
    ("nothing", 200, ""),
    ("result false", 200, RESULT_FALSE),
    ("already gone", 500, UNACKED),
    ("result true", 200, RESULT_TRUE),
];
/// The request took effect, but its answer is lost.
const ANSWERS_LOST: [(&str, u16, &str); 7] = [
    ("reset after", 0, ""),
    ("hang after", 1, ""),
    ("502 after", 502, HTML),
    ("504 after", 504, ""),
    ("500 after", 500, "{}"),
    ("200 in HTML after", 200, HTML),
    ("nothing after", 200, ""),
];

impl World {
    fn one_fault(&mut self, of: &[(&'static str, u16, &str)]) -> (&'static str, Fault) {
        let (name, status, body) = one_of(&mut self.dice, of);
        let fault = match status {
            0 => Fault::Reset,
            1 => Fault::Hang,
            _ => Fault::Answer(Reply::new(status, body)),
        };
        (name, fault)
    }

    fn receive_fault(&mut self, instance: usize, client_is_gone: bool) -> Option<Fault> {
        if self.is_misconfigured() {
            return Some(Fault::Answer(Reply::new(400, WEBHOOK_URL_SET)));
        }
        if client_is_gone && self.dice.bool() {
            return Some(Fault::Reset); // it was never sent
        }
        if !self.fault(self.conditions.receive_faults) {
            return None;
        }
        if self.dice.bool() {
            return None; // one that comes later
        }
        let (name, mut fault) = self.one_fault(&RECEIVE_FAULTS);
        if let Fault::Answer(Reply { answer: Answer { status: 429, retry_after, .. }, .. }) = &mut fault {
            *retry_after = self.dice.bool().then_some(Duration::from_secs(7));
        }
        self.tell(instance, Happening::ReceiveFault(name));
        Some(fault)
    }

    /// The answer to a receive: whole, cut, or lost.
    fn on_its_way_back(&mut self, instance: usize, handed_out: &HandOut) -> Result<Reply, Fault> {
        let entry = handed_out.entry.0;
        let mut bytes = format!(r#"{{"receiptId":{},"body":"#, handed_out.receipt).into_bytes();
        bytes.extend_from_slice(&handed_out.body);
        bytes.push(b'}');
        if !self.fault(self.conditions.receive_faults / 2.0) {
            return Ok(Reply { handed_out: Some((entry, false)), ..Reply::new(200, bytes) });
        }
        if self.dice.bool() {
            let (name, fault) = self.one_fault(&ANSWERS_LOST);
            self.tell(instance, Happening::ReceiveFault(name));
            return Err(fault);
        }
        let cut = self.conditions.cuts_at.filter(|_| self.dice.u8(..4) > 0).unwrap_or_else(|| self.dice.usize(1..200));
        bytes.truncate(cut.min(bytes.len() - 1));
        self.tell(instance, Happening::ReceiveFault("cut"));
        Ok(Reply { handed_out: Some((entry, true)), ..Reply::new(200, bytes) })
    }

    fn delete_fault(&mut self, instance: usize, client_is_gone: bool) -> Option<Fault> {
        if self.is_misconfigured() {
            return Some(Fault::Answer(Reply::new(400, WEBHOOK_URL_SET)));
        }
        if client_is_gone && self.dice.bool() {
            return Some(Fault::Reset); // it was never sent
        }
        if !self.fault(self.conditions.delete_faults / 2.0) {
            return None;
        }
        let (name, fault) = self.one_fault(&DELETE_FAULTS);
        self.tell(instance, Happening::DeleteFault(name));
        Some(fault)
    }

    fn deleted_on_its_way_back(&mut self, instance: usize, removed: bool) -> Result<Reply, Fault> {
        if self.fault(self.conditions.delete_faults / 2.0) {
            let (name, fault) = self.one_fault(&ANSWERS_LOST);
            self.tell(instance, Happening::DeleteFault(name));
            return Err(fault);
        }
        Ok(match (removed, self.conditions.spent_receipt) {
            (true, _) => Reply::new(200, RESULT_TRUE),
            (false, SpentReceipt::ResultFalse) => Reply::new(200, RESULT_FALSE),
            (false, SpentReceipt::AlreadyGone) => Reply::new(500, UNACKED),
        })
    }
}
