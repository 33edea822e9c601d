//! Arguments in, exit code out.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::config::{self, Config, ConfigError};
use crate::core::publish::kafka;
use crate::fit;
use crate::logging::{self, LogFormat};
use crate::redact::Redactor;

mod check;
mod completions;
#[cfg(feature = "lab")]
mod demo;
mod dlq;
mod documents;
#[cfg(feature = "lab")]
mod inject;
mod json_line;
mod man;
mod moment;
mod normalize;
mod run;
mod schema;
#[cfg(feature = "lab")]
mod simulate;
mod tail;
#[cfg(feature = "lab")]
mod verify;

/// Bad usage or configuration: fix it, then start again (`EX_USAGE` of sysexits).
pub const EXIT_USAGE: u8 = 64;
/// A start or run that failed: try again.
pub const EXIT_FAILED: u8 = 1;

/// Carries GREEN-API notifications into Kafka: at least once, in order per chat, never lost.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    /// How log lines look: text on a terminal, json elsewhere, unless said here
    #[arg(long, global = true, value_enum, env = "CHATBRIDGE_LOG_FORMAT")]
    log_format: Option<LogFormat>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The daemon: receive, deliver, delete, until SIGTERM
    Run(ConfigArgs),
    /// All of it with nothing installed: simulated GREEN-API, built-in broker, the real bridge
    #[cfg(feature = "lab")]
    Demo(demo::DemoArgs),
    /// Every problem of the configuration at once; --online: of what it leads to as well
    Check(check::CheckArgs),
    /// Notification bodies to records, one JSON line each; no network
    Normalize(normalize::NormalizeArgs),
    /// The GREEN-API simulator by itself; --chatapp: ChatApp's
    #[cfg(feature = "lab")]
    Simulate(simulate::SimulateArgs),
    /// Posts notifications to a simulator, or to GREEN-API's debug endpoint
    #[cfg(feature = "lab")]
    Inject(inject::InjectArgs),
    /// The JSON Schemas and the AsyncAPI document
    Schema(schema::SchemaArgs),
    /// Completions for a shell, to be put where it looks for them
    Completions(completions::CompletionsArgs),
    /// The manual pages
    Man(man::ManArgs),
    /// What is in the topics and what comes, one readable line per event; reads only. It shows what people wrote
    Tail(tail::TailArgs),
    /// The dead letters: shows them, drives them again
    Dlq(dlq::DlqArgs),
    /// Was everything delivered? A simulator's journal against the topics; exit code 0 only if it was
    #[cfg(feature = "lab")]
    Verify(verify::VerifyArgs),
}

/// Where the configuration comes from.
#[derive(Debug, Clone, clap::Args)]
struct ConfigArgs {
    /// The configuration file [default: config.toml, if there is one]
    #[arg(long, value_name = "FILE", env = "CHATBRIDGE_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigArgs {
    /// The configuration, looked at by ourselves and by librdkafka.
    fn load(&self) -> Result<Config, ConfigError> {
        // Variables that are not UTF-8 are none of ours: our names and values are.
        let variables =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let config = config::load(self.config.as_deref(), variables)?;
        let problems = kafka::problems(&config.kafka);
        if problems.is_empty() {
            return Ok(config);
        }
        let file = self.config.as_deref().unwrap_or(config::DEFAULT_FILE.as_ref());
        Err(ConfigError { origin: format!("{} and the environment", file.display()), problems })
    }
}

/// Runs the command the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Nothing is left to do where even this cannot be printed.
            drop(error.print());
            return if error.use_stderr() { EXIT_USAGE.into() } else { ExitCode::SUCCESS };
        }
    };
    let log_format = cli.log_format.unwrap_or_else(LogFormat::default_for_stderr);
    // Made once, known to everybody who shows what others said.
    let redactor = Redactor::default();
    match cli.command {
        Command::Run(args) => {
            logging::init(log_format, "info", &redactor);
            run::run(&args, redactor)
        }
        #[cfg(feature = "lab")]
        Command::Demo(args) => {
            logging::init(log_format, "warn", &redactor);
            demo::demo(&args)
        }
        Command::Check(args) => check::check(&args, log_format, redactor),
        Command::Normalize(args) => normalize::normalize(&args),
        #[cfg(feature = "lab")]
        Command::Simulate(args) => {
            logging::init(log_format, "info", &redactor);
            simulate::simulate(args)
        }
        #[cfg(feature = "lab")]
        Command::Inject(args) => {
            logging::init(log_format, "warn", &redactor);
            inject::inject(&args)
        }
        Command::Schema(args) => schema::schema(&args),
        Command::Completions(args) => completions::completions(&args, Cli::command()),
        Command::Man(args) => man::man(&args, Cli::command()),
        Command::Tail(args) => {
            logging::init(log_format, "warn", &redactor);
            tail::tail(&args, redactor)
        }
        Command::Dlq(args) => {
            logging::init(log_format, "warn", &redactor);
            dlq::dlq(&args, redactor)
        }
        #[cfg(feature = "lab")]
        Command::Verify(args) => {
            logging::init(log_format, "warn", &redactor);
            verify::verify(&args, &redactor)
        }
    }
}

/// Says on standard error why the command failed.
fn complain(message: impl std::fmt::Display) {
    use std::io::Write as _;
    // With standard error gone, the exit code alone has to tell.
    drop(writeln!(std::io::stderr(), "chatbridge: {}", fit::lines(&message.to_string())));
}

/// Prints a document.
fn print(document: &[u8]) -> ExitCode {
    use std::io::{self, Write as _};
    match io::stdout().write_all(document).and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("failed to print: {error}"));
            EXIT_FAILED.into()
        }
    }
}

/// Ends the process, past the exit handlers: OpenSSL's takes away what those threads of librdkafka still use that shake
/// hands with a broker, and an end in good order becomes a segmentation fault.
fn leave(code: ExitCode) -> ! {
    use std::io::Write as _;
    // Nobody is left to hear that it failed.
    drop(std::io::stdout().flush());
    // An `ExitCode` gives its number to nobody but the standard library.
    let number = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code).unwrap_or(EXIT_FAILED);
    signal_hook::low_level::exit(number.into())
}

/// The runtime of the commands that need one.
fn block_on<F: Future<Output = ExitCode>>(command: F) -> ExitCode {
    // One provider for the whole process, chosen here; some later dependency may bring another one along.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed before");
    }
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(command);
            // Not waited for: a question to a broker that is away would hold the process beyond its grace period.
            runtime.shutdown_background();
            leave(code)
        }
        Err(error) => {
            complain(format_args!("failed to start the runtime: {error}"));
            EXIT_FAILED.into()
        }
    }
}
