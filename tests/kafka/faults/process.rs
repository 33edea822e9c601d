//! The bridge is stopped, killed, or lives by a clock that jumps.

use super::clock::Clock;
use super::row::{Pace, Row};
use super::stage::{INSTANCES, Stage};

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

fn clock(name: &'static str, hours: i64) -> Row {
    let clock = Clock::new();
    let [made, struck, back, removed] = [(); 4].map(|()| clock.clone());
    let mut row = Row::new(GROUP, name, move |_| struck.set(hours * 3600))
        .before(move || made.make())
        .ends(move |_| back.set(0))
        .after(move |_| removed.remove())
        .hits_all()
        // So that the broker looks at the stamps it gets.
        .topic("message.timestamp.type", "CreateTime");
    row.environment.extend(clock.environment());
    row
}
