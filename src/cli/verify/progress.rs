//! Progress on standard error: a line that is rewritten on a terminal, a line now and then elsewhere, none with
//! `--json`.

use std::convert::Infallible;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indicatif::ProgressBar;

use crate::cli::complain;
use crate::cli::verify::promise::Progress;

const TERMINAL_INTERVAL: Duration = Duration::from_millis(200);
const PLAIN_LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows the progress until it is dropped.
pub(super) async fn show(progress: Arc<Progress>, quiet: bool) -> Infallible {
    if quiet {
        return std::future::pending().await;
    }
    let line = io::stderr().is_terminal().then(|| Line(ProgressBar::new_spinner()));
    let mut ticks = tokio::time::interval(if line.is_some() { TERMINAL_INTERVAL } else { PLAIN_LINE_INTERVAL });
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let read = words(&progress);
        match &line {
            Some(Line(bar)) => {
                bar.set_message(read);
                bar.tick();
            }
            None => complain(read),
        }
    }
}

fn words(progress: &Progress) -> String {
    let entries = progress.journal_entries.load(Ordering::Relaxed);
    let mebibytes = progress.journal_bytes.load(Ordering::Relaxed) >> 20;
    let records = progress.records.load(Ordering::Relaxed);
    format!("journal: {entries} entries, {mebibytes} MiB; topics: {records} records")
}

struct Line(ProgressBar);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
