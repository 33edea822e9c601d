//! The slow look at each instance: its state and the length of its queue.
//!
//! It only reads, and rarely: both methods allow one request per second, and an idle poll does not prove an empty
//! queue. Failures are not logged, because the poller asks the same host and reports them.
//!
//! For an instance that pushes this is the only check: `uncalled` notices calls that should come and do not.

pub(crate) mod uncalled;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::green_api::watch::uncalled::{Silence, Uncalled};
use crate::watch::telemetry::InstanceTelemetry;
use crate::watch::telemetry::words::NOT_CALLED_ADVICE;
use chatbridge_event::event::InstanceId;

/// Requests under way at once over all instances.
const CONCURRENT_MAX: usize = 8;
/// The longest gap between two looks: many thousand instances must not cause a burst every five minutes.
const GAP_MAX: Duration = Duration::from_millis(20);

/// What can be asked about an instance without touching its queue.
pub trait Watched: Send + Sync + 'static {
    /// The instance's state in our words, or `None` if upstream does not say.
    fn state(&self) -> impl Future<Output = Option<&'static str>> + Send;
    /// How many notifications wait, or `None` if upstream does not say.
    fn queue_depth(&self) -> impl Future<Output = Option<i64>> + Send;
}

/// Asks about every current instance once per `interval`, until `stop`.
pub async fn watch<W: Watched>(
    instances: Receiver<Vec<(Arc<W>, Arc<InstanceTelemetry>)>>,
    interval: Duration,
    stop: CancellationToken,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silences = HashMap::<InstanceId, Uncalled>::new();
    let round = async {
        loop {
            ticks.tick().await;
            let mut asking = JoinSet::new();
            let members = instances.borrow().clone();
            let mut turns = tokio::time::interval(gap(interval, members.len()));
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            silences.retain(|id, _| members.iter().any(|(_, telemetry)| telemetry.instance() == *id));
            for (watched, telemetry) in members {
                turns.tick().await;
                if asking.len() >= CONCURRENT_MAX
                    && let Some(Ok(seen)) = asking.join_next().await
                {
                    listen(&mut silences, seen);
                }
                asking.spawn(look(watched, telemetry));
            }
            while let Some(seen) = asking.join_next().await {
                seen.into_iter().for_each(|seen| listen(&mut silences, seen));
            }
        }
    };
    stop.run_until_cancelled(round).await;
}

/// The gap that spreads all looks over the interval.
fn gap(interval: Duration, instances: usize) -> Duration {
    GAP_MAX.min(interval / u32::try_from(instances.max(1)).unwrap_or(u32::MAX))
}

/// An instance and the length of its queue, if known.
type Seen = (Arc<InstanceTelemetry>, Option<i64>);

async fn look<W: Watched>(watched: Arc<W>, telemetry: Arc<InstanceTelemetry>) -> Seen {
    if let Some(state) = watched.state().await {
        telemetry.state_seen(state);
    }
    let depth = watched.queue_depth().await;
    if let Some(depth) = depth {
        telemetry.queue_depth(depth);
    }
    (telemetry, depth)
}

/// Checks whether an instance that pushes is silent.
fn listen(silences: &mut HashMap<InstanceId, Uncalled>, (telemetry, depth): Seen) {
    let (Some(waiting), Some(calls)) = (depth, telemetry.calls()) else { return };
    let instance = telemetry.instance();
    match silences.entry(instance).or_default().seen(waiting, calls, Instant::now()) {
        Silence::NotCalled { is_news } => {
            telemetry.not_called();
            if is_news {
                warn!(
                    %instance, waiting,
                    "notifications wait at GREEN-API, which has not called since the last look: {NOT_CALLED_ADVICE}"
                );
            }
        }
        Silence::NothingWaits => telemetry.nothing_to_call_for(),
        Silence::Unproven => {}
    }
}

#[cfg(test)]
mod tests;
