//! The straight line: receive, deliver, delete.
//!
//! One [`Poller`] per instance, one notification in flight, each step waiting for the one before. The guarantee is
//! [`Poller::run`]; everything below it is weather: how long to wait after what.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::select;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::caller::{CallerNames, Nobody};
use super::ending::Ending;
use super::weather::Weather;
use super::{Deletion, NotificationQueue, QueueError, Receipt, Received};
use crate::bridge::{Bridge, Prepared, Settled};
use crate::publish::Publisher;
use crate::telemetry::{InstanceTelemetry, RIVAL_ADVICE};

/// An answer that came much sooner than asked for is no long poll; without this wait it would become a hot loop
/// (reference §2.5).
const EMPTY_TOO_SOON: Duration = Duration::from_secs(1);
/// Upstream's own duplicates (reference §13) are deleted at full speed; a head that comes back for ever is not …
const REPEATS_UNPACED_MAX: u32 = 3;
/// … though fast enough that identical events, which quota notices are by nature, cannot hold the queue up for hours.
const REPEATS_PAUSE: Duration = Duration::from_millis(100);
/// Whoever called longer ago than this is not looked up.
const CALL_FRESH_MAX: SignedDuration = SignedDuration::from_secs(60);
/// So many in a row deserve a word.
const REPEATS_TOLD_AT: u32 = 50;

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
}

/// Polls one instance's queue into Kafka.
pub struct Poller<Q, P, N = Nobody> {
    queue: Q,
    bridge: Arc<Bridge<P>>,
    caller_names: N,
    pacing: Pacing,
    telemetry: Arc<InstanceTelemetry>,
}

impl<Q: NotificationQueue, P: Publisher> Poller<Q, P> {
    /// A poller of `queue`. There must be no second one of the same instance, anywhere.
    pub fn new(queue: Q, bridge: Arc<Bridge<P>>, pacing: Pacing, telemetry: Arc<InstanceTelemetry>) -> Self {
        Self { queue, bridge, caller_names: Nobody, pacing, telemetry }
    }

    /// Asks `caller_names` who calls.
    pub fn with_caller_names<N: CallerNames>(self, caller_names: N) -> Poller<Q, P, N> {
        let Self { queue, bridge, caller_names: Nobody, pacing, telemetry } = self;
        Poller { queue, bridge, caller_names, pacing, telemetry }
    }
}

impl<Q: NotificationQueue, P: Publisher, N: CallerNames> Poller<Q, P, N> {
    /// Receive, deliver, delete, until the `ending`.
    ///
    /// A crash between `deliver` and `delete` brings the same head again: one repeat with the same `ce_id`, never a
    /// loss. The same head again *without* a crash (an unclear delete) is recognised by its content and only deleted.
    ///
    /// `last` is what was settled last for this instance, should another poller have polled it before in this process;
    /// it is kept up to date.
    pub async fn run(&self, ending: impl Into<Ending>, last: &mut Option<Settled>) {
        let ending = ending.into();
        let mut weather = Weather::new(&self.pacing);
        while let Some(Received { receipt, notification }) = self.receive(&mut weather, &ending).await {
            let mut prepared = self.bridge.prepare(notification, Timestamp::now());
            self.telemetry.received(&prepared);
            let settled = match last.take().filter(|last| last.id() == prepared.id()) {
                Some(already) => self.repeated(already, &mut weather),
                None => {
                    self.name_caller(&mut prepared).await;
                    self.deliver(&prepared, &mut weather).await
                }
            };
            self.delete(receipt, &settled, &mut weather, &ending).await;
            *last = Some(settled);
        }
        self.telemetry.stopped();
    }

    /// Takes two seconds at the most and cannot fail: without a name the call is delivered as it came.
    async fn name_caller(&self, prepared: &mut Prepared) {
        // A call out of a backlog rings no more, and what waits behind it has waited long enough.
        let is_stale = prepared.event_time().is_some_and(|time| Timestamp::now().duration_since(time) > CALL_FRESH_MAX);
        if let Some(caller) = prepared.caller().filter(|_| !is_stale)
            && let Some(name) = self.caller_names.name_of(&caller).await
        {
            prepared.set_caller_name(name);
        }
    }

    async fn deliver(&self, prepared: &Prepared, weather: &mut Weather) -> Settled {
        weather.repeats_in_a_row = 0;
        weather.rivals.head_changed(Instant::now());
        if prepared.event().is_some_and(|event| event.foreign) && self.telemetry.foreign_instance() {
            warn!(
                instance = %self.telemetry.instance(),
                "a notification names another instance than the one it was polled from; published under the polled one \
                 (said once; counted in chatbridge_foreign_instance_total)"
            );
        }
        self.bridge.deliver(prepared, &self.telemetry).await
    }

    fn repeated(&self, already: Settled, weather: &mut Weather) -> Settled {
        weather.rivals.head_came_again();
        weather.repeats_in_a_row = weather.repeats_in_a_row.saturating_add(1);
        if weather.repeats_in_a_row == REPEATS_TOLD_AT {
            warn!(
                instance = %self.telemetry.instance(), event = %already.id(),
                "the same notification keeps coming although it is deleted each time; it is in Kafka once"
            );
        }
        self.telemetry.repeat_suppressed();
        already
    }

    /// The next notification, or `None` once an end was asked for: leaving here costs nothing.
    async fn receive(&self, weather: &mut Weather, ending: &Ending) -> Option<Received> {
        while !ending.is_asked() {
            self.telemetry.polling();
            let asked_at = Instant::now();
            let answer = select! {
                biased;
                () = ending.stop.cancelled() => return None,
                answer = self.queue.receive() => answer,
            };
            let pause =
                if asked_at.elapsed() * 2 < self.pacing.receive_timeout { EMPTY_TOO_SOON } else { Duration::ZERO };
            let wait = match answer {
                Ok(Some(received)) if weather.is_first_sight_of_garbage(&received.notification) => {
                    weather.rivals.own_hand_out_may_be_lost();
                    let detail = "an answer that cannot be read; it is asked for once more".to_owned();
                    self.troubled("receive", &QueueError::Unreachable { class: "garbled", detail }, weather)
                }
                Ok(Some(received)) => {
                    self.answered(weather);
                    if weather.rivals.receipt_handed_out(&received.receipt, Instant::now()) {
                        self.accuse_rival();
                    }
                    return Some(received);
                }
                Ok(None) => {
                    self.answered(weather);
                    self.telemetry.queue_empty();
                    pause
                }
                Err(failure @ QueueError::NoAnswer { .. }) => {
                    weather.rivals.own_hand_out_may_be_lost();
                    if weather.is_silent_too_long(Instant::now()) {
                        self.troubled("receive", &failure, weather);
                    } else {
                        self.telemetry.no_answer(&failure);
                    }
                    pause
                }
                Err(failure) => {
                    weather.rivals.own_hand_out_may_be_lost();
                    self.troubled("receive", &failure, weather)
                }
            };
            select! {
                biased;
                () = ending.asked() => return None,
                () = tokio::time::sleep(wait) => {}
            }
        }
        None
    }

    /// Deletes once. Where the answer leaves it open whether the notification is gone, the next receive tells: the
    /// same head again is deleted with its new receipt, any other means it worked (reference §15.5).
    async fn delete(&self, receipt: Receipt, settled: &Settled, weather: &mut Weather, ending: &Ending) {
        let started = Instant::now();
        let wait = match self.queue.delete(receipt, settled).await {
            Ok(Deletion::Deleted) => {
                self.telemetry.deleted(started.elapsed());
                if let Some(class) = weather.deleting.over() {
                    info!(instance = %self.telemetry.instance(), after = class, "GREEN-API deletes again");
                }
                if weather.repeats_in_a_row < REPEATS_UNPACED_MAX { Duration::ZERO } else { REPEATS_PAUSE }
            }
            // Gone is gone, but an upstream that keeps saying so while it hands the head out again needs a pause.
            Ok(Deletion::AlreadyGone) => {
                self.telemetry.already_gone();
                self.suspect_rival(weather);
                if weather.rivals.head_is_fresh() { Duration::ZERO } else { weather.deleting.pause(fastrand::f64()) }
            }
            Ok(Deletion::Unclear) => {
                self.telemetry.delete_unclear();
                self.suspect_rival(weather);
                weather.deleting.pause(fastrand::f64())
            }
            Err(failure) => {
                weather.rivals.own_delete_may_have_worked();
                self.troubled("delete", &failure, weather)
            }
        };
        if !wait.is_zero() {
            select! {
                biased;
                () = ending.asked() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn suspect_rival(&self, weather: &mut Weather) {
        if weather.rivals.delete_refused(Instant::now()) {
            self.accuse_rival();
        }
    }

    fn accuse_rival(&self) {
        self.telemetry.rival_suspected();
        warn!(
            instance = %self.telemetry.instance(),
            "someone else is reading this instance: notifications vanish between receive and delete, or receipts jump; \
             {RIVAL_ADVICE}"
        );
    }

    fn answered(&self, weather: &mut Weather) {
        if let Some(class) = weather.answered() {
            info!(instance = %self.telemetry.instance(), after = class, "GREEN-API answers again");
        }
    }

    /// Counts the failure, tells it where it is news, and says how long to wait.
    fn troubled(&self, step: &'static str, failure: &QueueError, weather: &mut Weather) -> Duration {
        let trouble = if step == "delete" { &mut weather.deleting } else { &mut weather.receiving };
        let wait = trouble.wait(failure, fastrand::f64());
        self.telemetry.source_failed(failure);
        if trouble.is_news(failure, Instant::now()) {
            let (instance, class, retry_ms) = (self.telemetry.instance(), failure.class(), wait.as_millis() as u64);
            match failure {
                QueueError::Misconfigured { .. } | QueueError::Unreadable { .. } => {
                    error!(%instance, step, class, retry_ms, "{failure}");
                }
                _ => warn!(%instance, step, class, retry_ms, "{failure}"),
            }
        }
        wait
    }
}

#[cfg(test)]
mod tests;
