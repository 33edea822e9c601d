//! A time of day that a row can set, for its bridge alone. The clock that waits go by does not jump, as in life.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::needs::tests_path;

/// The file that says how far the time of day is off, and the library that adds it.
#[derive(Clone)]
pub(crate) struct Clock {
    offset: PathBuf,
    library: PathBuf,
}

impl Clock {
    /// Nothing is there yet: see [`Clock::make`].
    pub(crate) fn new() -> Self {
        let unique = format!("chatbridge-clock-{}-{:x}", std::process::id(), fastrand::u64(..));
        let offset = std::env::temp_dir().join(unique);
        Self { library: offset.with_extension("so"), offset }
    }

    /// The right time, for a bridge that is started in this clock's environment.
    pub(crate) fn make(&self) {
        fs::write(&self.offset, 0_i64.to_ne_bytes()).expect("the temporary directory takes files");
        compile(&self.library);
    }

    /// So many seconds off from now on. In place: the bridge has the file in its memory.
    pub(crate) fn set(&self, seconds: i64) {
        let mut file = File::options().write(true).open(&self.offset).expect("made before");
        file.write_all(&seconds.to_ne_bytes()).expect("writable");
    }

    /// What a bridge needs to go by it.
    pub(crate) fn environment(&self) -> [(&'static str, String); 2] {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        [("LD_PRELOAD", text(&self.library)), ("CLOCK_OFFSET_FILE", text(&self.offset))]
    }

    /// For whoever is done with it.
    pub(crate) fn remove(&self) {
        drop(fs::remove_file(&self.offset));
        drop(fs::remove_file(&self.library));
    }
}

fn compile(library: &Path) {
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(library)
        .arg(tests_path("kafka/clock.c"))
        .arg("-ldl")
        .output()
        .expect("the compiler that built the bridge");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}
