//! `make bench`: chatbridge beside others that carry GREEN-API's queue into a real Kafka, all in one run.
//!
//! What is compared are ratios: every contender has its turn in each round, on the same machine, minutes apart. See
//! docs/performance.md for the method and a run's figures.

mod bench;
mod connections;
mod contender;
mod cpu;
mod drain;
mod fleet;
mod guard;
mod http;
mod idle;
mod kafka;
mod plots;
mod process;
mod progress;
mod report;
mod scaling;
mod stats;
mod support;
mod upstream;
mod webhook;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bench::Bench;
use contender::Contender;
use progress::say;

const USAGE: &str = "\
usage: chatbridge-bench [--guard] [--rounds N] [--only PART,PART] [--json FILE] [--plots DIR]

Measures chatbridge beside others that do the same, with a real Kafka. Tables go to standard output.

  --guard        only whether the ratios hold that must not get worse; the exit code says it
  --rounds N     turns that everybody has in drain, fleet and webhook [1]
  --only PARTS   some of drain, fleet, webhook, scaling, idle, connections
  --json FILE    where the figures are written [target/bench.json]
  --plots DIR    where the plots are written, as SVG [beside the figures]

The chatbridge beside this program is measured, or the one that CHATBRIDGE_BINARY names.";
const ROUNDS: u32 = 1;
const PARTS: [&str; 6] = ["drain", "fleet", "webhook", "scaling", "idle", "connections"];

/// Those of which everybody has a turn in each round.
const ROUND_PARTS: [&str; 3] = ["drain", "fleet", "webhook"];

/// Where the contenders' files are.
pub(crate) fn bench_path(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// chatbridge and the minimal loop, as built.
pub(crate) fn built() -> [PathBuf; 2] {
    let here = std::env::current_exe().expect("this program has a path");
    let chatbridge = std::env::var_os("CHATBRIDGE_BINARY").map(PathBuf::from);
    [chatbridge.unwrap_or_else(|| here.with_file_name("chatbridge")), here.with_file_name("chatbridge-bench-minimal")]
}

struct Arguments {
    guard: bool,
    rounds: u32,
    parts: Vec<String>,
    json: PathBuf,
    plots: Option<PathBuf>,
}

impl Arguments {
    /// What is wrong with them, otherwise; nothing, where help was asked for.
    fn read() -> Result<Self, Option<String>> {
        let json = PathBuf::from("target/bench.json");
        let parts = PARTS.map(str::to_owned).into();
        let mut read = Self { guard: false, rounds: ROUNDS, parts, json, plots: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} takes a value"));
            match word.as_str() {
                "--guard" => read.guard = true,
                "--rounds" => {
                    let rounds = value()?;
                    let number = rounds.parse().ok().filter(|number| *number > 0);
                    read.rounds = number.ok_or(format!("--rounds {rounds}: not a number above 0"))?;
                }
                "--only" => read.parts = value()?.split(',').map(str::to_owned).collect(),
                "--json" => read.json = value()?.into(),
                "--plots" => read.plots = Some(value()?.into()),
                "--help" | "-h" => return Err(None),
                _ => return Err(Some(format!("{word}: there is no such option"))),
            }
        }
        match read.parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
            Some(unknown) => Err(Some(format!("--only {unknown}: there is no such part"))),
            None => Ok(read),
        }
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.iter().any(|wanted| wanted == part)
    }

    /// Where the plots go.
    fn plots(&self) -> &Path {
        let beside = || self.json.parent().unwrap_or(Path::new(""));
        self.plots.as_deref().unwrap_or_else(beside)
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::read() {
        Ok(arguments) => arguments,
        Err(None) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Err(Some(wrong)) => {
            eprintln!("{wrong}\n\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    for dir in [arguments.json.parent().unwrap_or(Path::new("")), arguments.plots()] {
        // Before the minutes that it takes, not after.
        if let Err(error) = std::fs::create_dir_all(dir) {
            eprintln!("{}: {error}", dir.display());
            return ExitCode::FAILURE;
        }
    }
    say("starting Kafka; the first time, what the contenders need is fetched");
    let mut bench = match Bench::start(!arguments.guard) {
        Ok(bench) => bench,
        Err(unavailable) => {
            eprintln!("{unavailable}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.guard {
        return if guard::run(&bench) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let results = run(&mut bench, &arguments);
    println!("{}", report::markdown(&results));
    std::fs::write(&arguments.json, report::json(&results)).expect("the JSON file can be written");
    say(&format!("written: {}", arguments.json.display()));
    for plot in plots::write(&results, arguments.plots()) {
        say(&format!("written: {}", plot.display()));
    }
    ExitCode::SUCCESS
}

fn run(bench: &mut Bench, arguments: &Arguments) -> report::Results {
    let minutes = progress::expected(&arguments.parts, arguments.rounds).as_secs().div_ceil(60);
    say(&format!("{}: about {minutes} minutes", arguments.parts.join(", ")));
    let mut results = report::Results { machine: report::Machine::look(), ..report::Results::default() };
    say("the simulator's own limit");
    let upstream = bench.upstream(8, 0);
    results.simulator_limit = [1, 8].map(|clients| (clients, upstream::limit(&upstream, clients, 4000))).into();
    drop(upstream);

    let (mut drains, mut runs) = (drain::Drains::default(), fleet::Runs::new());
    for round in 1..=arguments.rounds {
        if ROUND_PARTS.iter().any(|part| arguments.wants(part)) {
            say(&format!("round {round} of {}", arguments.rounds));
        }
        if arguments.wants("drain") {
            drains.round(bench, &Contender::DRAIN);
        }
        if arguments.wants("fleet") {
            fleet::round(bench, &Contender::ALL, &mut runs);
        }
        if arguments.wants("webhook") {
            results.webhook.extend(Contender::ALL.map(|contender| webhook::run(bench, contender)));
        }
    }
    results.drain = drains.summary();
    results.fleet = fleet::summary(&runs);
    if arguments.wants("scaling") {
        results.scaling = scaling::run(bench);
    }
    if arguments.wants("idle") {
        results.per_event = Contender::RUST.map(|contender| idle::per_event(bench, contender)).into();
        results.idle = Contender::IDLE.map(|contender| idle::idle(bench, contender)).into();
    }
    if arguments.wants("connections") {
        say("what connections cost, plain, by TLS and by HTTP/2");
        results.connections = connections::run(bench);
    }
    results
}
