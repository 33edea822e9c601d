//! The file: an embedded database, because "whole or not at all, whatever happens" is its business.

use std::fs::OpenOptions;
use std::ops::Bound;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use redb::{Builder, Database, ReadableDatabase as _, ReadableTable as _, Table, TableDefinition};
use uuid::Uuid;

use super::{Command, Frame, Lying, Sequence};
use crate::chatapp::forms::{History, Remembered, Stored};
use chatbridge_event::normalize::chatapp::identity::Subject;

const FRAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("frames");
/// The greatest sequence ever given, so that none is given twice.
const SEQUENCE: TableDefinition<'_, (), u64> = TableDefinition::new("sequence");
const MARKS: TableDefinition<'_, &str, i64> = TableDefinition::new("marks");
/// The file's own id, made with it.
const ID: TableDefinition<'_, (), u128> = TableDefinition::new("id");
/// Of each subject its forms, and when the latest item about it was settled.
const FORMS: TableDefinition<'_, u128, (i64, Stored)> = TableDefinition::new("forms");
/// What earlier versions had in place of `FORMS`: ids, without what they are forms of. It is not read: what it would have
/// suppressed is published once more, with the same id.
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
    opened: RwLock<Opened>,
}

struct Opened {
    /// Absent between a failure and the next try: a database that met one takes nothing more.
    database: Option<Arc<Database>>,
    /// The id of the file that was opened last.
    id: Uuid,
}

impl Store {
    pub(super) fn at(path: &Path) -> Result<Self, redb::Error> {
        let path = path.to_owned();
        Self::opened_by(Box::new(move || open(&path)))
    }

    /// What `open` opens, now and after each failure.
    pub(super) fn opened_by(open: Open) -> Result<Self, redb::Error> {
        let opened = RwLock::new(Opened::new(&open)?);
        Ok(Self { open, opened })
    }

    /// Makes all of `commands` durable at once, or none of them.
    pub(super) fn write(&self, commands: &[Command]) -> Result<Vec<Done>, redb::Error> {
        let written = self.database().and_then(|database| write(&database, commands));
        if written.is_err() {
            self.opened.write().unwrap_or_else(PoisonError::into_inner).database = None;
        }
        written
    }

    /// The id of the file.
    pub(super) fn id(&self) -> Uuid {
        self.opened.read().unwrap_or_else(PoisonError::into_inner).id
    }

    /// Bytes and time of every frame.
    pub(super) fn lying(&self) -> Result<Lying, redb::Error> {
        let reading = self.database()?.begin_read()?;
        let frames = reading.open_table(FRAMES)?;
        let given = reading.open_table(SEQUENCE)?.get(())?.map_or(0, |given| given.value());
        let mut lying = Lying { given: Sequence(given), ..Lying::default() };
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

    /// Empty histories for subjects that nothing is known of.
    pub(super) fn histories(&self, subjects: &[Subject]) -> Result<Vec<History>, redb::Error> {
        let forms = self.database()?.begin_read()?.open_table(FORMS)?;
        let restored = |subject: &Subject| {
            let stored = forms.get(subject.number())?;
            Ok(stored.map_or_else(History::default, |stored| History::restore(stored.value().1)))
        };
        subjects.iter().map(restored).collect()
    }

    fn database(&self) -> Result<Arc<Database>, redb::Error> {
        if let Some(database) = &self.opened.read().unwrap_or_else(PoisonError::into_inner).database {
            return Ok(Arc::clone(database));
        }
        let mut opened = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(database) = &opened.database {
            return Ok(Arc::clone(database));
        }
        *opened = Opened::new(&self.open)?;
        opened.database.clone().ok_or(redb::Error::DatabaseClosed)
    }
}

impl Opened {
    fn new(open: &Open) -> Result<Self, redb::Error> {
        let (database, id) = with_tables(open()?)?;
        Ok(Self { database: Some(Arc::new(database)), id })
    }
}

fn open(path: &Path) -> Result<Database, redb::Error> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    // Also one that was made by other hands: what lies here is what people wrote to each other.
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    drop(file);
    Ok(Builder::new().set_cache_size(CACHE_BYTES).create(path)?)
}

/// So that each table is there for whoever reads first; and the file's id.
fn with_tables(database: Database) -> Result<(Database, Uuid), redb::Error> {
    let making = database.begin_write()?;
    making.open_table(FRAMES)?;
    making.open_table(SEQUENCE)?;
    making.open_table(MARKS)?;
    making.open_table(FORMS)?;
    making.delete_table(PUBLISHED)?;
    let id = {
        let mut ids = making.open_table(ID)?;
        let known = ids.get(())?.map(|id| id.value());
        let id = known.unwrap_or_else(|| Uuid::new_v4().as_u128());
        ids.insert((), id)?;
        id
    };
    making.commit()?;
    Ok((database, Uuid::from_u128(id)))
}

fn write(database: &Database, commands: &[Command]) -> Result<Vec<Done>, redb::Error> {
    // Durable when the commit returns: redb's default, and the point of it all.
    let writing = database.begin_write()?;
    let mut done = Vec::with_capacity(commands.len());
    {
        let mut frames = writing.open_table(FRAMES)?;
        let mut sequences = writing.open_table(SEQUENCE)?;
        let mut marks = writing.open_table(MARKS)?;
        let mut forms = writing.open_table(FORMS)?;
        let mut sequence = sequences.get(())?.map_or(0, |last| last.value());
        for command in commands {
            done.push(match command {
                Command::Append(bytes, ..) => {
                    sequence += 1;
                    frames.insert(sequence, &bytes[..])?;
                    Done::Appended(Sequence(sequence))
                }
                Command::Settle(frame, told, at, _) => {
                    frames.remove(frame.0)?;
                    for told in told {
                        remember(&mut forms, told, at.as_millisecond())?;
                    }
                    Done::Settled
                }
                Command::Mark(channel, at, _) => {
                    marks.insert(&channel[..], at.as_millisecond())?;
                    Done::Marked
                }
                Command::Forget(before) => {
                    let before = before.as_millisecond();
                    forms.retain(|_, (at, _)| at >= before)?;
                    Done::Forgotten
                }
            });
        }
        sequences.insert((), sequence)?;
    }
    writing.commit()?;
    Ok(done)
}

/// Frames need not settle in their order; the latest item's history says the most.
fn remember(
    forms: &mut Table<'_, u128, (i64, Stored)>,
    told: &Remembered,
    at_ms: i64,
) -> Result<(), redb::StorageError> {
    let subject = told.subject().number();
    let known = forms.get(subject)?.map(|known| History::restore(known.value().1));
    if known.is_none_or(|known| told.history().is_later_than(&known)) {
        forms.insert(subject, (at_ms, told.history().store()))?;
    }
    Ok(())
}
