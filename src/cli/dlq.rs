//! `chatbridge dlq`: lists and replays dead letters.

pub(super) mod dead_letters;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::moment::moment;
use super::{ConfigArgs, EXIT_FAILED, EXIT_USAGE, block_on, complain};
use crate::cli::dlq::dead_letters::replay::{Outcome, ReplayError, Replayer, Tally};
use crate::cli::dlq::dead_letters::{Entry, Filter, Letter, Survey, SurveyError, survey};
use crate::config::Config;
use crate::core::consume::{ReadError, TopicReader};
use crate::core::publish::kafka::KafkaPublisher;
use crate::redact::Redactor;
use crate::{app, shutdown};
use chatbridge_event::event::DeadLetterReason;
use chatbridge_event::record::ValueForm;

mod progress;
mod table;

use progress::Progress;

/// How long the producer may take to shut down.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Arguments of `dlq`.
#[derive(Debug, Args)]
pub(super) struct DlqArgs {
    #[command(subcommand)]
    command: DlqCommand,
}

#[derive(Debug, Subcommand)]
enum DlqCommand {
    /// Shows dead letters that were not replayed: when, which instance, why. No phone numbers, no texts
    List(ListArgs),
    /// Makes events of dead letters and publishes them, with the ce_id they would have had. Run it again at will
    Replay(ReplayArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    which: Which,
    /// Also those that were replayed before
    #[arg(long)]
    all: bool,
    /// For machines: one JSON object per line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    #[command(flatten)]
    which: Which,
    /// Says what would be done, publishes nothing
    #[arg(long)]
    dry_run: bool,
    /// To the topics of today's configuration instead of the one each letter was meant for
    #[arg(long)]
    reroute: bool,
    /// Also those that were replayed before
    #[arg(long)]
    again: bool,
    /// For machines: the summary as one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Which {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only of this reason; may be given several times
    #[arg(long, value_name = "REASON", value_parser = reason)]
    reason: Vec<DeadLetterReason>,
    /// Only of this instance; may be given several times
    #[arg(long, value_name = "ID")]
    instance: Vec<u64>,
    /// Only those written since: 2026-01-31, 2026-01-31T12:00:00Z, or so long ago: 90m, 2h, 3d
    #[arg(long, value_name = "TIME", value_parser = moment)]
    since: Option<Timestamp>,
    /// Only those written before
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Timestamp>,
    /// At most so many, the oldest first
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

impl Which {
    fn filter(&self, replayed_too: bool) -> Filter {
        Filter {
            reasons: self.reason.clone(),
            instances: self.instance.clone(),
            since: self.since,
            until: self.until,
            limit: self.limit,
            replayed_too,
        }
    }
}

fn reason(word: &str) -> Result<DeadLetterReason, String> {
    DeadLetterReason::ALL.into_iter().find(|reason| reason.as_str() == word).ok_or_else(|| {
        let known: Vec<&str> = DeadLetterReason::ALL.iter().map(|reason| reason.as_str()).collect();
        format!("expected one of {}", known.join(", "))
    })
}

pub(super) fn dlq(args: &DlqArgs, redactor: Redactor) -> ExitCode {
    let which = match &args.command {
        DlqCommand::List(list) => &list.which,
        DlqCommand::Replay(replay) => &replay.which,
    };
    let config = match which.config.load() {
        Ok(config) => config,
        Err(problems) => {
            complain(problems);
            return EXIT_USAGE.into();
        }
    };
    redactor.configured(config.secrets());
    block_on(async {
        let done = match &args.command {
            DlqCommand::List(args) => list(&config, args, &redactor).await,
            DlqCommand::Replay(args) => replay(&config, args, &redactor).await,
        };
        match done {
            Ok(code) => code,
            Err(Failure::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(failure) => {
                complain(failure);
                EXIT_FAILED.into()
            }
        }
    })
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Survey(#[from] SurveyError),
    #[error("failed to print: {0}")]
    Io(#[from] io::Error),
    #[error("failed to make the Kafka producer: {0}")]
    Producer(String),
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::Survey(error.into())
    }
}

/// Opens the topic and reads it once.
async fn look(config: &Config, filter: &Filter) -> Result<(TopicReader, Survey), Failure> {
    let reader = TopicReader::open(&config.kafka, Arc::clone(&config.kafka.dead_letter_topic)).await?;
    let found = survey(reader.to_the_end(), filter).await?;
    Ok((reader, found))
}

async fn list(config: &Config, args: &ListArgs, redactor: &Redactor) -> Result<ExitCode, Failure> {
    let (reader, found) = look(config, &args.which.filter(args.all)).await?;
    let mut out = io::BufWriter::new(io::stdout());
    if !args.json && !found.selected.is_empty() {
        writeln!(out, "{}", table::HEADINGS)?;
    }
    let mut records = reader.to_the_end();
    while let Some(record) = records.recv().await {
        let Entry::Letter(letter) = Entry::read(record?) else { continue };
        let Some(was_replayed) = found.selected.get(&letter.position) else { continue };
        if args.json {
            let line = redactor.json(&table::json(&letter, *was_replayed)).map_err(io::Error::from)?;
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{}", table::row(&letter, *was_replayed, redactor))?;
        }
    }
    if !args.json {
        writeln!(out, "{}", table::footer(&found, redactor))?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

async fn replay(config: &Config, args: &ReplayArgs, redactor: &Redactor) -> Result<ExitCode, Failure> {
    let stop = shutdown::on_signal()?;
    let (reader, found) = look(config, &args.which.filter(args.again)).await?;
    if found.selected.is_empty() {
        summarise(&Tally::default(), 0, args)?;
        return Ok(ExitCode::SUCCESS);
    }
    let publisher = Arc::new(KafkaPublisher::new(&config.kafka).map_err(|error| Failure::Producer(error.to_string()))?);
    let unusable = unusable_topics(config, &publisher).await;
    let form = if args.dry_run {
        // Nothing is written, so nothing has to be registered.
        ValueForm::Plain
    } else {
        match stop.run_until_cancelled(app::value_form(config, redactor)).await {
            Some(form) => form.map_err(|error| Failure::Producer(error.to_string()))?,
            None => return Ok(EXIT_FAILED.into()),
        }
    };
    let records = app::records(config, form);
    let replayer = Replayer::new(Arc::clone(&publisher), records, app::policy(config), unusable, args.reroute);
    let mut progress = Progress::new(found.selected.len(), args.json);
    let mut tally = Tally::default();
    let ended = each(&reader, &found, &replayer, args.dry_run, &stop, |outcome| {
        tally.count(outcome);
        progress.show(&tally);
    });
    let ended = ended.await;
    progress.finish();
    drop(replayer);
    publisher.flush(CLOSE_MAX).await;
    summarise(&tally, found.selected.len(), args)?;
    if let Err(problem) = &ended {
        complain(problem);
    }
    let mendable = tally.left.keys().any(|left| left.is_mendable());
    let seen = tally.total();
    if ended.is_ok() && seen < found.selected.len() {
        complain(format_args!("only {seen} of the selected letters were read again: run the same once more"));
    }
    Ok(if ended.is_ok() && !mendable && seen == found.selected.len() { ExitCode::SUCCESS } else { EXIT_FAILED.into() })
}

/// Every selected letter, in the order of its partition.
async fn each(
    reader: &TopicReader,
    found: &Survey,
    replayer: &Replayer<Arc<KafkaPublisher>>,
    dry_run: bool,
    stop: &CancellationToken,
    mut tell: impl FnMut(Outcome),
) -> Result<(), Box<dyn std::error::Error>> {
    let mut records = reader.to_the_end();
    while let Some(record) = records.recv().await {
        let Entry::Letter(letter) = Entry::read(record?) else { continue };
        if !found.selected.contains_key(&letter.position) {
            continue;
        }
        if stop.is_cancelled() {
            return Err(ReplayError::Interrupted.into());
        }
        tell(replay_one(replayer, &letter, dry_run, stop).await?);
    }
    Ok(())
}

async fn replay_one(
    replayer: &Replayer<Arc<KafkaPublisher>>,
    letter: &Letter,
    dry_run: bool,
    stop: &CancellationToken,
) -> Result<Outcome, ReplayError> {
    if dry_run { Ok(replayer.foresee(letter)) } else { replayer.replay(letter, stop).await }
}

/// Topics that do not exist. Publishing to one would wait until somebody creates it.
async fn unusable_topics(config: &Config, publisher: &KafkaPublisher) -> Vec<Arc<str>> {
    let mut unusable = Vec::new();
    for topic in config.topics() {
        if let Err(reason) = publisher.find_topic(Arc::clone(&topic)).await {
            complain(reason);
            unusable.push(topic);
        }
    }
    unusable
}

fn summarise(tally: &Tally, selected: usize, args: &ReplayArgs) -> io::Result<()> {
    let mut out = io::stdout();
    if args.json {
        let left: serde_json::Map<_, _> =
            tally.left.iter().map(|(left, count)| (left.as_str().to_owned(), (*count).into())).collect();
        return writeln!(
            out,
            "{}",
            json!({"dry_run": args.dry_run, "selected": selected, "replayed": tally.replayed, "left": left})
        );
    }
    if selected == 0 {
        return writeln!(out, "no dead letters to replay");
    }
    let verb = if args.dry_run { "would be replayed" } else { "replayed" };
    writeln!(out, "{} of {selected} {verb}", tally.replayed)?;
    for (left, count) in &tally.left {
        writeln!(out, "{count} left, {}: {}", left.as_str(), left.explanation())?;
    }
    Ok(())
}
