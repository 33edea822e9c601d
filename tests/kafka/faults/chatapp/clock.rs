//! The time of day jumps under a bridge that hears ChatApp: what was not heard is told by the right time in the end.

use super::super::clock::Clock;
use super::row::Row;
use super::stage::Stage;

const GROUP: &str = "ChatApp: the time of day";
const HOURS: i64 = 3600;

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("time of day jumps 2 h ahead, and back", |stage, clock| there_and_back(stage, clock, 2 * HOURS)),
        row("time of day jumps 2 h back, and ahead again", |stage, clock| there_and_back(stage, clock, -2 * HOURS)),
        row("time of day jumps 2 h ahead; Kafka frozen, the bridge killed; and back", |stage, clock| {
            clock.set(2 * HOURS);
            stage.cut(40);
            stage.broker.pause();
            stage.events(20);
            stage.kill_bridge();
            clock.set(0);
            stage.events(20);
            stage.broker.resume();
            stage.start_bridge();
            stage.wait_until_live();
        }),
        row("time of day jumps 2 h back, the bridge killed, and ahead again", |stage, clock| {
            clock.set(-2 * HOURS);
            stage.cut(40);
            stage.kill_bridge();
            clock.set(0);
            stage.events(20);
            stage.start_bridge();
            stage.wait_until_live();
        }),
        row("killed, 25 h ahead at the next start, killed, and right at the one after", |stage, clock| {
            for hours in [25, 0] {
                stage.kill_bridge();
                clock.set(hours * HOURS);
                stage.events(20);
                stage.start_bridge();
                stage.wait_until_live();
            }
        }),
        row("killed, in 1970 at the next start, and set right under it", |stage, clock| {
            stage.kill_bridge();
            clock.set(-1_700_000_000);
            stage.events(20);
            stage.start_bridge();
            stage.wait_until_live();
            stage.cut(20);
            clock.set(0);
        }),
    ]
}

/// Something is missed by the wrong time of day, and something by the right one.
fn there_and_back(stage: &mut Stage<'_>, clock: &Clock, ahead: i64) {
    clock.set(ahead);
    stage.cut(40);
    clock.set(0);
    stage.events(20);
    stage.cut(20);
}

fn row(name: &'static str, script: fn(&mut Stage<'_>, &Clock)) -> Row {
    let clock = Clock::new();
    let [made, played, removed] = [(); 3].map(|()| clock.clone());
    let row = Row::new(GROUP, name, move |stage| script(stage, &played)).cut();
    let row = row.before(move |_| made.make()).after(move |_| removed.remove());
    clock.environment().into_iter().fold(row, |row, (name, value)| row.with(name, value))
}
