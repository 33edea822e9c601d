//! Progress of a replay on standard error: a bar on a terminal, a line now and then elsewhere, nothing with `--json`.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::Instant;

use crate::cli::complain;
use crate::cli::dlq::dead_letters::replay::Tally;

const PLAIN_LINE_INTERVAL: Duration = Duration::from_secs(2);

pub(super) struct Progress {
    bar: Option<ProgressBar>,
    letters: usize,
    quiet: bool,
    next_line: Instant,
}

impl Progress {
    pub(super) fn new(letters: usize, quiet: bool) -> Self {
        let bar = (!quiet && io::stderr().is_terminal()).then(|| ProgressBar::new(letters as u64));
        Self { bar, letters, quiet, next_line: Instant::now() + PLAIN_LINE_INTERVAL }
    }

    pub(super) fn show(&mut self, tally: &Tally) {
        if let Some(bar) = &self.bar {
            bar.set_position(tally.total() as u64);
        } else if !self.quiet && Instant::now() >= self.next_line {
            self.next_line = Instant::now() + PLAIN_LINE_INTERVAL;
            complain(format_args!("{} of {} dead letters, {} replayed", tally.total(), self.letters, tally.replayed));
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
