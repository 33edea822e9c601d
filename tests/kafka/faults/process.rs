//! The bridge is stopped, killed, or lives by a clock that jumps.

use std::fs;
use std::path::{Path, PathBuf};

use super::row::{Pace, Row};
use super::stage::{INSTANCES, Stage};

const GROUP: &str = "The bridge itself";

/// Where Debian's package puts it.
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1";

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = vec![
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
    ];
    if Path::new(FAKETIME).exists() {
        rows.push(clock("clock jumps 25 h ahead, and back", "forward", "+25h"));
        rows.push(clock("clock jumps 2 h back, and forward again", "back", "-2h"));
    } else {
        eprintln!("SKIPPED: clock jumps need libfaketime: apt-get install libfaketime");
    }
    rows
}

fn times(stage: &Stage<'_>) -> u32 {
    if stage.pace == Pace::Table { 3 } else { 1 }
}

/// The time of day as the bridge sees it. Its waits go by the other clock, which nothing moves.
fn clock(name: &'static str, file: &str, offset: &'static str) -> Row {
    let file = std::env::temp_dir().join(format!("chatbridge-clock-{}-{file}", std::process::id()));
    set(&file, "+0");
    let (struck, ended) = (file.clone(), file.clone());
    Row::new(GROUP, name, move |_| set(&struck, offset))
        .ends(move |_| set(&ended, "+0"))
        .hits_all()
        // So that the broker looks at the stamps it gets.
        .topic("message.timestamp.type", "CreateTime")
        .with("LD_PRELOAD", FAKETIME)
        .with("FAKETIME_TIMESTAMP_FILE", file.to_string_lossy())
        .with("FAKETIME_NO_CACHE", "1")
        .with("DONT_FAKE_MONOTONIC", "1")
}

fn set(file: &PathBuf, offset: &str) {
    fs::write(file, offset).expect("the temporary directory takes files");
}
