//! The figures as a table for people and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use serde::Serialize;

use crate::connections::Connections;
use crate::contender::Contender;
use crate::drain;
use crate::fleet::{Run, Scenario};
use crate::idle::{Idle, PerEvent};
use crate::scaling::{Growth, Point};
use crate::stats::{Kept, Spread, median};
use crate::webhook::Intake;

#[derive(Default, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    /// Cycles of receive and delete a second, by the number of clients.
    pub(crate) simulator_limit: BTreeMap<usize, f64>,
    pub(crate) drain: drain::Summary,
    pub(crate) fleet: BTreeMap<Scenario, BTreeMap<&'static str, Run>>,
    pub(crate) webhook: Vec<Intake>,
    pub(crate) scaling: Vec<Point>,
    pub(crate) per_event: Vec<PerEvent>,
    pub(crate) idle: Vec<Idle>,
    pub(crate) connections: Connections,
}

#[derive(Default, Serialize)]
pub(crate) struct Machine {
    cores: usize,
    processor: String,
    memory_mib: u64,
    kernel: String,
    rustc: String,
    java: String,
    python: String,
    /// What else was running, as the load of the minute before.
    load_before: String,
}

impl Machine {
    pub(crate) fn look() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let after_colon = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split(':').nth(1)).unwrap_or_default().trim().to_owned()
        };
        let first_line = |program: &str, argument: &str| {
            let out = Command::new(program).arg(argument).output();
            let text = out.map(|out| [out.stdout, out.stderr].concat()).unwrap_or_default();
            String::from_utf8_lossy(&text).lines().next().unwrap_or_default().to_owned()
        };
        let memory_kib: u64 =
            after_colon(&read("/proc/meminfo"), "MemTotal").trim_end_matches(" kB").parse().unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(0, Into::into),
            processor: after_colon(&read("/proc/cpuinfo"), "model name"),
            memory_mib: memory_kib / 1024,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            rustc: first_line("rustc", "--version"),
            java: first_line("java", "-version"),
            python: first_line("python3", "--version"),
            load_before: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }
}

pub(crate) fn json(results: &Results) -> String {
    serde_json::to_string_pretty(results).expect("figures and words")
}

pub(crate) fn markdown(results: &Results) -> String {
    let mut out = String::new();
    let Machine { cores, processor, memory_mib, kernel, rustc, java, python, load_before } = &results.machine;
    let _ = writeln!(
        out,
        "{cores} cores ({processor}), {memory_mib} MiB, Linux {kernel}, {rustc}, {java}, {python}; load before: {load_before}\n"
    );
    for (clients, rate) in &results.simulator_limit {
        let _ = writeln!(out, "The simulator by itself, {clients} client(s): {rate:.0} cycles/s");
    }
    drains(&mut out, &results.drain);
    for (scenario, runs) in &results.fleet {
        fleet(&mut out, *scenario, runs);
    }
    webhook(&mut out, &results.webhook);
    for growth in Growth::ALL {
        scaling(&mut out, growth, &results.scaling);
    }
    idle(&mut out, results);
    results.connections.markdown(&mut out);
    out
}

fn drains(out: &mut String, summary: &drain::Summary) {
    if summary.rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n### One instance's backlog, events/s\n");
    let _ = writeln!(
        out,
        "| round trip | 1/(receive + ack + delete) | {} | chatbridge of the limit |",
        names().join(" | ")
    );
    let _ = writeln!(out, "| ---: | ---: |{} ---: |", " ---: |".repeat(Contender::DRAIN.len()));
    for row in &summary.rows {
        let of = |contender: Contender| {
            row.contenders.get(contender.slug()).map_or_else(String::new, |rate| format!("{rate:.1}"))
        };
        let shares = summary.share_of_limit.get(&row.round_trip_ms).map_or(0.0, |shares| median(shares));
        let cells = Contender::DRAIN.map(of).join(" | ");
        let _ = writeln!(out, "| {} ms | {:.1} | {cells} | {shares:.2} |", row.round_trip_ms, row.limit);
    }
    let minimal = summary.cpu_us_per_event.get(Contender::Minimal.slug()).copied().unwrap_or_default();
    let _ = writeln!(out, "\n| backlog, round trip 0 | CPU µs/event | of the minimal loop's | lost | repeated |");
    let _ = writeln!(out, "| --- | ---: | ---: | ---: | ---: |");
    for contender in Contender::DRAIN {
        let (Some(cpu), Some(kept)) =
            (summary.cpu_us_per_event.get(contender.slug()), summary.kept.get(contender.slug()))
        else {
            continue;
        };
        let ratio = cpu / minimal;
        let _ = writeln!(out, "| {} | {cpu:.0} | {ratio:.2} | {} | {} |", contender.name(), kept.lost, kept.repeated);
    }
}

fn fleet(out: &mut String, scenario: Scenario, runs: &BTreeMap<&'static str, Run>) {
    let _ = writeln!(out, "\n### {}\n", scenario.title());
    let _ = writeln!(
        out,
        "| | events/s | queue to Kafka p50 / p99 / max ms | queue to deleted p50 / p99 / max ms | CPU µs/event | RSS MiB | lost | repeated |"
    );
    let _ = writeln!(out, "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for contender in Contender::ALL {
        let Some(run) = runs.get(contender.slug()) else { continue };
        let _ = writeln!(
            out,
            "| {}{} | {:.0} | {} | {} | {:.0} | {:.0} | {} | {} |",
            contender.name(),
            if run.finished { "" } else { " (cut off)" },
            run.events_per_second,
            spread(&run.queue_to_kafka_ms),
            spread(&run.queue_to_deleted_ms),
            run.cpu_us_per_event,
            run.rss_kib as f64 / 1024.0,
            run.kept.lost,
            run.kept.repeated
        );
    }
}

fn webhook(out: &mut String, intakes: &[Intake]) {
    if intakes.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n### Webhook, 16 callers\n");
    let _ = writeln!(
        out,
        "| | answers/s | p50 / p99 / max ms | CPU µs/event | refused | lost | repeated |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    );
    for contender in Contender::ALL {
        let of: Vec<&Intake> = intakes.iter().filter(|intake| intake.contender == contender.slug()).collect();
        let kept = of.iter().fold(Kept::default(), |sum, intake| sum.and(intake.kept));
        let middle =
            |figure: &dyn Fn(&Intake) -> f64| median(&of.iter().map(|intake| figure(intake)).collect::<Vec<_>>());
        let _ = writeln!(
            out,
            "| {} | {:.0} | {:.2} / {:.2} / {:.2} | {:.0} | {} | {} | {} |",
            contender.name(),
            middle(&|intake| intake.answers_per_second),
            middle(&|intake| intake.call_ms.p50),
            middle(&|intake| intake.call_ms.p99),
            of.iter().map(|intake| intake.call_ms.max).fold(0.0, f64::max),
            middle(&|intake| intake.cpu_us_per_event),
            of.iter().map(|intake| intake.refused).sum::<u64>(),
            kept.lost,
            kept.repeated
        );
    }
}

fn scaling(out: &mut String, growth: Growth, points: &[Point]) {
    let mut points: Vec<&Point> = points.iter().filter(|point| point.growth == growth).collect();
    points.sort_by_key(|point| point.size);
    if points.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n### {}\n", growth.title());
    let _ = writeln!(
        out,
        "| {} | | events/s | queue to Kafka p50 / p99 / max ms | CPU µs/event | RSS MiB | lost | repeated |",
        growth.what()
    );
    let _ = writeln!(out, "| ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for Point { contender, size, run, .. } in points {
        let _ = writeln!(
            out,
            "| {size} | {}{} | {:.0} | {} | {:.0} | {:.0} | {} | {} |",
            name_of(contender),
            if run.finished { "" } else { " (cut off)" },
            run.events_per_second,
            spread(&run.queue_to_kafka_ms),
            run.cpu_us_per_event,
            run.rss_kib as f64 / 1024.0,
            run.kept.lost,
            run.kept.repeated
        );
    }
}

fn idle(out: &mut String, results: &Results) {
    if results.idle.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n### 10,000 idle instances, and an event's allocations\n");
    let _ = writeln!(
        out,
        "| | all polling after | CPU, of a core | RSS each | heap each | socket buffers each (both ends) | allocations/event |"
    );
    let _ = writeln!(out, "| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
    for each in &results.idle {
        let allocations = results.per_event.iter().find(|counted| counted.contender == each.contender);
        let _ = writeln!(
            out,
            "| {} | {:.1} s | {:.1} % | {:.1} KiB | {:.1} KiB | {:.1} KiB | {} |",
            name_of(each.contender),
            each.all_polling_seconds,
            each.cpu_percent,
            each.rss_kib_each,
            each.heap_kib_each,
            each.kernel_kib_each,
            allocations.map_or_else(|| "as above".to_owned(), |counted| format!("{:.0}", counted.allocations))
        );
    }
}

fn names() -> Vec<&'static str> {
    Contender::DRAIN.map(Contender::name).into()
}

fn name_of(slug: &'static str) -> &'static str {
    let mut all = Contender::DRAIN.into_iter().chain(Contender::IDLE);
    all.find(|contender| contender.slug() == slug).map_or(slug, Contender::name)
}

fn spread(spread: &Spread) -> String {
    format!("{:.0} / {:.0} / {:.0}", spread.p50, spread.p99, spread.max)
}
