//! CloudEvents in both modes, read back by CloudEvents' own SDK.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::needs::or_skip;
use crate::support::python::consumer;

/// What the SDK finds in `topic`, by event id.
fn read(scene: &Scene, topic: &str) -> Option<BTreeMap<String, Value>> {
    let mut reader = or_skip(consumer("read_cloudevents.py"))?;
    let out = reader.args([&scene.broker.bootstrap(), topic]).output().expect("python runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let lines = String::from_utf8(out.stdout).expect("JSON lines are UTF-8");
    let events = lines.lines().map(|line| serde_json::from_str::<Value>(line).expect("a JSON line"));
    Some(events.map(|event| (event["attributes"]["id"].as_str().expect("an id").to_owned(), event)).collect())
}

#[test]
#[ignore = "starts a real Kafka"]
fn the_sdk_of_cloudevents_finds_the_same_events_in_both_modes() {
    let Some(scene) = Scene::new(1, &[]) else { return };
    let mut events_by_mode = Vec::new();
    for mode in ["binary", "structured"] {
        let topic = format!("chat-events-{mode}");
        let environment = [
            ("CHATBRIDGE__KAFKA__CLOUDEVENTS_MODE", mode),
            ("CHATBRIDGE__KAFKA__TOPIC", &topic),
            ("CHATBRIDGE__TRACING__TRACEPARENT", "true"),
        ];
        let queued = scene.queue_fixtures();
        let bridge = Bridge::start(&scene.home, &environment);
        scene.wait_until_emptied(&bridge);
        assert!(bridge.terminate().success());
        let Some(mut events) = read(&scene, &topic) else { return };
        assert_eq!(events.len(), queued, "one event for each fixture, each with an id of its own");
        for event in events.values_mut() {
            assert_eq!(event["mode"], mode);
            event["mode"].take();
            assert_eq!(event["attributes"]["datacontenttype"], "application/json");
            assert_eq!(event["attributes"]["id"], event["data"]["id"]);
            let trace = event["attributes"]["id"].as_str().expect("an id").replace('-', "");
            let traceparent =
                event["attributes"]["traceparent"].as_str().expect("the extension for distributed tracing");
            assert!(traceparent.starts_with(&format!("00-{trace}-")), "{traceparent}");
            let kind = event["data"]["kind"].as_str().expect("a kind");
            assert_eq!(event["attributes"]["type"], format!("chatbridge.{kind}.v1"));
        }
        events_by_mode.push(events);
    }
    for (id, event) in &events_by_mode[0] {
        assert_eq!(Some(event), events_by_mode[1].get(id), "the same attributes, the same data");
    }
    eprintln!("CloudEvents SDK: {} events, equal in both modes", events_by_mode[0].len());
}
