//! What runs beside receiving and delivering. A panic of one part does not end the others, and if possible the part is
//! restarted.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::error;

use crate::supervisor::keep_running;
use crate::watch::systemd::Systemd;
use crate::watch::telemetry::loss_watch;
use crate::watch::telemetry::status::StatusBoard;

/// The tasks, and the stop for those that run until everything else has ended.
pub(super) struct Background {
    tasks: TaskTracker,
    /// Cancelled last.
    pub(super) stop: CancellationToken,
    /// The stop of the whole process.
    stop_all: CancellationToken,
    /// A part that came to its end unasked.
    broken: Arc<Mutex<Option<&'static str>>>,
}

impl Background {
    /// Nothing runs yet. A part that cannot be restarted cancels `stop_all` when it breaks.
    pub(super) fn new(stop_all: CancellationToken) -> Self {
        Self { tasks: TaskTracker::new(), stop: CancellationToken::new(), stop_all, broken: Arc::default() }
    }

    /// Runs what `start` makes, until it returns.
    pub(super) fn keep_running<F, T>(&self, what: &'static str, stop: &CancellationToken, start: F)
    where
        F: Fn(CancellationToken) -> T + Send + Sync + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let (stop, stopping) = (stop.clone(), stop.clone());
        self.tasks.spawn(async move { keep_running(what, stop, || start(stopping.clone())).await });
    }

    /// Serves systemd's watchdog, and watches for events that are about to be lost, until `stop`.
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

    /// Runs what cannot be started a second time. A panic ends the process.
    pub(super) fn must_run(&self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let running = self.tasks.spawn(task);
        let panicked = async move {
            if running.await.is_ok() {
                // It was told to stop.
                std::future::pending().await
            }
        };
        self.must_last(what, panicked);
    }

    /// Ends the process when `ended` returns.
    pub(super) fn must_last(&self, what: &'static str, ended: impl Future<Output = ()> + Send + 'static) {
        let (stop_all, broken) = (self.stop_all.clone(), Arc::clone(&self.broken));
        self.tasks.spawn(async move {
            if stop_all.run_until_cancelled(ended).await.is_some() {
                error!("{what} came to its end: the bridge stops, so that it is started again");
                broken.lock().get_or_insert(what);
                stop_all.cancel();
            }
        });
    }

    /// The part that ended the process, if any.
    pub(super) fn broken(&self) -> Option<&'static str> {
        *self.broken.lock()
    }

    /// Whether all tasks have ended in time.
    pub(super) async fn end(self, within: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        tokio::time::timeout(within, self.tasks.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_breaks_for_good_stops_the_process_and_is_named() {
        let stop = CancellationToken::new();
        let background = Background::new(stop.clone());
        background.must_run("the planted part", async { panic!("planted") });
        stop.cancelled().await;
        assert_eq!(background.broken(), Some("the planted part"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_was_told_to_stop_is_not_broken() {
        let stop = CancellationToken::new();
        let background = Background::new(stop.clone());
        let told = background.stop.clone();
        background.must_run("the server", async move { told.cancelled().await });
        background.stop.cancel();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!((background.broken(), stop.is_cancelled()), (None, false));
        stop.cancel();
        assert!(background.end(Duration::from_secs(1)).await);
    }
}
