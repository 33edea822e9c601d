//! What runs beside receiving and delivering. A panic of one part ends neither the others nor, where that is possible,
//! the part.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::supervisor::keep_running;
use crate::watch::systemd::Systemd;
use crate::watch::telemetry::loss_watch;
use crate::watch::telemetry::status::StatusBoard;

/// The tasks, and the end of those that run until everything else has ended.
#[derive(Default)]
pub(super) struct Background {
    tasks: TaskTracker,
    /// Cancelled last.
    pub(super) stop: CancellationToken,
}

impl Background {
    /// Runs what `start` makes, until it returns.
    pub(super) fn keep_running<F, T>(&self, what: &'static str, stop: &CancellationToken, start: F)
    where
        F: Fn(CancellationToken) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopping) = (stop.clone(), stop.clone());
        self.tasks.spawn(async move { keep_running(what, stop, || start(stopping.clone())).await });
    }

    /// Tells systemd's watchdog, and looks at what is about to be lost until `stop`.
    pub(super) fn watch(
        &self,
        systemd: &Arc<Systemd>,
        board: &Arc<StatusBoard>,
        silence_max: Duration,
        stop: &CancellationToken,
    ) {
        let (told, shown) = (Arc::clone(systemd), Arc::clone(board));
        self.keep_running("the watchdog of systemd", &self.stop, move |stop| {
            Arc::clone(&told).watchdog(Arc::clone(&shown), silence_max, stop)
        });
        let board = Arc::clone(board);
        self.keep_running("the watch over losses", stop, move |stop| loss_watch::watch(Arc::clone(&board), stop));
    }

    /// Runs what cannot be started a second time; a panic is told.
    pub(super) fn run(&self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let running = tokio::spawn(task);
        self.tasks.spawn(async move {
            if running.await.is_err_and(|failure| failure.is_panic()) {
                error!(
                    "{what} panicked (the panic is logged above); it is gone until the next start: restart the bridge"
                );
            }
        });
    }

    /// Whether all of it has ended in time.
    pub(super) async fn end(self, within: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(within, self.tasks.wait()).await.is_ok()
    }
}
