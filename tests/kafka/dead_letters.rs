//! `dlq list` and `dlq replay` over what the real bridge put into the dead letters of a real Kafka.

use std::collections::{BTreeMap, HashMap};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::judge::Topic;
use crate::topics::{change_topic, make_topic};

const TOPIC: &str = "chat-events";
const DEAD_LETTERS: &str = "chat-events-dlq";
const BURY_UNKNOWN: &[(&str, &str)] =
    &[("CHATBRIDGE__EVENTS__UNKNOWN", "dead_letter"), ("CHATBRIDGE__KAFKA__PROPERTIES__COMPRESSION_TYPE", "none")];
const PUBLISH_UNKNOWN: &[(&str, &str)] = &[("CHATBRIDGE__KAFKA__PROPERTIES__COMPRESSION_TYPE", "none")];

fn make_topics(scene: &Scene) {
    make_topic(scene, TOPIC, &[("max.message.bytes", "100000")]);
    make_topic(scene, DEAD_LETTERS, &[("max.message.bytes", "4000000")]);
}

fn dlq_command(scene: &Scene, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatbridge"));
    let (name, options) = arguments.split_first().expect("list or replay");
    command.args(["dlq", name, "--config"]).arg(scene.home.config()).args(options).envs(environment.iter().copied());
    command
}

fn dlq(scene: &Scene, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let out = dlq_command(scene, arguments, environment).output().expect("the binary runs");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{arguments:?}: {said}{}", String::from_utf8_lossy(&out.stderr));
    said
}

fn lines(said: &str) -> Vec<Value> {
    said.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

/// How often each `ce_id` is in the topic.
fn ids(scene: &Scene) -> Option<HashMap<String, usize>> {
    let mut ids = HashMap::new();
    for record in Topic::read(&scene.broker.bootstrap(), TOPIC)?.records {
        *ids.entry(record["headers"]["ce_id"].as_str().expect("a ce_id").to_owned()).or_default() += 1;
    }
    Some(ids)
}

#[test]
#[ignore = "starts a real Kafka"]
fn dead_letters_are_listed_replayed_once_the_cause_is_mended_and_then_settled() {
    let Some(scene) = Scene::new(1, &[]) else { return };
    make_topics(&scene);
    let id = scene.ids[0];
    let large: String = (0..300_000).map(|_| fastrand::alphanumeric()).collect();
    for body in [
        format!(
            r#"{{"typeWebhook":"incomingMessageReceived","idMessage":"L","senderData":{{"chatId":"79995550001@c.us"}},"messageData":{{"typeMessage":"textMessage","textMessageData":{{"textMessage":"{large}"}}}}}}"#
        ),
        r#"{"typeWebhook":"new","chatId":"79995550001@c.us","n":1}"#.to_owned(),
        r#"{"broken": "#.to_owned(),
        r#"{"typeWebhook":"incomingCall","from":"79995550001@c.us","status":"offer"}"#.to_owned(),
        r#"{"typeWebhook":"new","chatId":"79995550002@c.us","n":2}"#.to_owned(),
    ] {
        scene.simulator.enqueue(id, body).expect("room");
    }
    let bridge = Bridge::start(&scene.home, BURY_UNKNOWN);
    scene.wait_until_emptied(&bridge);
    assert!(bridge.terminate().success());

    let letters = lines(&dlq(&scene, &["list", "--json"], &[]));
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    letters.iter().for_each(|letter| *reasons.entry(letter["reason"].as_str().expect("a word")).or_default() += 1);
    assert_eq!(reasons, [("not_json", 1), ("too_large", 1), ("unknown_type", 2)].into(), "{letters:#?}");
    let instance = Value::from(id.to_string());
    assert!(letters.iter().all(|letter| letter["topic"] == TOPIC && letter["instance"] == instance));
    let table = dlq(&scene, &["list", "--reason", "too_large", "--since", "10m"], &[]);
    assert!(table.contains("1 in all: too_large 1") && table.contains("TIME"), "{table}");
    assert!(!table.contains("7999555"), "no phone numbers: {table}");
    assert_eq!(dlq(&scene, &["list", "--until", "10m"], &[]), "no dead letters\n");
    assert_eq!(dlq(&scene, &["list", "--instance", "5"], &[]), "no dead letters\n");

    // Nothing is mended yet: the broker refuses the large one still, the configuration the unknown ones.
    let out = dlq_command(&scene, &["replay", "--json"], BURY_UNKNOWN).output().expect("the binary runs");
    assert_eq!(out.status.code(), Some(1), "try again once it is mended");
    let summary = &lines(&String::from_utf8_lossy(&out.stdout))[0];
    assert_eq!(summary["replayed"], 0, "{summary}");
    assert_eq!(summary["left"], serde_json::json!({"undecodable": 1, "still_unknown": 2, "refused_again": 1}));

    change_topic(&scene, TOPIC, ("max.message.bytes", "4000000"));
    let foreseen = dlq(&scene, &["replay", "--dry-run"], PUBLISH_UNKNOWN);
    assert!(foreseen.starts_with("3 of 4 would be replayed\n"), "{foreseen}");
    let Some(before) = ids(&scene) else { return };
    assert_eq!(before.len(), 1, "only the call: a dry run writes nothing");
    let done = dlq(&scene, &["replay", "--reason", "unknown_type", "--limit", "1"], PUBLISH_UNKNOWN);
    assert_eq!(done, "1 of 1 replayed\n");
    let done = dlq(&scene, &["replay"], PUBLISH_UNKNOWN);
    assert!(done.starts_with("2 of 3 replayed\n1 left, undecodable: "), "{done}");

    let now = ids(&scene).expect("it was there a moment ago");
    for letter in letters.iter().filter(|letter| letter["reason"] != "not_json") {
        assert_eq!(now.get(letter["id"].as_str().expect("an id")), Some(&1), "the same ce_id, once: {letter}");
    }
    let again = dlq(&scene, &["replay", "--json"], PUBLISH_UNKNOWN);
    assert_eq!((&lines(&again)[0]["selected"], &lines(&again)[0]["replayed"]), (&1.into(), &0.into()), "{again}");
    assert_eq!(ids(&scene).expect("there"), now, "replayed again, nothing is added");
    let left = lines(&dlq(&scene, &["list", "--json"], &[]));
    assert_eq!((left.len(), &left[0]["reason"]), (1, &"not_json".into()));
    let all = lines(&dlq(&scene, &["list", "--json", "--all"], &[]));
    assert_eq!(all.iter().filter(|letter| letter["replayed"] == true).count(), 3, "{all:#?}");
}

#[test]
#[ignore = "starts a real Kafka"]
fn a_replay_killed_in_the_middle_and_repeated_brings_every_letter() {
    const LETTERS: usize = 4_000;
    let Some(scene) = Scene::new(1, &[]) else { return };
    make_topics(&scene);
    for n in 0..LETTERS {
        let body = format!(r#"{{"typeWebhook":"new","chatId":"7999555{:04}@c.us","n":{n}}}"#, n % 50);
        scene.simulator.enqueue(scene.ids[0], body).expect("room");
    }
    let bridge = Bridge::start(&scene.home, BURY_UNKNOWN);
    scene.wait_until_emptied(&bridge);
    assert!(bridge.terminate().success());
    let begun = Instant::now();
    let letters = lines(&dlq(&scene, &["list", "--json"], &[]));
    assert_eq!(letters.len(), LETTERS);

    let (mut kills, mut left, mut listed) = (0, LETTERS, begun.elapsed());
    // More than five only where the machine is so busy that nothing was done before any of them.
    while (kills < 5 && left > 0) || (left == LETTERS && kills < 50) {
        let mut child = dlq_command(&scene, &["replay"], PUBLISH_UNKNOWN)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        // The moment is the point: while it looks, which is what a list does, between an event and its mark, anywhere.
        thread::sleep(listed + Duration::from_millis(fastrand::u64(500..2_000)));
        child.kill().expect("our child");
        child.wait().expect("our child");
        kills += 1;
        let begun = Instant::now();
        left = lines(&dlq(&scene, &["list", "--json"], &[])).len();
        listed = begun.elapsed();
        eprintln!("kill {kills}: {left} letters left, listed in {listed:.1?}");
    }
    assert!(left < LETTERS, "the kills came after something was done");
    let begun = Instant::now();
    dlq(&scene, &["replay"], PUBLISH_UNKNOWN);
    eprintln!("the last {left} letters took {:.1?}", begun.elapsed());

    let Some(ids) = ids(&scene) else { return };
    for letter in &letters {
        assert!(ids.contains_key(letter["id"].as_str().expect("an id")), "{letter} is missing");
    }
    let repeats = ids.values().sum::<usize>() - LETTERS;
    eprintln!("replay killed {kills} times: {LETTERS} letters, {repeats} repeated");
    assert_eq!(ids.len(), LETTERS);
    assert!(repeats <= kills, "at most one repeat a kill: {repeats}");
    assert_eq!(dlq(&scene, &["list"], &[]), "no dead letters\n");
}
