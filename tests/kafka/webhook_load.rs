//! How much the webhook takes: wrk plays many instances' GREEN-API at once, with a real Kafka there and away.

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde::Deserialize;

use crate::promise::rss_kib;
use crate::support::bridge::{Bridge, Home};
use crate::support::broker::{Broker, free_port};
use crate::support::needs::{Unavailable, or_skip, tests_path};

const FIRST: u64 = 1_101_000_001;
const INSTANCES: u64 = 200;
const TOKEN: &str = "d75b3a66374942c5b3c019c698abc2067e151558acbd412345";
const SECONDS: u64 = 15;

/// What wrk saw.
#[derive(Debug, Deserialize)]
struct Load {
    seconds: f64,
    ok: u64,
    again: u64,
    other: u64,
    broken: u64,
    p50_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

impl Load {
    /// `connections` at a time, for `seconds`, over `instances`.
    fn run(port: u16, connections: u32, seconds: u64, instances: u64) -> Result<Self, Unavailable> {
        let missing = |_| Unavailable::Missing("the webhook's load needs wrk: apt-get install wrk".to_owned());
        let threads = connections.min(2).to_string();
        let mut wrk = Command::new("wrk")
            .args([
                "-t",
                &threads,
                "-c",
                &connections.to_string(),
                "-d",
                &format!("{seconds}s"),
                "--timeout",
                "60s",
                "-s",
            ])
            .arg(tests_path("load/webhook.lua"))
            .args([&format!("http://127.0.0.1:{port}"), "--"])
            .args([&FIRST.to_string(), &instances.to_string(), TOKEN, &threads])
            .stdout(Stdio::piped())
            .spawn()
            .map_err(missing)?;
        let mut said = String::new();
        let read = wrk.stdout.take().map(|mut stdout| stdout.read_to_string(&mut said));
        let ended = wrk.wait().expect("our child");
        let line = said.lines().find(|line| line.starts_with('{'));
        let load = line.and_then(|line| serde_json::from_str(line).ok());
        load.ok_or_else(|| Unavailable::Broken(format!("wrk: {ended} {read:?} {said}")))
    }

    fn per_second(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let answered = (self.ok + self.again) as f64;
        answered / self.seconds
    }
}

/// Records in the topic, of all partitions.
fn records(bootstrap: &str) -> u64 {
    let reader: BaseConsumer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("a consumer");
    let patience = Duration::from_secs(10);
    let metadata = reader.fetch_metadata(Some("chat-events"), patience).expect("there is one");
    let partitions = metadata.topics()[0].partitions().iter();
    let high = partitions.map(|p| reader.fetch_watermarks("chat-events", p.id(), patience).expect("readable").1);
    high.sum::<i64>().try_into().expect("not negative")
}

#[test]
#[ignore = "a load test: make webhook-load"]
fn bench_of_the_webhook_with_kafka_and_without() {
    let properties = [("auto.create.topics.enable", "true")];
    let Some(mut broker) = or_skip(Broker::start_with(&properties)) else { return };
    let port = free_port();
    let webhook =
        format!("[webhook]\nlisten = \"127.0.0.1:{port}\"\ntoken = \"{TOKEN}\"\nanswer_timeout_seconds = 5\n");
    let home = Home::new("http://127.0.0.1:9", &[], &broker.bootstrap(), &webhook);
    let mut config = std::fs::read_to_string(home.config()).expect("written");
    for id in FIRST..FIRST + INSTANCES {
        config.push_str(&format!("[[green_api.instances]]\nid = {id}\ntoken = \"x\"\nreceive = \"webhook\"\n"));
    }
    std::fs::write(home.config(), config.replace("watch_interval_seconds = 1", "watch_interval_seconds = 0"))
        .expect("writable");
    let mut bridge = Bridge::start(&home, &[]);
    bridge.wait_until_ready();

    let (mut ok, mut sent) = (0, 0);
    eprintln!("  Kafka there: connections, answers/s, p50, p99, max of the way to the 200");
    for connections in [1, 8, 64] {
        let Some(load) = or_skip(Load::run(port, connections, SECONDS, INSTANCES)) else { return };
        eprintln!(
            "  {connections:>4} {:>8.0}/s {:>8.2} ms {:>8.2} ms {:>8.2} ms",
            load.per_second(),
            load.p50_ms,
            load.p99_ms,
            load.max_ms
        );
        assert_eq!((load.other, load.broken), (0, 0), "{load:?}");
        ok += load.ok;
        sent += load.ok + load.again + u64::from(connections);
    }
    let found = records(&broker.bootstrap());
    // wrk ends while calls are on their way: those may be in Kafka without anybody having heard the 200.
    assert!((ok..=sent).contains(&found), "{ok} were answered with 200, {found} are in Kafka");
    eprintln!("  {ok} answered with 200, {found} records in Kafka; memory {} KiB", rss_kib(bridge.pid()));

    broker.stop();
    let before_kib = rss_kib(bridge.pid());
    // Ten instances: 40 calls wait for Kafka, and 24 connections learn at once that they need not.
    let Some(load) = or_skip(Load::run(port, 64, SECONDS, 10)) else { return };
    let after_kib = rss_kib(bridge.pid());
    eprintln!(
        "  Kafka away: {:.0} times 503 a second, p50 {:.2} ms, p99 {:.2} ms; memory {before_kib} KiB before, {after_kib} after",
        load.per_second(),
        load.p50_ms,
        load.p99_ms
    );
    assert_eq!((load.ok, load.other, load.broken), (0, 0, 0), "{load:?}");
    assert!(after_kib < before_kib + 16 * 1024, "{before_kib} to {after_kib} KiB");
    broker.start_again();
    bridge.wait("what was in hand", |bridge| (bridge.metric("chatbridge_in_flight", "") == 0.0).then_some(()));
    let in_kafka = records(&broker.bootstrap());
    assert!((found..=found + 10).contains(&in_kafka), "at most the one in hand of each: {found} to {in_kafka}");
    assert!(bridge.terminate().success());
}
