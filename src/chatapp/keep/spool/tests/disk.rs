//! A disk in memory: it has so many pages, and can be told to take nothing.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use redb::Database;

use super::super::place::{Look, Place, Standing, builder};
use crate::chatapp::keep::reserve::Disk as Size;

const PAGE: usize = 4096;

/// Clones are the same disk.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pages: Mutex<HashMap<u64, Box<[u8]>>>,
    length: Mutex<u64>,
    pages_max: AtomicUsize,
    /// Of others, and the reserve's.
    pages_of_others: AtomicUsize,
    reserve: AtomicUsize,
    takes_nothing: AtomicBool,
}

impl Disk {
    pub(super) fn of_pages(pages_max: usize) -> Self {
        Self(Arc::new(Inner {
            pages: Mutex::default(),
            length: Mutex::default(),
            pages_max: pages_max.into(),
            pages_of_others: AtomicUsize::default(),
            reserve: AtomicUsize::default(),
            takes_nothing: AtomicBool::default(),
        }))
    }

    pub(super) fn take_nothing(&self, takes_nothing: bool) {
        self.0.takes_nothing.store(takes_nothing, Ordering::Relaxed);
    }

    /// Others leave the disk so many free pages.
    pub(super) fn leave(&self, pages: usize) {
        self.0.pages_of_others.fetch_add(self.free().saturating_sub(pages), Ordering::Relaxed);
    }

    /// Others give back all they took.
    pub(super) fn give_back(&self) {
        self.0.pages_of_others.store(0, Ordering::Relaxed);
    }

    pub(super) fn free(&self) -> usize {
        let used = self.0.pages.lock().expect("whole").len();
        let others = self.0.pages_of_others.load(Ordering::Relaxed) + self.0.reserve.load(Ordering::Relaxed);
        self.0.pages_max.load(Ordering::Relaxed).saturating_sub(used + others)
    }

    pub(super) fn has_reserve(&self) -> bool {
        self.0.reserve.load(Ordering::Relaxed) > 0
    }

    fn failing(&self) -> io::Result<()> {
        let fails = self.0.takes_nothing.load(Ordering::Relaxed);
        if fails { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl Place for Disk {
    fn open(&self) -> Result<Database, redb::Error> {
        Ok(builder().create_with_backend(self.clone())?)
    }

    fn look(&self) -> Look {
        let pages = |pages: usize| (pages * PAGE) as u64;
        let used = self.0.pages.lock().expect("whole").len();
        Look {
            standing: Standing::InPlace,
            occupied: pages(used),
            disk: Size { free: pages(self.free()), total: pages(self.0.pages_max.load(Ordering::Relaxed)) },
        }
    }

    fn put_back(&self) -> io::Result<()> {
        Ok(())
    }

    fn keep_reserve(&self, disk: Size) -> io::Result<()> {
        if !self.has_reserve() && disk.free >= disk.reserve() + disk.floor() {
            self.0.reserve.store(disk.reserve() as usize / PAGE, Ordering::Relaxed);
        }
        Ok(())
    }

    fn give_up_reserve(&self) -> bool {
        self.0.reserve.swap(0, Ordering::Relaxed) > 0
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(*self.0.length.lock().expect("whole"))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let pages = self.0.pages.lock().expect("whole");
        let (mut place, mut rest) = (offset, out);
        while !rest.is_empty() {
            let within = place as usize % PAGE;
            let length = rest.len().min(PAGE - within);
            let (now, later) = rest.split_at_mut(length);
            match pages.get(&(place / PAGE as u64)) {
                Some(page) => now.copy_from_slice(&page[within..within + length]),
                None => now.fill(0),
            }
            (place, rest) = (place + length as u64, later);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.failing()?;
        *self.0.length.lock().expect("whole") = length;
        self.0.pages.lock().expect("whole").retain(|page, _| page * (PAGE as u64) < length);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.failing()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.failing()?;
        let mut place = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let (page, within) = (place / PAGE as u64, place as usize % PAGE);
            let (now, later) = rest.split_at(rest.len().min(PAGE - within));
            let is_new = !self.0.pages.lock().expect("whole").contains_key(&page);
            if is_new && self.free() == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let mut pages = self.0.pages.lock().expect("whole");
            let page = pages.entry(page).or_insert_with(|| vec![0; PAGE].into());
            page[within..within + now.len()].copy_from_slice(now);
            (place, rest) = (place + now.len() as u64, later);
        }
        Ok(())
    }
}
