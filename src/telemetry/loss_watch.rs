//! Looks at the loss radar on its own clock, for it matters most when nothing else happens, and says when a level
//! changes: once per instance and change.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::loss_radar::LossLevel;
use super::status::{LossChange, StatusBoard};

/// Between two looks. They take a lock per instance and ask nobody.
const INTERVAL: Duration = Duration::from_secs(2);

/// Watches every instance of `board` until `stop`.
pub async fn watch(board: Arc<StatusBoard>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looking = async {
        loop {
            ticks.tick().await;
            for status in board.instances() {
                if let Some(change) = status.loss_level_changed() {
                    tell(&change);
                }
            }
        }
    };
    stop.run_until_cancelled(looking).await;
}

fn tell(change: &LossChange) {
    let view = &change.view;
    let (instance, head_age_seconds) = (view.instance, view.head_age_seconds);
    let (seconds_until_loss, drain_seconds) = (view.seconds_until_loss, view.drain_seconds);
    let advice = change.cause.advice();
    let last_error = view.last_error.as_ref().map(|error| error.message.as_str());
    match view.loss_level {
        LossLevel::Alarm => error!(
            %instance, head_age_seconds, seconds_until_loss, drain_seconds, last_error,
            "GREEN-API is about to forget notifications that are not in Kafka: {advice}"
        ),
        LossLevel::Warn => warn!(
            %instance, head_age_seconds, seconds_until_loss, drain_seconds, last_error,
            "notifications have waited long at GREEN-API, which forgets them after 24 hours: {advice}"
        ),
        LossLevel::Ok => info!(%instance, head_age_seconds, "no notification is close to being forgotten any more"),
    }
}
