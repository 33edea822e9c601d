//! `chatbridge schema`: prints the contract for machines.

use std::process::ExitCode;

use super::print;
use crate::core::schema;

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
    /// Reference of the configuration, as Markdown
    ConfigReference,
    /// AsyncAPI document of the topics
    #[value(name = "asyncapi")]
    AsyncApi,
}

pub(super) fn schema(args: &SchemaArgs) -> ExitCode {
    let document = match args.which {
        Which::Event => schema::event(),
        Which::Config => schema::config(),
        Which::ConfigReference => return print(schema::config_reference(&schema::config()).as_bytes()),
        Which::AsyncApi => schema::async_api(),
    };
    // The alternate form is indented.
    print(format!("{document:#}\n").as_bytes())
}
