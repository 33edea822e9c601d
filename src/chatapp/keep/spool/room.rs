//! Whether a frame may be added, given the size of the file and the free space on its disk. Pure.
//!
//! The file is copy-on-write: removing a frame first writes pages. So frames may not take the last free space. The file
//! does not shrink when frames are removed, but reuses their pages: a large file with little in it has room inside.

use super::Lying;
use crate::chatapp::keep::reserve::Disk;

/// A limit below this could not hold the file's own pages.
const LIMIT_BYTES_MIN: u64 = 1024 * 1024;
/// The file's own overhead, and what a transaction writes beside the frames: inner pages, and the list of freed ones.
const OVERHEAD_BYTES: u64 = 128 * 1024;
const PAGE_BYTES: u64 = 4096;
/// A frame's key and the offset of its end.
const ENTRY_BYTES: u64 = 32;
/// Pages are merged when they are less than a third full.
const SPARSE_FACTOR: u64 = 3;
/// One remembered message with a form or two, as most have, in pages that are half full.
const REMEMBERED_BYTES: u64 = 256;
/// The file of an empty spool is compacted if it is larger than needed by this much.
const SURPLUS_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The figures of the spool and its disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// Bytes that the file takes.
    pub(super) occupied: u64,
    /// Frames in it, and their total size.
    pub(super) frames: u64,
    pub(super) frames_bytes: u64,
    /// Messages with remembered forms.
    pub(super) remembered: u64,
    pub(super) disk: Disk,
    /// The limit for the file.
    pub(super) bytes_max: u64,
    /// What the frames of the current write will take.
    adding: u64,
}

/// Why no frame may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Full {
    /// Kafka has to take some frames, or the limit has to be raised.
    #[error("the spool occupies {occupied} bytes, as many as chatapp.spool_bytes_max lets it ({bytes_max})")]
    Limit { occupied: u64, bytes_max: u64 },
    /// Kafka has to take some frames, or somebody has to free disk space.
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

    /// Adds one more frame of this size.
    pub(super) fn add(&mut self, bytes: u64) -> Result<(), Full> {
        self.takes(bytes)?;
        self.frames += 1;
        self.frames_bytes += bytes;
        self.adding += written(bytes);
        Ok(())
    }

    /// Whether one more frame of this size may be added.
    pub(super) fn takes(&self, bytes: u64) -> Result<(), Full> {
        let bytes_max = self.bytes_max.max(LIMIT_BYTES_MIN);
        // An empty spool takes even a frame above the limit: otherwise it would never be taken.
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

    /// Whether an empty spool's file should be compacted.
    pub(super) fn has_surplus(&self) -> bool {
        self.frames == 0 && self.occupied > 2 * self.needed() + SURPLUS_BYTES_MAX
    }

    /// Whether remembered forms leave too little room for frames.
    pub(super) fn remembers_too_much(&self) -> bool {
        self.remembered * REMEMBERED_BYTES > self.bytes_max.max(LIMIT_BYTES_MIN) / 4
    }

    /// The most that the file's contents need.
    fn needed(&self) -> u64 {
        let frames = SPARSE_FACTOR * (self.frames_bytes + ENTRY_BYTES * self.frames);
        frames + REMEMBERED_BYTES * self.remembered + OVERHEAD_BYTES
    }
}

/// What a frame of this size takes: a large one gets a page whose size is a power of two.
fn written(bytes: u64) -> u64 {
    if bytes < PAGE_BYTES { 2 * bytes } else { (bytes + ENTRY_BYTES).next_power_of_two() }
}
