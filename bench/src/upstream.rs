//! The simulated GREEN-API, in a process of its own.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use crate::http::Http;
use crate::kafka::identity_of;
use crate::process::Process;
use crate::support::process::free_port;

const INSTANCES_FROM: u64 = 1_101_000_000;
const TOKEN: &str = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";
const START_MAX: Duration = Duration::from_secs(60);

pub(crate) struct Upstream {
    _process: Process,
    pub(crate) port: u16,
    pub(crate) instances: Vec<u64>,
}

/// One event's way, milliseconds of the simulator's clock.
#[derive(Default)]
pub(crate) struct Way {
    pub(crate) body: u64,
    pub(crate) enqueued_ms: u64,
    pub(crate) enqueued_unix_ms: u64,
    pub(crate) deleted_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Entry {
    at_ms: u64,
    unix_ms: u64,
    instance: u64,
    what: Value,
}

impl Upstream {
    /// So many instances, numbered from `first`; `round_trip_ms` is added to every request.
    pub(crate) fn start(chatbridge: &Path, dir: &Path, first: u64, instances: u64, round_trip_ms: u64) -> Self {
        let port = free_port();
        let instances: Vec<u64> = (0..instances).map(|number| INSTANCES_FROM + first + number).collect();
        let mut command = Command::new(chatbridge);
        // GREEN-API's own limit of 100 requests a second would be all there is to see at short round trips.
        command.args(["simulate", "--requests-per-second-max", "1000000", "--listen", &format!("127.0.0.1:{port}")]);
        command.args(["--latency-ms", &round_trip_ms.to_string()]);
        for id in &instances {
            command.args(["--instance", &format!("{id}:{TOKEN}")]);
        }
        let process = Process::start(&mut command, &dir.join(format!("simulator-{port}.log")));
        let deadline = Instant::now() + START_MAX;
        while let Err(error) = Http::connect(port) {
            assert!(Instant::now() < deadline, "the simulator: {error}");
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { _process: process, port, instances }
    }

    /// "url id token", a line for each instance: what every contender reads.
    pub(crate) fn targets(&self) -> String {
        self.instances.iter().map(|id| format!("http://127.0.0.1:{} {id} {TOKEN}\n", self.port)).collect()
    }

    pub(crate) fn token() -> &'static str {
        TOKEN
    }

    /// Queues generated events, of which no two are alike as long as `first` goes on.
    pub(crate) fn generate(&self, instance: u64, events: u64, first: u64) {
        self.control("POST", &format!("/simulator/generate/{instance}?events={events}&first={first}&seed={first}"));
    }

    /// Queues this body, over a connection to the simulator.
    pub(crate) fn enqueue(&self, http: &mut Http, instance: u64, body: &str) {
        let answer = http.ask("POST", &format!("/simulator/enqueue/{instance}"), "", body.as_bytes());
        let (status, _) = answer.expect("the simulator answers");
        assert_eq!(status, 200, "the simulator takes a body of {} bytes", body.len());
    }

    /// Whether every queue was empty within this time.
    pub(crate) fn emptied(&self, within: Duration) -> bool {
        let seconds = within.as_secs().max(1);
        self.control("GET", &format!("/simulator/emptied?timeout_seconds={seconds}"))["emptied"] == true
    }

    /// Long polls that wait now.
    pub(crate) fn waiting(&self) -> u64 {
        self.control("GET", "/simulator/waiting")["polls"].as_u64().unwrap_or_default()
    }

    /// What became of everything queued, in the order of the queues.
    pub(crate) fn ways(&self) -> Vec<Way> {
        let text = self.ask("GET", "/simulator/journal");
        let mut ways: Vec<Way> = Vec::new();
        let mut places = HashMap::new();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let Entry { at_ms, unix_ms, instance, what } = serde_json::from_slice(line).expect("an entry");
            let place = (instance, what["entry"].as_u64().unwrap_or_default());
            match what["event"].as_str() {
                Some("enqueued") => {
                    let body = identity_of(what["body"]["text"].as_str().unwrap_or_default());
                    places.insert(place, ways.len());
                    ways.push(Way { body, enqueued_ms: at_ms, enqueued_unix_ms: unix_ms, deleted_ms: None });
                }
                Some("deleted") => {
                    if let Some(at) = places.get(&place) {
                        ways[*at].deleted_ms = Some(at_ms);
                    }
                }
                _ => {}
            }
        }
        ways
    }

    fn control(&self, verb: &str, path: &str) -> Value {
        serde_json::from_slice(&self.ask(verb, path)).expect("JSON")
    }

    /// Each on a connection of its own: between two, the simulator may have closed an idle one.
    fn ask(&self, verb: &str, path: &str) -> Vec<u8> {
        let answer = Http::connect(self.port).and_then(|mut http| http.ask(verb, path, "", b""));
        let (status, body) = answer.expect("the simulator answers");
        assert_eq!(status, 200, "{verb} {path}: {}", String::from_utf8_lossy(&body));
        body
    }
}

/// Cycles of receive and delete a second that the simulator can do, asked by so many clients that do nothing else.
pub(crate) fn limit(upstream: &Upstream, clients: usize, events_each: u64) -> f64 {
    let targets: Vec<u64> = upstream.instances.iter().copied().take(clients).collect();
    for instance in &targets {
        upstream.generate(*instance, events_each, 1);
    }
    let port = upstream.port;
    let started = Instant::now();
    std::thread::scope(|scope| {
        for instance in &targets {
            scope.spawn(move || {
                let mut http = Http::connect(port).expect("the simulator is there");
                for _ in 0..events_each {
                    let path = format!("/waInstance{instance}/receiveNotification/{TOKEN}?receiveTimeout=5");
                    let (_, body) = http.ask("GET", &path, "", b"").expect("an answer");
                    let digits: String = body[b"{\"receiptId\":".len()..]
                        .iter()
                        .take_while(|byte| byte.is_ascii_digit())
                        .map(|byte| char::from(*byte))
                        .collect();
                    let path = format!("/waInstance{instance}/deleteNotification/{TOKEN}/{digits}");
                    http.ask("DELETE", &path, "", b"").expect("an answer");
                }
            });
        }
    });
    assert!(upstream.emptied(Duration::from_secs(1)), "every delete deleted");
    (targets.len() as f64) * (events_each as f64) / started.elapsed().as_secs_f64()
}
