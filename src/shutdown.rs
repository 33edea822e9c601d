//! Signals become a stop, then an end at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Exit code of a run that was told twice: what was in hand comes again from GREEN-API's queue.
const ABORTED: i32 = 1;

/// A token that is cancelled by the first SIGTERM or SIGINT. The second ends the process where it stands.
///
/// # Errors
/// Where the process may not listen to signals.
pub fn on_signal() -> io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        };
        let signal = next().await;
        info!(signal, "stopping: what is in hand is published and deleted first");
        stopping.cancel();
        let signal = next().await;
        warn!(signal, "told twice: ending at once; a notification in hand comes again after the next start");
        #[expect(clippy::disallowed_methods, reason = "the operator asked for exactly this, twice")]
        std::process::exit(ABORTED);
    });
    Ok(stop)
}
