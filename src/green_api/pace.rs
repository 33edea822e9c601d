//! How fast connections to GREEN-API are opened: `green_api.connections_per_second_max`.
//!
//! If ten thousand instances start together, or lose their connections in an outage, they must not connect all at once.
//! So a connection waits for its turn when it is really opened, below reqwest's pool. An open connection waits for
//! nothing. Turns are given first come, first served, and a turn ends before connecting begins.
//!
//! Polls that begin one after the other also stay apart, because each begins when the one before has ended. So they
//! need no jitter of their own.
//!
//! `governor` would keep the rate. But it wakes its waiters in no order and uses a clock of its own. It also cannot
//! tell how many wait, which the request timeouts need to know.

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

/// A delay up to this, from late timers or a busy machine, is made up for at once.
const CATCH_UP_MAX: Duration = Duration::from_millis(10);
/// Warn when the wait is at least this long …
const TOLD_FROM: Duration = Duration::from_secs(1);
/// … and again after this time.
const REMINDER: Duration = Duration::from_secs(60);

/// The turns of connections.
pub struct Pace {
    interval: Duration,
    waiting: AtomicU32,
    /// Held by the one whose turn is next. tokio's lock is fair, and is released when a waiter gives up.
    turns: Mutex<Turns>,
}

struct Turns {
    next: Instant,
    reminder: Reminder,
}

impl Pace {
    /// The pace that `config` sets, for all clients that are to share it.
    #[must_use]
    pub fn of(config: &config::GreenApi) -> Arc<Self> {
        let turns = Mutex::new(Turns { next: Instant::now(), reminder: Reminder::every(REMINDER) });
        Arc::new(Self { interval: config.connect_interval, waiting: AtomicU32::new(0), turns })
    }

    /// The longest wait for a turn that is asked for now.
    pub(super) fn wait_max(&self) -> Duration {
        self.interval * (self.waiting.load(Ordering::Relaxed) + 1)
    }

    /// Returns when a connection may be opened. Turns follow a schedule and are not counted from the end of the last
    /// turn, because otherwise delays would add up.
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

/// Counts one waiter until it is dropped.
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

/// Makes connections wait for their turns.
#[derive(Clone)]
pub(super) struct PaceLayer {
    pub(super) pace: Arc<Pace>,
    /// For connecting alone: reqwest's own timeout would include the wait.
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

/// Waits for `turn` only as long as the request does. A request that gets a connection which has become free leaves its
/// own connection attempt to a background task, so that the work is not wasted (hyper-util's `one_connection_for`). But
/// here nothing has begun, and if many requests share few connections, such tasks would pile up.
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
