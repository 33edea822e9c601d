//! The spool's file: an embedded database, because its transactions are complete or do not happen at all.

use std::io;
use std::ops::Bound;

use jiff::Timestamp;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use redb::{
    Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, Table, TableDefinition, TableError,
};

use uuid::Uuid;

use super::place::{Look, Place};
use super::{Frame, Lying, Sequence};
use crate::chatapp::keep::forms::{History, Remembered, Stored};
use crate::chatapp::keep::reserve::Disk;
use chatbridge_event::normalize::chatapp::identity::Subject;

const FRAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("frames");
/// The greatest sequence ever given, so that none is used twice.
const SEQUENCE: TableDefinition<'_, (), u64> = TableDefinition::new("sequence");
/// Up to when each channel was heard, by the time of day, as version 0.1 wrote it.
const MARKS: TableDefinition<'_, &str, i64> = TableDefinition::new("marks");
/// Each channel's marks for the next run, as JSON.
const CHANNELS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("channels");
/// The file's own id, made when it is created.
const ID: TableDefinition<'_, (), u128> = TableDefinition::new("id");
/// The forms of each subject, and when the latest item about it was settled.
const FORMS: TableDefinition<'_, u128, (i64, Stored)> = TableDefinition::new("forms");
/// Version 0.1 kept published ids here without their subjects. They are not read: what they would have suppressed is
/// published once more, with the same id.
const PUBLISHED: TableDefinition<'_, u128, i64> = TableDefinition::new("published");

/// Subjects are divided into this many parts for forgetting: each part is rewritten as a whole.
pub(super) const PARTS: u16 = 256;

/// A change to write. Changes are idempotent: after a failed write, all of it may be on disk.
pub(super) enum Change<'a> {
    Append(Sequence, &'a [u8]),
    /// These forms are published.
    Remember(&'a [Remembered], Timestamp),
    Remove(Sequence),
    /// Store these marks of a channel.
    Keep(&'a str, &'a [u8]),
    /// Forget the subjects in this part about which nothing has come since that time.
    Forget(u16, Timestamp),
}

pub(super) struct Store {
    place: Box<dyn Place>,
    /// `None` between a failure and the next try: redb's database refuses writes after a failure.
    database: RwLock<Option<Database>>,
}

impl Store {
    /// Opens the file at `place`, now and after each failure.
    pub(super) fn at(place: Box<dyn Place>) -> Result<Self, redb::Error> {
        let store = Self { place, database: RwLock::new(None) };
        store.with(make_tables)?;
        Ok(store)
    }

    pub(super) fn look(&self) -> Look {
        self.place.look()
    }

    pub(super) fn keep_reserve(&self, disk: Disk) -> io::Result<()> {
        self.place.keep_reserve(disk)
    }

    pub(super) fn give_up_reserve(&self) -> bool {
        self.place.give_up_reserve()
    }

    /// Restores a missing file from the open handle.
    pub(super) fn put_back(&self) -> io::Result<()> {
        let mut database = self.exclusive();
        *database = None;
        self.place.put_back()
    }

    /// Makes all of `changes` durable at once. If that fails, all or none of them are.
    pub(super) fn write(&self, changes: &[Change<'_>]) -> Result<(), redb::Error> {
        self.with(|database| write(database, changes)).inspect_err(|_| *self.exclusive() = None)
    }

    /// Compacts the file.
    pub(super) fn give_back(&self) -> Result<(), redb::Error> {
        let mut database = self.exclusive();
        if let Some(open) = &mut *database
            && let Err(error) = open.compact()
        {
            *database = None;
            return Err(error.into());
        }
        Ok(())
    }

    /// The greatest sequence ever given.
    pub(super) fn last_given(&self) -> Result<Sequence, redb::Error> {
        self.with(|database| {
            let sequences = database.begin_read()?.open_table(SEQUENCE)?;
            Ok(Sequence(sequences.get(())?.map_or(0, |last| last.value())))
        })
    }

    /// Size and time of every frame.
    pub(super) fn lying(&self) -> Result<Lying, redb::Error> {
        self.with(|database| {
            let frames = database.begin_read()?.open_table(FRAMES)?;
            let mut lying = Lying::default();
            for entry in frames.iter()? {
                let (sequence, bytes) = entry?;
                let at = Frame::decode(bytes.value()).map_or(Timestamp::UNIX_EPOCH, |frame| frame.received_at);
                lying.add(Sequence(sequence.value()), bytes.value().len() as u64, at);
            }
            Ok(lying)
        })
    }

    /// The frames after `after`, up to `last`.
    pub(super) fn frames(
        &self,
        after: Option<Sequence>,
        last: Sequence,
        frames_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<(Sequence, Frame)>, redb::Error> {
        self.with(|database| {
            let frames = database.begin_read()?.open_table(FRAMES)?;
            let from = after.map_or(Bound::Unbounded, |Sequence(after)| Bound::Excluded(after));
            if after.is_some_and(|after| after >= last) {
                return Ok(Vec::new());
            }
            let (mut found, mut bytes_found) = (Vec::new(), 0);
            for entry in frames.range((from, Bound::Included(last.0)))?.take(frames_max) {
                let (sequence, bytes) = entry?;
                bytes_found += bytes.value().len();
                // Only the spool writes this file. If somebody else did, this is not what was received.
                let frame = Frame::decode(bytes.value())
                    .ok_or_else(|| redb::Error::Corrupted(format!("frame {} is none", sequence.value())))?;
                found.push((Sequence(sequence.value()), frame));
                if bytes_found >= bytes_max {
                    break;
                }
            }
            Ok(found)
        })
    }

    pub(super) fn mark(&self, channel: &str) -> Result<Option<Timestamp>, redb::Error> {
        self.with(|database| {
            let marks = database.begin_read()?.open_table(MARKS)?;
            Ok(marks.get(channel)?.and_then(|at| Timestamp::from_millisecond(at.value()).ok()))
        })
    }

    pub(super) fn kept(&self, channel: &str) -> Result<Option<Vec<u8>>, redb::Error> {
        self.with(|database| {
            let channels = database.begin_read()?.open_table(CHANNELS)?;
            Ok(channels.get(channel)?.map(|bytes| bytes.value().to_vec()))
        })
    }

    /// The history of each subject; empty if nothing is known.
    pub(super) fn histories(&self, subjects: &[Subject]) -> Result<Vec<History>, redb::Error> {
        self.with(|database| {
            let forms = database.begin_read()?.open_table(FORMS)?;
            let restored = |subject: &Subject| {
                let stored = forms.get(subject.number())?;
                Ok(stored.map_or_else(History::default, |stored| History::restore(stored.value().1)))
            };
            subjects.iter().map(restored).collect()
        })
    }

    /// The number of subjects with remembered forms.
    pub(super) fn remembered(&self) -> Result<u64, redb::Error> {
        self.with(|database| Ok(database.begin_read()?.open_table(FORMS)?.len()?))
    }

    /// The id of the file.
    pub(super) fn id(&self) -> Result<Uuid, redb::Error> {
        self.with(|database| {
            let ids = database.begin_read()?.open_table(ID)?;
            let id = ids.get(())?.ok_or_else(|| redb::Error::Corrupted("a spool without its id".to_owned()))?;
            Ok(Uuid::from_u128(id.value()))
        })
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, Option<Database>> {
        self.database.write()
    }

    fn shared(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read()
    }

    /// Opens the database if needed, and closes it after an I/O failure.
    fn with<T>(&self, work: impl Fn(&Database) -> Result<T, redb::Error>) -> Result<T, redb::Error> {
        let done = loop {
            if let Some(database) = &*self.shared() {
                break work(database);
            }
            let mut database = self.exclusive();
            if database.is_none() {
                *database = Some(self.place.open()?);
            }
        };
        if matches!(done, Err(redb::Error::Io(_) | redb::Error::PreviousIo)) {
            *self.exclusive() = None;
        }
        done
    }
}

/// Creates the tables, so that readers find them. If they exist nothing is written: the disk may be full.
fn make_tables(database: &Database) -> Result<(), redb::Error> {
    if has_tables(database)? {
        return Ok(());
    }
    let making = database.begin_write()?;
    making.open_table(FRAMES)?;
    making.open_table(MARKS)?;
    making.open_table(CHANNELS)?;
    making.open_table(FORMS)?;
    making.open_table(SEQUENCE)?;
    making.delete_table(PUBLISHED)?;
    let known = making.open_table(ID)?.get(())?.map(|id| id.value());
    if known.is_none() {
        making.open_table(ID)?.insert((), Uuid::new_v4().as_u128())?;
    }
    making.commit()?;
    Ok(())
}

/// Whether the newest tables exist: an earlier version's file lacks them.
fn has_tables(database: &Database) -> Result<bool, redb::Error> {
    let reading = database.begin_read()?;
    let found = reading.open_table(CHANNELS).map(drop);
    let found = found.and_then(|()| reading.open_table(FORMS).map(drop));
    let found = found.and_then(|()| reading.open_table(ID).map(drop));
    match found {
        Ok(()) => Ok(true),
        Err(TableError::TableDoesNotExist(_)) => Ok(false),
        Err(failure) => Err(failure.into()),
    }
}

fn write(database: &Database, changes: &[Change<'_>]) -> Result<(), redb::Error> {
    // The commit returns when it is durable. This is redb's default, and the spool depends on it.
    let writing = database.begin_write()?;
    {
        let mut frames = writing.open_table(FRAMES)?;
        let mut sequences = writing.open_table(SEQUENCE)?;
        let mut channels = writing.open_table(CHANNELS)?;
        let mut forms = writing.open_table(FORMS)?;
        for change in changes {
            match *change {
                Change::Append(sequence, bytes) => {
                    frames.insert(sequence.0, bytes)?;
                    sequences.insert((), sequence.0)?;
                }
                Change::Remember(told, at) => {
                    for told in told {
                        remember(&mut forms, told, at.as_millisecond())?;
                    }
                }
                Change::Remove(sequence) => drop(frames.remove(sequence.0)?),
                Change::Keep(channel, bytes) => drop(channels.insert(channel, bytes)?),
                Change::Forget(part, before) => {
                    let before = before.as_millisecond();
                    forms.retain_in(subjects_of(part), |_, (at, _)| at >= before)?;
                }
            }
        }
    }
    writing.commit()?;
    Ok(())
}

/// Frames may be settled out of order, so keep the history that goes furthest.
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

/// The subjects of one part: their ids are spread evenly.
fn subjects_of(part: u16) -> std::ops::RangeInclusive<u128> {
    const WIDTH: u128 = u128::MAX / PARTS as u128;
    let first = u128::from(part) * (WIDTH + 1);
    first..=first + WIDTH
}
