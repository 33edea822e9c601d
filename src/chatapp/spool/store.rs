//! The file: an embedded database, because "whole or not at all, whatever happens" is its business.

use std::io;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use redb::{
    Builder, Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, TableDefinition,
    TableError,
};

use super::place::{Look, Place};
use super::{Frame, Lying, Sequence};
use crate::bridge::Settled;
use crate::chatapp::reserve::Disk;
use crate::event::EventId;

const FRAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("frames");
/// The greatest sequence ever given, so that none is given twice.
const SEQUENCE: TableDefinition<'_, (), u64> = TableDefinition::new("sequence");
const MARKS: TableDefinition<'_, &str, i64> = TableDefinition::new("marks");
const PUBLISHED: TableDefinition<'_, u128, i64> = TableDefinition::new("published");

/// What redb keeps of the file in memory.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// Into so many parts the published ids are divided when old ones are forgotten: each part is written anew as a whole.
pub(super) const PARTS: u16 = 256;

/// What is written. Writing it twice is the same as writing it once: of a write that failed, all may be there.
pub(super) enum Change<'a> {
    Append(Sequence, &'a [u8]),
    /// These are known to be published.
    Remember(&'a [Settled], Timestamp),
    Remove(Sequence),
    Mark(&'a str, Timestamp),
    /// Of this part of the ids, those from before that time are not known to be published any more.
    Forget(u16, Timestamp),
}

pub(super) struct Store {
    place: Box<dyn Place>,
    /// Absent between a failure and the next try: a database that met one takes nothing more.
    database: RwLock<Option<Database>>,
}

impl Store {
    /// What lies at `place`, now and after each failure.
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

    /// Puts a file that is gone back to its place, from what is open of it.
    pub(super) fn put_back(&self) -> io::Result<()> {
        let mut database = self.exclusive();
        *database = None;
        self.place.put_back()
    }

    /// Makes all of `changes` durable at once; where that fails, all or none of them.
    pub(super) fn write(&self, changes: &[Change<'_>]) -> Result<(), redb::Error> {
        self.with(|database| write(database, changes)).inspect_err(|_| *self.exclusive() = None)
    }

    /// Gives pages that hold nothing back to the disk.
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

    /// The greatest sequence that was ever given.
    pub(super) fn last_given(&self) -> Result<Sequence, redb::Error> {
        self.with(|database| {
            let sequences = database.begin_read()?.open_table(SEQUENCE)?;
            Ok(Sequence(sequences.get(())?.map_or(0, |last| last.value())))
        })
    }

    /// Bytes and time of every frame.
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

    /// The frames behind `after`, up to `last`.
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
                // Nobody else writes into this file; should somebody have, it is not what was received.
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

    pub(super) fn published(&self, ids: &[EventId]) -> Result<Vec<bool>, redb::Error> {
        self.with(|database| {
            let published = database.begin_read()?.open_table(PUBLISHED)?;
            ids.iter().map(|id| Ok(published.get(u128::from_be_bytes(id.bytes()))?.is_some())).collect()
        })
    }

    /// How many events are known to be published.
    pub(super) fn remembered(&self) -> Result<u64, redb::Error> {
        self.with(|database| Ok(database.begin_read()?.open_table(PUBLISHED)?.len()?))
    }

    fn exclusive(&self) -> RwLockWriteGuard<'_, Option<Database>> {
        self.database.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens it where that is due, and closes it after a failure of the disk.
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

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// So that each table is there for whoever reads first. Where they are, nothing is written: the disk may be full.
fn make_tables(database: &Database) -> Result<(), redb::Error> {
    let reading = database.begin_read()?;
    // `SEQUENCE` is made last.
    match reading.open_table(SEQUENCE) {
        Err(TableError::TableDoesNotExist(_)) => {}
        found => return found.map(drop).map_err(Into::into),
    }
    drop(reading);
    let making = database.begin_write()?;
    making.open_table(FRAMES)?;
    making.open_table(MARKS)?;
    making.open_table(PUBLISHED)?;
    making.open_table(SEQUENCE)?;
    making.commit()?;
    Ok(())
}

fn write(database: &Database, changes: &[Change<'_>]) -> Result<(), redb::Error> {
    // Durable when the commit returns: redb's default, and the point of it all.
    let writing = database.begin_write()?;
    {
        let mut frames = writing.open_table(FRAMES)?;
        let mut sequences = writing.open_table(SEQUENCE)?;
        let mut marks = writing.open_table(MARKS)?;
        let mut published = writing.open_table(PUBLISHED)?;
        for change in changes {
            match *change {
                Change::Append(sequence, bytes) => {
                    frames.insert(sequence.0, bytes)?;
                    sequences.insert((), sequence.0)?;
                }
                Change::Remember(proofs, at) => {
                    for proof in proofs {
                        published.insert(u128::from_be_bytes(proof.id().bytes()), at.as_millisecond())?;
                    }
                }
                Change::Remove(sequence) => drop(frames.remove(sequence.0)?),
                Change::Mark(channel, at) => drop(marks.insert(channel, at.as_millisecond())?),
                Change::Forget(part, before) => {
                    let before = before.as_millisecond();
                    published.retain_in(ids_of(part), |_, at| at >= before)?;
                }
            }
        }
    }
    writing.commit()?;
    Ok(())
}

/// Of all ids, those of one part: ids are spread evenly.
fn ids_of(part: u16) -> std::ops::RangeInclusive<u128> {
    const WIDTH: u128 = u128::MAX / PARTS as u128;
    let first = u128::from(part) * (WIDTH + 1);
    first..=first + WIDTH
}
