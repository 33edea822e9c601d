//! Signals: the first stops the process, the second ends it at once.

use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// The exit code after a second signal. What was in flight is received again from GREEN-API's queue.
const ABORTED: i32 = 1;

/// A token that the first SIGTERM or SIGINT cancels. The second signal ends the process at once.
///
/// # Errors
/// If the process cannot listen to signals.
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
