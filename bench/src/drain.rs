//! One instance's backlog, at each round trip: how close to the strict cycle's limit.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bench::Bench;
use crate::contender::Contender;
use crate::kafka;
use crate::progress::say;
use crate::stats::{Kept, drain_rate, median};
use crate::upstream::Upstream;

/// Round trip in milliseconds, and the events that take about three seconds at it.
const ROUND_TRIPS: [(u64, u64); 4] = [(0, 2000), (2, 500), (20, 80), (80, 30)];
/// What the guard needs: the contender's own cost, and a share that chance does not decide, as it does at 0.
const QUICK: [(u64, u64); 2] = [(0, 1000), (QUICK_SHARE_AT, 40)];
const QUICK_SHARE_AT: u64 = 20;
/// Before anything counts: connections, topics' metadata, and a JVM's compilers.
const WARM_UP: [u64; 4] = [1000, 50, 5, 3];
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// Samples of all rounds.
#[derive(Default)]
pub(crate) struct Drains {
    /// Events a second, by round trip and contender.
    rates: BTreeMap<(u64, &'static str), Vec<f64>>,
    /// CPU µs an event at round trip 0, by contender.
    cpu: BTreeMap<&'static str, Vec<f64>>,
    kept: BTreeMap<&'static str, Kept>,
    steps: BTreeMap<u64, Vec<Steps>>,
    /// Only what the guard needs.
    quick: bool,
}

/// What the minimal loop's three steps take, each by itself, in seconds.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Steps {
    receive: f64,
    ack: f64,
    delete: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) round_trip_ms: u64,
    /// 1/(receive + ack + delete).
    pub(crate) limit: f64,
    pub(crate) contenders: BTreeMap<&'static str, f64>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct Summary {
    pub(crate) rows: Vec<Row>,
    pub(crate) cpu_us_per_event: BTreeMap<&'static str, f64>,
    /// All samples, chatbridge's rate as a share of the limit measured in the same round.
    pub(crate) share_of_limit: BTreeMap<u64, Vec<f64>>,
    pub(crate) kept: BTreeMap<&'static str, Kept>,
}

impl Drains {
    /// Only what shows the contender's own cost.
    pub(crate) fn quick() -> Self {
        Self { quick: true, ..Self::default() }
    }

    fn round_trips(&self) -> &'static [(u64, u64)] {
        if self.quick { &QUICK } else { &ROUND_TRIPS }
    }

    /// CPU as a ratio to the minimal loop's, and the share of the limit; of all rounds each the best.
    pub(crate) fn best(&self) -> (f64, f64) {
        let least = |slug| self.cpu.get(slug).into_iter().flatten().copied().fold(f64::INFINITY, f64::min);
        let shares = self.summary().share_of_limit;
        let best_share = shares.get(&QUICK_SHARE_AT).into_iter().flatten().copied().fold(0.0, f64::max);
        (least("chatbridge") / least("minimal"), best_share)
    }

    /// One round: everybody once.
    pub(crate) fn round(&mut self, bench: &Bench, contenders: &[Contender]) {
        say("one instance's backlog: its three steps");
        self.probe(bench);
        for contender in contenders {
            say(&format!("one instance's backlog: {}", contender.name()));
            self.run(bench, *contender);
        }
    }

    fn run(&mut self, bench: &Bench, contender: Contender) {
        // One instance each, one contender for all: idle at the others, it drains one after the other.
        let mut number = 0;
        let upstreams: Vec<Upstream> = self
            .round_trips()
            .iter()
            .map(|(round_trip_ms, _)| {
                number += 1;
                bench.upstream_from(number, 1, *round_trip_ms)
            })
            .collect();
        let topic = bench.topic(contender.slug());
        let targets: String = upstreams.iter().map(Upstream::targets).collect();
        let process = bench.programs.start(contender, &bench.job(&topic, &targets));
        for (upstream, events) in upstreams.iter().zip(WARM_UP) {
            upstream.generate(upstream.instances[0], events, 1);
        }
        for upstream in &upstreams {
            assert!(upstream.emptied(DRAIN_MAX), "{} does not warm up", contender.name());
        }
        let mut ways = Vec::new();
        for ((upstream, (round_trip_ms, events)), warm_up) in
            upstreams.iter().zip(self.round_trips().iter().copied()).zip(WARM_UP)
        {
            let cpu_before = process.cpu_seconds();
            upstream.generate(upstream.instances[0], events, 1_000_000);
            assert!(upstream.emptied(DRAIN_MAX), "{} at {round_trip_ms} ms does not come to an end", contender.name());
            let cpu_seconds = process.cpu_seconds() - cpu_before;
            let all = upstream.ways();
            let rate = drain_rate(&all[warm_up as usize..]);
            self.rates.entry((round_trip_ms, contender.slug())).or_default().push(rate);
            if round_trip_ms == 0 {
                self.cpu.entry(contender.slug()).or_default().push(cpu_seconds * 1e6 / events as f64);
            }
            ways.extend(all);
        }
        process.stop();
        let kept = Kept::of_ways(&ways, &kafka::read(&bench.brokers, &topic));
        let so_far = self.kept.entry(contender.slug()).or_default();
        *so_far = so_far.and(kept);
    }

    /// What the three steps take for the leanest client there is, one after the other.
    fn probe(&mut self, bench: &Bench) {
        for ((round_trip_ms, events), warm_up) in self.round_trips().iter().copied().zip(WARM_UP) {
            let upstream = bench.upstream(1, round_trip_ms);
            upstream.generate(upstream.instances[0], warm_up + events, 1);
            let topic = bench.topic("probe");
            let targets = bench.dir.join("probe.targets");
            std::fs::write(&targets, upstream.targets()).expect("writable");
            let out = Command::new(&bench.programs.minimal)
                .args([&bench.brokers, &topic])
                .arg(&targets)
                .args(["steps", &warm_up.to_string(), &events.to_string()])
                .output()
                .expect("the minimal loop starts");
            assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
            let steps = serde_json::from_slice(&out.stdout).expect("three figures");
            self.steps.entry(round_trip_ms).or_default().push(steps);
        }
    }

    pub(crate) fn summary(&self) -> Summary {
        let limits = |round_trip_ms| -> Vec<f64> {
            let of_round = self.steps.get(&round_trip_ms).into_iter().flatten();
            of_round.map(|steps| 1.0 / (steps.receive + steps.ack + steps.delete)).collect()
        };
        let rates = |round_trip_ms, slug| self.rates.get(&(round_trip_ms, slug)).map_or(&[][..], Vec::as_slice);
        let rows = self.round_trips().iter().map(|&(round_trip_ms, _)| Row {
            round_trip_ms,
            limit: median(&limits(round_trip_ms)),
            contenders: self
                .rates
                .iter()
                .filter(|((at, _), _)| *at == round_trip_ms)
                .map(|((_, slug), rates)| (*slug, median(rates)))
                .collect(),
        });
        let share = |round_trip_ms| -> Vec<f64> {
            rates(round_trip_ms, "chatbridge")
                .iter()
                .zip(limits(round_trip_ms))
                .map(|(rate, limit)| rate / limit)
                .collect()
        };
        Summary {
            rows: rows.filter(|row| !row.contenders.is_empty()).collect(),
            cpu_us_per_event: self.cpu.iter().map(|(slug, samples)| (*slug, median(samples))).collect(),
            share_of_limit: self.round_trips().iter().map(|(at, _)| (*at, share(*at))).collect(),
            kept: self.kept.clone(),
        }
    }
}
