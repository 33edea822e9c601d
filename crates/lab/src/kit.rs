//! What the simulators do alike: they serve HTTP and can lose a connection on purpose, keep a journal of what happened,
//! let faults happen by a plan, and have a control interface. What the service itself says and does is theirs.

pub(crate) mod answers;
pub(crate) mod client;
pub(crate) mod control;
pub(crate) mod faults;
pub(crate) mod hex;
pub(crate) mod journal;
pub(crate) mod pieces;
pub(crate) mod rate;
mod server;
pub(crate) mod until;

use std::io;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use faults::FaultPlan;
use journal::{Entry, Journal, JournalConfig};

/// How often the journal's file is brought up to date.
const JOURNAL_FLUSH_INTERVAL: Duration = Duration::from_millis(100);

/// What a simulator has whatever it simulates.
pub(crate) struct Kit<E, F> {
    pub(crate) journal: Journal<E>,
    pub(crate) faults: FaultPlan<F>,
    /// Everything that runs; the end of the simulator waits for it.
    pub(crate) tasks: TaskTracker,
    /// The end: whoever waits stops waiting.
    pub(crate) stop: CancellationToken,
    body_bytes_max: usize,
    runtime: Handle,
}

impl<E: Entry, F> Kit<E, F> {
    /// Fails when the journal's file cannot be opened.
    pub(crate) fn new(journal: &JournalConfig, body_bytes_max: usize) -> io::Result<Self> {
        Ok(Self {
            journal: Journal::open(journal)?,
            faults: FaultPlan::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            body_bytes_max,
            runtime: Handle::current(),
        })
    }

    /// Runs this beside everything else, also when asked from a thread of no runtime.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn_on(task, &self.runtime);
    }

    /// Answers what comes to `listener`. Connections beyond `connections_max` are closed at once.
    pub(crate) fn serve(&self, listener: TcpListener, router: Router, connections_max: usize) {
        self.spawn(server::serve(listener, router, connections_max, self.tasks.clone(), self.stop.clone()));
    }

    /// Brings the journal's file up to date until the end of the simulator. Needs to run only where there is a file.
    pub(crate) async fn flush_journal(&self) {
        let mut tick = tokio::time::interval(JOURNAL_FLUSH_INTERVAL);
        while self.journal.has_file() && self.stop.run_until_cancelled(tick.tick()).await.is_some() {
            self.journal.flush();
        }
    }

    /// Waits, but not beyond the end of the simulator.
    pub(crate) async fn pause(&self, duration: Duration) {
        self.stop.run_until_cancelled(tokio::time::sleep(duration)).await;
    }
}
