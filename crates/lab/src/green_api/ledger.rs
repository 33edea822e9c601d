//! Where journal entries get their number and time, and where they go. The entries of an instance are kept
//! with the instance, under its own lock, so that keeping a journal joins no two instances.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::config::JournalConfig;
use super::journal::{JournalEntry, JournalEvent};

/// Numbers, stamps and counts the entries of all instances.
pub(super) struct Ledger {
    started_at: Instant,
    started_unix_ms: u64,
    sequence: AtomicU64,
    entries_max: usize,
    kept: AtomicUsize,
    left_out: AtomicU64,
    file: Option<Mutex<BufWriter<File>>>,
    file_failed: AtomicBool,
    /// Someone waits for an entry; nobody is woken otherwise.
    watchers: AtomicUsize,
    recorded: Notify,
}

impl Ledger {
    pub(super) fn open(config: &JournalConfig) -> io::Result<Self> {
        let open = |path| File::options().create(true).append(true).open(path);
        let file = config.file.as_ref().map(open).transpose()?;
        Ok(Self {
            started_at: Instant::now(),
            started_unix_ms: u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default(),
            sequence: AtomicU64::new(0),
            entries_max: config.entries_max,
            kept: AtomicUsize::new(0),
            left_out: AtomicU64::new(0),
            file: file.map(|file| Mutex::new(BufWriter::with_capacity(1 << 16, file))),
            file_failed: AtomicBool::new(false),
            watchers: AtomicUsize::new(0),
            recorded: Notify::new(),
        })
    }

    /// Whether entries go nowhere, so that making them can be spared.
    pub(super) fn is_off(&self) -> bool {
        self.entries_max == 0 && self.file.is_none()
    }

    /// Records one entry into `kept`, the journal of this instance, which the caller has locked.
    pub(super) fn record(&self, kept: &mut Vec<JournalEntry>, instance: u64, now: Instant, what: JournalEvent) {
        if self.is_off() {
            return;
        }
        let at_ms = millis(now.saturating_duration_since(self.started_at));
        let sequence = self.sequence.fetch_add(1, Ordering::AcqRel) + 1;
        let entry = JournalEntry { sequence, at_ms, unix_ms: self.started_unix_ms + at_ms, instance, what };
        if let Some(file) = &self.file {
            self.append(file, &entry);
        }
        let room = self.kept.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < self.entries_max).then_some(count + 1)
        });
        match room {
            Ok(_) => kept.push(entry),
            Err(_) => self.leave_out(),
        }
        if self.watchers.load(Ordering::SeqCst) > 0 {
            self.recorded.notify_waiters();
        }
    }

    /// The number of the latest entry. Numbers are given under the instance's lock, so whoever locks an
    /// instance after this call finds there every entry up to this number.
    pub(super) fn latest(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// Entries that found no room in memory.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }

    pub(super) fn has_file(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn flush(&self) {
        if let Some(file) = &self.file {
            let outcome = file.lock().unwrap_or_else(PoisonError::into_inner).flush();
            self.report(outcome);
        }
    }

    /// Waits until `find` finds something; it is asked again after each entry. It is asked at least once
    /// after this call began, so nothing recorded in between is missed.
    pub(super) async fn watch<T>(&self, mut find: impl FnMut() -> Option<T>) -> T {
        let _watching = Watching::new(&self.watchers);
        loop {
            let recorded = self.recorded.notified();
            tokio::pin!(recorded);
            recorded.as_mut().enable();
            if let Some(found) = find() {
                return found;
            }
            recorded.await;
        }
    }

    fn append(&self, file: &Mutex<BufWriter<File>>, entry: &JournalEntry) {
        let mut line = match serde_json::to_vec(entry) {
            Ok(line) => line,
            Err(error) => return self.report(Err(error.into())),
        };
        line.push(b'\n');
        let outcome = file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
        self.report(outcome);
    }

    fn leave_out(&self) {
        // With no room at all, memory was never asked to remember: the file is the journal.
        if self.entries_max > 0 && self.left_out.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!(
                entries_max = self.entries_max,
                "the simulator's journal is full; later entries are left out"
            );
        }
    }

    /// A full disk is said once, not once a line.
    fn report(&self, outcome: io::Result<()>) {
        if let Err(error) = outcome
            && !self.file_failed.swap(true, Ordering::Relaxed)
        {
            tracing::error!(%error, "failed to write the simulator's journal file; it is incomplete");
        }
    }
}

/// Counts a watcher for as long as it watches, also when it is dropped half-way.
struct Watching<'l>(&'l AtomicUsize);

impl<'l> Watching<'l> {
    fn new(watchers: &'l AtomicUsize) -> Self {
        watchers.fetch_add(1, Ordering::SeqCst);
        Self(watchers)
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::green_api::config::EntryId;

    fn expired(entry: u64) -> JournalEvent {
        JournalEvent::Expired { entry: EntryId(entry) }
    }

    #[test]
    fn memory_is_bounded_and_says_so() {
        let ledger = Ledger::open(&JournalConfig { entries_max: 2, file: None }).expect("no file");
        let (mut first, mut second) = (Vec::new(), Vec::new());
        let now = Instant::now();
        ledger.record(&mut first, 1, now, expired(1));
        ledger.record(&mut second, 2, now, expired(1));
        ledger.record(&mut first, 1, now, expired(2));
        assert_eq!((first.len(), second.len(), ledger.left_out()), (1, 1, 1), "the bound is one for all instances");
        assert_eq!(second[0].sequence, 2);
    }

    #[test]
    fn the_file_gets_everything() {
        let path = std::env::temp_dir().join(format!("simulator-ledger-{}.jsonl", std::process::id()));
        let config = JournalConfig { entries_max: 0, file: Some(path.clone()) };
        let ledger = Ledger::open(&config).expect("a file");
        let mut kept = Vec::new();
        for entry in 1..=3 {
            ledger.record(&mut kept, 1, Instant::now(), expired(entry));
        }
        ledger.flush();
        let text = std::fs::read_to_string(&path).expect("readable");
        std::fs::remove_file(&path).expect("removable");
        let read: Vec<JournalEntry> = text.lines().map(|line| serde_json::from_str(line).expect("an entry")).collect();
        assert!(kept.is_empty());
        assert_eq!(read.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_watcher_sees_what_is_recorded_before_and_after() {
        let ledger = Ledger::open(&JournalConfig::default()).expect("no file");
        let kept = Mutex::new(Vec::new());
        let record = |entry| ledger.record(&mut kept.lock().expect("lock"), 1, Instant::now(), expired(entry));
        record(1);
        let count = |wanted: usize| {
            let kept = &kept;
            move || (kept.lock().expect("lock").len() >= wanted).then_some(wanted)
        };
        assert_eq!(ledger.watch(count(1)).await, 1);
        let (seen, ()) = tokio::join!(ledger.watch(count(2)), async { record(2) });
        assert_eq!(seen, 2);
        assert_eq!(ledger.watchers.load(Ordering::SeqCst), 0);
    }
}
