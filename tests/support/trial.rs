//! `chatbridge verify` over a journal that a test may have tampered with.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use chatbridge_lab::green_api::JournalEntry;
use serde_json::Value;

use super::bridge::Home;

/// A journal's file, gone with the test.
pub(crate) struct JournalFile(PathBuf);

impl JournalFile {
    pub(crate) fn new(entries: &[JournalEntry]) -> Self {
        let path = std::env::temp_dir().join(format!("chatbridge-journal-{:x}.jsonl", fastrand::u64(..)));
        let lines: Vec<String> = entries.iter().map(|entry| serde_json::to_string(entry).expect("JSON")).collect();
        fs::write(&path, lines.join("\n") + "\n").expect("writable");
        Self(path)
    }
}

impl Drop for JournalFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

/// What the command did.
pub(crate) fn verify(home: &Home, entries: &[JournalEntry], options: &[&str], environment: &[(&str, &str)]) -> Output {
    let journal = JournalFile::new(entries);
    Command::new(env!("CARGO_BIN_EXE_chatbridge"))
        .args(["verify", "--config"])
        .arg(home.config())
        .arg("--journal")
        .arg(&journal.0)
        .args(options)
        .envs(environment.iter().copied())
        .output()
        .expect("the binary runs")
}

/// Its exit code, and the report.
pub(crate) fn judged(home: &Home, entries: &[JournalEntry], environment: &[(&str, &str)]) -> (Option<i32>, Value) {
    let out = verify(home, entries, &["--json"], environment);
    let report = serde_json::from_slice(&out.stdout);
    (out.status.code(), report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&out.stderr))))
}
