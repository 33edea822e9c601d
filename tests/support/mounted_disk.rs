//! A file system of a few MiB, in memory, that a test may fill to its last byte.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::needs::Unavailable;

/// Gone with the test.
pub(crate) struct MountedDisk(PathBuf);

impl MountedDisk {
    /// At `folder`, which is made. Only root may mount.
    pub(crate) fn mount(folder: &Path, mebibytes: usize) -> Result<Self, Unavailable> {
        fs::create_dir_all(folder).expect("writable");
        let size = format!("size={mebibytes}m,mode=700");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        match mount {
            Ok(mounted) if mounted.status.success() => Ok(Self(folder.to_owned())),
            _ => Err(Unavailable::Missing("tests of a full disk: be root, who may mount one".to_owned())),
        }
    }

    /// Others fill it to the last byte.
    pub(crate) fn fill(&self) {
        let file = OpenOptions::new().append(true).create(true).open(self.of_others());
        let mut file = file.expect("a name needs no room");
        for bytes in [65536, 4096, 1] {
            while file.write_all(&vec![7; bytes]).is_ok() {}
        }
    }

    /// They make room again.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.of_others()).expect("it was filled");
    }

    fn of_others(&self) -> PathBuf {
        self.0.join("of-others")
    }
}

impl Drop for MountedDisk {
    fn drop(&mut self) {
        // Lazily: a bridge may still be ending.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
