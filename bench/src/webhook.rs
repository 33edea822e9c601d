//! GREEN-API calls us: how many calls are answered with 200, each after Kafka's acknowledgement.

use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Bench;
use crate::contender::Contender;
use crate::http::Http;
use crate::process::Process;
use crate::stats::Spread;
use crate::support::process::free_port;
use crate::upstream::Upstream;

const CALLERS: u64 = 16;
const SECONDS: u64 = 5;
const BODIES: u64 = 20_000;

#[derive(Clone, Serialize)]
pub(crate) struct Intake {
    pub(crate) contender: &'static str,
    pub(crate) answers_per_second: f64,
    pub(crate) call_ms: Spread,
    pub(crate) cpu_us_per_event: f64,
    /// Answers that were no 200.
    pub(crate) refused: u64,
}

pub(crate) fn run(bench: &Bench, contender: Contender) -> Intake {
    let topic = bench.topic(contender.slug());
    let port = free_port();
    let upstream = bench.upstream(CALLERS, 0);
    let bodies = bench.bodies(&upstream, BODIES);
    let process = start(bench, contender, &topic, port, &upstream);
    calls(&upstream, port, &bodies[..2000], Duration::from_secs(1));
    let cpu_before = process.cpu_seconds();
    let (mut took, refused) = calls(&upstream, port, &bodies[2000..], Duration::from_secs(SECONDS));
    let cpu_seconds = process.cpu_seconds() - cpu_before;
    let answered = took.len() as f64;
    took.iter_mut().for_each(|seconds| *seconds *= 1000.0);
    process.stop();
    Intake {
        contender: contender.slug(),
        answers_per_second: answered / SECONDS as f64,
        call_ms: Spread::of(took),
        cpu_us_per_event: cpu_seconds * 1e6 / answered.max(1.0),
        refused,
    }
}

fn start(bench: &Bench, contender: Contender, topic: &str, port: u16, upstream: &Upstream) -> Process {
    let mut command = if contender == Contender::Chatbridge {
        let mut config = format!(
            "[kafka]\nbrokers = \"{}\"\ntopic = \"{topic}\"\ndead_letter_topic = \"dead-letters\"\n\
             [admin]\nlisten = \"127.0.0.1:{}\"\n[webhook]\nlisten = \"127.0.0.1:{port}\"\ntoken = \"{}\"\n",
            bench.brokers,
            free_port(),
            Upstream::token()
        );
        for id in &upstream.instances {
            let (url, token) = (upstream.url(), Upstream::token());
            config.push_str(&format!(
                "[[green_api.instances]]\nid = {id}\ntoken = \"{token}\"\napi_url = \"{url}\"\nreceive = \"webhook\"\n"
            ));
        }
        let path = bench.dir.join(format!("{topic}.toml"));
        std::fs::write(&path, config).expect("writable");
        let mut command = Command::new(&bench.programs.chatbridge);
        command.args(["run", "--config"]).arg(path);
        command
    } else {
        let targets = bench.dir.join(format!("{topic}.targets"));
        std::fs::write(&targets, upstream.targets()).expect("writable");
        let mut command = Command::new(&bench.programs.minimal);
        command.args([&bench.brokers, topic]).arg(targets).args(["webhook", &port.to_string()]);
        command
    };
    let mut process = Process::start(&mut command, &bench.dir.join(format!("{topic}-webhook.log")));
    let deadline = Instant::now() + Duration::from_secs(30);
    let path = format!("/green-api/{}", upstream.instances[0]);
    let headers = headers();
    loop {
        let answer = Http::connect(port).and_then(|mut http| http.ask("POST", &path, &headers, b"{}"));
        if answer.is_ok_and(|(status, _)| status == 200) {
            return process;
        }
        assert!(!process.has_ended() && Instant::now() < deadline, "{} takes no calls", contender.name());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn headers() -> String {
    format!("Authorization: Bearer {}\r\n", Upstream::token())
}

/// Each caller is one instance's GREEN-API: one call after the other. Seconds of those answered 200, and the others.
fn calls(upstream: &Upstream, port: u16, bodies: &[String], at_most: Duration) -> (Vec<f64>, u64) {
    let all = Mutex::new((Vec::new(), 0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        for (caller, instance) in upstream.instances.iter().enumerate() {
            let all = &all;
            scope.spawn(move || {
                let mut http = Http::connect(port).expect("it listens");
                let (path, headers) = (format!("/green-api/{instance}"), headers());
                let (mut took, mut refused) = (Vec::new(), 0);
                // Bodies go round the instances, so these are this one's own.
                for body in bodies.iter().skip(caller).step_by(upstream.instances.len()).cycle() {
                    if started.elapsed() > at_most {
                        break;
                    }
                    let called = Instant::now();
                    let (status, _) = http.ask("POST", &path, &headers, body.as_bytes()).expect("an answer");
                    if status == 200 { took.push(called.elapsed().as_secs_f64()) } else { refused += 1 }
                }
                let mut all = all.lock().expect("nobody panics");
                all.0.extend(took);
                all.1 += refused;
            });
        }
    });
    all.into_inner().expect("nobody panics")
}
