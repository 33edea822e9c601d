//! The place of the spool's file: its disk, the reserve beside it, and whether its path still leads to it.
//!
//! A deleted file stays intact while it is open, and is lost when the process ends. So it is restored from the open
//! handle; until then nothing counts as durable.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, MutexGuard};
use redb::backends::FileBackend;
use redb::{Builder, Database};

use crate::chatapp::keep::reserve::{self, Disk};

const OWNER_ONLY: u32 = 0o600;
/// The unit of `st_blocks`, whatever the block size of the disk.
const BLOCK_BYTES: u64 = 512;
const COPY_BYTES: usize = 1024 * 1024;
const PAGE_BYTES: usize = 4096;
/// The size of redb's cache.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

pub(super) fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Whether the path still leads to the open file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    InPlace,
    /// There is no file at the path.
    Gone,
    /// There is another file at the path.
    Replaced,
    /// It could not be checked.
    Unknown(String),
}

/// The state of the file at one moment.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) standing: Standing,
    /// Bytes it takes on the disk.
    pub(super) occupied: u64,
    pub(super) disk: Disk,
}

/// The place of a spool's file.
pub(super) trait Place: Send + Sync {
    /// Opens the file that is there. It is never open twice at a time.
    fn open(&self) -> Result<Database, redb::Error>;

    fn look(&self) -> Look;

    /// Puts the file back at its path if nothing is there. Nobody has it open meanwhile.
    fn put_back(&self) -> io::Result<()>;

    /// Creates the reserve if there is room for it.
    fn keep_reserve(&self, disk: Disk) -> io::Result<()>;

    /// Deletes the reserve; `false` if there was none.
    fn give_up_reserve(&self) -> bool;
}

/// A file on a file system.
pub(super) struct FilePlace {
    path: PathBuf,
    folder: PathBuf,
    /// Kept open all the time: this file is the spool, whatever happens to its path.
    file: Mutex<File>,
}

impl FilePlace {
    /// The file at `path`, created if missing, accessible to its owner only.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(OWNER_ONLY).open(path)?;
        // Also for a file that somebody else created: it will hold people's messages.
        file.set_permissions(Permissions::from_mode(OWNER_ONLY))?;
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        Ok(Self { path: path.to_owned(), folder: folder.to_owned(), file: Mutex::new(file) })
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock()
    }

    fn standing(&self, open: &fs::Metadata) -> Standing {
        match fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (open.dev(), open.ino()) => Standing::InPlace,
            Ok(_) => Standing::Replaced,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Standing::Gone,
            Err(error) => Standing::Unknown(error.to_string()),
        }
    }
}

impl Place for FilePlace {
    fn open(&self) -> Result<Database, redb::Error> {
        let open = || {
            let backend = FileBackend::new(self.file().try_clone()?)?;
            Ok(builder().create_with_backend(backend)?)
        };
        match open() {
            Err(redb::Error::Io(error)) if reserve::is_lack_of_room(&error) && self.give_up_reserve() => open(),
            opened => opened,
        }
    }

    fn look(&self) -> Look {
        let nothing_known = Disk { free: u64::MAX, total: 0 };
        match self.file().metadata() {
            Ok(open) => Look {
                standing: self.standing(&open),
                occupied: open.blocks() * BLOCK_BYTES,
                disk: Disk::of(&self.folder).unwrap_or(nothing_known),
            },
            Err(error) => Look { standing: Standing::Unknown(error.to_string()), occupied: 0, disk: nothing_known },
        }
    }

    fn put_back(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let beside = self.path.with_extension("redb.new");
        // A leftover of a crash.
        drop(fs::remove_file(&beside));
        let mut file = self.file();
        let put = OpenOptions::new().read(true).write(true).create_new(true).mode(OWNER_ONLY).open(&beside);
        let put = put.and_then(|copy| {
            copy_contents(&file, &copy)?;
            copy.sync_all()?;
            // Not a rename: that would replace a file that somebody has put there meanwhile.
            fs::hard_link(&beside, &self.path)?;
            File::open(&self.folder)?.sync_all()?;
            Ok(copy)
        });
        drop(fs::remove_file(&beside));
        *file = put?;
        Ok(())
    }

    fn keep_reserve(&self, disk: Disk) -> io::Result<()> {
        reserve::keep(&self.folder, disk)
    }

    fn give_up_reserve(&self) -> bool {
        reserve::give_up(&self.folder)
    }
}

/// Skips empty pages, so that the copy is as sparse as the original.
fn copy_contents(from: &File, to: &File) -> io::Result<()> {
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut buffer = vec![0; COPY_BYTES];
    let mut offset = 0;
    loop {
        let read = from.read_at(&mut buffer, offset)?;
        if read == 0 {
            return Ok(());
        }
        for (page, bytes) in buffer[..read].chunks(PAGE_BYTES).enumerate() {
            if bytes.iter().any(|byte| *byte != 0) {
                to.write_all_at(bytes, offset + (page * PAGE_BYTES) as u64)?;
            }
        }
        offset += read as u64;
    }
}
