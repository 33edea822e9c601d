//! What was received and is not yet in Kafka, on disk. ChatApp pushes everything only once, so a frame counts as
//! received only when it is here, and is deleted only after Kafka's acknowledgement.
//!
//! There is one file and one writer. An append waits until it is durable; all that wait at the same time share one
//! `fsync`. What cannot be written is not acknowledged: the append tries again and logs that, and no more is read from
//! the socket meanwhile. The same holds when the spool is full.
//!
//! Removing frames needs writes as well. So appends leave some of the disk free (`room`), a reserve is kept in case
//! others fill the disk, and an append that fails or waits holds up nothing else (`writer`).
//!
//! The file also holds other data that must survive a crash: up to when each channel was heard ([`Spool::keep`]), and
//! which forms of each message were published lately ([`Spool::settle`]), to recognise what comes by a second road or
//! again.
//!
//! Ids are made of a frame's place (`Spool::place`), so no place is used twice: the sequence continues after a restart,
//! and a new file gets a new id.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{mpsc, oneshot, watch};

use super::forms::{History, Remembered};
use crate::chatapp::hear::standing::Marks;
use chatbridge_event::normalize::chatapp::identity::{Place as SpoolPlace, Subject};
use uuid::Uuid;

mod place;
mod room;
mod store;
mod writer;

pub use super::frame::{Frame, Road, Sequence};
use place::{FilePlace, Place};
use store::Store;

/// The file's name in `chatapp.state_dir`.
pub const FILE_NAME: &str = "spool.redb";
/// Commands queued for the writer; when the queue is full, callers wait.
const COMMANDS_MAX: usize = 1024;

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file cannot be opened: check the folder, its permissions, and whether another bridge has it open.
    #[error("{path} cannot be used as the spool: {detail}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// The contents cannot be read at the moment.
    #[error("the spool cannot be read: {0}")]
    Unreadable(String),
    /// The process is ending.
    #[error("the spool is closed")]
    Closed,
}

/// How much is in a spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Frames that are not settled.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest frame was received.
    pub oldest: Option<Timestamp>,
    /// Bytes that the file takes on its disk, as of the last write.
    pub file_bytes: u64,
}

/// Whether the spool can take frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It can.
    Well,
    /// Not until Kafka has taken some frames, or there is more room; with the reason.
    Full(String),
    /// Writes fail, or the file is not in its place; tried again and again.
    Failing(String),
}

/// An open spool. Clones share it.
#[derive(Clone)]
pub struct Spool {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

/// State shared with the writer.
struct Shared {
    store: Store,
    /// The id of the file.
    id: Uuid,
    lying: Mutex<Lying>,
    bytes_max: u64,
    file_bytes: AtomicU64,
    /// The last durable frame.
    last: watch::Sender<Option<Sequence>>,
    condition: watch::Sender<Condition>,
}

/// What is in the spool.
#[derive(Default)]
struct Lying {
    /// Each frame's size, and when it was received.
    frames: BTreeMap<Sequence, (u64, Timestamp)>,
    bytes: u64,
    /// The last number given, even if that frame is gone.
    given: Sequence,
}

impl Lying {
    fn add(&mut self, frame: Sequence, bytes: u64, at: Timestamp) {
        self.frames.insert(frame, (bytes, at));
        self.bytes += bytes;
        self.given = self.given.max(frame);
    }

    fn remove(&mut self, frame: Sequence) {
        self.bytes -= self.frames.remove(&frame).map_or(0, |(bytes, _)| bytes);
    }
}

/// A request to the writer. Each is answered when it is durable.
enum Command {
    Append(Vec<u8>, Timestamp, oneshot::Sender<Sequence>),
    Settle(Sequence, Vec<Remembered>, Timestamp, oneshot::Sender<()>),
    Keep(String, Vec<u8>, oneshot::Sender<()>),
    /// At that time, forget what is older than this.
    Forget(Timestamp, SignedDuration),
    /// Check the disk.
    Look,
}

/// Proof that a frame will survive a crash. Only [`Spool::append`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored(Sequence);

impl Stored {
    /// The frame's place in the order of the disk.
    #[must_use]
    pub fn sequence(self) -> Sequence {
        self.0
    }
}

impl Spool {
    /// Opens the spool at `path`, or creates it, accessible to its owner only. The file takes at most `bytes_max`, plus
    /// what removing frames needs. Blocks on the disk.
    ///
    /// # Errors
    /// If the file cannot be used.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, SpoolError> {
        let unusable = |detail: String| SpoolError::Unusable { path: path.to_owned(), detail };
        let place = FilePlace::at(path).map_err(|error| unusable(error.to_string()))?;
        Self::over(Box::new(place), bytes_max).map_err(|error| unusable(error.to_string()))
    }

    fn over(place: Box<dyn Place>, bytes_max: u64) -> Result<Self, redb::Error> {
        let store = Store::at(place)?;
        let mut lying = store.lying()?;
        let last = lying.frames.keys().next_back().copied();
        let given = last.unwrap_or_default().max(store.last_given()?);
        lying.given = given;
        let id = store.id()?;
        let shared = Arc::new(Shared {
            store,
            id,
            lying: Mutex::new(lying),
            bytes_max,
            file_bytes: AtomicU64::new(0),
            last: watch::Sender::new(last),
            condition: watch::Sender::new(Condition::Well),
        });
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        writer::start(Arc::clone(&shared), given, received, commands.downgrade())?;
        Ok(Self { commands, shared })
    }

    /// Returns when the frame will survive a crash, however long that takes; a full spool takes it when there is room.
    ///
    /// # Errors
    /// Only [`SpoolError::Closed`].
    pub async fn append(&self, frame: &Frame) -> Result<Stored, SpoolError> {
        let appending = self.begin_append(frame).await?;
        appending.await.map(Stored).map_err(|_| SpoolError::Closed)
    }

    /// The same for several frames. They keep their order and share the cost.
    ///
    /// # Errors
    /// Only [`SpoolError::Closed`].
    pub async fn append_all(&self, frames: &[Frame]) -> Result<(), SpoolError> {
        let mut appending = Vec::with_capacity(frames.len());
        for frame in frames {
            appending.push(self.begin_append(frame).await?);
        }
        for appended in appending {
            appended.await.map_err(|_| SpoolError::Closed)?;
        }
        Ok(())
    }

    /// Returns when the frame has its place in the order. The returned receiver resolves when the frame is durable.
    pub(crate) async fn begin_append(&self, frame: &Frame) -> Result<oneshot::Receiver<Sequence>, SpoolError> {
        let bytes = frame.encode();
        // The writer decides whether the frame fits, but nothing more should be read while there is no room.
        let _ = self.condition().wait_for(|condition| *condition == Condition::Well).await;
        let (answer, answered) = oneshot::channel();
        let command = Command::Append(bytes, frame.received_at, answer);
        self.commands.send(command).await.map_err(|_| SpoolError::Closed)?;
        Ok(answered)
    }

    /// Returns when the writer has ended although this spool still exists: nothing can be stored any more.
    pub async fn closed(self) {
        self.commands.closed().await;
    }

    /// Removes a frame, once everything in it is settled or was known before, and stores the forms that consumers then
    /// have. Both happen, or neither.
    ///
    /// # Errors
    /// Only [`SpoolError::Closed`].
    pub async fn settle(&self, frame: Sequence, told: Vec<Remembered>, at: Timestamp) -> Result<(), SpoolError> {
        self.ask(|answer| Command::Settle(frame, told, at, answer)).await
    }

    /// The place of that frame. No other frame has or had it, in any file.
    pub(crate) fn place(&self, frame: Sequence) -> SpoolPlace {
        SpoolPlace { spool: self.shared.id, sequence: frame.0 }
    }

    /// The last appended frame.
    pub(crate) fn last_appended(&self) -> Sequence {
        self.shared.lying().given
    }

    /// Whether that frame is in it.
    #[must_use]
    pub fn holds(&self, frame: Sequence) -> bool {
        self.shared.lying().frames.contains_key(&frame)
    }

    /// Whether everything up to that frame is settled.
    pub(crate) fn is_settled_up_to(&self, frame: Sequence) -> bool {
        self.shared.lying().frames.keys().next().is_none_or(|oldest| *oldest > frame)
    }

    /// Stores the marks of `channel` for the next run.
    ///
    /// # Errors
    /// Only [`SpoolError::Closed`].
    pub async fn keep(&self, channel: &str, marks: &Marks) -> Result<(), SpoolError> {
        let bytes = serde_json::to_vec(marks).expect("words and times are JSON");
        self.ask(|answer| Command::Keep(channel.to_owned(), bytes, answer)).await
    }

    /// The marks of `channel` that were stored last; `None` if there are none.
    ///
    /// # Errors
    /// [`SpoolError::Unreadable`].
    pub async fn kept(&self, channel: &str) -> Result<Option<Marks>, SpoolError> {
        let (shared, channel) = (Arc::clone(&self.shared), channel.to_owned());
        reading(move || {
            // Marks of a later version that this one cannot read count as marks of 0.1, which say less.
            if let Some(marks) = shared.store.kept(&channel)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                return Ok(Some(marks));
            }
            let heard = shared.store.mark(&channel)?;
            let fetched = shared.store.mark(&format!("{channel}#messages"))?;
            Ok(heard.map(|heard| Marks::by_time_of_day(heard, fetched)))
        })
        .await
    }

    /// The settled history of each of `subjects`.
    ///
    /// # Errors
    /// [`SpoolError::Unreadable`].
    pub(crate) async fn histories(&self, subjects: Vec<Subject>) -> Result<Vec<History>, SpoolError> {
        let shared = Arc::clone(&self.shared);
        reading(move || shared.store.histories(&subjects)).await
    }

    /// Forgets, in the background, the history of subjects about which nothing has come for longer than `kept`; earlier
    /// if there are too many.
    pub fn forget_published(&self, now: Timestamp, kept: SignedDuration) {
        // If the writer is busy, this happens another time.
        let _ = self.commands.try_send(Command::Forget(now, kept));
    }

    /// The frames after `after`, oldest first: at most `frames_max`, and no more once they reach `bytes_max`.
    ///
    /// # Errors
    /// [`SpoolError::Unreadable`].
    pub async fn read(
        &self,
        after: Option<Sequence>,
        frames_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Sequence, Frame)>, SpoolError> {
        let shared = Arc::clone(&self.shared);
        let Some(last) = *shared.last.borrow() else { return Ok(Vec::new()) };
        reading(move || shared.store.frames(after, last, frames_max, bytes_max)).await
    }

    /// Returns when there is a frame after `after`.
    pub async fn wait_behind(&self, after: Option<Sequence>) {
        // The sender lives as long as this spool.
        let _ = self.shared.last.subscribe().wait_for(|last| *last > after).await;
    }

    /// How much is in it.
    #[must_use]
    pub fn depth(&self) -> Depth {
        let lying = self.shared.lying();
        Depth {
            frames: lying.frames.len() as u64,
            bytes: lying.bytes,
            oldest: lying.frames.values().next().map(|(_, at)| *at),
            file_bytes: self.shared.file_bytes.load(Ordering::Relaxed),
        }
    }

    /// Its condition, and every change of it.
    #[must_use]
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.shared.condition.subscribe()
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, SpoolError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| SpoolError::Closed)?;
        answered.await.map_err(|_| SpoolError::Closed)
    }
}

impl Shared {
    fn lying(&self) -> MutexGuard<'_, Lying> {
        self.lying.lock()
    }
}

/// Reads on a blocking thread, so that a slow disk does not hold up the runtime.
async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, redb::Error> + Send + 'static,
) -> Result<T, SpoolError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read.map_err(|error| SpoolError::Unreadable(error.to_string())),
        Err(panicked) => Err(SpoolError::Unreadable(panicked.to_string())),
    }
}

#[cfg(test)]
mod tests;
