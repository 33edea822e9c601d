//! `tail` over a real Kafka: by time, in structured and framed form, with the dead letters, and without a trace.

use std::collections::BTreeSet;
use std::process::Command;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value;

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::topics::make_topic;

const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

fn tail(scene: &Scene, arguments: &[&str], environment: &[(&str, &str)]) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatbridge"));
    command.args(["tail", "--until-end", "--config"]).arg(scene.home.config()).args(arguments);
    let out = command.envs(environment.iter().copied()).output().expect("the binary runs");
    assert!(out.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).expect("UTF-8").lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "starts a real Kafka"]
fn both_modes_read_the_same_the_dead_letters_come_along_and_nothing_is_left_behind() {
    let Some(scene) = Scene::new(1, &[]) else { return };
    let mut shown = Vec::new();
    for mode in ["binary", "structured"] {
        let (topic, letters) = (format!("chat-events-{mode}"), format!("chat-letters-{mode}"));
        let environment = [
            ("CHATBRIDGE__KAFKA__CLOUDEVENTS_MODE", mode),
            ("CHATBRIDGE__KAFKA__TOPIC", &topic),
            ("CHATBRIDGE__KAFKA__DEAD_LETTER_TOPIC", &letters),
        ];
        let queued = scene.queue_fixtures();
        scene.simulator.enqueue(scene.ids[0], "{\"broken\": ").expect("room");
        let bridge = Bridge::start(&scene.home, &environment);
        scene.wait_until_emptied(&bridge);
        assert!(bridge.terminate().success());
        let mut events: BTreeSet<String> = tail(&scene, &[], &environment).into_iter().collect();
        // An event without a time of its own shows its record's.
        events.retain(|line| line.starts_with("2025-"));
        assert!(events.len() > 100, "{events:#?}");
        assert_eq!(tail(&scene, &["--json"], &environment).len(), queued);
        let with_letters = tail(&scene, &["--dlq"], &environment);
        assert_eq!(with_letters.len(), queued + 1);
        let letter = with_letters.iter().find(|line| line.contains("dead: not_json")).expect("the broken one");
        assert!(letter.contains(&scene.ids[0].to_string()) && !letter.contains("broken"), "{letter}");
        let json = tail(&scene, &["--dlq", "--json"], &environment);
        let letter = json.iter().find(|line| line.contains(&letters)).expect("the broken one");
        let letter: Value = serde_json::from_str(letter).expect("JSON");
        assert_eq!(letter["headers"]["reason"], "not_json");
        shown.push(events);
    }
    assert_eq!(shown[0], shown[1]);

    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", scene.broker.bootstrap()).create().expect("a client");
    let groups = client.fetch_group_list(None, TIMEOUT).expect("the broker answers");
    assert!(groups.groups().is_empty(), "no group, so no offsets: {:?}", groups.groups().first().map(|g| g.name()));
}

#[test]
#[ignore = "starts a real Kafka"]
fn a_time_is_a_place_in_each_partition_and_frames_come_off() {
    let Some(scene) = Scene::new(1, &[]) else { return };
    make_topic(&scene, "chat-events", &[]);
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", scene.broker.bootstrap()).create().expect("a producer");
    let now = jiff::Timestamp::now().as_millisecond();
    let minute = 60_000;
    // In partition 0 old and young, in 1 old alone, in 2 nothing; every value framed.
    for (partition, age_minutes, name) in [(0, 90, "a"), (0, 30, "b"), (0, 5, "c"), (1, 90, "d")] {
        let value = format!(r#"{{"id":"{name}","kind":"unknown","raw":{{"typeWebhook":"{name}"}}}}"#);
        let framed = [b"\0\0\0\0\x07", value.as_bytes()].concat();
        let record: BaseRecord<'_, str, [u8]> = BaseRecord::to("chat-events").key("k").payload(&framed);
        let record = record.partition(partition).timestamp(now - age_minutes * minute);
        producer.send(record).map_err(|(error, _)| error).expect("room");
    }
    producer.flush(TIMEOUT).expect("the broker takes them");

    let from = |start: &str| -> Vec<String> {
        let lines = tail(&scene, &["--json", "--from", start], &[]);
        let id = |line: &String| {
            let record: Value = serde_json::from_str(line).expect("JSON");
            record["value"]["id"].as_str().expect("the frame came off").to_owned()
        };
        let mut ids: Vec<String> = lines.iter().map(id).collect();
        ids.sort();
        ids
    };
    assert_eq!(from("beginning"), ["a", "b", "c", "d"]);
    assert_eq!(from("1h"), ["b", "c"]);
    assert_eq!(from("10m"), ["c"]);
    let moment = jiff::Timestamp::from_millisecond(now - 30 * minute).expect("in range").to_string();
    assert_eq!(from(&moment), ["b", "c"], "the moment itself counts");
    for nothing in ["1m", "end"] {
        assert!(from(nothing).is_empty(), "{nothing}");
    }
}
