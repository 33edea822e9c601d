//! `make bench`: chatbridge beside others that carry GREEN-API's queue into a real Kafka, all in one run.
//!
//! What is compared are ratios: every contender has its turn in each round, on the same machine, minutes apart. See
//! docs/performance.md for the method and a run's figures.

mod connections;
mod contender;
mod cpu;
mod drain;
mod fleet;
mod guard;
mod http;
mod idle;
mod kafka;
mod process;
mod report;
mod stats;
mod support;
mod upstream;
mod webhook;

use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use contender::{Contender, Job, Programs};
use support::broker::Broker;
use support::needs::Unavailable;
use upstream::Upstream;

const USAGE: &str =
    "usage: chatbridge-bench [--guard] [--rounds N] [--only drain,fleet,webhook,idle,connections] [--json FILE]";
const ROUNDS: u32 = 2;
const PARTS: [&str; 5] = ["drain", "fleet", "webhook", "idle", "connections"];

/// What every scenario needs.
pub(crate) struct Bench {
    pub(crate) programs: Programs,
    pub(crate) broker: Broker,
    pub(crate) brokers: String,
    /// Of logs and configurations; gone with the run, unless that fails.
    pub(crate) dir: PathBuf,
}

impl Bench {
    fn start() -> Result<Self, Unavailable> {
        let dir = std::env::temp_dir().join(format!("chatbridge-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir).map_err(|error| Unavailable::Broken(format!("{}: {error}", dir.display())))?;
        let programs = Programs::find(&dir)?;
        let broker = Broker::start()?;
        let brokers = broker.bootstrap();
        kafka::create(&brokers, &["dead-letters".to_owned()]);
        Ok(Self { programs, broker, brokers, dir })
    }

    pub(crate) fn upstream(&self, instances: u64, round_trip_ms: u64) -> Upstream {
        self.upstream_from(1, instances, round_trip_ms)
    }

    pub(crate) fn upstream_from(&self, first: u64, instances: u64, round_trip_ms: u64) -> Upstream {
        Upstream::start(&self.programs.chatbridge, &self.dir, first, instances, round_trip_ms)
    }

    /// A topic of its own for a run.
    pub(crate) fn topic(&self, name: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let topic = format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        kafka::create(&self.brokers, std::slice::from_ref(&topic));
        topic
    }

    pub(crate) fn job<'a>(&'a self, topic: &'a str, targets: &'a str) -> Job<'a> {
        Job { brokers: &self.brokers, topic, targets, dir: &self.dir }
    }

    /// So many bodies of the upstream's instances, in turn.
    pub(crate) fn bodies(&self, upstream: &Upstream, events: u64) -> Vec<String> {
        let mut command = Command::new(&self.programs.chatbridge);
        command.args(["simulate", "--print", &events.to_string()]);
        for id in &upstream.instances {
            command.args(["--instance", &format!("{id}:x")]);
        }
        let printed = command.output().expect("the simulator prints").stdout;
        String::from_utf8(printed).expect("JSON").lines().map(str::to_owned).collect()
    }
}

/// Milliseconds by the clock that the simulator and the broker go by.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or_default()
}

struct Arguments {
    guard: bool,
    rounds: u32,
    parts: Vec<String>,
    json: PathBuf,
}

impl Arguments {
    fn read() -> Option<Self> {
        let json = PathBuf::from("target/bench.json");
        let parts = PARTS.map(str::to_owned).into();
        let mut read = Self { guard: false, rounds: ROUNDS, parts, json };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--guard" => read.guard = true,
                "--rounds" => read.rounds = words.next()?.parse().ok().filter(|rounds| *rounds > 0)?,
                "--only" => read.parts = words.next()?.split(',').map(str::to_owned).collect(),
                "--json" => read.json = words.next()?.into(),
                _ => return None,
            }
        }
        read.parts.iter().all(|part| PARTS.contains(&part.as_str())).then_some(read)
    }

    fn wants(&self, part: &str) -> bool {
        self.parts.iter().any(|wanted| wanted == part)
    }
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::read() else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let mut bench = match Bench::start() {
        Ok(bench) => bench,
        Err(unavailable) => {
            eprintln!("{unavailable}");
            return ExitCode::FAILURE;
        }
    };
    if arguments.guard {
        let held = guard::run(&bench);
        let _ = std::fs::remove_dir_all(&bench.dir);
        return if held { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let results = run(&mut bench, &arguments);
    println!("{}", report::markdown(&results));
    std::fs::write(&arguments.json, report::json(&results)).expect("the JSON file can be written");
    eprintln!("written: {}", arguments.json.display());
    let _ = std::fs::remove_dir_all(&bench.dir);
    ExitCode::SUCCESS
}

fn run(bench: &mut Bench, arguments: &Arguments) -> report::Results {
    let say = |what: &str| eprintln!("bench: {what}");
    let mut results = report::Results { machine: report::Machine::look(), ..report::Results::default() };
    say("the simulator's own limit");
    let upstream = bench.upstream(8, 0);
    results.simulator_limit = [1, 8].map(|clients| (clients, upstream::limit(&upstream, clients, 4000))).into();
    drop(upstream);

    let (mut drains, mut runs) = (drain::Drains::default(), fleet::Runs::new());
    for round in 1..=arguments.rounds {
        if arguments.wants("drain") {
            say(&format!("round {round}: one instance's backlog"));
            drains.round(bench, &Contender::DRAIN);
        }
        if arguments.wants("fleet") {
            say(&format!("round {round}: 200 instances"));
            fleet::round(bench, &Contender::ALL, &mut runs);
        }
        if arguments.wants("webhook") {
            say(&format!("round {round}: webhook"));
            results.webhook.extend(Contender::RUST.map(|contender| webhook::run(bench, contender)));
        }
    }
    results.drain = drains.summary();
    results.fleet = fleet::summary(&runs);
    if arguments.wants("idle") {
        say("allocations of an event, and 10,000 idle instances");
        results.per_event = Contender::RUST.map(|contender| idle::per_event(bench, contender)).into();
        results.idle = Contender::RUST.map(|contender| idle::idle(bench, contender)).into();
    }
    if arguments.wants("connections") {
        say("what connections cost, plain, by TLS and by HTTP/2");
        results.connections = connections::run(bench);
    }
    results
}
