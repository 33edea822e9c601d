//! `check --online` against real brokers, and topics made by the bridge itself.

use std::process::Command;

use serde_json::Value;

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::broker::free_port;
use crate::topics::make_topic;

/// Exit code, and every finding as (verdict, subject, found).
type Checked = (Option<i32>, Vec<(String, String, String)>);

fn check(scene: &Scene, environment: &[(&str, &str)]) -> Checked {
    let out = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
        .args(["check", "--online", "--json", "--config"])
        .arg(scene.home.config())
        .envs(environment.iter().copied())
        .output()
        .expect("the binary starts");
    let printed: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let word = |finding: &Value, name: &str| finding[name].as_str().expect("a word").to_owned();
    let findings = printed["findings"].as_array().expect("findings").iter();
    let findings = findings.map(|f| (word(f, "verdict"), word(f, "subject"), word(f, "found"))).collect();
    (out.status.code(), findings)
}

#[track_caller]
fn assert_found(checked: &Checked, code: i32, verdict: &str, subject: &str, words: &str) {
    assert_eq!(checked.0, Some(code), "{checked:#?}");
    let found = checked.1.iter().any(|(v, s, found)| v == verdict && s == subject && found.contains(words));
    assert!(found, "{verdict} {subject} {words}: {checked:#?}");
}

const CREATE: [(&str, &str); 2] = [
    ("CHATBRIDGE__KAFKA__CREATE_TOPICS__PARTITIONS", "5"),
    ("CHATBRIDGE__KAFKA__CREATE_TOPICS__REPLICATION_FACTOR", "1"),
];

#[test]
#[ignore = "starts a real Kafka"]
fn missing_topics_are_named_and_made_only_by_run_and_only_when_asked() {
    let Some(scene) = Scene::new(1, &[("auto.create.topics.enable", "false")]) else { return };
    make_topic(&scene, "chat-events-dlq", &[]);
    let missing = check(&scene, &[]);
    assert_found(&missing, 1, "broken", "topic chat-events", "is not there");
    assert_found(&missing, 1, "well", "kafka", "the brokers answer");
    assert_found(&missing, 1, "not_checked", "kafka", "may produce idempotently");
    assert_found(&check(&scene, &CREATE), 0, "well", "topic chat-events", "would create it");
    assert_found(&check(&scene, &[]), 1, "broken", "topic chat-events", "is not there");

    let mut bridge = Bridge::start(&scene.home, &CREATE);
    bridge.wait_until_ready();
    assert_eq!(bridge.log().matches("topics were missing and are created").count(), 1, "{}", bridge.log());
    assert!(bridge.terminate().success());
    let made = check(&scene, &[]);
    assert_found(&made, 0, "warning", "topic chat-events", "one replica");
    for (topic, partitions) in [("chat-events", 5), ("chat-events-dlq", 3)] {
        assert_eq!(partitions_of(&scene, topic), partitions, "{topic}: what is there is left as it is");
    }

    // More replicas than brokers: refused, said, and the bridge waits.
    let too_many = [CREATE[0], ("CHATBRIDGE__KAFKA__CREATE_TOPICS__REPLICATION_FACTOR", "3")];
    let elsewhere = [&too_many[..], &[("CHATBRIDGE__KAFKA__TOPIC", "other")]].concat();
    let mut bridge = Bridge::start(&scene.home, &elsewhere);
    bridge.wait("a word about it", |bridge| bridge.log().contains("topic other cannot be created").then_some(()));
    assert_eq!(bridge.get("/readyz").0, 503);
    assert!(bridge.terminate().success());
}

fn partitions_of(scene: &Scene, topic: &str) -> usize {
    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    let consumer: BaseConsumer = rdkafka::config::ClientConfig::new()
        .set("bootstrap.servers", scene.broker.bootstrap())
        .create()
        .expect("a consumer");
    let metadata = consumer.fetch_metadata(Some(topic), std::time::Duration::from_secs(10)).expect("metadata");
    metadata.topics()[0].partitions().len()
}

#[test]
#[ignore = "starts a real Kafka"]
fn topics_that_refuse_or_lose_are_judged_by_what_the_broker_says() {
    let Some(scene) = Scene::new(1, &[("auto.create.topics.enable", "false")]) else { return };
    make_topic(&scene, "chat-events", &[("min.insync.replicas", "2")]);
    make_topic(&scene, "chat-events-dlq", &[("cleanup.policy", "compact"), ("max.message.bytes", "2000")]);
    let calls = [("retention.ms", "3600000"), ("message.timestamp.before.max.ms", "1000")];
    make_topic(&scene, "chat-calls", &calls);
    let checked = check(&scene, &[("CHATBRIDGE__ROUTING__CALL", "chat-calls")]);
    for (verdict, topic, words) in [
        ("broken", "topic chat-events", "every record is refused"),
        ("warning", "topic chat-events-dlq", "is compacted"),
        ("warning", "topic chat-events-dlq", "less than the topic of events"),
        ("warning", "topic chat-calls", "keeps records for 1 h"),
        ("warning", "topic chat-calls", "no time stamps older than 0 h"),
        ("warning", "topic chat-calls", "one replica"),
    ] {
        assert_found(&checked, 1, verdict, topic, words);
    }
}

#[test]
#[ignore = "starts a real Kafka"]
fn brokers_that_cannot_be_reached_say_why() {
    let Some(mut scene) = Scene::new(1, &[]) else { return };
    let nobody = format!("127.0.0.1:{}", free_port());
    let tls = ("CHATBRIDGE__KAFKA__PROPERTIES__SECURITY_PROTOCOL", "SSL");
    let login = [
        ("CHATBRIDGE__KAFKA__PROPERTIES__SECURITY_PROTOCOL", "SASL_PLAINTEXT"),
        ("CHATBRIDGE__KAFKA__PROPERTIES__SASL_MECHANISM", "PLAIN"),
        ("CHATBRIDGE__KAFKA__PROPERTIES__SASL_USERNAME", "me"),
        ("CHATBRIDGE__KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2"),
    ];
    let unknown = ("CHATBRIDGE__KAFKA__BROKERS", "broker.invalid:9092");
    for (what, environment, code, verdict, words) in [
        ("a listener without TLS", &[tls][..], 64, "misconfigured", "TLS fails"),
        ("a listener without login", &login, 64, "misconfigured", "refuse the login"),
        ("a name nobody knows", &[unknown], 64, "misconfigured", "a broker's name is unknown"),
        ("nobody there", &[("CHATBRIDGE__KAFKA__BROKERS", &nobody)], 1, "broken", "no broker answers"),
    ] {
        let checked = check(&scene, environment);
        assert_found(&checked, code, verdict, "kafka", words);
        assert!(!format!("{checked:?}").contains("hunter2"), "{what}: {checked:?}");
    }
    // Topics that the brokers make by themselves are no obstacle, and are not made by looking.
    for _ in 0..2 {
        assert_found(&check(&scene, &[]), 0, "warning", "topic chat-events", "make it on first use");
    }
    scene.broker.kill();
    assert_found(&check(&scene, &[]), 1, "broken", "kafka", "no broker answers");
}
