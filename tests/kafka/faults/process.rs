//! The bridge is stopped, killed, or lives by a clock that jumps.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::row::{Pace, Row};
use super::stage::{INSTANCES, Stage};
use crate::support::needs::tests_path;

const GROUP: &str = "The bridge itself";

pub(crate) fn rows() -> Vec<Row> {
    vec![
        Row::new(GROUP, "SIGTERM under load, started again", |stage| {
            for _ in 0..times(stage) {
                stage.stop_bridge();
                stage.start_bridge();
                stage.bridge().wait_until_ready();
            }
        })
        .hits_all(),
        Row::new(GROUP, "SIGKILL under load, started again", |stage| {
            for _ in 0..times(stage) {
                stage.kill_bridge();
                stage.start_bridge();
                stage.bridge().wait_until_ready();
            }
        })
        .hits_all()
        .repeats_max(3 * INSTANCES),
        clock("time of day jumps 25 h ahead, and back", 25),
        clock("time of day jumps 2 h back, and ahead again", -2),
    ]
}

fn times(stage: &Stage<'_>) -> u32 {
    if stage.pace == Pace::Table { 3 } else { 1 }
}

/// The time of day as the bridge sees it; the clock that its waits go by does not jump, as in life.
fn clock(name: &'static str, hours: i64) -> Row {
    let unique = format!("chatbridge-clock-{}-{:x}", std::process::id(), fastrand::u64(..));
    let offset = std::env::temp_dir().join(unique);
    let (library, made) = (offset.with_extension("so"), offset.clone());
    let (preload, file) = (library.to_string_lossy().into_owned(), offset.to_string_lossy().into_owned());
    let back = offset.clone();
    Row::new(GROUP, name, move |_| set(&offset, hours * 3600))
        .before(move || {
            fs::write(&made, 0_i64.to_ne_bytes()).expect("the temporary directory takes files");
            compile(&library);
        })
        .ends(move |_| set(&back, 0))
        .hits_all()
        // So that the broker looks at the stamps it gets.
        .topic("message.timestamp.type", "CreateTime")
        .with("LD_PRELOAD", preload)
        .with("CLOCK_OFFSET_FILE", file)
}

/// In place: the bridge has the file in its memory.
fn set(file: &PathBuf, seconds: i64) {
    let mut file = File::options().write(true).open(file).expect("made before");
    file.write_all(&seconds.to_ne_bytes()).expect("writable");
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
