//! `chatbridge verify`: compares a trial's journal with its topics.

#[cfg(feature = "lab")]
pub(super) mod promise;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{ConfigArgs, EXIT_FAILED, EXIT_USAGE, block_on, complain};
use crate::cli::verify::promise::{Progress, Promise, Report, Verification, VerifyError};
use crate::redact::Redactor;
use crate::{app, shutdown};

mod progress;

/// No verdict is possible. As with `diff` and `grep`, 1 is an answer and 2 is an error.
const EXIT_CANNOT_BE_TOLD: u8 = 2;

const EXIT_CODES: &str = "Exit codes:
  0   the promise was kept
  1   the promise was broken
  2   it cannot be told: no event reached Kafka, foreign records of the trial's instances are in the topics, Kafka cannot be
      read, or the command was stopped
  64  bad usage or configuration, or a journal that nothing can be judged by";

/// Arguments of `verify`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// What `chatbridge simulate --journal FILE` wrote; may be given several times
    #[arg(long = "journal", value_name = "FILE", required = true)]
    journals: Vec<PathBuf>,
    /// How far the broker's clock may be ahead of the simulator's before a deletion counts as too early
    #[arg(long, default_value_t = 0, value_name = "MS")]
    clock_tolerance_ms: u32,
    /// For machines: the report as one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn verify(args: &VerifyArgs, redactor: &Redactor) -> ExitCode {
    let config = match args.config.load() {
        Ok(config) => config,
        Err(problems) => {
            complain(problems);
            return EXIT_USAGE.into();
        }
    };
    redactor.configured(config.secrets());
    let verification = Verification {
        policy: app::policy(&config),
        config,
        journals: args.journals.clone(),
        clock_tolerance_ms: args.clock_tolerance_ms,
        progress: Arc::new(Progress::default()),
    };
    block_on(async {
        let stop = match shutdown::on_signal() {
            Ok(stop) => stop,
            Err(error) => return failed(error),
        };
        match watched(verification, &stop, args.json).await {
            Some(Ok(report)) => match show(&report, args.json) {
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                    failed(format_args!("failed to print: {error}"))
                }
                _ => match report.promise {
                    Promise::Kept => ExitCode::SUCCESS,
                    Promise::Broken => EXIT_FAILED.into(),
                    Promise::CannotBeTold => EXIT_CANNOT_BE_TOLD.into(),
                },
            },
            Some(Err(error @ VerifyError::Journal(_))) => {
                complain(error);
                EXIT_USAGE.into()
            }
            Some(Err(error)) => failed(error),
            None => failed("stopped before the end, so nothing was judged"),
        }
    })
}

fn failed(reason: impl std::fmt::Display) -> ExitCode {
    complain(reason);
    EXIT_CANNOT_BE_TOLD.into()
}

/// `None` if it was stopped.
async fn watched(
    verification: Verification,
    stop: &CancellationToken,
    quiet: bool,
) -> Option<Result<Report, VerifyError>> {
    let progress = progress::show(Arc::clone(&verification.progress), quiet);
    let judging = async {
        tokio::select! {
            report = verification.run() => report,
            never = progress => match never {},
        }
    };
    stop.run_until_cancelled(judging).await
}

fn show(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout();
    if json { writeln!(out, "{}", serde_json::to_string(report)?) } else { write!(out, "{report}") }
}
