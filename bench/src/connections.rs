//! What a connection costs: a poll that waits on it, plain and through TLS; opening it; and what HTTP/2 would change.
//!
//! The server is `chatbridge-bench-ends`: it only holds polls and answers, alike by every way in.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bench::Bench;
use crate::contender::{Allocations, Contender};
use crate::http::Http;
use crate::process::{Process, socket_memory_kib, tcp_memory_kib};
use crate::stats::median;
use crate::support::process::free_port;
use crate::upstream::Upstream;

/// Of what ten thousand take, this is half; a start at the configured rate takes half as long.
const POLLS: u64 = 5_000;
/// What a process is without them.
const FEW_POLLS: u64 = 1;
const START_MAX: Duration = Duration::from_secs(120);
/// For what a start leaves behind to be freed.
const SETTLED: Duration = Duration::from_secs(2);
const OPENED: u64 = 2_000;
const LOOPS: u64 = 200;
const REQUESTS_EACH: u64 = 200;
const ROUNDS: usize = 3;
const SHARDS: u64 = 8;
/// What GREEN-API's servers would have to allow, lest the polls wait for each other; hyper's own default is 200.
const STREAMS_MAX: u32 = 1_000_000;
const STREAMS_DEFAULT: u32 = 200;

#[derive(Default, Serialize)]
pub(crate) struct Connections {
    pub(crate) polls: Vec<Polls>,
    pub(crate) opened: Vec<Opened>,
    pub(crate) short: Vec<Short>,
    pub(crate) bounded: Bounded,
}

/// Many polls that wait, by what each adds to one alone.
#[derive(Serialize)]
pub(crate) struct Polls {
    pub(crate) who: &'static str,
    pub(crate) way: &'static str,
    pub(crate) polls: u64,
    pub(crate) connections: u64,
    /// What the client has allocated and not freed.
    pub(crate) heap_kib_each: f64,
    /// What the kernel keeps of sockets, both ends together.
    pub(crate) kernel_kib_each: f64,
    /// And in their buffers.
    pub(crate) buffers_kib_each: f64,
}

/// Connections that carry one request.
#[derive(Serialize)]
pub(crate) struct Opened {
    pub(crate) how: &'static str,
    pub(crate) client_cpu_us: f64,
    pub(crate) server_cpu_us: f64,
    /// Of the TLS handshakes, those that took up an earlier session.
    pub(crate) resumed: u64,
}

/// Requests that are answered at once.
#[derive(Serialize)]
pub(crate) struct Short {
    pub(crate) way: &'static str,
    pub(crate) clients: u64,
    pub(crate) client_cpu_us: f64,
    pub(crate) server_cpu_us: f64,
    pub(crate) per_second: f64,
}

/// What becomes of polls beyond the streams that a server allows in a connection.
#[derive(Default, Serialize)]
pub(crate) struct Bounded {
    pub(crate) streams_max: u32,
    pub(crate) asked: u64,
    pub(crate) waiting: u64,
    pub(crate) connections: u64,
}

impl Connections {
    pub(crate) fn markdown(&self, out: &mut String) {
        if self.polls.is_empty() {
            return;
        }
        let mut line = |text: String| {
            let _ = writeln!(out, "{text}");
        };
        line(format!("\n### {POLLS} polls that wait: what each costs\n"));
        line("| | | connections | heap KiB | kernel KiB (both ends) | buffers KiB (both ends) |".to_owned());
        line("| --- | --- | ---: | ---: | ---: | ---: |".to_owned());
        for Polls { who, way, connections, heap_kib_each, kernel_kib_each, buffers_kib_each, .. } in &self.polls {
            let kernel = format!("{kernel_kib_each:.1} | {buffers_kib_each:.1}");
            line(format!("| {who} | {way} | {connections} | {heap_kib_each:.1} | {kernel} |"));
        }
        let Bounded { streams_max, asked, waiting, connections } = &self.bounded;
        line(format!(
            "\nHTTP/2 with {streams_max} streams allowed: of {asked} polls {waiting} wait at the server, on {connections} connection(s)."
        ));
        line(format!("\n| a new connection, of {OPENED} | client CPU µs | server CPU µs | sessions resumed |"));
        line("| --- | ---: | ---: | ---: |".to_owned());
        for Opened { how, client_cpu_us, server_cpu_us, resumed } in &self.opened {
            line(format!("| {how} | {client_cpu_us:.0} | {server_cpu_us:.0} | {resumed} |"));
        }
        line(format!("\n| a short request, {LOOPS} loops | clients | client CPU µs | server CPU µs | requests/s |"));
        line("| --- | ---: | ---: | ---: | ---: |".to_owned());
        for Short { way, clients, client_cpu_us, server_cpu_us, per_second } in &self.short {
            line(format!("| {way} | {clients} | {client_cpu_us:.1} | {server_cpu_us:.1} | {per_second:.0} |"));
        }
    }
}

#[derive(Deserialize)]
struct Printed {
    cpu_us: f64,
    per_second: f64,
}

/// The server, and the files it was started with.
struct Ends {
    program: PathBuf,
    process: Process,
    plain: u16,
    tls: u16,
    certificate: PathBuf,
}

impl Ends {
    fn start(dir: &Path, streams_max: u32) -> Self {
        let program = std::env::current_exe().expect("this program has a path").with_file_name("chatbridge-bench-ends");
        let (plain, tls) = (free_port(), free_port());
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let [certificate, key] = ["certificate", "key"].map(|name| dir.join(format!("ends-{plain}.{name}")));
        std::fs::write(&certificate, own.cert.pem()).expect("writable");
        std::fs::write(&key, own.signing_key.serialize_pem()).expect("writable");
        let mut command = Command::new(&program);
        command.args(["serve", &plain.to_string(), &tls.to_string()]).arg(&certificate).arg(key);
        command.arg(streams_max.to_string());
        let process = Process::start(&mut command, &dir.join(format!("ends-{plain}.log")));
        let deadline = Instant::now() + START_MAX;
        while Http::connect(plain).is_err() || Http::connect(tls).is_err() {
            assert!(Instant::now() < deadline, "the server at both ports");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { program, process, plain, tls, certificate }
    }

    fn url(&self, tls: bool) -> String {
        if tls { format!("https://localhost:{}", self.tls) } else { format!("http://localhost:{}", self.plain) }
    }

    fn seen(&self, what: &str) -> u64 {
        let (_, body) = Http::connect(self.plain).and_then(|mut http| http.ask("GET", "/seen", "", b"")).expect("seen");
        serde_json::from_slice::<Value>(&body).expect("JSON")[what].as_u64().unwrap_or_default()
    }

    /// Returns when so many polls wait.
    fn await_polls(&self, polls: u64) {
        let started = Instant::now();
        while self.seen("waiting") != polls {
            assert!(started.elapsed() < START_MAX, "{} of {polls} polls wait", self.seen("waiting"));
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the client of these arguments printed, and the CPU seconds of the server meanwhile.
    fn run(&self, arguments: &[&str]) -> (Printed, f64) {
        let before = self.process.cpu_seconds();
        let output = Command::new(&self.program).args(arguments).output().expect("it runs");
        let printed = String::from_utf8_lossy(&output.stdout);
        let parsed = serde_json::from_str(&printed);
        let printed = parsed.unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)));
        (printed, self.process.cpu_seconds() - before)
    }
}

pub(crate) fn run(bench: &Bench) -> Connections {
    let ends = Ends::start(&bench.dir, STREAMS_MAX);
    let mut results = Connections::default();
    for contender in Contender::RUST {
        for tls in [false, true] {
            let start = |polls| {
                let ids = 1..=polls;
                let targets: String = ids.map(|id| format!("{} {id} {}\n", ends.url(tls), Upstream::token())).collect();
                let topic = bench.topic(contender.slug());
                let trusted = [("SSL_CERT_FILE", ends.certificate.as_path())];
                bench.programs.start_counted_with(contender, &bench.job(&topic, &targets), &trusted)
            };
            results.polls.push(polls(&ends, contender.name(), if tls { "TLS" } else { "plain" }, start));
        }
    }
    for (way, version) in [("plain", "1"), ("HTTP/2, plain", "2")] {
        let start = |polls: u64| {
            let mut command = Command::new(&ends.program);
            command.args(["poll", &ends.url(false), &polls.to_string(), version]);
            bench.programs.counted(&mut command, &bench.dir, &format!("ends-{version}-{polls}"))
        };
        results.polls.push(polls(&ends, "reqwest alone", way, start));
    }
    results.opened =
        [("plain", false), ("full", true), ("resumed", true)].map(|(how, tls)| opened(&ends, how, tls)).into();
    results.short = short(&ends);
    results.bounded = bounded(bench);
    results
}

/// What `start` makes of one poll and of many.
fn polls(ends: &Ends, who: &'static str, way: &'static str, start: impl Fn(u64) -> (Process, Allocations)) -> Polls {
    let at_rest = |polls: u64| {
        let before = [socket_memory_kib(), tcp_memory_kib()].map(|kib| kib as f64);
        let connections_before = ends.seen("connections");
        let (process, allocations) = start(polls);
        ends.await_polls(polls);
        std::thread::sleep(SETTLED);
        let heap = allocations.now().in_use as f64 / 1024.0;
        let connections = ends.seen("connections") - connections_before;
        let [sockets, buffers] = [socket_memory_kib(), tcp_memory_kib()].map(|kib| kib as f64);
        process.stop();
        ends.await_polls(0);
        (heap, sockets - before[0], buffers - before[1], connections)
    };
    let (few_heap, few_kernel, few_buffers, _) = at_rest(FEW_POLLS);
    let (heap, kernel, buffers, connections) = at_rest(POLLS);
    let each = |much: f64, few: f64| (much - few) / (POLLS - FEW_POLLS) as f64;
    Polls {
        who,
        way,
        polls: POLLS,
        connections,
        heap_kib_each: each(heap, few_heap),
        kernel_kib_each: each(kernel, few_kernel),
        buffers_kib_each: each(buffers, few_buffers),
    }
}

fn opened(ends: &Ends, how: &'static str, tls: bool) -> Opened {
    let resumed_before = ends.seen("resumed");
    let certificate = ends.certificate.to_string_lossy();
    let (printed, server) = ends.run(&["connect", &ends.url(tls), &OPENED.to_string(), how, &certificate]);
    Opened {
        how,
        client_cpu_us: printed.cpu_us,
        server_cpu_us: server * 1e6 / OPENED as f64,
        resumed: ends.seen("resumed") - resumed_before,
    }
}

/// In turn, so that what else runs on the machine falls on all alike.
fn short(ends: &Ends) -> Vec<Short> {
    const WAYS: [(&str, &str, u64); 3] = [("HTTP/1.1", "1", 1), ("HTTP/1.1", "1", SHARDS), ("HTTP/2", "2", 1)];
    let [loops, each] = [LOOPS, REQUESTS_EACH].map(|number| number.to_string());
    let mut rounds: [Vec<(Printed, f64)>; WAYS.len()] = Default::default();
    for _ in 0..ROUNDS {
        for ((_, version, clients), rounds) in WAYS.iter().zip(&mut rounds) {
            rounds.push(ends.run(&["short", &ends.url(false), &loops, &each, version, &clients.to_string()]));
        }
    }
    let summary = |((way, _, clients), rounds): (&(&'static str, _, u64), &Vec<(Printed, f64)>)| {
        let middle = |figure: &dyn Fn(&(Printed, f64)) -> f64| median(&rounds.iter().map(figure).collect::<Vec<_>>());
        Short {
            way,
            clients: *clients,
            client_cpu_us: middle(&|(printed, _)| printed.cpu_us),
            server_cpu_us: middle(&|(_, server)| server * 1e6 / (LOOPS * REQUESTS_EACH) as f64),
            per_second: middle(&|(printed, _)| printed.per_second),
        }
    };
    WAYS.iter().zip(&rounds).map(summary).collect()
}

fn bounded(bench: &Bench) -> Bounded {
    const ASKED: u64 = 1_000;
    let ends = Ends::start(&bench.dir, STREAMS_DEFAULT);
    let before = ends.seen("connections");
    let mut command = Command::new(&ends.program);
    command.args(["poll", &ends.url(false), &ASKED.to_string(), "2"]);
    let process = Process::start(&mut command, &bench.dir.join("bounded.log"));
    ends.await_polls(STREAMS_DEFAULT.into());
    std::thread::sleep(SETTLED);
    let (waiting, connections) = (ends.seen("waiting"), ends.seen("connections") - before);
    process.stop();
    Bounded { streams_max: STREAMS_DEFAULT, asked: ASKED, waiting, connections }
}
