//! Every fault the bridge promises to live through, as one table: done to the real binary between a simulated
//! GREEN-API and a real Kafka, under load, and judged by the bodies that a foreign client finds in the topics.
//!
//! `make test` runs it with the shortest waits the bridge can be told, `make faults` with the bridge's own defaults,
//! and writes the table of `tests/README.md`. `FAULTS="401 SIGKILL"` runs only the rows whose names contain one of the
//! words.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use rdkafka::mocking::MockCluster;
use tokio::runtime::Runtime;

use self::ground::{Ground, Harmed, Kafka};
use self::row::{Pace, Place, Row};
use self::stage::Stage;
use self::verdict::{Outcome, judge};
use crate::support::broker::Broker;
use crate::support::cluster::Cluster;
use crate::support::needs::or_skip;
use crate::support::toxiproxy::Toxiproxy;
use crate::support::way::Way;

mod answers;
mod chatapp;
pub(crate) mod clock;
mod contents;
mod deletes;
mod ground;
mod hold;
mod kafka;
mod listeners;
mod load;
mod network;
mod odd;
mod process;
mod pushes;
mod row;
#[path = "../memory/shapes.rs"]
mod shapes;
mod stage;
mod table;
mod topics;
mod verdict;

/// Rows that share a broker and leave it alone, at the same time.
const SIDE_BY_SIDE: usize = 3;

fn rows() -> Vec<Row> {
    [
        answers::rows(),
        contents::rows(),
        deletes::rows(),
        pushes::rows(),
        kafka::rows(),
        network::rows(),
        process::rows(),
        listeners::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A row, with its instances received one way.
struct Play {
    row: Row,
    way: Way,
}

impl Play {
    fn name(&self) -> String {
        match self.way {
            Way::Poll => self.row.name.to_owned(),
            Way::Push => format!("pushed: {}", self.row.name),
        }
    }
}

/// Every row, each way that it makes sense.
fn plays() -> Vec<Play> {
    let by = |way: Way| rows().into_iter().filter(move |row| row.ways.contains(&way)).map(move |row| Play { row, way });
    Way::BOTH.into_iter().flat_map(by).collect()
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
    let plays = plays();
    let is_wanted = |name: String| only.is_empty() || only.split_whitespace().any(|word| name.contains(word));
    let wanted: VecDeque<usize> = (0..plays.len()).filter(|at| is_wanted(plays[*at].name())).collect();
    let of_chatapp = chatapp::rows().into_iter().filter(|row| is_wanted(row.full_name())).collect();
    let (outcomes, of_chatapp) = thread::scope(|scope| {
        let of_chatapp = scope.spawn(|| chatapp::play(of_chatapp, pace));
        (run(&plays, wanted, pace), of_chatapp.join().expect("what a row panics with is its outcome"))
    });
    let Some(outcomes) = outcomes else { return };

    let failed: Vec<String> = outcomes
        .iter()
        .filter_map(|(at, outcome)| Some(format!("{}: {}", plays[*at].name(), outcome.as_ref().err()?)))
        .chain(
            of_chatapp
                .iter()
                .filter_map(|(row, outcome)| Some(format!("{}: {}", row.full_name(), outcome.as_ref().err()?))),
        )
        .collect();
    assert!(failed.is_empty(), "{} rows failed:\n{}", failed.len(), failed.join("\n"));
    if let Some(path) = table.filter(|_| only.is_empty()) {
        let whole: Vec<(&Play, Outcome)> =
            outcomes.into_iter().filter_map(|(at, outcome)| Some((&plays[at], outcome.ok()?))).collect();
        let of_chatapp: Vec<_> =
            of_chatapp.into_iter().filter_map(|(row, outcome)| Some((row, outcome.ok()?))).collect();
        table::write(Path::new(&path), &rows(), &whole, &of_chatapp);
    }
}

/// Runs these plays, as many at once as do no harm to each other. `None` where the machine has no Kafka.
fn run(plays: &[Play], wanted: VecDeque<usize>, pace: Pace) -> Option<Vec<(usize, Result<Outcome, String>)>> {
    if wanted.is_empty() {
        return Some(Vec::new());
    }
    let runtime = Runtime::new().expect("a runtime");
    let idle_ms = (kafka::IDLE_SECONDS * 1000).to_string();
    let forgetful = [("connections.max.idle.ms", idle_ms.as_str())];
    let shared = or_skip(Broker::start_with(&forgetful))?;
    let toxiproxy = or_skip(Toxiproxy::start());
    let toxiproxy = toxiproxy.as_ref();
    let place = |at: &usize| plays[*at].row.place;
    let can_be = |at: &usize| toxiproxy.is_some() || !(plays[*at].row.through_proxy || place(at) == Place::Proxied);
    let (gentle, harsh): (VecDeque<usize>, VecDeque<usize>) =
        wanted.into_iter().filter(can_be).partition(|at| matches!(place(at), Place::Shared | Place::Mock));
    // The cluster, and one broker to harm for each way.
    let (of_cluster, of_one): (Vec<usize>, Vec<usize>) = harsh.into_iter().partition(|at| place(at) == Place::Cluster);
    let (of_polls, of_pushes): (Vec<usize>, Vec<usize>) =
        of_one.into_iter().partition(|at| plays[*at].way == Way::Poll);
    let gentle = Mutex::new(gentle);
    let outcomes: Outcomes = Mutex::new(Vec::new());
    let next = || gentle.lock().expect("no panic holds it").pop_front();
    thread::scope(|scope| {
        for _ in 0..SIDE_BY_SIDE {
            scope.spawn(|| {
                while let Some(at) = next() {
                    let kafka = match place(&at) {
                        Place::Mock => Kafka::Mock(MockCluster::new(1).expect("a mock cluster")),
                        _ => Kafka::Shared(&shared),
                    };
                    play(&plays[at], at, pace, Ground::new(&runtime, kafka), toxiproxy, &outcomes);
                }
            });
        }
        for harsh in [of_cluster, of_polls, of_pushes] {
            let (runtime, outcomes) = (&runtime, &outcomes);
            scope.spawn(move || {
                let (mut harmed, mut cluster) = (None, None);
                for at in harsh {
                    if place(&at) == Place::Cluster {
                        cluster = cluster.or_else(|| or_skip(Cluster::start_with(&forgetful)));
                    } else {
                        harmed = harmed.or_else(|| Harmed::start(toxiproxy));
                    }
                    let kafka = match (place(&at), &mut harmed, &mut cluster) {
                        (Place::Cluster, _, Some(cluster)) => Kafka::Cluster(cluster),
                        (Place::Proxied, Some(Harmed { broker, proxy: Some(proxy), .. }), _) => {
                            Kafka::Proxied(broker, proxy)
                        }
                        (Place::Restricted, Some(harmed), _) => Kafka::Restricted(&harmed.broker, &harmed.guard),
                        (_, Some(harmed), _) => Kafka::Harmed(&mut harmed.broker),
                        _ => panic!("one broker started a moment ago, another did not"),
                    };
                    if !play(&plays[at], at, pace, Ground::new(runtime, kafka), toxiproxy, outcomes) {
                        // Frozen, perhaps, or closed to all.
                        (harmed, cluster) = (None, None);
                    }
                }
            });
        }
    });
    let mut outcomes = outcomes.into_inner().expect("no panic holds it");
    outcomes.sort_by_key(|(at, _)| *at);
    Some(outcomes)
}

/// One play, and whether it ended well. What it panics with is its outcome; the others go on.
fn play(
    play: &Play,
    at: usize,
    pace: Pace,
    ground: Ground<'_>,
    toxiproxy: Option<&Toxiproxy>,
    outcomes: &Outcomes,
) -> bool {
    let begun = Instant::now();
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut stage = Stage::new(&play.row, play.way, pace, at as u64, ground, toxiproxy);
        stage.play(&play.row);
        judge(&stage, &play.row)
    }));
    let outcome = match played {
        Ok(Some(outcome)) => Ok(outcome),
        Ok(None) => Err("nothing to read the topics with".to_owned()),
        Err(panic) => Err(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "panicked".to_owned())),
    };
    match &outcome {
        Ok(outcome) => eprintln!(
            "  {:<58} {:>5} events, {} lost, {} repeated, recovered in {:.1?} ({:.0?})",
            play.name(),
            outcome.verdict.queued,
            outcome.verdict.lost,
            outcome.verdict.repeated,
            outcome.recovered,
            begun.elapsed()
        ),
        Err(_) => eprintln!("  {:<58} FAILED ({:.0?})", play.name(), begun.elapsed()),
    }
    let is_well = outcome.is_ok();
    outcomes.lock().expect("no panic holds it").push((at, outcome));
    is_well
}
