//! `chatbridge check`: the configuration, every problem at once; with `--online` also what it leads to.

pub(super) mod doctor;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use serde_json::json;

use super::{ConfigArgs, EXIT_FAILED, EXIT_USAGE, block_on, complain};
use crate::config::{Config, ConfigError};
use crate::redact::Redactor;
use crate::{app, logging::LogFormat};
use doctor::{Finding, Verdict};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Asks as well: each instance, ChatApp and its channels, Kafka and its topics, the schema registry; reads only
    #[arg(long)]
    online: bool,
    /// For machines: {"ok": …, "problems": [{"key", "message"}]}, online also "findings"
    #[arg(long)]
    json: bool,
}

const EXIT_CODES: &str = "Exit codes:
  0   nothing stands in the way; there may be warnings
  64  the configuration has to be changed
  1   (--online) something else has to be mended, or to come back; then check again";

/// The one way to change settings, and what it costs.
const SET_SETTINGS: &str = "to be sent by setSettings, which restarts the instance and takes effect within 5 minutes";

pub(super) fn check(args: &CheckArgs, log_format: LogFormat, redactor: Redactor) -> ExitCode {
    let config = match args.config.load() {
        Ok(config) => config,
        Err(problems) => return printed(print_problems(args.json, &problems), EXIT_USAGE),
    };
    if !args.online {
        return printed(print_good(args.json, &config), 0);
    }
    redactor.configured(config.secrets());
    crate::logging::init(log_format, "warn", &redactor);
    block_on(online(args.json, config, redactor))
}

async fn online(json: bool, config: Config, redactor: Redactor) -> ExitCode {
    let clients = app::InstanceClients::new(&config.green_api, &redactor)
        .map(|clients| config.instances.iter().map(|instance| clients.of(instance)).collect())
        .and_then(|clients| {
            Ok((clients, config.chatapp.as_ref().map(|chatapp| app::chatapp_api(chatapp, &redactor)).transpose()?))
        })
        .and_then(|(clients, chatapp)| Ok((clients, chatapp, app::registry(&config, &redactor)?)));
    let (clients, chatapp, registry) = match clients {
        Ok(made) => made,
        Err(error) => {
            complain(format_args!(
                "failed to make the HTTP client (are the system's root certificates installed?): {error}"
            ));
            return EXIT_FAILED.into();
        }
    };
    let findings = doctor::examine(&config, clients, chatapp, registry).await;
    let worst = findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Well);
    let code = match worst {
        Verdict::Well | Verdict::NotChecked | Verdict::Warning => 0,
        Verdict::Broken => EXIT_FAILED,
        Verdict::Misconfigured => EXIT_USAGE,
    };
    printed(
        if json { print_findings(&findings, code == 0, &redactor) } else { print_table(&findings, &redactor) },
        code,
    )
}

fn printed(printed: io::Result<()>, code: u8) -> ExitCode {
    match printed {
        Ok(()) => code.into(),
        Err(error) => {
            complain(format_args!("failed to print: {error}"));
            EXIT_FAILED.into()
        }
    }
}

fn print_problems(json: bool, error: &ConfigError) -> io::Result<()> {
    if !json {
        complain(error);
        return Ok(());
    }
    let problems: Vec<_> = error.problems.iter().map(|p| json!({"key": p.key, "message": p.message})).collect();
    writeln!(io::stdout(), "{}", json!({"ok": false, "problems": problems}))
}

fn print_good(json: bool, config: &Config) -> io::Result<()> {
    if json {
        return writeln!(io::stdout(), "{}", json!({"ok": true, "problems": []}));
    }
    writeln!(
        io::stdout(),
        "the configuration is good: {} instance{}{}, {} → {}",
        config.instances.len(),
        if config.instances.len() == 1 { "" } else { "s" },
        if config.chatapp.is_some() { " and ChatApp" } else { "" },
        config.kafka.brokers,
        config.kafka.topic
    )
}

fn print_findings(findings: &[Finding], ok: bool, redactor: &Redactor) -> io::Result<()> {
    let document = redactor.json(&json!({"ok": ok, "problems": [], "findings": findings}))?;
    writeln!(io::stdout(), "{document}")
}

fn print_table(findings: &[Finding], redactor: &Redactor) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let coloured = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let width = findings.iter().map(|finding| finding.subject.chars().count()).max().unwrap_or(0);
    for Finding { verdict, subject, found, fix, set_settings } in findings {
        let (mark, colour) = match verdict {
            Verdict::Well => ("✓", "32"),
            Verdict::NotChecked => ("?", "36"),
            Verdict::Warning => ("!", "33"),
            Verdict::Broken | Verdict::Misconfigured => ("✗", "31"),
        };
        let mark = if coloured { format!("\x1b[{colour}m{mark}\x1b[0m") } else { mark.to_owned() };
        writeln!(out, "{mark} {subject:<width$}  {}", redactor.outside(found))?;
        if let Some(fix) = fix {
            writeln!(out, "  {:width$}  → {}", "", redactor.outside(fix))?;
        }
        if let Some(body) = set_settings {
            writeln!(out, "  {:width$}  → {SET_SETTINGS}: {}", "", json!(body))?;
        }
    }
    Ok(())
}
