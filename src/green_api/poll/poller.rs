//! The delivery loop: receive, deliver, delete.
//!
//! There is one [`Poller`] per instance and one notification in flight. Each step waits for the one before. The
//! guarantee is kept by [`Poller::run`]. The rest decides how long to wait after each outcome.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{MaybeDone, maybe_done};
use tokio::select;
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::weather::{Pacing, Weather};
use crate::core::bridge::Bridge;
use crate::core::prepared::Prepared;
use crate::core::publish::Publisher;
use crate::core::settled::Settled;
use crate::green_api::caller::{CallerNames, Nobody};
use crate::green_api::carrier::Carrier;
use crate::green_api::ending::Ending;
use crate::green_api::poll::episode::Over;
use crate::green_api::queue::{Deletion, NotificationQueue, QueueError, Receipt, Received};
use crate::watch::telemetry::InstanceTelemetry;
use crate::watch::telemetry::words::Phase;
use crate::watch::telemetry::words::RIVAL_ADVICE;

/// An empty answer that comes much too soon is no long poll. Without this wait the loop would run hot.
const EMPTY_TOO_SOON: Duration = Duration::from_secs(1);
/// Up to this many repeats in a row, upstream's duplicates are deleted at full speed. After that …
const REPEATS_UNPACED_MAX: u32 = 3;
/// … they are slowed down by this pause. It is short, so that a long run of identical events, such as quota notices,
/// does not block the queue for hours.
const REPEATS_PAUSE: Duration = Duration::from_millis(100);
/// How far a delete is ahead of the receive in parallel with it, so that it is not overtaken.
const HEAD_START: Duration = Duration::from_millis(2);
/// Warn after this many in a row.
const REPEATS_TOLD_AT: u32 = 50;

/// A request to the queue.
#[derive(Clone, Copy)]
enum Step {
    Receive,
    Delete,
}

type Answer = Result<Option<Received>, QueueError>;

/// A receive on its way, or its answer.
struct Receive<'q> {
    asked_at: Instant,
    answer: MaybeDone<Asked<'q>>,
}

type Asked<'q> = Pin<Box<dyn Future<Output = Answer> + Send + 'q>>;

impl<'q> Receive<'q> {
    fn begin(queue: &'q impl NotificationQueue) -> Self {
        let asked: Asked<'q> = Box::pin(queue.receive());
        Self { asked_at: Instant::now(), answer: maybe_done(asked) }
    }

    fn has_come(&self) -> bool {
        !matches!(self.answer, MaybeDone::Future(_))
    }
}

/// Polls one instance's queue into Kafka.
pub struct Poller<Q, P, N = Nobody> {
    queue: Q,
    carrier: Carrier<P, N>,
    pacing: Pacing,
    telemetry: Arc<InstanceTelemetry>,
}

impl<Q: NotificationQueue, P: Publisher> Poller<Q, P> {
    /// A poller of `queue`. There must be no other poller of the same instance, in this process or elsewhere.
    pub fn new(queue: Q, bridge: Arc<Bridge<P>>, pacing: Pacing, telemetry: Arc<InstanceTelemetry>) -> Self {
        Self { queue, carrier: Carrier::new(bridge, Arc::clone(&telemetry)), pacing, telemetry }
    }

    /// Looks up callers through `caller_names`.
    pub fn with_caller_names<N: CallerNames>(self, caller_names: N) -> Poller<Q, P, N> {
        let Self { queue, carrier, pacing, telemetry } = self;
        Poller { queue, carrier: carrier.with_caller_names(caller_names), pacing, telemetry }
    }
}

impl<Q: NotificationQueue, P: Publisher, N: CallerNames> Poller<Q, P, N> {
    /// Receive, deliver, delete, until `ending`.
    ///
    /// After a crash between `deliver` and `delete` the same head comes again: one repeat with the same `ce_id`, never
    /// a loss. If the same head comes again without a crash (an unclear delete), its content is recognised and it is
    /// only deleted.
    ///
    /// `last` is what was settled last for this instance, possibly by an earlier poller in this process. It is kept up
    /// to date.
    pub async fn run(&self, ending: impl Into<Ending>, last: &mut Option<Settled>) {
        let ending = ending.into();
        let mut weather = Weather::new(&self.pacing);
        let mut next = None;
        while let Some(Received { receipt, notification }) = self.receive(next.take(), &mut weather, &ending).await {
            let prepared = self.carrier.take(notification);
            let settled = match last.take().filter(|last| last.id() == prepared.id()) {
                Some(already) => self.repeated(already, &mut weather),
                None => self.deliver(prepared, &mut weather).await,
            };
            next = self.delete(receipt, &settled, &mut weather, &ending).await;
            *last = Some(settled);
        }
        self.telemetry.stopped();
    }

    async fn deliver(&self, prepared: Prepared, weather: &mut Weather) -> Settled {
        weather.repeats_in_a_row = 0;
        weather.rivals.head_changed(Instant::now());
        self.carrier.deliver(prepared).await
    }

    fn repeated(&self, already: Settled, weather: &mut Weather) -> Settled {
        weather.rivals.head_came_again();
        weather.overlap.head_came_again();
        weather.repeats_in_a_row = weather.repeats_in_a_row.saturating_add(1);
        if weather.repeats_in_a_row == REPEATS_TOLD_AT {
            warn!(
                instance = %self.telemetry.instance(), event = %already.id(),
                "the same notification keeps coming although it is deleted each time; it is in Kafka once"
            );
        }
        self.carrier.repeated(already)
    }

    /// The next notification, or `None` once an end was asked for. Nothing is lost by leaving here. `begun` is a
    /// receive that is already on its way.
    async fn receive<'q>(
        &'q self,
        mut begun: Option<Receive<'q>>,
        weather: &mut Weather,
        ending: &Ending,
    ) -> Option<Received> {
        while begun.is_some() || !ending.is_asked() {
            self.telemetry.polling();
            let mut asked = match begun.take() {
                Some(begun) => begun,
                None => self.begin_receive(weather, ending).await?,
            };
            weather.throttle.asked(asked.asked_at);
            // An answer that has already come is still delivered after an end was asked for.
            if !asked.has_come() {
                select! {
                    biased;
                    () = ending.stop.cancelled() => return None,
                    () = &mut asked.answer => {}
                }
            }
            let asked_at = asked.asked_at;
            let answer = Pin::new(&mut asked.answer).take_output()?;
            let pause =
                if asked_at.elapsed() * 2 < self.pacing.receive_timeout { EMPTY_TOO_SOON } else { Duration::ZERO };
            let wait = match answer {
                Ok(Some(received)) if weather.is_first_sight_of_garbage(&received.notification) => {
                    weather.rivals.own_hand_out_may_be_lost();
                    let detail = "an answer that cannot be read; it is asked for once more".to_owned();
                    self.troubled(Step::Receive, &QueueError::Unreachable { class: "garbled", detail }, weather)
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
                        self.troubled(Step::Receive, &failure, weather);
                    } else {
                        self.telemetry.no_answer(failure.class());
                    }
                    pause
                }
                Err(failure) => {
                    weather.rivals.own_hand_out_may_be_lost();
                    if weather.receiving.is_forgiven(&failure) {
                        self.telemetry.connection_closed();
                        continue;
                    }
                    self.troubled(Step::Receive, &failure, weather)
                }
            };
            if !slept(wait, ending).await {
                return None;
            }
        }
        None
    }

    /// A receive that sets out when it may; `None` where an end was asked for before.
    async fn begin_receive(&self, weather: &mut Weather, ending: &Ending) -> Option<Receive<'_>> {
        let turn = weather.throttle.turn(Instant::now());
        let may_go = turn.is_zero() || slept(turn, ending).await;
        may_go.then(|| Receive::begin(&self.queue))
    }

    /// Deletes once. If the answer leaves it unclear whether the notification is gone, the next receive shows it: the
    /// same head again is deleted with its new receipt, any other head means that the delete worked. Returns the next
    /// receive if it was begun meanwhile.
    async fn delete(
        &self,
        receipt: Receipt,
        settled: &Settled,
        weather: &mut Weather,
        ending: &Ending,
    ) -> Option<Receive<'_>> {
        let started = Instant::now();
        let delete = self.queue.delete(receipt, settled);
        // While slowed down, requests are made one after the other.
        let may_overlap = weather.overlap.is_allowed() && weather.throttle.gap(started).is_zero();
        let (outcome, next) = match self.pacing.overlap_delete && may_overlap {
            true => self.beside_a_receive(delete, ending).await,
            false => (delete.await, None),
        };
        weather.overlap.deleted(next.is_some());
        // The parallel receive may have been handed the same head again, which makes the receipt invalid. Then there is
        // no rival.
        if next.is_some() {
            weather.rivals.own_delete_may_have_worked();
        }
        let wait = match outcome {
            Ok(Deletion::Deleted) => {
                self.telemetry.deleted(started.elapsed());
                if let Some(over) = weather.deleting.worked(Instant::now()) {
                    self.tell_over(&over, "GREEN-API deletes again");
                }
                if weather.repeats_in_a_row < REPEATS_UNPACED_MAX { Duration::ZERO } else { REPEATS_PAUSE }
            }
            // The notification is gone. But upstream may keep saying so while it hands the head out again, and then a
            // pause is needed. Not while a receive is under way: its answer decides, and if it is the same head, its
            // delete goes alone.
            Ok(Deletion::AlreadyGone) => {
                self.telemetry.already_gone();
                self.suspect_rival(weather);
                let is_news = weather.rivals.head_is_fresh() || next.is_some();
                if is_news { Duration::ZERO } else { weather.deleting.pause(fastrand::f64()) }
            }
            Ok(Deletion::Unclear) => {
                self.telemetry.delete_unclear();
                self.suspect_rival(weather);
                if next.is_some() { Duration::ZERO } else { weather.deleting.pause(fastrand::f64()) }
            }
            Err(failure) => {
                weather.rivals.own_delete_may_have_worked();
                // The next receive shows whether it was deleted, so the delete is not repeated.
                if weather.deleting.is_forgiven(&failure) {
                    self.telemetry.connection_closed();
                    Duration::ZERO
                } else {
                    self.troubled(Step::Delete, &failure, weather)
                }
            }
        };
        if !wait.is_zero() {
            slept(wait, ending).await;
        }
        next
    }

    /// The outcome of `delete`, and the next receive, begun while the delete was on its way. This saves a round trip.
    /// The receive's answer is looked at after the delete was answered, and compared by content with what was settled.
    /// It may be the same head again (handed out before the delete arrived), the next notification, or nothing for a
    /// while. A receive after a delete with a lost answer may bring the same, and all of these are handled alike. There
    /// is never more than one notification in hand, whatever upstream does.
    async fn beside_a_receive<T>(&self, delete: impl Future<Output = T>, ending: &Ending) -> (T, Option<Receive<'_>>) {
        let mut delete = pin!(delete);
        if let Ok(outcome) = tokio::time::timeout(HEAD_START, &mut delete).await {
            return (outcome, None);
        }
        if ending.is_asked() {
            return (delete.await, None);
        }
        let mut receive = Receive::begin(&self.queue);
        let outcome = loop {
            let has_come = receive.has_come();
            select! {
                biased;
                outcome = &mut delete => break outcome,
                () = &mut receive.answer, if !has_come => {}
            }
        };
        (outcome, Some(receive))
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
        if let Some(over) = weather.answered(Instant::now()) {
            self.tell_over(&over, "GREEN-API answers again");
        }
    }

    fn tell_over(&self, over: &Over, what: &'static str) {
        info!(
            instance = %self.telemetry.instance(), after = over.after, lasted_seconds = over.lasted.as_secs(),
            failures = over.failures, "{what}"
        );
    }

    /// Counts the failure, reports it if it is news, and returns how long to wait.
    fn troubled(&self, step: Step, failure: &QueueError, weather: &mut Weather) -> Duration {
        let (step, trouble) = match step {
            Step::Receive => ("receive", &mut weather.receiving),
            Step::Delete => ("delete", &mut weather.deleting),
        };
        let wait = trouble.wait(failure, fastrand::f64());
        self.telemetry.source_failed(failure.class(), &failure.to_string(), phase(failure));
        if matches!(failure, QueueError::RateLimited { .. }) {
            weather.throttle.refused(Instant::now());
        }
        if trouble.is_news(failure, Instant::now()) {
            let (instance, class, retry_ms) = (self.telemetry.instance(), failure.class(), wait.as_millis() as u64);
            match failure {
                QueueError::Misconfigured { .. } | QueueError::Unreadable { .. } => {
                    error!(%instance, step, class, retry_ms, "{failure}");
                }
                _ => match failure.advice() {
                    Some(advice) => warn!(%instance, step, class, retry_ms, "{advice} ({failure})"),
                    None => warn!(%instance, step, class, retry_ms, "{failure}"),
                },
            }
        }
        wait
    }
}

/// Sleeps. Returns false if an end was asked for meanwhile.
async fn slept(wait: Duration, ending: &Ending) -> bool {
    select! {
        biased;
        () = ending.asked() => false,
        () = tokio::time::sleep(wait) => true,
    }
}

/// The instance's phase after this failure.
fn phase(failure: &QueueError) -> Phase {
    match failure {
        QueueError::Misconfigured { .. } => Phase::Misconfigured,
        QueueError::Waiting { .. } => Phase::Waiting,
        _ => Phase::BackingOff,
    }
}

#[cfg(test)]
mod tests;
