//! The file of tokens: whole or the one before it, readable for nobody else.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

const NAME: &str = "chatapp-tokens.json";
const OWNER_ONLY: u32 = 0o600;

/// Where tokens are kept.
pub trait TokenStore: Send + Sync + 'static {
    /// What was stored last; `None` where nothing ever was. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn load(&self) -> io::Result<Option<Vec<u8>>>;

    /// Returns when `text` will outlive a crash; until then what was stored before does. Blocks likewise.
    ///
    /// # Errors
    /// Where it cannot be written; what was stored before is still there.
    fn store(&self, text: &str) -> io::Result<()>;

    /// How people find it.
    fn place(&self) -> String;
}

/// A file in a directory of the bridge's own.
#[derive(Debug, Clone)]
pub struct TokenFile {
    folder: PathBuf,
    path: PathBuf,
}

impl TokenFile {
    /// In this directory, which is made where it is missing.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), path: folder.join(NAME) }
    }

    /// What was stored last, for whoever may look and touch nothing.
    pub(super) fn peek(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl TokenStore for TokenFile {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        let bytes = self.peek()?;
        // Somebody may have copied it here.
        if bytes.is_some() && fs::metadata(&self.path)?.permissions().mode() & 0o777 != OWNER_ONLY {
            fs::set_permissions(&self.path, Permissions::from_mode(OWNER_ONLY))?;
        }
        Ok(bytes)
    }

    fn store(&self, text: &str) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let beside = self.path.with_extension("json.new");
        // One that a crash left behind may have other rights.
        drop(fs::remove_file(&beside));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        // The new name is durable when the folder is.
        File::open(&self.folder)?.sync_all()
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            let name = format!("chatbridge-tokens-{}-{:x}", std::process::id(), fastrand::u64(..));
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.0));
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn what_is_stored_is_for_its_owner_alone_and_what_was_there_is_replaced_whole() {
        let folder = Folder::new();
        let file = TokenFile::in_folder(&folder.0.join("deeper"));
        assert_eq!(file.load().expect("nothing is no error"), None);
        for text in ["one", "another, longer one", "three"] {
            // What a crash left behind, with the rights of the umask.
            fs::create_dir_all(&file.folder).expect("writable");
            fs::write(file.path.with_extension("json.new"), "half of").expect("writable");
            file.store(text).expect("stored");
            assert_eq!(file.load().expect("readable").as_deref(), Some(text.as_bytes()));
            assert_eq!(mode(&file.path), OWNER_ONLY);
        }
        assert_eq!(fs::read_dir(&file.folder).expect("a folder").count(), 1, "nothing is left lying about");
    }

    #[test]
    fn a_file_that_others_may_read_is_closed_to_them() {
        let folder = Folder::new();
        let file = TokenFile::in_folder(&folder.0);
        file.store("text").expect("stored");
        assert_eq!(mode(&folder.0), 0o700);
        fs::set_permissions(&file.path, Permissions::from_mode(0o644)).expect("ours");
        assert!(file.load().expect("readable").is_some());
        assert_eq!(mode(&file.path), OWNER_ONLY);
    }

    #[test]
    fn where_nothing_can_be_written_what_was_there_stays() {
        let folder = Folder::new();
        let file = TokenFile::in_folder(&folder.0);
        file.store("old").expect("stored");
        // A folder in its way cannot be removed as a file; this holds for root as well.
        fs::create_dir(file.path.with_extension("json.new")).expect("writable");
        file.store("new").expect_err("no room for it");
        assert_eq!(file.load().expect("readable").as_deref(), Some(&b"old"[..]));
    }
}
