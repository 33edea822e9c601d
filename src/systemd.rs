//! What systemd is told, when it started us (`NOTIFY_SOCKET`); otherwise every call does nothing.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::telemetry::status::StatusBoard;

/// Started: configuration read, admin server listening. Kafka may still be away, and `Type=notify` must not kill a
/// bridge that waits for it; `status` says what it is doing.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The configuration is being read again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => warn!(%error, "systemd could not be told"),
    }
}

/// What the process is doing, for `systemctl status`.
pub fn status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

/// The end has begun.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Tells the watchdog, twice as often as it asks for, that the runtime turns and every poller moves. Where one has
/// been still for longer than `silence_max` it is told nothing more, and systemd starts the process anew: that costs
/// at most a repeat per instance, and an instance that is never polled again costs its events.
pub async fn watchdog(board: Arc<StatusBoard>, silence_max: Duration, stop: CancellationToken) {
    let Some(asked) = sd_notify::watchdog_enabled() else { return };
    let mut ticks = tokio::time::interval((asked / 2).max(Duration::from_millis(100)));
    let ticking = async {
        loop {
            ticks.tick().await;
            match board.stalled(silence_max) {
                None => notify(&[NotifyState::Watchdog]),
                Some(instance) => error!(
                    %instance, silent_seconds_max = silence_max.as_secs(),
                    "the instance's poller is stuck, so systemd's watchdog is left to restart the process: please \
                     report this line and what is logged before it"
                ),
            }
        }
    };
    stop.run_until_cancelled(ticking).await;
}

fn notify(states: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd could not be told");
    }
}
