//! The file: an embedded database, because "whole or not at all, whatever happens" is its business.

use std::fs::OpenOptions;
use std::ops::Bound;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use redb::{Builder, Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::{Command, Frame, Lying, Sequence};
use chatbridge_event::event::EventId;

const FRAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("frames");
/// The greatest sequence ever given, so that none is given twice.
const SEQUENCE: TableDefinition<'_, (), u64> = TableDefinition::new("sequence");
const MARKS: TableDefinition<'_, &str, i64> = TableDefinition::new("marks");
const PUBLISHED: TableDefinition<'_, u128, i64> = TableDefinition::new("published");

/// What redb keeps of the file in memory.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// What became of one command, once it is durable.
pub(super) enum Done {
    Appended(Sequence),
    Settled,
    Marked,
    Forgotten,
}

type Open = Box<dyn Fn() -> Result<Database, redb::Error> + Send + Sync>;

pub(super) struct Store {
    open: Open,
    /// Absent between a failure and the next try: a database that met one takes nothing more.
    database: RwLock<Option<Arc<Database>>>,
}

impl Store {
    pub(super) fn at(path: &Path) -> Result<Self, redb::Error> {
        let path = path.to_owned();
        Self::opened_by(Box::new(move || open(&path)))
    }

    /// What `open` opens, now and after each failure.
    pub(super) fn opened_by(open: Open) -> Result<Self, redb::Error> {
        let database = RwLock::new(Some(Arc::new(with_tables(open()?)?)));
        Ok(Self { open, database })
    }

    /// Makes all of `commands` durable at once, or none of them.
    pub(super) fn write(&self, commands: &[Command]) -> Result<Vec<Done>, redb::Error> {
        let written = self.database().and_then(|database| write(&database, commands));
        if written.is_err() {
            *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
        }
        written
    }

    /// Bytes and time of every frame.
    pub(super) fn lying(&self) -> Result<Lying, redb::Error> {
        let frames = self.database()?.begin_read()?.open_table(FRAMES)?;
        let mut lying = Lying::default();
        for entry in frames.iter()? {
            let (sequence, bytes) = entry?;
            let at = Frame::decode(bytes.value()).map_or(Timestamp::UNIX_EPOCH, |frame| frame.received_at);
            lying.add(Sequence(sequence.value()), bytes.value().len() as u64, at);
        }
        Ok(lying)
    }

    pub(super) fn frames(
        &self,
        after: Option<Sequence>,
        frames_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Sequence, Frame)>, redb::Error> {
        let frames = self.database()?.begin_read()?.open_table(FRAMES)?;
        let from = after.map_or(Bound::Unbounded, |Sequence(after)| Bound::Excluded(after));
        let (mut found, mut bytes_found) = (Vec::new(), 0);
        for entry in frames.range((from, Bound::Unbounded))?.take(frames_max) {
            let (sequence, bytes) = entry?;
            bytes_found += bytes.value().len();
            // Nobody else writes into this file; should somebody have, it is not what was received.
            let frame = Frame::decode(bytes.value())
                .ok_or_else(|| redb::Error::Corrupted(format!("frame {} is none", sequence.value())))?;
            found.push((Sequence(sequence.value()), frame));
            if bytes_found >= bytes_max {
                break;
            }
        }
        Ok(found)
    }

    pub(super) fn mark(&self, channel: &str) -> Result<Option<Timestamp>, redb::Error> {
        let marks = self.database()?.begin_read()?.open_table(MARKS)?;
        Ok(marks.get(channel)?.and_then(|at| Timestamp::from_millisecond(at.value()).ok()))
    }

    pub(super) fn published(&self, ids: &[EventId]) -> Result<Vec<bool>, redb::Error> {
        let published = self.database()?.begin_read()?.open_table(PUBLISHED)?;
        ids.iter().map(|id| Ok(published.get(u128::from_be_bytes(id.bytes()))?.is_some())).collect()
    }

    fn database(&self) -> Result<Arc<Database>, redb::Error> {
        if let Some(database) = &*self.database.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(database));
        }
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        let database = match &*slot {
            Some(database) => Arc::clone(database),
            None => Arc::new(with_tables((self.open)()?)?),
        };
        *slot = Some(Arc::clone(&database));
        Ok(database)
    }
}

fn open(path: &Path) -> Result<Database, redb::Error> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    // Also one that was made by other hands: what lies here is what people wrote to each other.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    drop(file);
    Ok(Builder::new().set_cache_size(CACHE_BYTES).create(path)?)
}

/// So that each table is there for whoever reads first.
fn with_tables(database: Database) -> Result<Database, redb::Error> {
    let making = database.begin_write()?;
    making.open_table(FRAMES)?;
    making.open_table(SEQUENCE)?;
    making.open_table(MARKS)?;
    making.open_table(PUBLISHED)?;
    making.commit()?;
    Ok(database)
}

fn write(database: &Database, commands: &[Command]) -> Result<Vec<Done>, redb::Error> {
    // Durable when the commit returns: redb's default, and the point of it all.
    let writing = database.begin_write()?;
    let mut done = Vec::with_capacity(commands.len());
    {
        let mut frames = writing.open_table(FRAMES)?;
        let mut sequences = writing.open_table(SEQUENCE)?;
        let mut marks = writing.open_table(MARKS)?;
        let mut published = writing.open_table(PUBLISHED)?;
        let mut sequence = sequences.get(())?.map_or(0, |last| last.value());
        for command in commands {
            done.push(match command {
                Command::Append(bytes, ..) => {
                    sequence += 1;
                    frames.insert(sequence, &bytes[..])?;
                    Done::Appended(Sequence(sequence))
                }
                Command::Settle(frame, proofs, at, _) => {
                    frames.remove(frame.0)?;
                    for proof in proofs {
                        published.insert(u128::from_be_bytes(proof.id().bytes()), at.as_millisecond())?;
                    }
                    Done::Settled
                }
                Command::Mark(channel, at, _) => {
                    marks.insert(&channel[..], at.as_millisecond())?;
                    Done::Marked
                }
                Command::Forget(before) => {
                    let before = before.as_millisecond();
                    published.retain(|_, at| at >= before)?;
                    Done::Forgotten
                }
            });
        }
        sequences.insert((), sequence)?;
    }
    writing.commit()?;
    Ok(done)
}
