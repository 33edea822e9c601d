//! `chatbridge schema`: the contract, for machines.

use std::io::{self, Write};
use std::process::ExitCode;

use super::{EXIT_FAILED, complain};
use crate::schema;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct SchemaArgs {
    /// Which one
    #[arg(value_enum, default_value_t = Which::Event)]
    which: Which,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Which {
    /// JSON Schema of a record's value
    Event,
    /// JSON Schema of the configuration file
    Config,
    /// AsyncAPI document of the topics
    #[value(name = "asyncapi")]
    AsyncApi,
}

pub(super) fn schema(args: &SchemaArgs) -> ExitCode {
    let document = match args.which {
        Which::Event => schema::event(),
        Which::Config => schema::config(),
        Which::AsyncApi => schema::async_api(),
    };
    // The alternate form is indented.
    match writeln!(io::stdout(), "{document:#}") {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("failed to print: {error}"));
            EXIT_FAILED.into()
        }
    }
}
