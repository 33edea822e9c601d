//! `chatbridge tail`: present and new records of the topics, one readable line per event.
//!
//! It prints people's messages, and only to standard output. Standard error never shows them.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use console::Term;
use tokio::sync::mpsc;

use super::json_line::{self, Value};
use super::moment::moment;
use super::{ConfigArgs, EXIT_FAILED, EXIT_USAGE, block_on, complain};
use crate::config::Config;
use crate::core::consume::{Brokers, ConsumedRecord, ReadError, Start, TopicReader};
use crate::fit;
use crate::redact::Redactor;
use crate::shutdown;
use chatbridge_event::event::{ChatId, KindName};
use chatbridge_event::record::{chat_key, unframed};

mod line;
mod view;
mod words;

use line::Layout;
use view::{Filter, View};

/// This many lines wait for the terminal or pipe. After that, reading from the brokers waits too.
const AHEAD_RECORDS: usize = 16;

/// Arguments of `tail`.
#[derive(Debug, Args)]
pub(super) struct TailArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Only this chat, as in the record's key, or what stands there before the @; may be given several times
    #[arg(long, value_name = "CHAT")]
    chat: Vec<String>,
    /// Only this kind; may be given several times
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Vec<KindName>,
    /// Only this instance; may be given several times
    #[arg(long, value_name = "ID")]
    instance: Vec<u64>,
    /// The dead letters too
    #[arg(long)]
    dlq: bool,
    /// beginning, end, 2026-01-31, 2026-01-31T12:00:00Z, or so long ago: 10m, 2h, 3d; by the records' timestamps
    /// [default: end; with --until-end: beginning]
    #[arg(long, value_name = "START", value_parser = start)]
    from: Option<Start>,
    /// Stops at what is the end now, instead of waiting for what comes
    #[arg(long)]
    until_end: bool,
    /// Stops after so many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_events: Option<u64>,
    /// For machines: one JSON object per record, as `normalize` prints it
    #[arg(long)]
    json: bool,
}

fn kind(word: &str) -> Result<KindName, String> {
    KindName::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| {
        let known = KindName::ALL.map(KindName::as_str).join(", ");
        format!("expected one of {known}")
    })
}

fn start(text: &str) -> Result<Start, String> {
    match text {
        "beginning" => Ok(Start::Beginning),
        "end" => Ok(Start::End),
        _ => moment(text).map(Start::At).map_err(|expected| format!("{expected}, beginning or end")),
    }
}

pub(super) fn tail(args: &TailArgs, redactor: Redactor) -> ExitCode {
    let config = match args.config.load() {
        Ok(config) => config,
        Err(problems) => {
            complain(problems);
            return EXIT_USAGE.into();
        }
    };
    redactor.configured(config.secrets());
    block_on(async {
        match follow(&config, args, redactor).await {
            Ok(()) => ExitCode::SUCCESS,
            // The reader closed the pipe, which is no error.
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
    Read(#[from] ReadError),
    #[error("failed to print: {0}")]
    Io(#[from] io::Error),
}

async fn follow(config: &Config, args: &TailArgs, redactor: Redactor) -> Result<(), Failure> {
    let stop = shutdown::on_signal()?;
    let Some(opened) = stop.run_until_cancelled(open(config, args)).await else { return Ok(()) };
    let mut records = opened?;
    let mut printer = Printer::new(args, redactor);
    while let Some(Some((topic, read))) = stop.run_until_cancelled(records.recv()).await {
        match read {
            Ok(record) => printer.print(config, &topic, &record)?,
            Err(error) => {
                printer.out.flush()?;
                return Err(error.into());
            }
        }
        if printer.is_done() {
            break;
        }
        if records.is_empty() {
            printer.out.flush()?;
        }
    }
    Ok(printer.out.flush()?)
}

type Records = mpsc::Receiver<(Arc<str>, Result<ConsumedRecord, ReadError>)>;

/// The records of all topics. Each partition is in order, and the partitions are mixed as they arrive.
async fn open(config: &Config, args: &TailArgs) -> Result<Records, ReadError> {
    let topics = if args.dlq { config.topics() } else { config.event_topics() };
    let start = args.from.unwrap_or(if args.until_end { Start::Beginning } else { Start::End });
    let mut readers = Vec::with_capacity(topics.len());
    for topic in &topics {
        readers.push((Arc::clone(topic), TopicReader::open_from(&config.kafka, Arc::clone(topic), start).await?));
    }
    let (sender, receiver) = mpsc::channel(AHEAD_RECORDS);
    for (topic, reader) in readers {
        let mut records = if args.until_end { reader.to_the_end() } else { reader.onward(tell(Arc::clone(&topic))) };
        let sender = sender.clone();
        tokio::spawn(async move {
            while let Some(read) = records.recv().await {
                if sender.send((Arc::clone(&topic), read)).await.is_err() {
                    return;
                }
            }
        });
    }
    if !args.until_end {
        complain(format_args!("following {}; Ctrl-C ends", topics.join(", ")));
    }
    Ok(receiver)
}

fn tell(topic: Arc<str>) -> impl FnMut(Brokers) + Send + 'static {
    move |brokers| match brokers {
        Brokers::Away(detail) => {
            complain(format_args!("topic {topic}: Kafka does not answer ({detail}); waiting for it"))
        }
        Brokers::Back => complain(format_args!("topic {topic}: Kafka answers again")),
    }
}

struct Printer {
    out: BufWriter<io::Stdout>,
    filter: Filter,
    /// `None` means JSON.
    layout: Option<Layout>,
    left: Option<u64>,
    redactor: Redactor,
}

impl Printer {
    fn new(args: &TailArgs, redactor: Redactor) -> Self {
        let chat = |chat: &String| ChatId::new(chat).map_or_else(String::new, |chat| chat_key(&chat));
        let terminal = Term::stdout();
        let columns = terminal.size_checked().filter(|_| io::stdout().is_terminal()).map(|(_, columns)| columns.into());
        let layout = Layout { columns, colours: terminal.features().colors_supported() && console::colors_enabled() };
        Self {
            out: BufWriter::new(io::stdout()),
            filter: Filter {
                chats: args.chat.iter().map(chat).collect(),
                kinds: args.kind.iter().map(|kind| kind.as_str()).collect(),
                instances: args.instance.iter().map(u64::to_string).collect(),
            },
            layout: (!args.json).then_some(layout),
            left: args.max_events,
            redactor,
        }
    }

    fn print(&mut self, config: &Config, topic: &str, record: &ConsumedRecord) -> io::Result<()> {
        let is_dead_letter = *topic == *config.kafka.dead_letter_topic;
        let view = match is_dead_letter {
            true => View::of_dead_letter(record, &self.redactor),
            false => View::of_event(record),
        };
        if self.is_done() || !self.filter.wants(&view, &record.key) {
            return Ok(());
        }
        self.left = self.left.map(|left| left - 1);
        let Some(layout) = &self.layout else {
            let headers = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let value = if is_dead_letter { &record.value } else { unframed(&record.value) };
            let mut text = Vec::new();
            json_line::write(&mut text, topic, &record.key, headers, Value::Bytes(value))?;
            return self.out.write_all(fit::json(&String::from_utf8_lossy(&text)).as_bytes());
        };
        writeln!(self.out, "{}", layout.line(&view, record))
    }

    fn is_done(&self) -> bool {
        self.left == Some(0)
    }
}

#[cfg(test)]
mod tests;
