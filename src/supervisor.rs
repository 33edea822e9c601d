//! Restarts tasks that must not end, and keeps their panics away from other tasks.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use tracing::error;

use chatbridge_base::retry::Backoff;

const RESTART_MIN: Duration = Duration::from_secs(1);
const RESTART_MAX: Duration = Duration::from_secs(60);

/// Runs what `start` makes in a task of its own, until it returns or `stop` is cancelled. After a panic it calls
/// `panicked` with the wait that follows, then starts it again.
///
/// A panic costs at most one repeat, wherever it happens: nothing is deleted upstream before it is in Kafka.
/// Dropping this future aborts the task.
pub async fn supervise<F, T>(panicked: impl Fn(Duration), stop: CancellationToken, start: F)
where
    F: Fn() -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let mut backoff = Backoff::new(RESTART_MIN, RESTART_MAX);
    loop {
        let ended = AbortOnDropHandle::new(tokio::spawn(start())).await;
        match ended {
            Err(failure) if failure.is_panic() && !stop.is_cancelled() => {
                let wait = backoff.next_at_least(RESTART_MIN, fastrand::f64());
                panicked(wait);
                if stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// [`supervise`]s a part of the daemon, and logs each panic with the part's name.
pub async fn keep_running<F, T>(what: &str, stop: CancellationToken, start: F)
where
    F: Fn() -> T,
    T: Future<Output = ()> + Send + 'static,
{
    let panicked = |restart_in: Duration| {
        let restart_ms = restart_in.as_millis() as u64;
        error!(restart_ms, "{what} panicked (the panic is logged above); it is started again, please report this");
    };
    supervise(panicked, stop, start).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn a_panic_starts_it_again_and_a_return_ends_it() {
        let starts = Arc::new(AtomicUsize::new(0));
        let (counted, told) = (Arc::clone(&starts), AtomicUsize::new(0));
        let panicked = |_| {
            told.fetch_add(1, Ordering::Relaxed);
        };
        supervise(panicked, CancellationToken::new(), move || {
            let counted = Arc::clone(&counted);
            async move {
                assert!(counted.fetch_add(1, Ordering::Relaxed) >= 2, "planted");
            }
        })
        .await;
        assert_eq!((starts.load(Ordering::Relaxed), told.load(Ordering::Relaxed)), (3, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_is_not_answered_with_a_restart() {
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        supervise(
            |_| unreachable!("it is the end"),
            stop,
            move || {
                let stopping = stopping.clone();
                async move {
                    stopping.cancel();
                    panic!("planted");
                }
            },
        )
        .await;
    }
}
