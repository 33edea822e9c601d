//! The tests' own tools: a broker that starts, stops, freezes and dies when told to, and two clients that are not ours.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Instant;

use crate::support::broker::{Broker, free_port};
use crate::support::java::java_partitions;
use crate::support::needs::or_skip;
use crate::support::python::consumer;

const TOPIC: &str = "harness";

/// How many records the Python client finds, or what it says when it does not get to the end.
fn count(broker: &Broker, idle_seconds: &str) -> Option<Result<usize, String>> {
    let mut reader = or_skip(consumer("read_topic.py"))?;
    let out = reader.args([&broker.bootstrap(), TOPIC, "--idle-seconds", idle_seconds]).output().expect("python runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Some(if out.status.success() { Ok(text(&out.stdout).lines().count()) } else { Err(text(&out.stderr)) })
}

#[test]
#[ignore = "starts a real Kafka"]
fn a_broker_lives_through_stop_kill_and_pause() {
    let begun = Instant::now();
    let Some(mut broker) = or_skip(Broker::start_with(&[("auto.create.topics.enable", "true")])) else {
        return;
    };
    let start = begun.elapsed();
    let port: u16 = broker.bootstrap().rsplit_once(':').and_then(|(_, p)| p.parse().ok()).expect("host:port");

    let keys = ["79001234567@c.us", "79876543210@c.us", "120363@g.us", "ключ", "instance:1101123456"];
    let sent = java_partitions(&broker.bootstrap(), TOPIC, &keys).expect("the Java producer works");
    assert_eq!(sent.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), keys);
    let Some(read) = count(&broker, "60") else {
        return;
    };
    assert_eq!(read, Ok(5));

    let begun = Instant::now();
    broker.stop();
    let stop = begun.elapsed();
    assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok(), "a stopped broker leaves its port");
    let begun = Instant::now();
    broker.start_again();
    let again = begun.elapsed();
    assert_eq!(count(&broker, "60"), Some(Ok(5)));

    broker.pause();
    let frozen = count(&broker, "2").expect("python is there");
    assert!(frozen.is_err(), "a frozen broker answered: {frozen:?}");
    broker.resume();
    assert_eq!(count(&broker, "60"), Some(Ok(5)));

    broker.kill();
    assert!(count(&broker, "2").expect("python is there").is_err());
    let begun = Instant::now();
    broker.start_again();
    let after_kill = begun.elapsed();
    eprintln!("broker: start {start:.1?}, stop {stop:.1?}, start again {again:.1?}, after a kill {after_kill:.1?}");
    assert_eq!(count(&broker, "60"), Some(Ok(5)), "what was acknowledged survives a kill");

    // Two at once, and a stop that must first wake the process.
    let mut other = or_skip(Broker::start()).expect("a second broker");
    assert_ne!(other.bootstrap(), broker.bootstrap());
    other.pause();
    other.stop();
    assert_ne!(free_port(), port);
}
