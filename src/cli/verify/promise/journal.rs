//! Reads the simulator's journal into the oracle: what was queued, how it left the queue, and what is still there.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use serde_json::value::RawValue;

use super::Progress;
use super::content::Content;
use crate::core::policy::{self, Policy};
use chatbridge_event::event::InstanceId;
use chatbridge_event::normalize::green_api::normalize;
use chatbridge_lab::green_api::{EntryId, JournalEntry, JournalEvent};
use chatbridge_lab::oracle::{EventRef, LeftBy, Oracle};

/// How many events one trial may queue: about 250 bytes each are kept in memory.
const EVENTS_MAX: usize = 5_000_000;
/// A line holds one body, which takes at most twice its length in hexadecimal.
const LINE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Why the journal cannot be used: fix what the message says, then run the trial or `verify` again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The file cannot be read.
    #[error("{0}: {1}")]
    Unreadable(PathBuf, #[source] io::Error),
    /// A line is no entry of a journal.
    #[error("{0}, line {1}: not an entry of a journal as `chatbridge simulate --journal` writes it ({2})")]
    NotAnEntry(PathBuf, u64, String),
    /// The last line is incomplete.
    #[error(
        "{0} breaks off in its last line: the simulator was killed, so what it saw last is not known and nothing can be \
             judged; run the trial again and end the simulator with Ctrl-C or SIGTERM"
    )]
    BrokenOff(PathBuf),
    /// Entries are missing.
    #[error(
        "{0} is incomplete (entry {1} of a run is missing), so nothing can be judged: was the disk full, or the file cut \
             or filtered? Give all of it, or run the trial again"
    )]
    Incomplete(PathBuf, u64),
    /// Entries occur twice.
    #[error("{0} holds entries of a run that were read before: give each journal once")]
    Twice(PathBuf),
    /// Nothing was queued.
    #[error(
        "nothing was queued according to the journal, so there is nothing to judge: give the simulator a --rate, or inject"
    )]
    Empty,
    /// More than fit into memory.
    #[error("more than {EVENTS_MAX} events were queued: split the trial into shorter ones, each with its own journal")]
    TooMany,
}

/// The content of the journals.
pub(super) struct Trial {
    pub(super) oracle: Oracle,
    runs: BTreeMap<Started, Run>,
    events: usize,
}

/// A simulator's run: the file it is in, and its start in Unix milliseconds, which every entry holds.
type Started = (usize, u64);

#[derive(Default)]
struct Run {
    entries: u64,
    last: u64,
    sum: u128,
    instances: HashMap<u64, Queue>,
}

/// One instance's queue in one run.
#[derive(Default)]
struct Queue {
    /// By [`EntryId`], counted from 1.
    entries: Vec<Entry>,
    /// Receipts in the order they were given.
    receipts: Vec<(u64, EventRef)>,
}

#[derive(Clone, Copy)]
struct Entry {
    event: EventRef,
    has_left: bool,
}

impl Trial {
    /// Reads all journals. Blocks until the files are read.
    pub(super) fn read(journals: &[PathBuf], policy: &Policy, progress: &Progress) -> Result<Self, JournalError> {
        let mut trial = Self { oracle: Oracle::default(), runs: BTreeMap::new(), events: 0 };
        let mut seen = Vec::new();
        for path in journals {
            let unreadable = |error| JournalError::Unreadable(path.clone(), error);
            let file = File::open(path).map_err(unreadable)?;
            let real = path.canonicalize().map_err(unreadable)?;
            if seen.contains(&real) {
                return Err(JournalError::Twice(path.clone()));
            }
            seen.push(real);
            trial.file(seen.len(), path, file, policy, progress)?;
        }
        if trial.events == 0 {
            return Err(JournalError::Empty);
        }
        let left_behind = trial.runs.values().flat_map(|run| run.instances.values()).flat_map(|queue| &queue.entries);
        for entry in left_behind.filter(|entry| !entry.has_left) {
            trial.oracle.still_queued(entry.event);
        }
        Ok(trial)
    }

    fn file(
        &mut self,
        number: usize,
        path: &Path,
        file: File,
        policy: &Policy,
        progress: &Progress,
    ) -> Result<(), JournalError> {
        let unreadable = |error| JournalError::Unreadable(path.to_owned(), error);
        let mut input = BufReader::with_capacity(1 << 18, file);
        let mut line = Vec::new();
        for number_of_line in 1.. {
            line.clear();
            let read = io::Read::take(&mut input, LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(unreadable)?;
            if read == 0 {
                break;
            }
            progress.journal_bytes.fetch_add(read as u64, Ordering::Relaxed);
            if line.last() != Some(&b'\n') {
                return Err(JournalError::BrokenOff(path.to_owned()));
            }
            let entry = serde_json::from_slice(&line).map_err(|error| {
                // Only the place, because the message may quote the content.
                let at = format!("column {}", error.column());
                JournalError::NotAnEntry(path.to_owned(), number_of_line, at)
            })?;
            self.entry((number, started(&entry)), path, entry, policy)?;
            progress.journal_entries.fetch_add(1, Ordering::Relaxed);
        }
        for run in self.runs.range((number, 0)..=(number, u64::MAX)).map(|(_, run)| run) {
            run.check(path)?;
        }
        Ok(())
    }

    fn entry(
        &mut self,
        started: Started,
        path: &Path,
        entry: JournalEntry,
        policy: &Policy,
    ) -> Result<(), JournalError> {
        let JournalEntry { sequence, unix_ms, instance, what, .. } = entry;
        let run = self.runs.entry(started).or_default();
        run.entries += 1;
        run.last = run.last.max(sequence);
        run.sum += u128::from(sequence);
        let queue = run.instances.entry(instance).or_default();
        let (entry, by) = match what {
            JournalEvent::Enqueued { entry, body } => {
                if entry.0 != queue.entries.len() as u64 + 1 {
                    return Err(JournalError::Incomplete(path.to_owned(), sequence));
                }
                if self.events == EVENTS_MAX {
                    return Err(JournalError::TooMany);
                }
                self.events += 1;
                let event = enqueue(&mut self.oracle, instance, &body.0, policy);
                queue.entries.push(Entry { event, has_left: false });
                return Ok(());
            }
            JournalEvent::Pushed { entry } | JournalEvent::PushFailed { entry, .. } => {
                let known = queue.entry(entry).map(|_| ());
                return known.ok_or_else(|| JournalError::Incomplete(path.to_owned(), sequence));
            }
            JournalEvent::HandedOut { entry, receipt } => {
                let Some(found) = queue.entry(entry) else {
                    return Err(JournalError::Incomplete(path.to_owned(), sequence));
                };
                let event = found.event;
                if queue.receipts.last() != Some(&(receipt, event)) {
                    queue.receipts.push((receipt, event));
                }
                return Ok(());
            }
            JournalEvent::Deleted { entry, .. } | JournalEvent::Acknowledged { entry } => (entry, LeftBy::Deletion),
            JournalEvent::Expired { entry } => (entry, LeftBy::Age),
            JournalEvent::Stolen { entry, .. } => (entry, LeftBy::Theft),
            JournalEvent::DeleteRefused { .. } | JournalEvent::Faulted { .. } | JournalEvent::RateLimited { .. } => {
                return Ok(());
            }
        };
        let Some(found) = queue.entry(entry).filter(|found| !found.has_left) else {
            return Err(JournalError::Incomplete(path.to_owned(), sequence));
        };
        found.has_left = true;
        let event = found.event;
        self.oracle.left(event, instance, by, i64::try_from(unix_ms).unwrap_or(i64::MAX));
        Ok(())
    }

    /// Whether the trial has this instance.
    pub(super) fn has(&self, instance: u64) -> bool {
        self.runs.values().any(|run| run.instances.contains_key(&instance))
    }

    /// How many simulator runs there are in the journals.
    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// When the first simulator started, in Unix milliseconds.
    pub(super) fn started_ms(&self) -> i64 {
        let first = self.runs.keys().map(|(_, started)| *started).min().unwrap_or_default();
        i64::try_from(first).unwrap_or(i64::MAX)
    }

    /// The event that was handed out with this receipt. Of several runs, the first one not seen in Kafka yet.
    pub(super) fn by_receipt(&self, instance: u64, receipt: u64) -> Option<EventRef> {
        let queues = self.runs.values().filter_map(|run| run.instances.get(&instance));
        let found: Vec<EventRef> = queues
            .filter_map(|queue| queue.receipts.iter().rev().find(|(given, _)| *given == receipt))
            .map(|(_, event)| *event)
            .collect();
        found.iter().find(|event| !self.oracle.has_appeared(**event)).or(found.last()).copied()
    }

    /// Instance and entry of lost events.
    pub(super) fn lost(&self) -> impl Iterator<Item = (u64, u64)> {
        let queues = self.runs.values().flat_map(|run| &run.instances);
        queues.flat_map(move |(instance, queue)| {
            let numbered = queue.entries.iter().zip(1_u64..);
            let lost = numbered.filter(|(entry, _)| entry.has_left && self.oracle.is_lost(entry.event));
            lost.map(|(_, number)| (*instance, number))
        })
    }
}

impl Run {
    /// Checks that every entry number is there. Lines of different instances may be in another order.
    fn check(&self, path: &Path) -> Result<(), JournalError> {
        let sum = u128::from(self.last) * (u128::from(self.last) + 1) / 2;
        if self.entries == self.last && self.sum == sum {
            Ok(())
        } else if self.entries > self.last {
            Err(JournalError::Twice(path.to_owned()))
        } else {
            Err(JournalError::Incomplete(path.to_owned(), self.entries + 1))
        }
    }
}

impl Queue {
    fn entry(&mut self, id: EntryId) -> Option<&mut Entry> {
        self.entries.get_mut(usize::try_from(id.0.checked_sub(1)?).ok()?)
    }
}

/// An entry holds the time since the start by one clock and the same moment as Unix time. The difference is the start.
fn started(entry: &JournalEntry) -> u64 {
    entry.unix_ms.saturating_sub(entry.at_ms)
}

fn enqueue(oracle: &mut Oracle, instance: u64, body: &[u8], policy: &Policy) -> EventRef {
    let content = Content::of(instance, body);
    let event = oracle.queued(&content.identity, instance, &content.key);
    if let Some(reduced) = &content.without_thumbnails {
        oracle.also_known_as(event, reduced);
    }
    if is_unwanted(instance, body, policy) {
        oracle.unwanted(event);
    }
    event
}

/// The bridge's own reading of the body decides what the configuration drops. A second implementation here would only
/// be the same list again.
fn is_unwanted(instance: u64, body: &[u8], policy: &Policy) -> bool {
    let raw = std::str::from_utf8(body).ok().and_then(|text| RawValue::from_string(text.to_owned()).ok());
    raw.is_some_and(|raw| {
        let event = normalize(InstanceId::new(instance), raw);
        matches!(policy.verdict(&event), policy::Verdict::Drop(_))
    })
}

#[cfg(test)]
mod tests;
