//! Was everything delivered? Compares a simulator's journal with the topics. The oracle is the judge.
//!
//! The journal is trusted, the broker is trusted, and so is the position that the consumer reports. The bridge is
//! trusted as little as possible. A record stands for the event whose body it carries (`raw`, or a dead letter's
//! bytes), compared by content. What the record says about itself is only checked against that. There are three
//! exceptions, where there is no body to compare:
//!
//! * An event without `raw` (`include_raw = false`) and a dead letter that was cut: their `ce_id` is believed. It is a
//!   hash of instance and content and is computed here again from the journal's body, so it cannot be right by chance.
//!   That the rest of such a record belongs to the same event is taken on trust.
//! * A dead letter of an unreadable answer that is not the queued body in its envelope (cut or garbled on the way): it
//!   stands for the event that the journal handed out with the receipt in its header.
//! * The bridge's own reading of the body decides what the configuration drops.
//!
//! A topic may hold foreign records. Records of instances that the journal does not know, and records of no instance,
//! are skipped. So are records that a broker appended before the first simulator started, if the broker sets
//! timestamps. A record of a trial's instance whose body was never queued is foreign too. But nobody can tell whether
//! another program wrote it or the bridge made it up, so then no verdict is possible.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aho_corasick::AhoCorasick;
use secrecy::ExposeSecret;

use crate::config::Config;
use crate::core::consume::{ConsumedRecord, ReadError, TopicReader};
use crate::core::policy::Policy;
use chatbridge_lab::oracle::{Remarks, Sighting};

mod content;
mod journal;
mod record;
mod report;

pub(crate) use journal::JournalError;
pub(crate) use report::{Example, Promise, Report, Secrets, Seen};

use journal::Trial;
use record::{Account, DeadLetter};

/// A shorter token may occur in a text by chance. GREEN-API's have 50 characters.
pub(crate) const TOKEN_BYTES_MIN: usize = 16;
/// At most this many examples are shown of each breach.
const EXAMPLES_MAX: usize = 5;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// The journal: fix the usage.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The topics: try again.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A part of this process failed.
    #[error("failed to judge: {0}")]
    Failed(String),
}

/// The progress so far.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Bytes of journals read.
    pub journal_bytes: AtomicU64,
    /// Entries of journals read.
    pub journal_entries: AtomicU64,
    /// Records read.
    pub records: AtomicU64,
}

/// What to verify, and how.
pub(crate) struct Verification {
    /// Names the topics and the tokens.
    pub config: Config,
    /// What the configuration drops.
    pub policy: Policy,
    /// The journals, one file or several.
    pub journals: Vec<PathBuf>,
    /// How far the broker's clock may be ahead of the simulator's.
    pub clock_tolerance_ms: u32,
    /// Updated on the way.
    pub progress: Arc<Progress>,
}

impl Verification {
    /// Reads the journals, then the topics to their end, and judges.
    ///
    /// # Errors
    /// If one of them cannot be read, or the journals do not allow a verdict.
    pub(crate) async fn run(self) -> Result<Report, VerifyError> {
        let Self { config, policy, journals, clock_tolerance_ms, progress } = self;
        let reading = Arc::clone(&progress);
        let reading = tokio::task::spawn_blocking(move || Trial::read(&journals, &policy, &reading));
        let trial = reading.await.map_err(|panic| VerifyError::Failed(panic.to_string()))??;
        let mut court = Court::new(trial, &config, i64::from(clock_tolerance_ms))?;
        for topic in config.topics() {
            let is_dead_letters = topic == config.kafka.dead_letter_topic;
            let mut records = TopicReader::open(&config.kafka, Arc::clone(&topic)).await?.to_the_end();
            court.next_topic(topic);
            while let Some(record) = records.recv().await {
                court.hear(&record?, is_dead_letters);
                progress.records.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(court.judge())
    }
}

/// Which source a record belongs to.
enum Whose {
    /// One of the trial's instances, with what the record says.
    Trial(Account),
    /// One of the trial's instances, written before the trial began.
    Earlier,
    /// An instance that the journal does not know.
    OtherInstance,
    /// No instance of GREEN-API: ChatApp, or another program.
    NoInstance,
    /// The mark of a replayed dead letter.
    Mark,
}

/// The oracle, and the counts that it does not keep.
struct Court {
    trial: Trial,
    tokens: AhoCorasick,
    clock_tolerance_ms: i64,
    topics: Vec<Arc<str>>,
    seen: Seen,
    secrets: Secrets,
    wrong_id: u64,
    examples: Vec<Example>,
}

impl Court {
    fn new(trial: Trial, config: &Config, clock_tolerance_ms: i64) -> Result<Self, VerifyError> {
        let tokens = config.instances.iter().map(|instance| instance.token.expose_secret().trim());
        let (long, short): (Vec<&str>, Vec<&str>) = tokens.partition(|token| token.len() >= TOKEN_BYTES_MIN);
        let secrets = Secrets { tokens_searched: long.len(), tokens_too_short: short.len(), ..Secrets::default() };
        // This error's message never holds the tokens themselves.
        let tokens = AhoCorasick::new(&long).map_err(|error| VerifyError::Failed(error.to_string()))?;
        let (topics, seen) = (Vec::new(), Seen::default());
        Ok(Self { trial, tokens, clock_tolerance_ms, topics, seen, secrets, wrong_id: 0, examples: Vec::new() })
    }

    fn next_topic(&mut self, topic: Arc<str>) {
        self.topics.push(topic);
    }

    fn hear(&mut self, record: &ConsumedRecord, is_dead_letter: bool) {
        self.seen.records += 1;
        let is_foreign = match self.whose(record, is_dead_letter) {
            Whose::Trial(account) => self.weigh(record, &account, is_dead_letter),
            Whose::Mark => {
                self.seen.marks += 1;
                false
            }
            Whose::Earlier => {
                self.seen.older += 1;
                true
            }
            Whose::OtherInstance => {
                self.seen.of_others += 1;
                true
            }
            Whose::NoInstance => {
                self.seen.of_others += 1;
                self.seen.of_no_instance += 1;
                true
            }
        };
        self.search_for_tokens(record, is_foreign);
    }

    fn whose(&self, record: &ConsumedRecord, is_dead_letter: bool) -> Whose {
        let account = if is_dead_letter {
            match record::dead_letter(record) {
                DeadLetter::Letter(account) => Some(account),
                DeadLetter::Mark => return Whose::Mark,
                DeadLetter::Foreign => None,
            }
        } else {
            record::event(record)
        };
        match account {
            None => Whose::NoInstance,
            Some(account) if !self.trial.has(account.instance) => Whose::OtherInstance,
            Some(_) if record.appended_ms.is_some_and(|at| at + self.clock_tolerance_ms < self.trial.started_ms()) => {
                Whose::Earlier
            }
            Some(account) => Whose::Trial(account),
        }
    }

    /// Compares the record with what was queued. Returns true if nothing like it ever was.
    fn weigh(&mut self, record: &ConsumedRecord, account: &Account, is_dead_letter: bool) -> bool {
        let oracle = &mut self.trial.oracle;
        let by_content = account.identities.iter().find_map(|identity| oracle.find(identity));
        let is_believed = account.identities.is_empty();
        let by_claim = account.claimed.first().filter(|_| is_believed).and_then(|id| oracle.find(id));
        let by_receipt = || account.receipt.and_then(|receipt| self.trial.by_receipt(account.instance, receipt));
        let event = by_content.or(by_claim).or_else(by_receipt);
        let oracle = &mut self.trial.oracle;
        // The id of a queued event with a body that was not queued: the event was altered on the way.
        let is_altered = event.is_none() && account.claimed.iter().any(|id| oracle.find(id).is_some());
        if is_altered || event.is_some() && account.claimed.iter().any(|id| oracle.find(id) != event) {
            self.wrong_id += 1;
            self.example("wrong id", record);
        }
        if is_altered {
            return false;
        }
        let topic = u16::try_from(self.topics.len()).unwrap_or(u16::MAX);
        let sighting = Sighting {
            key: &record.key,
            topic,
            partition: record.position.partition,
            appended_ms: record.appended_ms,
            is_dead_letter,
        };
        let remarks = self.trial.oracle.sighted(event, sighting);
        let Remarks { is_first: _, is_unexpected, has_wrong_key, is_out_of_order, is_split } = remarks;
        for (is_so, what) in [
            (is_unexpected, "foreign"),
            (has_wrong_key, "wrong key"),
            (is_out_of_order, "out of order"),
            (is_split, "chat on several partitions"),
        ] {
            if is_so {
                self.example(what, record);
            }
        }
        is_unexpected
    }

    /// Searches the key, the headers and the value.
    fn search_for_tokens(&mut self, record: &ConsumedRecord, is_foreign: bool) {
        let headers = record.headers.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let mut places = headers.chain([record.key.as_bytes(), &record.value]);
        if self.secrets.tokens_searched > 0 && places.any(|place| self.tokens.is_match(place)) {
            self.secrets.records += 1;
            self.secrets.in_foreign += u64::from(is_foreign);
            self.example("secret", record);
        }
    }

    fn example(&mut self, what: &'static str, record: &ConsumedRecord) {
        let topic = self.topics.last().map(ToString::to_string).unwrap_or_default();
        let position = record.position;
        self.add_example(Example::Record { what, topic, partition: position.partition, offset: position.offset });
    }

    fn add_example(&mut self, example: Example) {
        if self.examples.iter().filter(|have| have.what() == example.what()).count() < EXAMPLES_MAX {
            self.examples.push(example);
        }
    }

    fn judge(mut self) -> Report {
        let lost: Vec<_> = self.trial.lost().take(EXAMPLES_MAX).collect();
        for (instance, entry) in lost {
            self.add_example(Example::Entry { what: "lost", instance, entry });
        }
        let judgement = self.trial.oracle.judgement(self.clock_tolerance_ms);
        Report::new(judgement, self.seen, self.secrets, self.wrong_id, self.trial.runs(), self.examples)
    }
}
