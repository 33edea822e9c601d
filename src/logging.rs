//! Logs: JSON or text on standard error; `RUST_LOG` chooses what.
//!
//! Failures are logged once, where they are handled, with fields. Never a token, a phone number or a text.

use std::io::IsTerminal;

use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

impl LogFormat {
    /// Text for a terminal, JSON for everything that collects.
    #[must_use]
    pub fn default_for_stderr() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Sends log lines and panics to standard error.
pub fn init(format: LogFormat, default_filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter));
    // A line that cannot be written (a full disk, a reader that is gone) is lost; complaining about it on the same
    // standard error would panic, and end a bridge that works.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    let outcome = match format {
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).with_target(false).finish().try_init(),
    };
    // Only a second call in one process fails, and then the first one's choice stands.
    drop(outcome);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // The payload of an expect() may quote data; the place is enough to find the bug.
        error!(place, "panicked");
    }));
}
