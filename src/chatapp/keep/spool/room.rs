//! Whether a frame may be added: by what the file occupies, and by what is free on its disk. Pure.
//!
//! The file is copy-on-write: to take a frame out, pages have to be written first. So frames may not take the last of the
//! room. The file never gives back the pages of what was taken out, but fills them again: a file that occupies much and
//! holds little has room in itself.

use super::Lying;
use crate::chatapp::keep::reserve::Disk;

/// A limit below this could not hold the file's own pages.
const LIMIT_BYTES_MIN: u64 = 1024 * 1024;
/// Of the file, and what a transaction writes beside the frames: inner pages, and the list of freed ones.
const OVERHEAD_BYTES: u64 = 128 * 1024;
const PAGE_BYTES: u64 = 4096;
/// A frame's key, and where it ends.
const ENTRY_BYTES: u64 = 32;
/// Pages are merged when they are less than a third full.
const SPARSE_FACTOR: u64 = 3;
/// Of a remembered message with a form or two, which most have, in pages that are half full.
const REMEMBERED_BYTES: u64 = 256;
/// An empty spool's file is made smaller where it occupies this much more than it needs.
const SURPLUS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What there is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Bytes that the file occupies.
    pub(super) occupied: u64,
    /// Frames in it, and their bytes.
    pub(super) frames: u64,
    pub(super) frames_bytes: u64,
    /// Messages whose published forms are remembered.
    pub(super) remembered: u64,
    pub(super) disk: Disk,
    /// What the file may occupy.
    pub(super) bytes_max: u64,
    /// What the frames occupy that will be added at the same time.
    adding: u64,
}

/// Why nothing may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    /// Kafka has to take some, or the limit has to be raised.
    #[error("the spool occupies {occupied} bytes, as many as chatapp.spool_bytes_max lets it ({bytes_max})")]
    Limit { occupied: u64, bytes_max: u64 },
    /// Kafka has to take some, or somebody has to make room.
    #[error(
        "{free} bytes are free on the disk of chatapp.state_dir, and the last {floor} are kept for what makes room"
    )]
    Disk { free: u64, floor: u64 },
}

impl Room {
    pub(super) fn new(lying: &Lying, remembered: u64, occupied: u64, disk: Disk, bytes_max: u64) -> Self {
        let (frames, frames_bytes) = (lying.frames.len() as u64, lying.bytes);
        Self { occupied, frames, frames_bytes, remembered, disk, bytes_max, adding: 0 }
    }

    /// One more frame is to be added, of so many bytes.
    pub(super) fn add(&mut self, bytes: u64) -> Result<(), Full> {
        self.takes(bytes)?;
        self.frames += 1;
        self.frames_bytes += bytes;
        self.adding += written(bytes);
        Ok(())
    }

    /// Whether one more frame may be added, of so many bytes.
    pub(super) fn takes(&self, bytes: u64) -> Result<(), Full> {
        let bytes_max = self.bytes_max.max(LIMIT_BYTES_MIN);
        // What is larger than the limit is taken by an empty spool, or it would never be taken.
        let is_empty = self.frames == 0;
        if !is_empty && self.frames_bytes + bytes > self.bytes_max {
            return Err(Full::Limit { occupied: self.occupied.max(self.frames_bytes), bytes_max: self.bytes_max });
        }
        let needed = self.adding + written(bytes) + OVERHEAD_BYTES;
        if self.needed() + needed <= self.occupied {
            return Ok(());
        }
        if !is_empty && self.occupied + needed > bytes_max {
            return Err(Full::Limit { occupied: self.occupied, bytes_max });
        }
        let floor = if is_empty { 0 } else { self.disk.floor() };
        if self.disk.free < floor + needed {
            return Err(Full::Disk { free: self.disk.free, floor });
        }
        Ok(())
    }

    /// Whether the file of an empty spool should give pages back to the disk.
    pub(super) fn has_surplus(&self) -> bool {
        self.frames == 0 && self.occupied > 2 * self.needed() + SURPLUS_BYTES_MAX
    }

    /// Whether what is remembered leaves too little for frames.
    pub(super) fn remembers_too_much(&self) -> bool {
        self.remembered * REMEMBERED_BYTES > self.bytes_max.max(LIMIT_BYTES_MIN) / 4
    }

    /// What the file's contents need at the most.
    fn needed(&self) -> u64 {
        let frames = SPARSE_FACTOR * (self.frames_bytes + ENTRY_BYTES * self.frames);
        frames + REMEMBERED_BYTES * self.remembered + OVERHEAD_BYTES
    }
}

/// What a frame of so many bytes occupies: a large one has a page whose size is a power of two.
fn written(bytes: u64) -> u64 {
    if bytes < PAGE_BYTES { 2 * bytes } else { (bytes + ENTRY_BYTES).next_power_of_two() }
}
