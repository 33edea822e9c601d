//! Logs: JSON or text on standard error; `RUST_LOG` chooses what.
//!
//! Failures are logged once, where they are handled, with fields. Never log a token, a phone number or a text. Data
//! from outside is redacted when it is written, also in log lines of libraries.

use std::io::{self, IsTerminal};

use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use crate::fit;
use crate::redact::Redactor;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl LogFormat {
    /// Text on a terminal, JSON for log collectors.
    #[must_use]
    pub fn default_for_stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Standard error, behind the redactor.
#[derive(Clone)]
struct Clean {
    format: LogFormat,
    redactor: Redactor,
}

impl io::Write for Clean {
    /// Called once per line.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = self.redactor.text(&text);
        let shown = match self.format {
            LogFormat::Json => fit::json(&text),
            LogFormat::Text => fit::coloured_lines(&text),
        };
        io::stderr().write_all(shown.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'w> MakeWriter<'w> for Clean {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

/// Sends log lines and panics to standard error, without anything that `redactor` knows.
pub fn init(format: LogFormat, default_filter: &str, redactor: &Redactor) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    // A line that cannot be written (full disk, reader gone) is lost. Reporting that on the same standard error would
    // panic and end a working bridge.
    let clean = Clean { format, redactor: redactor.clone() };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(clean).log_internal_errors(false);
    let outcome = match format {
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).finish().try_init(),
    };
    // This fails only if it was called before; then the first choice stays.
    drop(outcome);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // The payload of an expect() may quote data; the location is enough to find the bug.
        error!(place, "panicked");
    }));
}
