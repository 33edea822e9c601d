//! `chatbridge man`: the manual pages, made of the same text as `--help`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Command;
use clap_mangen::Man;

use super::{EXIT_FAILED, complain, print};

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Writes chatbridge.1 and a page for each command into this folder [default: prints chatbridge.1]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn man(args: &ManArgs, command: Command) -> ExitCode {
    // Nobody looks up chatbridge-help(1).
    let command = command.disable_help_subcommand(true);
    match &args.dir {
        Some(dir) => match write_pages(dir, command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                complain(format_args!("failed to write the pages into {}: {error}", dir.display()));
                EXIT_FAILED.into()
            }
        },
        None => {
            let mut page = Vec::new();
            match Man::new(command).render(&mut page) {
                Ok(()) => print(&page),
                Err(error) => {
                    complain(format_args!("failed to make the page: {error}"));
                    EXIT_FAILED.into()
                }
            }
        }
    }
}

fn write_pages(dir: &Path, command: Command) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    clap_mangen::generate_to(command, dir)
}
