//! The slow look at each instance: its state and the length of its queue.
//!
//! Reading only, and rarely: both methods allow one request per second (reference §4), and an idle poll is no proof of
//! an empty queue (§2.5). What fails here is not worth a log line: the poller meets the same host and says so.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::telemetry::InstanceTelemetry;

/// Requests under way at once over all instances.
const CONCURRENT_MAX: usize = 8;

/// What can be asked about an instance without touching its queue.
pub trait Watched: Send + Sync + 'static {
    /// The instance's state in our words; `None` where upstream does not say.
    fn state(&self) -> impl Future<Output = Option<&'static str>> + Send;
    /// How many notifications wait; `None` where upstream does not say.
    fn queue_depth(&self) -> impl Future<Output = Option<i64>> + Send;
}

/// Asks about every instance there is at the time, once per `interval`, until `stop`.
pub async fn watch<W: Watched>(
    instances: Receiver<Vec<(Arc<W>, Arc<InstanceTelemetry>)>>,
    interval: Duration,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let round = async {
        loop {
            ticks.tick().await;
            let mut asking = JoinSet::new();
            let members = instances.borrow().clone();
            for (watched, telemetry) in members {
                if asking.len() >= CONCURRENT_MAX {
                    asking.join_next().await;
                }
                asking.spawn(look(watched, telemetry));
            }
            while asking.join_next().await.is_some() {}
        }
    };
    stop.run_until_cancelled(round).await;
}

async fn look<W: Watched>(watched: Arc<W>, telemetry: Arc<InstanceTelemetry>) {
    if let Some(state) = watched.state().await {
        telemetry.state_seen(state);
    }
    if let Some(depth) = watched.queue_depth().await {
        telemetry.queue_depth(depth);
    }
}
