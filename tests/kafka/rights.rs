//! The tests' own guard: rights are given and taken away under a running client.

use std::time::Instant;

use rdkafka::error::RDKafkaErrorCode;

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::guard::{Guard, USER, describe, strs, write};
use crate::support::producer::{produce, produce_until, producer};

const TOPIC: &str = "chat-events";
const DEAD_LETTERS: &str = "chat-events-dlq";

#[test]
#[ignore = "starts a real Kafka"]
fn rights_are_given_and_taken_away_under_a_running_client() {
    let guard = Guard::new();
    let Some(scene) = Scene::new(1, &strs(&guard.properties())) else { return };
    let broker = &scene.broker;
    let anybody = producer(&broker.bootstrap(), &[]);
    for topic in [TOPIC, DEAD_LETTERS] {
        assert_eq!(produce(&anybody, topic), Ok(()), "the plain listener may do everything");
    }

    let login = |password| {
        let sasl = [("security.protocol", "SASL_PLAINTEXT"), ("sasl.mechanism", "PLAIN"), ("sasl.username", USER)];
        let more = [("sasl.password", password), ("message.timeout.ms", "2000")];
        producer(&guard.bootstrap(), &[&sasl[..], &more].concat())
    };
    let stranger = login("not it");
    assert!(produce(&stranger, TOPIC).is_err(), "a wrong password");

    let client = login(guard.password());
    let may = |expected: Result<(), RDKafkaErrorCode>| {
        let begun = Instant::now();
        produce_until(&client, TOPIC, expected);
        begun.elapsed()
    };
    let forbidden = Err(RDKafkaErrorCode::TopicAuthorizationFailed);
    may(forbidden);
    guard.allow(broker, &[write(TOPIC), describe(TOPIC)]);
    let given = may(Ok(()));
    guard.revoke(broker, &[write(TOPIC)]);
    let taken = may(forbidden);
    guard.allow(broker, &[write(TOPIC)]);
    may(Ok(()));

    guard.allow(broker, &[write(DEAD_LETTERS)]);
    scene.queue(10);
    let bridge = Bridge::start(&scene.home, &strs(&guard.environment()));
    scene.wait_until_emptied(&bridge);
    assert!(!bridge.log().contains(guard.password()));
    assert!(bridge.terminate().success());
    eprintln!("rights: noticed {given:.1?} after they were given and {taken:.1?} after they were taken away");
}
