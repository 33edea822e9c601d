//! What was received and is not yet in Kafka, on disk: ChatApp pushes everything once (§1.1), so a frame counts as
//! received only when it is here, and leaves on Kafka's acknowledgement.
//!
//! One file, one writer. Whoever appends waits for the disk's word, and all who wait at the same time share one
//! `fsync`. What cannot be written is not acknowledged: the append waits and tries again, says so, and with it the
//! reading stands still. The same holds for a spool that is full.
//!
//! Beside the frames lie what must outlive a crash with them: how far each channel was heard ([`Spool::mark`]) and which
//! events were published lately ([`Spool::settle`]), for events that come by two roads.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tracing::{info, warn};

use crate::bridge::Settled;
use chatbridge_event::event::EventId;

mod frame;
mod store;
mod writer;

pub use frame::{Frame, Road};
use store::Store;

/// The file's name in `chatapp.state_dir`.
pub const FILE_NAME: &str = "spool.redb";
/// Commands on their way to the writer; whoever finds no room waits.
const COMMANDS_MAX: usize = 1024;

/// A frame's place: later ones are greater, also after a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

/// Why a spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The file cannot be opened: look at the folder, its rights, and whether another bridge has it open.
    #[error("{path} cannot be used as the spool: {detail}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        detail: String,
    },
    /// What lies in it cannot be read just now.
    #[error("the spool cannot be read: {0}")]
    Unreadable(String),
    /// The process ends.
    #[error("the spool is closed")]
    Closed,
}

/// How much lies in a spool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Depth {
    /// Frames that are not yet settled.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest was received.
    pub oldest: Option<Timestamp>,
}

/// How the spool is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It takes frames.
    Well,
    /// It takes none until Kafka has taken some.
    Full,
    /// The disk takes nothing; tried again and again.
    Failing(String),
}

/// A spool that is open. Clones are the same one.
#[derive(Clone)]
pub struct Spool {
    commands: mpsc::Sender<Command>,
    shared: Arc<Shared>,
}

/// What the writer and everybody else know.
struct Shared {
    store: Store,
    lying: Mutex<Lying>,
    bytes_max: u64,
    /// Frames were removed.
    room: Notify,
    last: watch::Sender<Option<Sequence>>,
    condition: watch::Sender<Condition>,
}

/// What lies there.
#[derive(Default)]
struct Lying {
    /// Of each frame: its bytes, and when it was received.
    frames: BTreeMap<Sequence, (u64, Timestamp)>,
    bytes: u64,
}

impl Lying {
    fn add(&mut self, frame: Sequence, bytes: u64, at: Timestamp) {
        self.frames.insert(frame, (bytes, at));
        self.bytes += bytes;
    }

    fn remove(&mut self, frame: Sequence) {
        self.bytes -= self.frames.remove(&frame).map_or(0, |(bytes, _)| bytes);
    }
}

/// What the writer is asked for; each is answered when it is durable.
enum Command {
    Append(Vec<u8>, Timestamp, oneshot::Sender<Sequence>),
    Settle(Sequence, Vec<Settled>, Timestamp, oneshot::Sender<()>),
    Mark(String, Timestamp, oneshot::Sender<()>),
    Forget(Timestamp),
}

impl Spool {
    /// Opens the spool at `path`, readable and writable for nobody else, or makes it. It holds `bytes_max` at the most,
    /// not counting what the file needs for itself. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// Where the file cannot be used.
    pub fn open(path: &Path, bytes_max: u64) -> Result<Self, SpoolError> {
        let unusable = |detail: String| SpoolError::Unusable { path: path.to_owned(), detail };
        let store = Store::at(path).map_err(|error| unusable(error.to_string()))?;
        Self::over(store, bytes_max).map_err(|error| unusable(error.to_string()))
    }

    fn over(store: Store, bytes_max: u64) -> Result<Self, redb::Error> {
        let lying = store.lying()?;
        let last = watch::Sender::new(lying.frames.keys().next_back().copied());
        let condition = watch::Sender::new(Condition::Well);
        let shared = Shared { store, lying: Mutex::new(lying), bytes_max, room: Notify::new(), last, condition };
        let shared = Arc::new(shared);
        let (commands, received) = mpsc::channel(COMMANDS_MAX);
        writer::start(Arc::clone(&shared), received)?;
        Ok(Self { commands, shared })
    }

    /// Returns when the frame will outlive a crash, however long that takes; a full spool takes it when there is room.
    ///
    /// # Errors
    /// [`SpoolError::Closed`] alone.
    pub async fn append(&self, frame: &Frame) -> Result<Sequence, SpoolError> {
        let appending = self.begin_append(frame).await?;
        appending.await.map_err(|_| SpoolError::Closed)
    }

    /// The same for several, which lie there in this order and share what it costs.
    ///
    /// # Errors
    /// [`SpoolError::Closed`] alone.
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

    /// Returns when the frame has its place in the order; what it gives returns when the frame will outlive a crash.
    pub(super) async fn begin_append(&self, frame: &Frame) -> Result<oneshot::Receiver<Sequence>, SpoolError> {
        let bytes = frame.encode();
        self.wait_for_room(bytes.len() as u64).await;
        let (answer, answered) = oneshot::channel();
        let command = Command::Append(bytes, frame.received_at, answer);
        self.commands.send(command).await.map_err(|_| SpoolError::Closed)?;
        Ok(answered)
    }

    /// Takes a frame out, everything in it being settled or known from before, and remembers the ids of what these prove
    /// to be settled; both or neither.
    ///
    /// # Errors
    /// [`SpoolError::Closed`] alone.
    pub async fn settle(&self, frame: Sequence, proofs: Vec<Settled>, at: Timestamp) -> Result<(), SpoolError> {
        self.ask(|answer| Command::Settle(frame, proofs, at, answer)).await
    }

    /// Remembers that `channel` was heard up to `at`.
    ///
    /// # Errors
    /// [`SpoolError::Closed`] alone.
    pub async fn mark(&self, channel: &str, at: Timestamp) -> Result<(), SpoolError> {
        self.ask(|answer| Command::Mark(channel.to_owned(), at, answer)).await
    }

    /// Up to when `channel` was heard; `None` where it never was.
    ///
    /// # Errors
    /// [`SpoolError::Unreadable`].
    pub async fn heard_until(&self, channel: &str) -> Result<Option<Timestamp>, SpoolError> {
        let (shared, channel) = (Arc::clone(&self.shared), channel.to_owned());
        reading(move || shared.store.mark(&channel)).await
    }

    /// Which of `ids` were published lately.
    ///
    /// # Errors
    /// [`SpoolError::Unreadable`].
    pub async fn published(&self, ids: Vec<EventId>) -> Result<Vec<bool>, SpoolError> {
        let shared = Arc::clone(&self.shared);
        reading(move || shared.store.published(&ids)).await
    }

    /// Forgets which events were published before `at`, sooner or later.
    pub fn forget_published_before(&self, at: Timestamp) {
        // A busy writer forgets another time.
        let _ = self.commands.try_send(Command::Forget(at));
    }

    /// The frames behind `after`, oldest first: at most `frames_max`, and no more once there are `bytes_max`.
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
        reading(move || shared.store.frames(after, frames_max, bytes_max)).await
    }

    /// Returns when a frame lies behind `after`.
    pub async fn wait_behind(&self, after: Option<Sequence>) {
        // The sender lives as long as this spool.
        let _ = self.shared.last.subscribe().wait_for(|last| *last > after).await;
    }

    /// How much lies there.
    #[must_use]
    pub fn depth(&self) -> Depth {
        let lying = self.shared.lying();
        Depth {
            frames: lying.frames.len() as u64,
            bytes: lying.bytes,
            oldest: lying.frames.values().next().map(|(_, at)| *at),
        }
    }

    /// How it is, and every change.
    #[must_use]
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.shared.condition.subscribe()
    }

    async fn wait_for_room(&self, bytes: u64) {
        loop {
            let freed = self.shared.room.notified();
            if self.shared.has_room_for(bytes) {
                if self.shared.is(Condition::Well, |was| *was == Condition::Full) {
                    info!("the spool has room again");
                }
                return;
            }
            if self.shared.is(Condition::Full, |was| *was == Condition::Well) {
                warn!(
                    bytes_max = self.shared.bytes_max,
                    "the spool is full: nothing more of ChatApp is received until Kafka has taken some of it; mend Kafka, or \
                     raise chatapp.spool_bytes_max and restart"
                );
            }
            freed.await;
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, SpoolError> {
        let (answer, answered) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_| SpoolError::Closed)?;
        answered.await.map_err(|_| SpoolError::Closed)
    }
}

impl Shared {
    fn lying(&self) -> MutexGuard<'_, Lying> {
        self.lying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frame that is larger than the whole spool is taken by an empty one.
    fn has_room_for(&self, bytes: u64) -> bool {
        let lying = self.lying();
        lying.frames.is_empty() || lying.bytes + bytes <= self.bytes_max
    }

    /// Whether that is a change.
    fn is(&self, condition: Condition, from: impl Fn(&Condition) -> bool) -> bool {
        self.condition.send_if_modified(|was| {
            let changes = from(was) && *was != condition;
            if changes {
                *was = condition;
            }
            changes
        })
    }
}

/// Reads off the runtime's threads, where a slow disk holds nobody up.
async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, redb::Error> + Send + 'static,
) -> Result<T, SpoolError> {
    match tokio::task::spawn_blocking(read).await {
        Ok(read) => read.map_err(|error| SpoolError::Unreadable(error.to_string())),
        Err(panicked) => Err(SpoolError::Unreadable(panicked.to_string())),
    }
}

/// Between two tries of a disk that takes nothing.
const RETRY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
