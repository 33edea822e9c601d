//! Push mode: while an instance has a `webhookUrl`, its events are sent there, the oldest first and one
//! at a time, each until the answer is 200. The other end's mistakes are its own; what can go wrong on the way is a
//! [`Fault`] of [`super::Method::Push`].

mod parcel;
mod sender;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::account::Webhook;
use super::config::{EntryId, PushConfig};
use super::fault::{Effect, Fault, FaultKind};
use super::instance::Instance;
use super::journal::PushFailure;
use parcel::Parcel;
use sender::Sender;

/// Pushes the events of one instance until `stop`, whenever it has a webhook.
pub(super) async fn run(instance: Arc<Instance>, config: Arc<PushConfig>, stop: CancellationToken) {
    stop.run_until_cancelled(push_whenever_set(&instance, &config)).await;
}

/// A change of settings restarts the instance: what is on its way is cut off, and pushing begins anew
/// without a pause, or ends.
async fn push_whenever_set(instance: &Instance, config: &PushConfig) -> Infallible {
    loop {
        let webhook = instance.webhook().await;
        let sender = Sender::new(&webhook, config);
        let pusher = Pusher { instance, config, webhook: &webhook, sender };
        tokio::select! {
            biased;
            () = instance.webhook_replaced(&webhook) => {}
            // Boxed: an instance that only polls, of which there may be ten thousand, keeps no room for it.
            never = Box::pin(pusher.push()) => match never {},
        }
    }
}

struct Pusher<'i> {
    instance: &'i Instance,
    config: &'i PushConfig,
    webhook: &'i Webhook,
    sender: Sender,
}

/// What the sender makes of a push.
type Outcome = Result<(), PushFailure>;

impl Pusher<'_> {
    async fn push(&self) -> Infallible {
        let interval = Duration::from_secs(1) / self.config.events_per_second_max.max(1);
        let mut next_at = Instant::now();
        loop {
            sleep_until(next_at).await;
            let (entry, body) = self.instance.head().await;
            next_at = Instant::now() + interval;
            if let Err(why) = self.deliver(entry, body).await {
                let instance = self.instance.id();
                tracing::warn!(instance, ?why, "a simulated push failed; the same event follows after the pause");
                sleep(self.config.pause).await;
            }
        }
    }

    /// Pushes one event once, or so often as a fault wants.
    async fn deliver(&self, entry: EntryId, body: Bytes) -> Outcome {
        let whole = Parcel::whole(body.clone());
        let Some(fault) = self.instance.push_fault() else {
            return self.attempt(entry, whole).await;
        };
        match fault.kind {
            FaultKind::Delay { duration_ms } => {
                sleep(Duration::from_millis(duration_ms)).await;
                self.attempt(entry, whole).await
            }
            FaultKind::Truncate { bytes } => self.attempt(entry, Parcel::broken_off(&body, bytes)).await,
            FaultKind::Compressed { coding } => {
                self.attempt(entry, Parcel::compressed(coding.encode(&body).await, coding.name())).await
            }
            FaultKind::Trickle { bytes, pause_ms } => {
                self.attempt(entry, Parcel::trickling(body, bytes, Duration::from_millis(pause_ms))).await
            }
            FaultKind::Overlap { after_ms } => {
                let again = async {
                    sleep(Duration::from_millis(after_ms)).await;
                    self.attempt(entry, Parcel::whole(body)).await
                };
                // Both to their end: the receiver is to see two requests, not one and a half.
                let (first, second) = tokio::join!(self.attempt(entry, whole), again);
                first.or(second)
            }
            FaultKind::Twice => {
                let first = self.attempt(entry, whole).await;
                first.or(self.attempt(entry, Parcel::whole(body)).await)
            }
            _ => self.attempt_unheard(entry, whole, &fault).await,
        }
    }

    async fn attempt(&self, entry: EntryId, parcel: Parcel) -> Outcome {
        self.instance.pushed(entry);
        match self.sender.send(parcel).await {
            Ok(answer) => {
                let outcome = self.conclude(entry, answer.outcome());
                answer.drain().await;
                outcome
            }
            Err(why) => self.conclude(entry, Err(why)),
        }
    }

    /// The webhook's own answer, if it is asked at all, reaches nobody.
    async fn attempt_unheard(&self, entry: EntryId, parcel: Parcel, fault: &Fault) -> Outcome {
        let is_sent = fault.effect == Effect::Done;
        if is_sent {
            self.instance.pushed(entry);
            if let Ok(answer) = self.sender.send(parcel).await {
                drop(answer);
            }
        }
        let heard = match fault.kind {
            FaultKind::Status { code, .. } | FaultKind::Nginx { code } => sender::outcome(code),
            _ if is_sent => Err(PushFailure::NoAnswer),
            _ => Err(PushFailure::NotSent),
        };
        self.conclude(entry, heard)
    }

    fn conclude(&self, entry: EntryId, outcome: Outcome) -> Outcome {
        match outcome {
            Ok(()) => self.instance.acknowledge(entry, self.webhook),
            Err(why) => self.instance.push_failed(entry, why),
        }
        outcome
    }
}
