//! What happened, as a judge needs it: what was published, to whom it went, what could be fetched. Never a token.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::fault::Place;
use crate::green_api::JournalConfig;

/// One thing that happened. As JSON: `{"sequence":7,"at_ms":12,"unix_ms":1760000000012,"what":{"event":"written",…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Its place among all entries.
    pub sequence: u64,
    /// Milliseconds since the simulator started, by a clock that only goes forward.
    pub at_ms: u64,
    /// The same moment as UNIX time: the start by the wall clock plus `at_ms`.
    pub unix_ms: u64,
    /// What it was.
    pub what: JournalEvent,
}

/// The number of a publication, from 1.
pub type PublicationId = u64;

/// The kinds of things that happen. `socket` is a `socket_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JournalEvent {
    /// The application published.
    Published {
        /// Which one.
        publication: PublicationId,
        /// Where.
        channel: String,
        /// The event's name.
        name: String,
        /// Its body, verbatim.
        body: String,
        /// Of each item in turn, as far as it has them: chat and id.
        items: Vec<ItemIds>,
        /// Whether REST gives every item back.
        fetchable: bool,
        /// Sockets that were subscribed.
        subscribers: usize,
    },
    /// A frame with it was handed to the network. Whether it arrived is not known here where the socket ended soon
    /// after.
    Written {
        /// Which one.
        publication: PublicationId,
        /// To whom.
        socket: String,
    },
    /// The `callbackUrl` was called with it.
    CalledBack {
        /// Which one.
        publication: PublicationId,
        /// The answer; absent where there was none.
        status: Option<u16>,
    },
    /// A WebSocket was welcomed.
    Connected {
        /// Its id.
        socket: String,
    },
    /// A channel is live.
    Subscribed {
        /// Who.
        socket: String,
        /// Where.
        channel: String,
    },
    /// A channel is no longer live, though the socket is.
    Unsubscribed {
        /// Who.
        socket: String,
        /// Where; absent: everywhere.
        channel: Option<String>,
        /// Whether the client neither asked for it nor was told.
        silently: bool,
    },
    /// A subscription was refused.
    Refused {
        /// Who.
        socket: String,
        /// Where.
        channel: String,
    },
    /// A socket ended, and all its subscriptions.
    Disconnected {
        /// Its id.
        socket: String,
        /// The close code we sent; absent where we sent none or the client went.
        code: Option<u16>,
    },
    /// A fault happened.
    Faulted {
        /// Where.
        place: Place,
        /// What, in the words of its JSON.
        fault: String,
    },
}

/// The ids of one item, numbers as their digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemIds {
    /// `chat.id`.
    pub chat: Option<String>,
    /// `id`.
    pub id: Option<String>,
}

/// What became of a publication, as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Written to a subscriber, or taken by the callback URL: who received nothing lost it himself.
    Pushed,
    /// Nobody was there, and REST gives it back.
    Fetchable,
    /// Nobody was there, and it cannot be fetched: a gap.
    Lost,
}

/// What became of each publication, in their order.
#[must_use]
pub fn fates(journal: &[JournalEntry]) -> Vec<(PublicationId, Fate)> {
    let pushed: std::collections::HashSet<PublicationId> = journal
        .iter()
        .filter_map(|entry| match entry.what {
            JournalEvent::Written { publication, .. } | JournalEvent::CalledBack { publication, status: Some(200) } => {
                Some(publication)
            }
            _ => None,
        })
        .collect();
    journal
        .iter()
        .filter_map(|entry| match entry.what {
            JournalEvent::Published { publication, .. } if pushed.contains(&publication) => {
                Some((publication, Fate::Pushed))
            }
            JournalEvent::Published { publication, fetchable: true, .. } => Some((publication, Fate::Fetchable)),
            JournalEvent::Published { publication, .. } => Some((publication, Fate::Lost)),
            _ => None,
        })
        .collect()
}

/// Where entries go.
pub(super) struct Journal {
    started_at: Instant,
    started_unix_ms: u64,
    entries_max: usize,
    inner: Mutex<Inner>,
    recorded: Notify,
}

struct Inner {
    sequence: u64,
    kept: Vec<JournalEntry>,
    left_out: u64,
    file: Option<BufWriter<File>>,
    file_failed: bool,
}

impl Journal {
    pub(super) fn open(config: &JournalConfig) -> io::Result<Self> {
        let open = |path| File::options().create(true).append(true).open(path);
        let file = config.file.as_ref().map(open).transpose()?.map(BufWriter::new);
        Ok(Self {
            started_at: Instant::now(),
            started_unix_ms: u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default(),
            entries_max: config.entries_max,
            inner: Mutex::new(Inner { sequence: 0, kept: Vec::new(), left_out: 0, file, file_failed: false }),
            recorded: Notify::new(),
        })
    }

    pub(super) fn record(&self, what: JournalEvent) {
        let mut inner = self.lock();
        if self.entries_max == 0 && inner.file.is_none() {
            return;
        }
        // Taken under the lock, so that the order of the numbers is that of the times.
        let at_ms = u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        inner.sequence += 1;
        let entry = JournalEntry { sequence: inner.sequence, at_ms, unix_ms: self.started_unix_ms + at_ms, what };
        inner.append(&entry);
        if inner.kept.len() < self.entries_max {
            inner.kept.push(entry);
        } else if self.entries_max > 0 {
            inner.leave_out(self.entries_max);
        }
        drop(inner);
        self.recorded.notify_waiters();
    }

    /// What is kept after this number.
    pub(super) fn after(&self, sequence: u64) -> Vec<JournalEntry> {
        let inner = self.lock();
        let first = inner.kept.partition_point(|entry| entry.sequence <= sequence);
        inner.kept[first..].to_vec()
    }

    /// Entries that found no room in memory.
    pub(super) fn left_out(&self) -> u64 {
        self.lock().left_out
    }

    pub(super) fn flush(&self) {
        let mut inner = self.lock();
        let flushed = inner.file.as_mut().map_or(Ok(()), Write::flush);
        inner.report(flushed);
    }

    /// The first entry there is, or will be, that satisfies this.
    pub(super) async fn find(&self, wanted: impl Fn(&JournalEntry) -> bool) -> JournalEntry {
        let mut seen = 0;
        loop {
            let recorded = self.recorded.notified();
            tokio::pin!(recorded);
            // Registered before the look, so that nothing in between is missed.
            recorded.as_mut().enable();
            let fresh = self.after(seen);
            seen = fresh.last().map_or(seen, |last| last.sequence);
            if let Some(found) = fresh.into_iter().find(&wanted) {
                return found;
            }
            recorded.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn append(&mut self, entry: &JournalEntry) {
        let Some(file) = &mut self.file else { return };
        let written = serde_json::to_writer(&mut *file, entry).map_err(io::Error::from);
        let written = written.and_then(|()| file.write_all(b"\n"));
        self.report(written);
    }

    fn leave_out(&mut self, entries_max: usize) {
        self.left_out += 1;
        if self.left_out == 1 {
            tracing::warn!(entries_max, "the simulated ChatApp's journal is full; later entries are left out");
        }
    }

    /// A full disk is said once, not once a line.
    fn report(&mut self, outcome: io::Result<()>) {
        if let Err(error) = outcome
            && !std::mem::replace(&mut self.file_failed, true)
        {
            tracing::error!(%error, "failed to write the simulated ChatApp's journal file; it is incomplete");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(publication: PublicationId, fetchable: bool) -> JournalEvent {
        JournalEvent::Published {
            publication,
            channel: "private-v1.users.685".to_owned(),
            name: "message".to_owned(),
            body: "{}".to_owned(),
            items: vec![ItemIds { chat: Some("c".to_owned()), id: None }],
            fetchable,
            subscribers: 1,
        }
    }

    fn journal(events: impl IntoIterator<Item = JournalEvent>) -> Journal {
        let journal = Journal::open(&JournalConfig::default()).expect("no file");
        events.into_iter().for_each(|event| journal.record(event));
        journal
    }

    #[test]
    fn a_judge_sees_what_was_pushed_what_can_be_fetched_and_what_is_lost() {
        let written = |publication| JournalEvent::Written { publication, socket: "1.2".to_owned() };
        let called = |publication, status| JournalEvent::CalledBack { publication, status };
        let journal = journal([
            published(1, false),
            written(1),
            published(2, true),
            published(3, false),
            published(4, false),
            called(4, Some(200)),
            published(5, false),
            called(5, Some(500)),
            called(5, None),
            published(6, true),
            written(6),
        ]);
        let expected = [
            (1, Fate::Pushed),
            (2, Fate::Fetchable),
            (3, Fate::Lost),
            (4, Fate::Pushed),
            (5, Fate::Lost),
            (6, Fate::Pushed),
        ];
        assert_eq!(fates(&journal.after(0)), expected);
    }

    #[test]
    fn memory_is_bounded_and_says_so_and_the_file_has_it_all() {
        let path = std::env::temp_dir().join(format!("chatapp-journal-{}.jsonl", std::process::id()));
        let config = JournalConfig { entries_max: 2, file: Some(path.clone()) };
        let journal = Journal::open(&config).expect("a file");
        (1..=3).for_each(|publication| journal.record(published(publication, true)));
        journal.flush();
        let text = std::fs::read_to_string(&path).expect("readable");
        std::fs::remove_file(&path).expect("removable");
        let read: Vec<JournalEntry> = text.lines().map(|line| serde_json::from_str(line).expect("an entry")).collect();
        assert_eq!(read.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((journal.after(0), journal.left_out()), (read[..2].to_vec(), 1));
        assert_eq!(journal.after(1), read[1..2]);
    }

    #[tokio::test]
    async fn what_is_waited_for_is_found_before_and_after() {
        let journal = journal([published(1, true)]);
        let is = |wanted: PublicationId| move |entry: &JournalEntry| matches!(entry.what, JournalEvent::Published { publication, .. } if publication == wanted);
        assert_eq!(journal.find(is(1)).await.sequence, 1);
        let (found, ()) = tokio::join!(journal.find(is(2)), async { journal.record(published(2, true)) });
        assert_eq!(found.sequence, 2);
    }
}
