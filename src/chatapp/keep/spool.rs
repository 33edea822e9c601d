//! What was received and is not yet in Kafka, on disk: ChatApp pushes everything once, so a frame counts as
//! received only when it is here, and leaves on Kafka's acknowledgement.
//!
//! One file, one writer. Whoever appends waits for the disk's word, and all who wait at the same time share one
//! `fsync`. What cannot be written is not acknowledged: the append waits and tries again, says so, and with it the
//! reading stands still. The same holds for a spool that is full.
//!
//! Taking frames out has to be written as well. So appends leave some of the disk free (`room`), a reserve is kept for when
//! others fill it up, and an append that fails or waits holds up nothing else (`writer`).
//!
//! Beside the frames lies what must outlive a crash with them: how far each channel was heard ([`Spool::keep`]), and which
//! forms of each message were published lately ([`Spool::settle`]), for what comes by two roads or once more.
//!
//! Ids are made of a frame's place (`Spool::place`), so no place is given twice: the sequence goes on over restarts, and
//! a file that is made anew has another id of its own.

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
/// Commands on their way to the writer; whoever finds no room waits.
const COMMANDS_MAX: usize = 1024;

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
    /// Bytes that the file occupies on its disk, as of the last write.
    pub file_bytes: u64,
}

/// How the spool is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It takes frames.
    Well,
    /// It takes none until Kafka has taken some, or there is more room; in words.
    Full(String),
    /// The disk takes nothing, or the file is not where it belongs; tried again and again.
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
    /// The id of the file.
    id: Uuid,
    lying: Mutex<Lying>,
    bytes_max: u64,
    file_bytes: AtomicU64,
    /// The last frame that counts as received.
    last: watch::Sender<Option<Sequence>>,
    condition: watch::Sender<Condition>,
}

/// What lies there.
#[derive(Default)]
struct Lying {
    /// Of each frame: its bytes, and when it was received.
    frames: BTreeMap<Sequence, (u64, Timestamp)>,
    bytes: u64,
    /// The number that was given last, also where that frame is gone.
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

/// What the writer is asked for; each is answered when it is durable.
enum Command {
    Append(Vec<u8>, Timestamp, oneshot::Sender<Sequence>),
    Settle(Sequence, Vec<Remembered>, Timestamp, oneshot::Sender<()>),
    Keep(String, Vec<u8>, oneshot::Sender<()>),
    /// As of that time, what is older than this.
    Forget(Timestamp, SignedDuration),
    /// To see how the disk is now.
    Look,
}

/// The proof that a frame will outlive a crash. Only [`Spool::append`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored(Sequence);

impl Stored {
    /// The place of the frame in the order of the disk.
    #[must_use]
    pub fn sequence(self) -> Sequence {
        self.0
    }
}

impl Spool {
    /// Opens the spool at `path`, readable and writable for nobody else, or makes it. The file occupies `bytes_max` at the
    /// most, but for what taking frames out needs. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// Where the file cannot be used.
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

    /// Returns when the frame will outlive a crash, however long that takes; a full spool takes it when there is room.
    ///
    /// # Errors
    /// [`SpoolError::Closed`] alone.
    pub async fn append(&self, frame: &Frame) -> Result<Stored, SpoolError> {
        let appending = self.begin_append(frame).await?;
        appending.await.map(Stored).map_err(|_| SpoolError::Closed)
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
    pub(crate) async fn begin_append(&self, frame: &Frame) -> Result<oneshot::Receiver<Sequence>, SpoolError> {
        let bytes = frame.encode();
        // The writer has the last word; but nobody should read more while there is no room.
        let _ = self.condition().wait_for(|condition| *condition == Condition::Well).await;
        let (answer, answered) = oneshot::channel();
        let command = Command::Append(bytes, frame.received_at, answer);
        self.commands.send(command).await.map_err(|_| SpoolError::Closed)?;
        Ok(answered)
    }

    /// Returns when the writer has come to its end though this spool is still there: nothing is stored any more.
    pub async fn closed(self) {
        self.commands.closed().await;
    }

    /// Takes a frame out, everything in it being settled or known from before, and remembers the forms that consumers
    /// have by that; both or neither.
    ///
    /// # Errors
    /// [`SpoolError::Closed`] alone.
    pub async fn settle(&self, frame: Sequence, told: Vec<Remembered>, at: Timestamp) -> Result<(), SpoolError> {
        self.ask(|answer| Command::Settle(frame, told, at, answer)).await
    }

    /// Where that frame lies: no other one has or had this place, in whatever file.
    pub(crate) fn place(&self, frame: Sequence) -> SpoolPlace {
        SpoolPlace { spool: self.shared.id, sequence: frame.0 }
    }

    /// The frame that was appended last.
    pub(crate) fn last_appended(&self) -> Sequence {
        self.shared.lying().given
    }

    /// Whether everything up to that frame is settled.
    pub(crate) fn is_settled_up_to(&self, frame: Sequence) -> bool {
        self.shared.lying().frames.keys().next().is_none_or(|oldest| *oldest > frame)
    }

    /// Remembers of `channel` what the next run needs to know.
    ///
    /// # Errors
    /// [`SpoolError::Closed`] alone.
    pub async fn keep(&self, channel: &str, marks: &Marks) -> Result<(), SpoolError> {
        let bytes = serde_json::to_vec(marks).expect("words and times are JSON");
        self.ask(|answer| Command::Keep(channel.to_owned(), bytes, answer)).await
    }

    /// What was remembered of `channel` last; `None` where nothing ever was.
    ///
    /// # Errors
    /// [`SpoolError::Unreadable`].
    pub async fn kept(&self, channel: &str) -> Result<Option<Marks>, SpoolError> {
        let (shared, channel) = (Arc::clone(&self.shared), channel.to_owned());
        reading(move || {
            // What a later version wrote, and this one cannot read, counts as what 0.1 left: it says less.
            if let Some(marks) = shared.store.kept(&channel)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()) {
                return Ok(Some(marks));
            }
            let heard = shared.store.mark(&channel)?;
            let fetched = shared.store.mark(&format!("{channel}#messages"))?;
            Ok(heard.map(|heard| Marks::by_time_of_day(heard, fetched)))
        })
        .await
    }

    /// What was published lately of each of `subjects`, as far as it is settled.
    ///
    /// # Errors
    /// [`SpoolError::Unreadable`].
    pub(crate) async fn histories(&self, subjects: Vec<Subject>) -> Result<Vec<History>, SpoolError> {
        let shared = Arc::clone(&self.shared);
        reading(move || shared.store.histories(&subjects)).await
    }

    /// Forgets, sooner or later, what was published of subjects of which nothing has come for longer than `kept`; sooner
    /// where they are too many.
    pub fn forget_published(&self, now: Timestamp, kept: SignedDuration) {
        // A busy writer forgets another time.
        let _ = self.commands.try_send(Command::Forget(now, kept));
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
        let Some(last) = *shared.last.borrow() else { return Ok(Vec::new()) };
        reading(move || shared.store.frames(after, last, frames_max, bytes_max)).await
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
            file_bytes: self.shared.file_bytes.load(Ordering::Relaxed),
        }
    }

    /// How it is, and every change.
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

/// Reads off the runtime's threads, where a slow disk holds nobody up.
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
