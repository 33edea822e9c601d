//! Ten thousand instances with nothing to do, and what an event allocates.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bench::Bench;
use crate::contender::Contender;
use crate::process::tcp_memory_kib;
use crate::progress::say;

const INSTANCES: u64 = 10_000;
/// Of which a start costs what any start costs.
const FEW_INSTANCES: u64 = 1;
const START_MAX: Duration = Duration::from_secs(120);
const EVENTS_COUNTED: u64 = 1000;

#[derive(Serialize)]
pub(crate) struct Idle {
    pub(crate) contender: &'static str,
    pub(crate) instances: u64,
    /// From the start of the process to the last first poll.
    pub(crate) all_polling_seconds: f64,
    /// Of one core.
    pub(crate) cpu_percent: f64,
    pub(crate) rss_kib_each: f64,
    /// What the process has allocated and not freed.
    pub(crate) heap_kib_each: f64,
    /// Of both ends of the connections.
    pub(crate) kernel_kib_each: f64,
}

#[derive(Serialize)]
pub(crate) struct PerEvent {
    pub(crate) contender: &'static str,
    pub(crate) allocations: f64,
}

pub(crate) fn idle(bench: &Bench, contender: Contender) -> Idle {
    say(&format!("{INSTANCES} idle instances: {}", contender.name()));
    let few = at_rest(bench, contender, FEW_INSTANCES, Duration::from_secs(2), true);
    let kernel_before = tcp_memory_kib();
    // Counting allocations takes CPU of its own.
    let many = at_rest(bench, contender, INSTANCES, watched(contender), false);
    let heap = at_rest(bench, contender, INSTANCES, Duration::from_secs(2), true).heap_kib;
    let each = |much: f64, few: f64| (much - few) / (INSTANCES - FEW_INSTANCES) as f64;
    Idle {
        contender: contender.slug(),
        instances: INSTANCES,
        all_polling_seconds: many.all_polling_seconds,
        cpu_percent: many.cpu_percent,
        rss_kib_each: each(many.rss_kib, few.rss_kib),
        heap_kib_each: each(heap, few.heap_kib),
        kernel_kib_each: each(many.kernel_kib, kernel_before as f64),
    }
}

/// Whole rounds of polls.
fn watched(contender: Contender) -> Duration {
    Duration::from_secs(if contender == Contender::Patient { 60 } else { 40 })
}

struct AtRest {
    all_polling_seconds: f64,
    /// Of one core, from then on.
    cpu_percent: f64,
    rss_kib: f64,
    /// 0 where it was not counted.
    heap_kib: f64,
    kernel_kib: f64,
}

fn at_rest(bench: &Bench, contender: Contender, instances: u64, watched: Duration, counted: bool) -> AtRest {
    let upstream = bench.upstream(instances, 0);
    let topic = bench.topic(contender.slug());
    let started = Instant::now();
    let targets = upstream.targets();
    let job = bench.job(&topic, &targets);
    let (process, allocations) = if counted {
        let (process, allocations) = bench.programs.start_counted(contender, &job);
        (process, Some(allocations))
    } else {
        (bench.programs.start(contender, &job), None)
    };
    while upstream.waiting() < instances {
        assert!(started.elapsed() < START_MAX, "{}: {} polls wait", contender.name(), upstream.waiting());
        std::thread::sleep(Duration::from_millis(100));
    }
    let all_polling_seconds = started.elapsed().as_secs_f64();
    let (cpu_before, watch_started) = (process.cpu_seconds(), Instant::now());
    std::thread::sleep(watched);
    let figures = AtRest {
        all_polling_seconds,
        cpu_percent: (process.cpu_seconds() - cpu_before) * 100.0 / watch_started.elapsed().as_secs_f64(),
        rss_kib: process.rss_kib() as f64,
        heap_kib: allocations.map_or(0.0, |counts| counts.now().in_use as f64 / 1024.0),
        kernel_kib: tcp_memory_kib() as f64,
    };
    process.stop();
    figures
}

/// Allocations of one event on its way, librdkafka's among them.
pub(crate) fn per_event(bench: &Bench, contender: Contender) -> PerEvent {
    say(&format!("allocations of an event: {}", contender.name()));
    let upstream = bench.upstream(1, 0);
    let topic = bench.topic(contender.slug());
    let (process, allocations) = bench.programs.start_counted(contender, &bench.job(&topic, &upstream.targets()));
    let instance = upstream.instances[0];
    upstream.generate(instance, EVENTS_COUNTED, 1);
    assert!(upstream.emptied(START_MAX), "{} warms up", contender.name());
    let before = allocations.now();
    upstream.generate(instance, EVENTS_COUNTED, 1_000_000);
    assert!(upstream.emptied(START_MAX), "{} comes to an end", contender.name());
    let made = allocations.now().allocations - before.allocations;
    process.stop();
    PerEvent { contender: contender.slug(), allocations: made as f64 / EVENTS_COUNTED as f64 }
}
