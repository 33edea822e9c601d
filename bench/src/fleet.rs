//! Many instances at once: a steady stream, a burst, and what waited while Kafka was away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Bench;
use crate::contender::Contender;
use crate::http::Http;
use crate::kafka;
use crate::process::Process;
use crate::stats::{Kept, Spread, median, queue_to_deleted, queue_to_kafka};
use crate::upstream::{Upstream, Way};

const INSTANCES: u64 = 200;
const ROUND_TRIP_MS: u64 = 20;
const STEADY_PER_SECOND: u64 = 1000;
const STEADY_SECONDS: u64 = 10;
const BURST_EVENTS_EACH: u64 = 100;
const OUTAGE_EVENTS_EACH: u64 = 5;
/// Before anything counts.
const WARM_UP_EVENTS_EACH: u64 = 5;
const WARM_UP_MAX: Duration = Duration::from_secs(120);
/// Who is not done by then is cut off, and what was done counts.
const SCENARIO_MAX: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scenario {
    Steady,
    Burst,
    Outage,
}

impl Scenario {
    pub(crate) const ALL: [Self; 3] = [Self::Steady, Self::Burst, Self::Outage];

    pub(crate) fn title(self) -> String {
        match self {
            Self::Steady => format!(
                "{INSTANCES} instances, {STEADY_PER_SECOND} events/s over all for {STEADY_SECONDS} s, round trip {ROUND_TRIP_MS} ms"
            ),
            Self::Burst => {
                format!("{INSTANCES} instances, {BURST_EVENTS_EACH} events each at once, round trip {ROUND_TRIP_MS} ms")
            }
            Self::Outage => format!(
                "{INSTANCES} instances, {OUTAGE_EVENTS_EACH} events each while Kafka is down; times from its return"
            ),
        }
    }
}

/// One run of one contender.
#[derive(Clone, Serialize)]
pub(crate) struct Run {
    /// Deleted over the time from the first queued (in an outage: from Kafka's return) to the last deleted.
    pub(crate) events_per_second: f64,
    /// All that was queued was deleted in time.
    pub(crate) finished: bool,
    pub(crate) queue_to_kafka_ms: Spread,
    pub(crate) queue_to_deleted_ms: Spread,
    pub(crate) cpu_us_per_event: f64,
    pub(crate) rss_kib: u64,
    pub(crate) kept: Kept,
}

/// Runs by scenario and contender.
pub(crate) type Runs = BTreeMap<Scenario, BTreeMap<&'static str, Vec<Run>>>;

pub(crate) fn round(bench: &mut Bench, contenders: &[Contender], runs: &mut Runs) {
    for scenario in Scenario::ALL {
        for contender in contenders {
            let run = run(bench, *contender, scenario);
            runs.entry(scenario).or_default().entry(contender.slug()).or_default().push(run);
        }
    }
}

fn run(bench: &mut Bench, contender: Contender, scenario: Scenario) -> Run {
    let upstream = bench.upstream(INSTANCES, ROUND_TRIP_MS);
    let topic = bench.topic(contender.slug());
    let process = bench.programs.start(contender, &bench.job(&topic, &upstream.targets()));
    everywhere(&upstream, WARM_UP_EVENTS_EACH, 1);
    assert!(upstream.emptied(WARM_UP_MAX), "{} does not warm up; logs in {}", contender.name(), bench.dir.display());
    let warm_up = upstream.ways().len();

    let cpu_before = process.cpu_seconds();
    let mut back_at_ms = None;
    match scenario {
        Scenario::Steady => steady(bench, &upstream),
        Scenario::Burst => everywhere(&upstream, BURST_EVENTS_EACH, 1_000_000),
        Scenario::Outage => {
            bench.broker.kill();
            everywhere(&upstream, OUTAGE_EVENTS_EACH, 1_000_000);
            bench.broker.start_again();
            back_at_ms = Some(crate::now_ms());
        }
    }
    let finished = upstream.emptied(SCENARIO_MAX);
    measured(bench, &upstream, &process, warm_up, cpu_before, back_at_ms, finished, &topic)
}

#[expect(clippy::too_many_arguments, reason = "the end of one function, apart for its length")]
fn measured(
    bench: &Bench,
    upstream: &Upstream,
    process: &Process,
    warm_up: usize,
    cpu_before: f64,
    back_at_ms: Option<u64>,
    finished: bool,
    topic: &str,
) -> Run {
    let (cpu_seconds, rss_kib) = (process.cpu_seconds() - cpu_before, process.rss_kib());
    let all = upstream.ways();
    let found = kafka::read(&bench.brokers, topic);
    let mut ways: Vec<Way> = all;
    let kept = Kept::of(&ways, &found);
    ways.drain(..warm_up);
    if let Some(back_ms) = back_at_ms {
        // What waited for Kafka is measured from Kafka's return.
        for way in &mut ways {
            let ahead = back_ms.saturating_sub(way.enqueued_unix_ms);
            way.enqueued_unix_ms += ahead;
            way.enqueued_ms += ahead;
            way.deleted_ms = way.deleted_ms.map(|deleted| deleted.max(way.enqueued_ms));
        }
    }
    let deleted = ways.iter().filter_map(|way| way.deleted_ms);
    let began = ways.iter().map(|way| way.enqueued_ms).min().unwrap_or_default();
    let took_ms = deleted.clone().max().unwrap_or_default().saturating_sub(began).max(1);
    let count = deleted.count() as f64;
    Run {
        events_per_second: count * 1000.0 / took_ms as f64,
        finished,
        queue_to_kafka_ms: Spread::of(queue_to_kafka(&ways, &found)),
        queue_to_deleted_ms: Spread::of(queue_to_deleted(&ways)),
        cpu_us_per_event: cpu_seconds * 1e6 / count.max(1.0),
        rss_kib,
        kept,
    }
}

fn everywhere(upstream: &Upstream, events: u64, first: u64) {
    for instance in &upstream.instances {
        upstream.generate(*instance, events, first);
    }
}

/// One event after the other, one instance after the other, at the wanted rate.
fn steady(bench: &Bench, upstream: &Upstream) {
    let bodies = bench.bodies(upstream, STEADY_PER_SECOND * STEADY_SECONDS);
    let mut http = Http::connect(upstream.port).expect("the simulator is there");
    let started = Instant::now();
    for (number, (body, instance)) in bodies.iter().zip(upstream.instances.iter().cycle()).enumerate() {
        let due = Duration::from_secs_f64(number as f64 / STEADY_PER_SECOND as f64);
        if let Some(early) = due.checked_sub(started.elapsed()) {
            std::thread::sleep(early);
        }
        let path = format!("/simulator/enqueue/{instance}");
        http.ask("POST", &path, "", body.as_bytes()).expect("the simulator takes it");
    }
}

/// The figures of all rounds, each the median.
pub(crate) fn summary(runs: &Runs) -> BTreeMap<Scenario, BTreeMap<&'static str, Run>> {
    let middle = |runs: &[Run], figure: &dyn Fn(&Run) -> f64| median(&runs.iter().map(figure).collect::<Vec<_>>());
    let spread = |runs: &[Run], of: &dyn Fn(&Run) -> &Spread| Spread {
        p50: middle(runs, &|run| of(run).p50),
        p99: middle(runs, &|run| of(run).p99),
        max: runs.iter().map(|run| of(run).max).fold(0.0, f64::max),
    };
    let one = |runs: &Vec<Run>| Run {
        events_per_second: middle(runs, &|run| run.events_per_second),
        finished: runs.iter().all(|run| run.finished),
        queue_to_kafka_ms: spread(runs, &|run| &run.queue_to_kafka_ms),
        queue_to_deleted_ms: spread(runs, &|run| &run.queue_to_deleted_ms),
        cpu_us_per_event: middle(runs, &|run| run.cpu_us_per_event),
        rss_kib: runs.iter().map(|run| run.rss_kib).max().unwrap_or_default(),
        kept: runs.iter().fold(Kept::default(), |sum, run| sum.and(run.kept)),
    };
    runs.iter()
        .map(|(scenario, by_contender)| {
            (*scenario, by_contender.iter().map(|(slug, runs)| (*slug, one(runs))).collect())
        })
        .collect()
}
