//! Many instances at once: a steady stream, a burst, and what waited while Kafka was away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bench::Bench;
use crate::contender::Contender;
use crate::http::Http;
use crate::kafka::{self, Found};
use crate::process::Process;
use crate::progress::say;
use crate::stats::{Kept, Spread, median, queue_to_deleted, queue_to_kafka};
use crate::upstream::{Upstream, Way};

const INSTANCES: u64 = 200;
const ROUND_TRIP_MS: u64 = 20;
const STEADY_PER_SECOND: u64 = 1000;
const STEADY_SECONDS: u64 = 10;
const BURST_EVENTS_EACH: u64 = 100;
const OUTAGE_EVENTS_EACH: u64 = 5;
/// Before anything counts: over all, and of each.
const WARM_UP_EVENTS: u64 = 1000;
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
            say(&format!("{}: {}", scenario.title(), contender.name()));
            let run = run(bench, *contender, scenario);
            runs.entry(scenario).or_default().entry(contender.slug()).or_default().push(run);
        }
    }
}

fn run(bench: &mut Bench, contender: Contender, scenario: Scenario) -> Run {
    let fleet = Fleet::start(bench, contender, INSTANCES, ROUND_TRIP_MS);
    let upstream = &fleet.upstream;
    let stretch = match scenario {
        Scenario::Steady => {
            let bodies = bench.bodies(upstream, STEADY_PER_SECOND * STEADY_SECONDS);
            fleet.stretch(bench, |_| steady(upstream, &bodies, STEADY_PER_SECOND))
        }
        Scenario::Burst => fleet.stretch(bench, |_| everywhere(upstream, BURST_EVENTS_EACH, 1_000_000)),
        Scenario::Outage => {
            let mut back_at_ms = 0;
            let mut stretch = fleet.stretch(bench, |bench| {
                bench.broker.kill();
                everywhere(upstream, OUTAGE_EVENTS_EACH, 1_000_000);
                bench.broker.start_again();
                back_at_ms = crate::bench::now_ms();
            });
            stretch.waited_until(back_at_ms);
            stretch
        }
    };
    stretch.run()
}

/// A contender at work on many instances, warmed up.
pub(crate) struct Fleet {
    pub(crate) upstream: Upstream,
    topic: String,
    process: Process,
}

impl Fleet {
    pub(crate) fn start(bench: &Bench, contender: Contender, instances: u64, round_trip_ms: u64) -> Self {
        let upstream = bench.upstream(instances, round_trip_ms);
        let topic = bench.topic(contender.slug());
        let process = bench.programs.start(contender, &bench.job(&topic, &upstream.targets()));
        everywhere(&upstream, (WARM_UP_EVENTS / instances).max(WARM_UP_EVENTS_EACH), 500_000);
        assert!(upstream.emptied(WARM_UP_MAX), "{} does not warm up", contender.name());
        Self { upstream, topic, process }
    }

    /// What the contender makes of what `load` queues.
    pub(crate) fn stretch(&self, bench: &mut Bench, load: impl FnOnce(&mut Bench)) -> Stretch {
        let before = self.upstream.ways().len();
        let cpu_before = self.process.cpu_seconds();
        load(bench);
        let finished = self.upstream.emptied(SCENARIO_MAX);
        let (cpu_seconds, rss_kib) = (self.process.cpu_seconds() - cpu_before, self.process.rss_kib());
        let mut ways = self.upstream.ways();
        let found = kafka::read(&bench.brokers, &self.topic);
        let kept = Kept::of_ways(&ways, &found);
        ways.drain(..before);
        Stretch { ways, found, finished, cpu_seconds, rss_kib, kept }
    }
}

/// What was seen of a contender from the first event of a load to the last.
pub(crate) struct Stretch {
    pub(crate) ways: Vec<Way>,
    found: Vec<Found>,
    finished: bool,
    cpu_seconds: f64,
    rss_kib: u64,
    /// Of everything since the start.
    kept: Kept,
}

impl Stretch {
    /// What was queued before counts from this moment, Unix milliseconds.
    fn waited_until(&mut self, unix_ms: u64) {
        for way in &mut self.ways {
            let ahead = unix_ms.saturating_sub(way.enqueued_unix_ms);
            way.enqueued_unix_ms += ahead;
            way.enqueued_ms += ahead;
            way.deleted_ms = way.deleted_ms.map(|deleted| deleted.max(way.enqueued_ms));
        }
    }

    pub(crate) fn run(&self) -> Run {
        let Self { ways, found, finished, cpu_seconds, rss_kib, kept } = self;
        let deleted = ways.iter().filter_map(|way| way.deleted_ms);
        let began = ways.iter().map(|way| way.enqueued_ms).min().unwrap_or_default();
        let took_ms = deleted.clone().max().unwrap_or_default().saturating_sub(began).max(1);
        let count = deleted.count() as f64;
        Run {
            events_per_second: count * 1000.0 / took_ms as f64,
            finished: *finished,
            queue_to_kafka_ms: Spread::of(queue_to_kafka(ways, found)),
            queue_to_deleted_ms: Spread::of(queue_to_deleted(ways)),
            cpu_us_per_event: cpu_seconds * 1e6 / count.max(1.0),
            rss_kib: *rss_kib,
            kept: *kept,
        }
    }
}

fn everywhere(upstream: &Upstream, events: u64, first: u64) {
    for instance in &upstream.instances {
        upstream.generate(*instance, events, first);
    }
}

/// One event after the other, one instance after the other, at the wanted rate.
pub(crate) fn steady(upstream: &Upstream, bodies: &[String], per_second: u64) {
    let mut http = Http::connect(upstream.port).expect("the simulator is there");
    let started = Instant::now();
    for (number, (body, instance)) in bodies.iter().zip(upstream.instances.iter().cycle()).enumerate() {
        let due = Duration::from_secs_f64(number as f64 / per_second as f64);
        if let Some(early) = due.checked_sub(started.elapsed()) {
            std::thread::sleep(early);
        }
        upstream.enqueue(&mut http, *instance, body);
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
