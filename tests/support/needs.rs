//! What a test needs from the machine, and what happens when the machine has not got it.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Why a test cannot have what it needs.
#[derive(Clone, Debug)]
pub(crate) enum Unavailable {
    /// Not installed: the line says what to install.
    Missing(String),
    /// Installed, but it failed.
    Broken(String),
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(line) => write!(f, "SKIPPED: {line}"),
            Self::Broken(text) => f.write_str(text),
        }
    }
}

/// The thing needed, or `None` when it is not installed and the test may pass without it.
///
/// The line that says so is printed once, whatever the number of tests. With `CI=true` nothing is passed over: a
/// test that silently never runs is worth less than none. What is there and fails, fails the test everywhere.
pub(crate) fn or_skip<T>(result: Result<T, Unavailable>) -> Option<T> {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    match result {
        Ok(value) => Some(value),
        Err(Unavailable::Missing(_)) if std::env::var_os("CI").is_none_or(|ci| ci != "true") => {
            let line = result.err()?.to_string();
            let mut said = SAID.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if !said.contains(&line) {
                // Not eprintln!, which the test runner swallows when a test passes.
                let _ = writeln!(io::stderr(), "{line}");
                said.insert(line);
            }
            None
        }
        Err(unavailable) => panic!("{unavailable}"),
    }
}

/// A file or folder below `tests`.
pub(crate) fn tests_path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(below)
}
