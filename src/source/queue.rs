//! The straight line: receive, deliver, delete.
//!
//! One [`Poller`] per instance, one notification in flight, each step waiting for the one before. The guarantee is
//! [`Poller::run`]; everything below it is weather: how long to wait after what.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::select;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::caller::{CallerNames, Nobody};
use super::rival::RivalWatch;
use super::{Deletion, NotificationQueue, QueueError, Receipt, Received};
use crate::bridge::{Bridge, Prepared, Settled};
use crate::publish::Publisher;
use crate::retry::Backoff;
use crate::telemetry::InstanceTelemetry;

/// An answer that came much sooner than asked for is no long poll; without this wait it would become a hot loop
/// (reference §2.5).
const EMPTY_TOO_SOON: Duration = Duration::from_secs(1);
/// Between tries while an instance is starting or not authorised (reference §3, §15.8).
const WAITING_MIN: Duration = Duration::from_secs(5);
const WAITING_MAX: Duration = Duration::from_secs(60);
/// Upstream's own duplicates (reference §13) are deleted at full speed; a head that comes back for ever is not.
const REPEATS_UNPACED_MAX: u32 = 3;
/// The same trouble is told again after this long, not at every try.
const REMINDER: Duration = Duration::from_secs(60);
const MISCONFIGURED_REMINDER: Duration = Duration::from_secs(60 * 60);

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
    /// Receive, deliver, delete, until `stop`.
    ///
    /// A crash between `deliver` and `delete` brings the same head again: one repeat with the same `ce_id`, never a
    /// loss. The same head again *without* a crash (an unclear delete) is recognised by its content and only deleted.
    pub async fn run(&self, stop: CancellationToken) {
        let mut weather = Weather::new(&self.pacing);
        let mut last: Option<Settled> = None;
        while let Some(Received { receipt, notification }) = self.receive(&mut weather, &stop).await {
            let mut prepared = self.bridge.prepare(notification, Timestamp::now());
            self.telemetry.received(&prepared);
            let settled = match last.take().filter(|last| last.id() == prepared.id()) {
                Some(already) => self.repeated(already, &mut weather),
                None => {
                    self.name_caller(&mut prepared).await;
                    self.deliver(&prepared, &mut weather).await
                }
            };
            self.delete(receipt, &settled, &mut weather, &stop).await;
            last = Some(settled);
        }
        self.telemetry.stopped();
    }

    /// Takes two seconds at the most and cannot fail: without a name the call is delivered as it came.
    async fn name_caller(&self, prepared: &mut Prepared) {
        if let Some(caller) = prepared.caller()
            && let Some(name) = self.caller_names.name_of(caller).await
        {
            prepared.set_caller_name(name);
        }
    }

    async fn deliver(&self, prepared: &Prepared, weather: &mut Weather) -> Settled {
        weather.repeats_in_a_row = 0;
        weather.rivals.head_changed(Instant::now());
        if prepared.event().is_some_and(|event| event.foreign_instance) && self.telemetry.foreign_instance() {
            warn!(
                instance = %self.telemetry.instance(),
                "a notification names another instance than the one it was polled from; published under the polled one \
                 (said once; counted in chatbridge_foreign_instance_total)"
            );
        }
        self.bridge.deliver(prepared, &self.telemetry).await
    }

    fn repeated(&self, already: Settled, weather: &mut Weather) -> Settled {
        weather.repeats_in_a_row += 1;
        weather.rivals.head_came_again();
        self.telemetry.repeat_suppressed();
        already
    }

    /// The next notification, or `None` once `stop` was asked for: leaving here costs nothing.
    async fn receive(&self, weather: &mut Weather, stop: &CancellationToken) -> Option<Received> {
        loop {
            self.telemetry.polling();
            let asked_at = Instant::now();
            let answer = select! {
                biased;
                () = stop.cancelled() => return None,
                answer = self.queue.receive() => answer,
            };
            let wait = match answer {
                Ok(Some(received)) => {
                    self.recovered(weather);
                    return Some(received);
                }
                Ok(None) => {
                    self.recovered(weather);
                    self.telemetry.queue_empty();
                    if asked_at.elapsed() * 2 < self.pacing.receive_timeout { EMPTY_TOO_SOON } else { continue }
                }
                Err(failure) => self.troubled("receive", &failure, weather),
            };
            select! {
                biased;
                () = stop.cancelled() => return None,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Deletes once. Where the answer leaves it open whether the notification is gone, the next receive tells: the
    /// same head again is deleted with its new receipt, any other means it worked (reference §15.5).
    async fn delete(&self, receipt: Receipt, settled: &Settled, weather: &mut Weather, stop: &CancellationToken) {
        let started = Instant::now();
        let wait = match self.queue.delete(&receipt, settled).await {
            Ok(Deletion::Deleted) => {
                self.telemetry.deleted(started.elapsed());
                if weather.repeats_in_a_row < REPEATS_UNPACED_MAX {
                    weather.unclear_deletes.reset();
                    return;
                }
                weather.unclear_deletes.next(fastrand::f64())
            }
            // Gone is gone, but an upstream that keeps saying so while it hands the head out again needs a pause.
            Ok(Deletion::AlreadyGone) => {
                self.telemetry.deleted(started.elapsed());
                self.suspect_rival(weather);
                if weather.rivals.head_is_fresh() { return } else { weather.unclear_deletes.next(fastrand::f64()) }
            }
            Ok(Deletion::Unclear) => {
                self.telemetry.delete_unclear();
                self.suspect_rival(weather);
                weather.unclear_deletes.next(fastrand::f64())
            }
            Err(failure) => {
                weather.rivals.own_delete_may_have_worked();
                self.troubled("delete", &failure, weather)
            }
        };
        select! {
            biased;
            () = stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    fn suspect_rival(&self, weather: &mut Weather) {
        if weather.rivals.delete_refused(Instant::now()) {
            self.telemetry.rival_suspected();
            warn!(
                instance = %self.telemetry.instance(),
                "someone else is reading this instance: its notifications vanish between receive and delete; stop the \
                 other consumer (chat-bot SDKs empty the queue when they start) or events will miss from Kafka"
            );
        }
    }

    fn recovered(&self, weather: &mut Weather) {
        weather.failures.reset();
        if let Some(class) = weather.complaint.take() {
            info!(instance = %self.telemetry.instance(), after = class.class, "GREEN-API answers again");
        }
    }

    /// Counts the failure, tells it where it is news, and says how long to wait.
    fn troubled(&self, step: &'static str, failure: &QueueError, weather: &mut Weather) -> Duration {
        let chance = fastrand::f64();
        let wait = match failure {
            QueueError::Unreachable { .. } | QueueError::Unreadable { .. } => weather.failures.next(chance),
            QueueError::RateLimited { retry_after } => {
                let least = retry_after.unwrap_or(Duration::from_secs(1)).min(self.pacing.retry_max);
                weather.failures.next_at_least(least, chance)
            }
            QueueError::Waiting { .. } => weather.waiting.next_at_least(WAITING_MIN, chance).min(WAITING_MAX),
            QueueError::Misconfigured { .. } => self.pacing.misconfigured_retry,
        };
        self.telemetry.source_failed(failure);
        if weather.is_news(failure) {
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

/// What the poller remembers of recent trouble.
struct Weather {
    failures: Backoff,
    waiting: Backoff,
    unclear_deletes: Backoff,
    complaint: Option<Complaint>,
    repeats_in_a_row: u32,
    rivals: RivalWatch,
}

struct Complaint {
    class: &'static str,
    told_at: Instant,
}

impl Weather {
    fn new(pacing: &Pacing) -> Self {
        Self {
            failures: Backoff::new(pacing.retry_min, pacing.retry_max),
            waiting: Backoff::new(WAITING_MIN, WAITING_MAX),
            unclear_deletes: Backoff::new(pacing.retry_min, pacing.retry_max),
            complaint: None,
            repeats_in_a_row: 0,
            rivals: RivalWatch::default(),
        }
    }

    /// A class of failure is told when it is new, and again when it has lasted.
    fn is_news(&mut self, failure: &QueueError) -> bool {
        let reminder = match failure {
            QueueError::Misconfigured { .. } => MISCONFIGURED_REMINDER,
            _ => REMINDER,
        };
        let now = Instant::now();
        let known = self.complaint.as_ref().is_some_and(|complaint| {
            complaint.class == failure.class() && now.duration_since(complaint.told_at) < reminder
        });
        if !known {
            self.complaint = Some(Complaint { class: failure.class(), told_at: now });
        }
        !known
    }
}

#[cfg(test)]
mod tests;
