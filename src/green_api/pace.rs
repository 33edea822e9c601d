//! How fast connections to GREEN-API are opened: `green_api.connections_per_second_max`.
//!
//! Ten thousand instances that start, or whose connections an outage took, must not knock at once. So a connection
//! waits for its turn where it is really opened, below reqwest's pool; one that is open costs nothing. Who came first goes
//! first, and nobody keeps a turn: it is over before connecting begins.
//!
//! Polls that begin one after the other also stay apart, for each begins when the one before has come to its end. So they
//! need no jitter of their own.
//!
//! `governor` would keep the rate, but wakes its waiters in no order and by a clock of its own, and cannot tell how many
//! wait, which the timeouts of requests have to know.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::try_id;
use tokio::time::{Instant, sleep_until, timeout};
use tower_layer::Layer;
use tower_service::Service;
use tracing::info;

use crate::config;
use crate::reminder::Reminder;

/// What timers and a busy machine made late is caught up with at once, if it is no more than this.
const CATCH_UP_MAX: Duration = Duration::from_millis(10);
/// From which wait on an operator wants to know why …
const TOLD_FROM: Duration = Duration::from_secs(1);
/// … and how often again.
const REMINDER: Duration = Duration::from_secs(60);

/// The turns of connections.
pub struct Pace {
    interval: Duration,
    waiting: AtomicU32,
    /// Held by the one whose turn comes next; tokio's lock is fair, and given back by who stops waiting.
    turns: Mutex<Turns>,
}

struct Turns {
    next: Instant,
    reminder: Reminder,
}

impl Pace {
    /// As `config` says, for all the clients that are to share it.
    #[must_use]
    pub fn of(config: &config::GreenApi) -> Arc<Self> {
        let turns = Mutex::new(Turns { next: Instant::now(), reminder: Reminder::every(REMINDER) });
        Arc::new(Self { interval: config.connect_interval, waiting: AtomicU32::new(0), turns })
    }

    /// How long one that asked now would wait for its turn, at most.
    pub(super) fn wait_max(&self) -> Duration {
        self.interval * (self.waiting.load(Ordering::Relaxed) + 1)
    }

    /// Returns when a connection may be opened. Turns lie on a schedule, not so and so long behind each other's end:
    /// otherwise whatever is late would add up.
    async fn turn(&self) {
        let _waiting = Waiting::begin(&self.waiting);
        let mut turns = self.turns.lock().await;
        self.tell(&mut turns.reminder);
        let turn = turns.next + turns.next.elapsed().saturating_sub(CATCH_UP_MAX);
        sleep_until(turn).await;
        turns.next = turn + self.interval;
    }

    fn tell(&self, reminder: &mut Reminder) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        if self.interval * waiting > TOLD_FROM && reminder.is_due() {
            info!(waiting, "new connections to GREEN-API wait for their turns: green_api.connections_per_second_max");
        }
    }
}

/// One of those who wait.
struct Waiting<'p>(&'p AtomicU32);

impl<'p> Waiting<'p> {
    fn begin(waiting: &'p AtomicU32) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Has connections wait for their turns.
#[derive(Clone)]
pub(super) struct PaceLayer {
    pub(super) pace: Arc<Pace>,
    /// Of connecting alone: reqwest's own would include the wait.
    pub(super) connect_timeout: Duration,
}

impl<S> Layer<S> for PaceLayer {
    type Service = Paced<S>;

    fn layer(&self, connector: S) -> Paced<S> {
        Paced { connector, layer: self.clone() }
    }
}

/// A connector that waits for its turn.
#[derive(Clone)]
pub(super) struct Paced<S> {
    connector: S,
    layer: PaceLayer,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<S, R> Service<R> for Paced<S>
where
    S: Service<R, Error = BoxError>,
    S::Response: 'static,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, to: R) -> Self::Future {
        let PaceLayer { pace, connect_timeout } = self.layer.clone();
        // reqwest's connector does nothing before it is polled.
        let connecting = self.connector.call(to);
        Box::pin(async move {
            while_wanted(pace.turn()).await?;
            timeout(connect_timeout, connecting).await.unwrap_or_else(|_| Err(too_long(connect_timeout)))
        })
    }
}

fn too_long(connect_timeout: Duration) -> BoxError {
    io::Error::new(io::ErrorKind::TimedOut, format!("connecting took longer than {connect_timeout:?}")).into()
}

/// Waits for `turn` only as long as the request does. One that is handed a connection which has become free leaves its own
/// to a task in the background, so that what was begun is not wasted (hyper-util's `one_connection_for`). But nothing was
/// begun here, and where many requests share few connections such tasks would become more and more.
async fn while_wanted(turn: impl Future<Output = ()>) -> io::Result<()> {
    let wanted_by = try_id();
    let mut turn = pin!(turn);
    poll_fn(|context| match try_id() == wanted_by {
        true => turn.as_mut().poll(context).map(Ok),
        false => Poll::Ready(Err(io::Error::other("another connection became free"))),
    })
    .await
}

#[cfg(test)]
mod tests;
