//! Live progress: a bar on a terminal, a plain line now and then if the output is piped, nothing with `--json`.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

const PLAIN_LINE_INTERVAL: Duration = Duration::from_secs(2);

pub(super) struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    next_line: Instant,
}

impl Progress {
    pub(super) fn new(events: u64, quiet: bool) -> Self {
        let bar = (!quiet && io::stdout().is_terminal()).then(|| {
            let bar = ProgressBar::new(events);
            let style = ProgressStyle::with_template("{bar:32} {pos}/{len}  {msg}  {elapsed}");
            // The template is a literal. If it were wrong, the default bar would still work.
            style.map_or(bar.clone(), |style| bar.with_style(style))
        });
        Self { bar, quiet, next_line: Instant::now() + PLAIN_LINE_INTERVAL }
    }

    pub(super) fn show(&mut self, done: u64, told: String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(told);
        } else if !self.quiet && Instant::now() >= self.next_line {
            self.next_line = Instant::now() + PLAIN_LINE_INTERVAL;
            // A closed pipe ends the demo at the summary, where it is an error.
            drop(writeln!(io::stdout(), "{told}"));
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}
