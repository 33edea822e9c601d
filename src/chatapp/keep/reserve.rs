//! Disk space for writes that must work even when the disk is full: removing frames needs a write, and a new pair of
//! tokens makes the old one worthless.
//!
//! The reserve is a separate file beside the spool. It holds nothing and is deleted when its space is needed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

const NAME: &str = "spool.reserve";
/// Enough for a few of the largest writes; each of them frees what the next one needs.
const BYTES_MAX: u64 = 4 * 1024 * 1024;
/// On a small disk, at most this part of it.
const DISK_PART: u64 = 16;
/// What has to stay free beside the reserve: below this, nothing is added to the spool.
const FLOOR_BYTES_MAX: u64 = 32 * 1024 * 1024;
const FLOOR_DISK_PART: u64 = 8;

/// How much room a disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Bytes that this user may still write.
    pub(crate) free: u64,
    /// The size of the disk.
    pub(crate) total: u64,
}

impl Disk {
    /// The disk that `path` is on.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let found = statvfs(path)?;
        if found.f_blocks == 0 {
            // Some file systems do not report a size. Then only a failed write shows that the disk is full.
            return Ok(Self { free: u64::MAX, total: 0 });
        }
        Ok(Self { free: found.f_bavail * found.f_frsize, total: found.f_blocks * found.f_frsize })
    }

    /// Below this many free bytes only writes that free space are allowed.
    pub(crate) fn floor(self) -> u64 {
        FLOOR_BYTES_MAX.min(self.total / FLOOR_DISK_PART)
    }

    /// The bytes reserved for writes that free space.
    pub(crate) fn reserve(self) -> u64 {
        BYTES_MAX.min(self.total / DISK_PART)
    }
}

/// Creates the reserve in `folder` if it is missing and the disk has room for it.
pub(crate) fn keep(folder: &Path, disk: Disk) -> io::Result<()> {
    let (path, bytes) = (folder.join(NAME), disk.reserve());
    let is_whole = fs::metadata(&path).is_ok_and(|found| found.len() == bytes);
    if bytes == 0 || is_whole || disk.free < bytes + disk.floor() {
        return Ok(());
    }
    give_up(folder);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    fill(file, bytes).inspect_err(|_| drop(fs::remove_file(&path)))
}

/// Deletes the reserve to free its space; `false` if there was none.
pub(crate) fn give_up(folder: &Path) -> bool {
    fs::remove_file(folder.join(NAME)).is_ok()
}

/// Whether the error means that the disk is full.
pub(crate) fn is_lack_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

fn fill(mut file: File, bytes: u64) -> io::Result<()> {
    match fallocate(&file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        // This file system cannot allocate space ahead, so write the bytes.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            io::copy(&mut io::Read::take(io::repeat(0xa5), bytes), &mut file)?;
            file.flush()?;
            file.sync_all()
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use super::*;

    /// A file system of 4 MiB in memory, gone with the test. Only root may mount one.
    pub(in crate::chatapp) struct SmallDisk(PathBuf);

    impl SmallDisk {
        /// At `folder`, which is made; `None` where that is not allowed.
        pub(in crate::chatapp) fn mount(folder: &Path) -> Option<Self> {
            fs::create_dir_all(folder).expect("writable");
            let mount =
                Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs"]).arg(folder).output();
            if mount.is_ok_and(|mounted| mounted.status.success()) {
                return Some(Self(folder.to_owned()));
            }
            eprintln!("left out: this user may not mount a file system");
            None
        }

        pub(in crate::chatapp) fn room(&self) -> Disk {
            Disk::of(&self.0).expect("it has a size")
        }

        /// To the last byte.
        pub(in crate::chatapp) fn fill(&self) {
            let mut file =
                OpenOptions::new().append(true).create(true).open(self.0.join("of others")).expect("writable");
            for bytes in [65536, 4096, 1] {
                while file.write_all(&vec![7; bytes]).is_ok() {}
            }
        }
    }

    impl Drop for SmallDisk {
        fn drop(&mut self) {
            let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
            assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
        }
    }

    #[test]
    fn the_reserve_is_kept_given_up_once_and_kept_again_when_there_is_room() {
        let folder = std::env::temp_dir().join(format!("chatbridge-reserve-{:x}", fastrand::u64(..)));
        let Some(disk) = SmallDisk::mount(&folder) else { return };
        let before = disk.room();
        assert_eq!((before.reserve(), before.floor()), (256 * 1024, 512 * 1024));
        for _ in 0..2 {
            keep(&folder, disk.room()).expect("room");
            assert_eq!(before.free - disk.room().free, before.reserve(), "it is there once, and set aside");
        }
        disk.fill();
        assert_eq!(disk.room().free, 0);
        assert!(give_up(&folder) && !give_up(&folder));
        assert_eq!(disk.room().free, before.reserve());
        keep(&folder, disk.room()).expect("nothing happens");
        assert_eq!(disk.room().free, before.reserve(), "there is not room enough");
        fs::remove_file(folder.join("of others")).expect("there");
        keep(&folder, disk.room()).expect("room");
        assert_eq!(before.free - disk.room().free, before.reserve());
    }
}
