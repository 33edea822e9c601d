//! `chatbridge check`: the configuration, every problem at once.

use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

use super::{ConfigArgs, EXIT_USAGE, complain};
use crate::config::{Config, ConfigError};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// For machines: {"ok": …, "problems": [{"key", "message"}]}
    #[arg(long)]
    json: bool,
}

pub(super) fn check(args: &CheckArgs) -> ExitCode {
    let outcome = args.config.load();
    let printed = if args.json { print_json(&outcome) } else { print_text(&outcome) };
    match (printed, outcome) {
        (Ok(()), Ok(_)) => ExitCode::SUCCESS,
        (Ok(()), Err(_)) => EXIT_USAGE.into(),
        (Err(error), _) => {
            complain(format_args!("failed to print: {error}"));
            super::EXIT_FAILED.into()
        }
    }
}

fn print_json(outcome: &Result<Config, ConfigError>) -> io::Result<()> {
    let problems = outcome.as_ref().err().map_or(&[][..], |error| &error.problems);
    let problems: Vec<_> = problems.iter().map(|p| json!({"key": p.key, "message": p.message})).collect();
    writeln!(io::stdout(), "{}", json!({"ok": outcome.is_ok(), "problems": problems}))
}

fn print_text(outcome: &Result<Config, ConfigError>) -> io::Result<()> {
    match outcome {
        Ok(config) => writeln!(
            io::stdout(),
            "the configuration is good: {} instance{}, {} → {}",
            config.instances.len(),
            if config.instances.len() == 1 { "" } else { "s" },
            config.kafka.brokers,
            config.kafka.topic
        ),
        Err(error) => {
            complain(error);
            Ok(())
        }
    }
}
