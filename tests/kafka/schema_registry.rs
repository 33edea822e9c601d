//! Values framed for a schema registry: a real one, and Confluent's own deserialiser at the other end.

use std::collections::BTreeSet;
use std::time::Instant;

use chatbridge_lab::green_api::JournalEvent;
use serde_json::Value;

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::judge::Topic;
use crate::support::needs::or_skip;
use crate::support::python::consumer;
use crate::support::registry::Registry;

const TOPIC: &str = "chat-events";

#[test]
#[ignore = "starts a real Kafka and a real schema registry"]
fn confluents_deserialiser_reads_what_waited_for_the_registry() {
    let Some(scene) = Scene::new(1, &[]) else { return };
    let Some(mut registry) = or_skip(Registry::new()) else { return };
    let queued = scene.queue_fixtures();
    scene.simulator.enqueue(scene.ids[0], "{\"broken\": ").expect("room");
    let url = registry.url();
    let environment = [("CHATBRIDGE__SCHEMA_REGISTRY__URL", url.as_str())];

    // Without the registry: alive, not ready, said once, and nothing is touched.
    let begun = Instant::now();
    let mut bridge = Bridge::start(&scene.home, &environment);
    let away = "the schema registry cannot be used yet";
    bridge.wait("a word about it", |bridge| bridge.log().contains(away).then_some(()));
    bridge.wait("the reason", |bridge| {
        let error = bridge.status()["schema_registry"]["last_error"].as_str().map(str::to_owned);
        error.filter(|error| error.contains("does not answer"))
    });
    assert_eq!((bridge.get("/readyz").0, bridge.get("/livez").0), (503, 200));
    registry.start();
    bridge.wait_until_ready();
    scene.wait_until_emptied(&bridge);
    let minutes = begun.elapsed().as_secs() / 60;
    let told = bridge.log().matches(away).count() as u64;
    assert!((1..=1 + minutes).contains(&told), "told once a minute: {}", bridge.log());
    assert_eq!(bridge.status()["schema_registry"]["registered"], true);
    assert!(bridge.terminate().success());

    // A second start finds the same schema under the same id, and adds nothing.
    let mut bridge = Bridge::start(&scene.home, &environment);
    bridge.wait_until_ready();
    assert!(bridge.terminate().success());
    let (_, versions) = registry.ask("GET", &format!("/subjects/{TOPIC}-value/versions"), "").expect("it answers");
    assert_eq!(versions, "[1]");

    let Some(mut reader) = or_skip(consumer("read_framed.py")) else { return };
    let out = reader.args([&scene.broker.bootstrap(), TOPIC, &url]).output().expect("python runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let lines = String::from_utf8(out.stdout).expect("JSON lines are UTF-8");
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    assert_eq!(records.len(), queued);
    let ids: BTreeSet<String> = records.iter().map(|record| record["schema_id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(records[0]["schema"], chatbridge::core::schema::event());
    let kinds: BTreeSet<&str> = records.iter().filter_map(|record| record["value"]["kind"].as_str()).collect();
    assert!(kinds.is_superset(&["message", "message_status", "call", "unknown"].into()), "{kinds:?}");
    eprintln!("schema registry: {} records, schema id {ids:?}, kinds {kinds:?}", records.len());

    let letters = Topic::read(&scene.broker.bootstrap(), "chat-events-dlq").expect("python was there a moment ago");
    assert_eq!(letters.records.len(), 1);
    let letter = letters.records[0]["value_base64"].as_str().expect("it is not JSON");
    assert!(letter.starts_with("eyJyZWNlaXB0SWQi"), "a dead letter is never framed, it is {letter}");
}

#[test]
#[ignore = "starts a real Kafka and a real schema registry"]
fn a_refusal_is_loud_and_nothing_is_received_unframed() {
    let Some(scene) = Scene::new(1, &[]) else { return };
    let Some(mut registry) = or_skip(Registry::new()) else { return };
    registry.start();
    scene.queue(3);
    let url = registry.url();
    let wrong = format!("{url}/wrong");
    for (environment, advice) in [
        (vec![("CHATBRIDGE__SCHEMA_REGISTRY__URL", wrong.as_str())], "mend schema_registry.url"),
        (
            vec![
                ("CHATBRIDGE__SCHEMA_REGISTRY__URL", url.as_str()),
                ("CHATBRIDGE__SCHEMA_REGISTRY__REGISTER", "false"),
            ],
            "set schema_registry.register = true",
        ),
    ] {
        let mut bridge = Bridge::start(&scene.home, &environment);
        bridge.wait("the advice", |bridge| bridge.log().contains(advice).then_some(()));
        let status = bridge.status();
        assert_eq!(status["schema_registry"]["registered"], false);
        assert!(status["schema_registry"]["last_error"].as_str().is_some_and(|e| e.contains(advice)), "{status}");
        assert_eq!(bridge.get("/readyz").0, 503);
        assert!(bridge.terminate().success(), "a stop still works");
    }
    assert_eq!(scene.count(|what| matches!(what, JournalEvent::HandedOut { .. })), 0);

    // Registered by other means, it is found.
    let schema = serde_json::json!({ "schemaType": "JSON", "schema": chatbridge::core::schema::event().to_string() });
    let path = format!("/subjects/{TOPIC}-value/versions");
    assert_eq!(registry.ask("POST", &path, &schema.to_string()).expect("it answers").0, 200);
    let environment =
        [("CHATBRIDGE__SCHEMA_REGISTRY__URL", url.as_str()), ("CHATBRIDGE__SCHEMA_REGISTRY__REGISTER", "false")];
    let bridge = Bridge::start(&scene.home, &environment);
    scene.wait_until_emptied(&bridge);
    assert!(bridge.terminate().success());
}
