//! Where what happened gets its number and time, and where it goes.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::until::until;

/// How much of the past is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// Entries kept in memory; 0 keeps none. Once full the journal stops there and counts what it left
    /// out, since an oracle that reads it has to know that it is incomplete.
    pub entries_max: usize,
    /// Also append every entry to this file, one JSON document a line, without limit.
    pub file: Option<PathBuf>,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { entries_max: 1_000_000, file: None }
    }
}

impl JournalConfig {
    /// Nothing is remembered.
    pub fn off() -> Self {
        Self { entries_max: 0, file: None }
    }
}

/// One thing that happened, in the words of its simulator.
pub(crate) trait Entry: Clone + Serialize + Send + 'static {
    /// [`Stamp::sequence`].
    fn sequence(&self) -> u64;
}

/// What an entry is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    /// Its place among all entries, from 1.
    pub(crate) sequence: u64,
    /// Milliseconds since the simulator started, by a clock that only goes forward.
    pub(crate) at_ms: u64,
    /// The same moment as UNIX time: the start by the wall clock plus `at_ms`.
    pub(crate) unix_ms: u64,
}

/// All entries of a simulator.
pub(crate) struct Journal<E> {
    started_at: Instant,
    started_unix_ms: u64,
    entries_max: usize,
    has_file: bool,
    inner: Mutex<Inner<E>>,
    recorded: Notify,
}

struct Inner<E> {
    sequence: u64,
    kept: Vec<E>,
    left_out: u64,
    file: Option<BufWriter<File>>,
    file_failed: bool,
}

impl<E: Entry> Journal<E> {
    pub(crate) fn open(config: &JournalConfig) -> io::Result<Self> {
        let open = |path| File::options().create(true).append(true).open(path);
        let file = config.file.as_ref().map(open).transpose()?.map(|file| BufWriter::with_capacity(1 << 16, file));
        Ok(Self {
            started_at: Instant::now(),
            started_unix_ms: u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default(),
            entries_max: config.entries_max,
            has_file: file.is_some(),
            inner: Mutex::new(Inner { sequence: 0, kept: Vec::new(), left_out: 0, file, file_failed: false }),
            recorded: Notify::new(),
        })
    }

    pub(crate) fn has_file(&self) -> bool {
        self.has_file
    }

    pub(crate) fn record(&self, made: impl FnOnce(Stamp) -> E) {
        if self.entries_max == 0 && !self.has_file {
            return;
        }
        let mut inner = self.lock();
        // Taken under the lock, so that the order of the numbers is that of the times.
        let at_ms = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        inner.sequence += 1;
        let entry = made(Stamp { sequence: inner.sequence, at_ms, unix_ms: self.started_unix_ms + at_ms });
        inner.append(&entry);
        if inner.kept.len() < self.entries_max {
            inner.kept.push(entry);
        } else if self.entries_max > 0 {
            // With no room at all, memory was never asked to remember: the file is the journal.
            inner.leave_out(self.entries_max);
        }
        drop(inner);
        self.recorded.notify_waiters();
    }

    /// What is kept after this number.
    pub(crate) fn after(&self, sequence: u64) -> Vec<E> {
        let inner = self.lock();
        let first = inner.kept.partition_point(|entry| entry.sequence() <= sequence);
        inner.kept[first..].to_vec()
    }

    /// Entries that found no room in memory.
    pub(crate) fn left_out(&self) -> u64 {
        self.lock().left_out
    }

    pub(crate) fn flush(&self) {
        let mut inner = self.lock();
        let flushed = inner.file.as_mut().map_or(Ok(()), Write::flush);
        inner.report(flushed);
    }

    /// The first entry there is, or will be, that satisfies this. `after` is [`Self::after`], with what is to be done
    /// before a look.
    pub(crate) async fn find(&self, after: impl Fn(u64) -> Vec<E>, wanted: impl Fn(&E) -> bool) -> E {
        let mut seen = 0;
        let look = || {
            let fresh = after(seen);
            seen = fresh.last().map_or(seen, Entry::sequence);
            fresh.into_iter().find(&wanted)
        };
        until(&self.recorded, look).await
    }

    fn lock(&self) -> MutexGuard<'_, Inner<E>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Entry> Inner<E> {
    fn append(&mut self, entry: &E) {
        let Some(file) = &mut self.file else { return };
        let written = serde_json::to_writer(&mut *file, entry).map_err(io::Error::from);
        let written = written.and_then(|()| file.write_all(b"\n"));
        self.report(written);
    }

    fn leave_out(&mut self, entries_max: usize) {
        self.left_out += 1;
        if self.left_out == 1 {
            tracing::warn!(entries_max, "the simulator's journal is full; later entries are left out");
        }
    }

    /// A full disk is said once, not once a line.
    fn report(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome
            && !std::mem::replace(&mut self.file_failed, true)
        {
            tracing::error!(%error, "failed to write the simulator's journal file; it is incomplete");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Entry for (u64, char) {
        fn sequence(&self) -> u64 {
            self.0
        }
    }

    fn journal(entries_max: usize, file: Option<PathBuf>, happened: &str) -> Journal<(u64, char)> {
        let journal = Journal::open(&JournalConfig { entries_max, file }).expect("a file");
        happened.chars().for_each(|what| record(&journal, what));
        journal
    }

    fn record(journal: &Journal<(u64, char)>, what: char) {
        journal.record(|stamp| (stamp.sequence, what));
    }

    #[test]
    fn memory_is_bounded_and_says_so_and_the_file_has_it_all() {
        for entries_max in [0, 2] {
            let path = std::env::temp_dir().join(format!("simulator-{entries_max}-{}.jsonl", std::process::id()));
            let journal = journal(entries_max, Some(path.clone()), "abc");
            journal.flush();
            let text = std::fs::read_to_string(&path).expect("readable");
            std::fs::remove_file(&path).expect("removable");
            assert_eq!(text, "[1,\"a\"]\n[2,\"b\"]\n[3,\"c\"]\n");
            assert_eq!(journal.after(0), [(1, 'a'), (2, 'b')][..entries_max]);
            assert_eq!(journal.after(1), [(2, 'b')][..entries_max / 2]);
            assert_eq!(journal.left_out(), u64::from(entries_max > 0), "without memory nothing is missed");
        }
    }

    #[tokio::test]
    async fn what_is_waited_for_is_found_before_and_after() {
        let journal = journal(9, None, "a");
        let find = |wanted| journal.find(|sequence| journal.after(sequence), move |entry| entry.1 == wanted);
        assert_eq!(find('a').await, (1, 'a'));
        let (found, ()) = tokio::join!(find('b'), async { record(&journal, 'b') });
        assert_eq!(found, (2, 'b'));
    }
}
