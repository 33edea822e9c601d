//! The token file: replaced atomically, readable by its owner only, and sealed if there is a key.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::IgnoredAny;
use tracing::{info, warn};

use crate::chatapp::keep::reserve;
use crate::config::ChatApp;
use crate::seal::Seal;

/// The purpose of the seal.
const PURPOSE: &str = "the tokens of ChatApp";
/// The file's name in `chatapp.state_dir`.
pub const FILE_NAME: &str = "chatapp-tokens.json";
const OWNER_ONLY: u32 = 0o600;

/// Stores tokens.
pub trait TokenStore: Send + Sync + 'static {
    /// What was stored last; `None` if nothing was. Blocks on the disk.
    ///
    /// # Errors
    /// If it cannot be read.
    fn load(&self) -> io::Result<Option<Vec<u8>>>;

    /// Returns when `text` will survive a crash; until then the previous text does. Blocks on the disk.
    ///
    /// # Errors
    /// If it cannot be written; the previous text is still there.
    fn store(&self, text: &str) -> io::Result<()>;

    /// The location to show to people.
    fn place(&self) -> String;
}

/// A file in a directory of the bridge's own.
#[derive(Debug, Clone)]
pub struct TokenFile {
    folder: PathBuf,
    path: PathBuf,
    seal: Option<Arc<Seal>>,
}

impl TokenFile {
    /// In the configured directory, sealed as configured.
    #[must_use]
    pub fn of(config: &ChatApp) -> Self {
        Self { seal: config.seal.clone(), ..Self::in_folder(&config.state_dir) }
    }

    /// In this directory, which is created if missing; not sealed.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), path: folder.join(FILE_NAME), seal: None }
    }

    /// What was stored last, without changing anything on disk.
    pub(super) fn peek(&self) -> io::Result<Option<Vec<u8>>> {
        self.read()?.map(|bytes| self.opened(bytes)).transpose()
    }

    /// The file as it is on disk.
    fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn opened(&self, bytes: Vec<u8>) -> io::Result<Vec<u8>> {
        if !Seal::is_sealed(&bytes) {
            return Ok(bytes);
        }
        let Some(seal) = &self.seal else { return Err(io::Error::other("it is sealed, and there is no key")) };
        seal.open(PURPOSE, &bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Seals contents that were stored unsealed until now.
    fn seal_from_now_on(&self, bytes: &[u8]) {
        // If it is not a token file, leave it for inspection until there are new tokens.
        let is_ours = serde_json::from_slice::<IgnoredAny>(bytes).is_ok();
        let Some(text) = std::str::from_utf8(bytes).ok().filter(|_| is_ours) else { return };
        match self.store(text) {
            Ok(()) => info!(file = self.place(), "the tokens were in the clear; they are sealed from now on"),
            Err(error) => {
                warn!(file = self.place(), %error, "the tokens are still in the clear: they could not be sealed")
            }
        }
    }

    /// Writes a new file beside the old one and renames it.
    fn replace(&self, text: &str) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let beside = self.path.with_extension("json.new");
        // A leftover of a crash may have other permissions.
        drop(fs::remove_file(&beside));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &self.path)?;
        // The rename is durable once the folder is synced.
        File::open(&self.folder)?.sync_all()
    }
}

impl TokenStore for TokenFile {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        let Some(bytes) = self.read()? else { return Ok(None) };
        // Somebody may have copied it here.
        if fs::metadata(&self.path)?.permissions().mode() & 0o777 != OWNER_ONLY {
            fs::set_permissions(&self.path, Permissions::from_mode(OWNER_ONLY))?;
        }
        if self.seal.is_some() && !Seal::is_sealed(&bytes) {
            self.seal_from_now_on(&bytes);
        }
        self.opened(bytes).map(Some)
    }

    fn store(&self, text: &str) -> io::Result<()> {
        let sealed = self.seal.as_ref().map(|seal| seal.seal(PURPOSE, text)).transpose()?;
        let text = sealed.as_deref().unwrap_or(text);
        match self.replace(text) {
            // A full disk must not lose the new tokens: the old pair may be worthless by now.
            Err(error) if reserve::is_lack_of_room(&error) && reserve::give_up(&self.folder) => self.replace(text),
            done => done,
        }
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

    fn sealed(folder: &Path, digit: char) -> TokenFile {
        let seal = Seal::new(&digit.to_string().repeat(64).into()).expect("a key");
        TokenFile { seal: Some(Arc::new(seal)), ..TokenFile::in_folder(folder) }
    }

    #[test]
    fn with_a_key_what_was_in_the_clear_is_read_once_and_sealed_from_then_on() {
        let folder = Folder::new();
        let (open, sealed) = (TokenFile::in_folder(&folder.0), sealed(&folder.0, '1'));
        let text = "{\"token\": \"hunter2\"}";
        open.store(text).expect("stored");
        assert_eq!(sealed.peek().expect("readable").as_deref(), Some(text.as_bytes()));
        assert!(fs::read_to_string(&open.path).expect("there").contains("hunter2"), "a look changes nothing");
        for _ in 0..2 {
            assert_eq!(sealed.load().expect("readable").as_deref(), Some(text.as_bytes()));
            let lies_there = fs::read_to_string(&open.path).expect("there");
            assert!(!lies_there.contains("hunter2") && Seal::is_sealed(lies_there.as_bytes()), "{lies_there}");
        }
        sealed.store("{\"token\": \"other\"}").expect("stored");
        assert!(!fs::read_to_string(&open.path).expect("there").contains("other"));
        assert_eq!(mode(&open.path), OWNER_ONLY);
    }

    #[test]
    fn without_its_key_it_is_said_and_the_file_stays_as_it_is() {
        let folder = Folder::new();
        sealed(&folder.0, '1').store("{}").expect("stored");
        let path = folder.0.join(FILE_NAME);
        let before = fs::read(&path).expect("there");
        let none = TokenFile::in_folder(&folder.0);
        for (file, said) in
            [(&sealed(&folder.0, '2'), "give the key that it was sealed with"), (&none, "there is no key")]
        {
            for error in [file.load().expect_err("not readable"), file.peek().expect_err("not readable")] {
                assert!(error.to_string().contains(said), "{error}");
            }
        }
        assert_eq!(fs::read(&path).expect("there"), before);
    }

    #[test]
    fn a_disk_that_is_full_has_room_for_tokens_in_the_reserve() {
        let folder = Folder::new();
        let Some(disk) = crate::chatapp::keep::reserve::tests::SmallDisk::mount(&folder.0) else { return };
        let file = TokenFile::in_folder(&folder.0);
        file.store("old").expect("stored");
        reserve::keep(&folder.0, disk.room()).expect("room");
        disk.fill();
        file.store("new").expect("the reserve's room");
        assert_eq!(file.load().expect("readable").as_deref(), Some(&b"new"[..]));
        disk.fill();
        file.store("newer").expect_err("there is no more");
        assert_eq!(file.load().expect("readable").as_deref(), Some(&b"new"[..]));
    }
}
