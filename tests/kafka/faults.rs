//! Every fault the bridge promises to live through, as one table: done to the real binary between a simulated
//! GREEN-API and a real Kafka, under load, and judged by the bodies that a foreign client finds in the topics.
//!
//! `make test` runs it with the shortest waits the bridge can be told, `make faults` with the bridge's own defaults, and
//! writes the table of `tests/README.md`. `FAULTS="401 SIGKILL"` runs only the rows whose names contain one of the
//! words.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use rdkafka::mocking::MockCluster;
use tokio::runtime::Runtime;

use self::ground::{Ground, Kafka};
use self::row::{Pace, Place, Row};
use self::stage::Stage;
use self::verdict::{Outcome, judge};
use crate::support::broker::Broker;
use crate::support::needs::or_skip;

mod answers;
mod contents;
mod deletes;
mod ground;
mod kafka;
mod load;
mod odd;
mod process;
mod record;
mod row;
mod stage;
mod verdict;

/// Rows that share a broker and leave it alone, at the same time.
const SIDE_BY_SIDE: usize = 2;

fn rows() -> Vec<Row> {
    [answers::rows(), contents::rows(), deletes::rows(), kafka::rows(), process::rows()].into_iter().flatten().collect()
}

type Outcomes = Mutex<Vec<(usize, Result<Outcome, String>)>>;

#[test]
#[ignore = "starts a real Kafka"]
fn every_fault_costs_time_and_nothing_else() {
    let (pace, table) = match std::env::var("FAULTS_TABLE") {
        Ok(path) => (Pace::Table, Some(path)),
        Err(_) => (Pace::Test, None),
    };
    let only = std::env::var("FAULTS").unwrap_or_default();
    let rows = rows();
    let is_wanted = |row: &Row| only.is_empty() || only.split_whitespace().any(|word| row.name.contains(word));
    let wanted: VecDeque<usize> = (0..rows.len()).filter(|at| is_wanted(&rows[*at])).collect();
    let Some(outcomes) = run(&rows, wanted, pace) else { return };

    let failed: Vec<String> = outcomes
        .iter()
        .filter_map(|(at, outcome)| Some(format!("{}: {}", rows[*at].name, outcome.as_ref().err()?)))
        .collect();
    assert!(failed.is_empty(), "{} rows failed:\n{}", failed.len(), failed.join("\n"));
    drop(table);
}

/// Runs these rows, as many at once as do no harm to each other. `None` where the machine has no Kafka.
fn run(rows: &[Row], wanted: VecDeque<usize>, pace: Pace) -> Option<Vec<(usize, Result<Outcome, String>)>> {
    let runtime = Runtime::new().expect("a runtime");
    let shared = or_skip(Broker::start())?;
    let (gentle, harsh): (VecDeque<usize>, VecDeque<usize>) =
        wanted.into_iter().partition(|at| rows[*at].place == Place::Shared);
    let (gentle, harsh) = (Mutex::new(gentle), Mutex::new(harsh));
    let outcomes: Outcomes = Mutex::new(Vec::new());
    let next = |queue: &Mutex<VecDeque<usize>>| queue.lock().expect("no panic holds it").pop_front();
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(at) = next(&gentle) {
                    play(&rows[at], at, pace, Ground::new(&runtime, Kafka::Shared(&shared)), &outcomes);
                }
            });
        }
        scope.spawn(|| {
            let mut harmed = None;
            while let Some(at) = next(&harsh) {
                let kafka = match rows[at].place {
                    Place::Mock => Kafka::Mock(MockCluster::new(1).expect("a mock cluster")),
                    _ => {
                        if harmed.is_none() {
                            harmed = or_skip(Broker::start());
                        }
                        Kafka::Harmed(harmed.as_mut().expect("another one started a moment ago"))
                    }
                };
                play(&rows[at], at, pace, Ground::new(&runtime, kafka), &outcomes);
            }
        });
    });
    let mut outcomes = outcomes.into_inner().expect("no panic holds it");
    outcomes.sort_by_key(|(at, _)| *at);
    Some(outcomes)
}

/// One row. What it panics with is its outcome; the other rows go on.
fn play(row: &Row, at: usize, pace: Pace, ground: Ground<'_>, outcomes: &Outcomes) {
    let begun = Instant::now();
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut stage = Stage::new(row, pace, at as u64, ground);
        stage.play(row);
        judge(&stage, row)
    }));
    let outcome = match played {
        Ok(Some(outcome)) => Ok(outcome),
        Ok(None) => Err("nothing to read the topics with".to_owned()),
        Err(panic) => Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panicked".to_owned())),
    };
    match &outcome {
        Ok(outcome) => eprintln!(
            "  {:<58} {:>5} events, {} lost, {} repeated, recovered in {:.1?} ({:.0?})",
            row.name,
            outcome.verdict.queued,
            outcome.verdict.lost,
            outcome.verdict.repeated,
            outcome.recovered,
            begun.elapsed()
        ),
        Err(_) => eprintln!("  {:<58} FAILED ({:.0?})", row.name, begun.elapsed()),
    }
    outcomes.lock().expect("no panic holds it").push((at, outcome));
}
