//! GREEN-API calls us: how many calls are answered with 200, each after Kafka's acknowledgement.

use std::io;
use std::ops::Range;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bench::Bench;
use crate::contender::Contender;
use crate::http::Http;
use crate::kafka::{self, identity_of};
use crate::process::Process;
use crate::progress::say;
use crate::stats::{Kept, Spread};
use crate::support::process::free_port;
use crate::upstream::Upstream;

const CALLERS: u64 = 16;
const SECONDS: u64 = 5;
/// More than anybody takes in that time.
const BODIES: u64 = 40_000;
/// Before anything counts, of which a JVM needs most.
const WARM_UP_BODIES: usize = 10_000;
const WARM_UP_SECONDS: u64 = 3;
const START_MAX: Duration = Duration::from_secs(30);

#[derive(Clone, Serialize)]
pub(crate) struct Intake {
    pub(crate) contender: &'static str,
    pub(crate) answers_per_second: f64,
    pub(crate) call_ms: Spread,
    pub(crate) cpu_us_per_event: f64,
    /// Answers that were no 200.
    pub(crate) refused: u64,
    /// Of all calls, those before the measuring among them.
    pub(crate) kept: Kept,
}

/// One call.
struct Call {
    /// Which of the bodies.
    body: usize,
    seconds: f64,
    status: u16,
}

impl Call {
    fn taken(&self) -> bool {
        self.status == 200
    }
}

pub(crate) fn run(bench: &Bench, contender: Contender) -> Intake {
    say(&format!("webhook, {CALLERS} callers: {}", contender.name()));
    let topic = bench.topic(contender.slug());
    let port = free_port();
    let upstream = bench.upstream(CALLERS, 0);
    let bodies = bench.bodies(&upstream, BODIES);
    let mut process = bench.programs.start_webhook(contender, &bench.job(&topic, &upstream.targets()), port);
    let callers = Callers { contender, upstream: &upstream, port, bodies: &bodies };
    let mut all = callers.first(&mut process);
    // Not with the first body again: chatbridge takes that for GREEN-API repeating itself, and publishes it once.
    all.extend(callers.call(CALLERS as usize..WARM_UP_BODIES, Duration::from_secs(WARM_UP_SECONDS)));
    let cpu_before = process.cpu_seconds();
    let calls = callers.call(WARM_UP_BODIES..bodies.len(), Duration::from_secs(SECONDS));
    let cpu_seconds = process.cpu_seconds() - cpu_before;
    process.stop();
    let took: Vec<f64> = calls.iter().filter(|call| call.taken()).map(|call| call.seconds * 1000.0).collect();
    let (taken, refused) = (took.len(), calls.len() - took.len());
    all.extend(calls);
    let sent = all.iter().map(|call| (identity_of(&bodies[call.body]), call.taken()));
    Intake {
        contender: contender.slug(),
        answers_per_second: taken as f64 / SECONDS as f64,
        call_ms: Spread::of(took),
        cpu_us_per_event: cpu_seconds * 1e6 / taken.max(1) as f64,
        refused: refused as u64,
        kept: Kept::of(sent, &kafka::read(&bench.brokers, &topic)),
    }
}

/// Each is one instance's GREEN-API: one call after the other.
struct Callers<'a> {
    contender: Contender,
    upstream: &'a Upstream,
    port: u16,
    bodies: &'a [String],
}

impl Callers<'_> {
    /// Calls until a first one is answered with 200.
    fn first(&self, process: &mut Process) -> Vec<Call> {
        let started = Instant::now();
        let mut calls: Vec<Call> = Vec::new();
        loop {
            if let Ok(call) =
                Http::connect(self.port).and_then(|mut http| self.one(&mut http, self.upstream.instances[0], 0))
            {
                calls.push(call);
            }
            if calls.last().is_some_and(Call::taken) {
                return calls;
            }
            assert!(
                !process.has_ended() && started.elapsed() < START_MAX,
                "{} takes no calls; its last answer: {:?}",
                self.contender.name(),
                calls.last().map(|call| call.status)
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Everybody at once, for so long. Bodies go round the instances, so each has its own.
    fn call(&self, bodies: Range<usize>, at_most: Duration) -> Vec<Call> {
        let started = Instant::now();
        let all = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for (caller, instance) in self.upstream.instances.iter().enumerate() {
                let (all, bodies) = (&all, bodies.clone());
                scope.spawn(move || {
                    let mut http = Http::connect(self.port).expect("it listens");
                    let mut calls = Vec::new();
                    for body in bodies.skip(caller).step_by(self.upstream.instances.len()).cycle() {
                        if started.elapsed() > at_most {
                            break;
                        }
                        calls.push(self.one(&mut http, *instance, body).expect("an answer"));
                    }
                    all.lock().expect("nobody panics").extend(calls);
                });
            }
        });
        all.into_inner().expect("nobody panics")
    }

    fn one(&self, http: &mut Http, instance: u64, body: usize) -> io::Result<Call> {
        let path = match self.contender {
            // The only one that GREEN-API's SDK serves.
            Contender::Python => "/".to_owned(),
            _ => format!("/green-api/{instance}"),
        };
        let headers = format!("Authorization: Bearer {}\r\n", Upstream::token());
        let called = Instant::now();
        let (status, _) = http.ask("POST", &path, &headers, self.bodies[body].as_bytes())?;
        Ok(Call { body, seconds: called.elapsed().as_secs_f64(), status })
    }
}
