//! What the configuration decides about an event, seen from the topics: by the real binary.

use std::sync::Arc;
use std::time::Duration;

use chatbridge::config::{CloudEventsMode, Kafka};
use chatbridge::core::consume::{ConsumedRecord, TopicReader};
use chatbridge_lab::green_api::{Contact, Fault, FaultKind, JournalEvent, Method};
use serde_json::Value;

use crate::support::bridge::Bridge;
use crate::wire::{FIRST, Scene};

/// The headers and values in a topic, in the order of each partition.
fn topic(scene: &Scene, name: &str) -> Vec<(ConsumedRecord, Value)> {
    let kafka = Kafka {
        brokers: scene.brokers.bootstrap_servers(),
        topic: name.into(),
        dead_letter_topic: "none".into(),
        cloudevents_mode: CloudEventsMode::Binary,
        create_topics: None,
        properties: Default::default(),
    };
    scene.runtime.block_on(async {
        let reader = TopicReader::open(&kafka, Arc::from(name)).await.expect("a topic");
        let mut records = reader.to_the_end();
        let mut read = Vec::new();
        while let Some(record) = records.recv().await {
            let record = record.expect("readable");
            let value = serde_json::from_slice(&record.value).unwrap_or_default();
            read.push((record, value));
        }
        read
    })
}

fn call(status: &str, from: &str) -> String {
    format!(r#"{{"typeWebhook":"incomingCall","from":"{from}","status":"{status}","idMessage":"C{from}{status}"}}"#)
}

fn enqueue(scene: &Scene, bodies: &[String]) {
    for body in bodies {
        scene.simulator.enqueue(FIRST, body.clone()).expect("room");
    }
}

#[test]
fn what_is_not_wanted_is_deleted_and_counted_and_the_rest_goes_where_it_belongs() {
    let scene = Scene::new(
        "[calls]\npublish = \"outcome\"\nlanguage = \"ru\"\n[events]\nunknown = \"dead_letter\"\n\
         drop = [\"deviceInfo\"]\n[routing]\ncall = \"chat-calls\"\nunknown = \"chat-odd\"\n",
    );
    for name in ["chat-calls", "chat-odd"] {
        scene.brokers.create_topic(name, 2, 1).expect("a topic");
    }
    enqueue(
        &scene,
        &[
            call("offer", "79995550001@c.us"),
            call("hungUp", "79995550001@c.us"),
            r#"{"typeWebhook":"deviceInfo"}"#.to_owned(),
            r#"{"typeWebhook":"new","chatId":"1"}"#.to_owned(),
            r#"{"typeWebhook":"stateInstanceChanged","stateInstance":"authorized"}"#.to_owned(),
        ],
    );
    let mut bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);
    for (reason, expected) in [("reason=\"call\"", 1.0), ("reason=\"type\"", 1.0)] {
        assert_eq!(bridge.metric("chatbridge_events_dropped_total", reason), expected, "{reason}");
    }
    bridge.wait("the last delete's answer: what is dropped is deleted, too", |bridge| {
        (bridge.metric("chatbridge_notifications_deleted_total", "") == 5.0).then_some(())
    });
    assert_eq!(bridge.metric("chatbridge_caller_lookups_total", ""), 0.0, "nobody asked for names");
    assert!(bridge.terminate().success());

    let calls = topic(&scene, "chat-calls");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].1["call"]["summary"], "Пропущенный звонок");
    assert_eq!(calls[0].1["call"]["state"], "rejected");
    let kinds: Vec<Value> = topic(&scene, "chat-events").into_iter().map(|(_, value)| value["kind"].clone()).collect();
    assert_eq!(kinds, ["instance_state"]);
    let letters = topic(&scene, "chat-events-dlq");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].0.header("topic"), Some("chat-odd"), "where it would have gone");
}

#[test]
fn calls_that_are_not_wanted_at_all_are_not_published_and_names_not_asked_for() {
    let scene = Scene::new("[calls]\npublish = \"none\"\ncaller_lookup = true\n");
    enqueue(&scene, &[call("offer", "79995550001@c.us"), call("pickUp", "79995550001@c.us")]);
    let bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);
    assert_eq!(bridge.metric("chatbridge_events_dropped_total", "reason=\"call\""), 2.0);
    assert_eq!(bridge.metric("chatbridge_caller_lookups_total", ""), 0.0);
    assert!(bridge.terminate().success());
    assert!(topic(&scene, "chat-events").is_empty());
}

#[test]
fn a_caller_is_named_once_asked_and_the_id_stays_the_same() {
    const CANARY: &str = "Анна Канарейкина";
    let scene = Scene::new("[calls]\ncaller_lookup = true\n");
    let contact = |name: &str, contact_name: &str| Contact { name: name.into(), contact_name: contact_name.into() };
    scene.simulator.set_contact(FIRST, "79995550001@c.us", contact(CANARY, "Anna")).expect("an instance");
    scene.simulator.set_contact(FIRST, "79995550002@c.us", contact("", "Boris")).expect("an instance");
    let bridge = Bridge::start(&scene.home, &[("RUST_LOG", "debug")]);
    for calls in [
        &[call("offer", "79995550001@c.us"), call("pickUp", "79995550001@c.us")][..],
        &[call("offer", "79995550002@c.us")],
        &[call("offer", "79995550003@c.us")],
    ] {
        enqueue(&scene, calls);
        scene.emptied(&bridge);
        // GREEN-API answers one such question a second, and nobody waits for a turn.
        std::thread::sleep(Duration::from_millis(1_100));
    }
    for (outcome, expected) in [("found", 2.0), ("cached", 1.0), ("nameless", 1.0), ("failed", 0.0)] {
        let counted = bridge.metric("chatbridge_caller_lookups_total", &format!("outcome=\"{outcome}\""));
        assert_eq!(counted, expected, "{outcome}");
    }
    assert!(!bridge.log().contains("Канарейкина"), "names are not logged");
    assert!(!bridge.get("/metrics").1.contains("Канарейкина") && !bridge.status().to_string().contains("Канарейкина"));
    assert!(bridge.terminate().success());

    let names = |key: &str, records: &[(ConsumedRecord, Value)]| -> Vec<Value> {
        let of_key = records.iter().filter(|(record, _)| record.key == key);
        of_key.map(|(_, value)| value["call"]["caller_name"].clone()).collect()
    };
    let named = topic(&scene, "chat-events");
    assert_eq!(names("79995550001@c.us", &named), [CANARY, CANARY]);
    assert_eq!(names("79995550002@c.us", &named), ["Boris"]);
    assert_eq!(names("79995550003@c.us", &named), [Value::Null]);

    // The same events without the lookup have the same ids.
    enqueue(&scene, &[call("offer", "79995550001@c.us")]);
    let bridge = Bridge::start(&scene.home, &[("CHATBRIDGE__CALLS__CALLER_LOOKUP", "false")]);
    scene.emptied(&bridge);
    assert!(bridge.terminate().success());
    let unnamed = topic(&scene, "chat-events");
    let of_caller: Vec<_> = unnamed.iter().filter(|(record, _)| record.key == "79995550001@c.us").collect();
    assert_eq!(of_caller.len(), 3);
    assert_eq!(of_caller[0].0.header("ce_id"), of_caller[2].0.header("ce_id"));
    assert_eq!(of_caller[2].1["call"]["caller_name"], Value::Null);
}

#[test]
fn a_lookup_that_hangs_or_fails_costs_the_queue_two_seconds_once() {
    for kind in [
        FaultKind::Hang { duration_ms: 60_000 },
        FaultKind::Status { code: 500, body: "{}".to_owned(), retry_after_seconds: None },
        FaultKind::Reset,
    ] {
        let scene = Scene::new("[calls]\ncaller_lookup = true\n");
        scene.simulator.add_fault(Fault::new(Method::Contact, kind.clone()).on(FIRST));
        let callers: Vec<String> = (0..50).map(|n| call("offer", &format!("7999555{n:04}@c.us"))).collect();
        enqueue(&scene, &callers);
        let bridge = Bridge::start(&scene.home, &[]);
        scene.emptied(&bridge);
        let looked_up = |outcome: &str| bridge.metric("chatbridge_caller_lookups_total", outcome);
        // From the first hand-out to the last delete.
        let at = |wanted: fn(&JournalEvent) -> bool| -> Vec<u64> {
            let journal = scene.simulator.journal();
            journal.iter().filter(|entry| wanted(&entry.what)).map(|entry| entry.at_ms).collect()
        };
        let first = at(|what| matches!(what, JournalEvent::HandedOut { .. }))[0];
        let last = *at(|what| matches!(what, JournalEvent::Deleted { .. })).last().expect("deleted");
        // One more for each pause that has passed: on a busy machine the queue takes longer than one.
        let failed = looked_up("failed") + looked_up("timed_out");
        let most = 1 + (last - first) / 2_000;
        assert!((1.0..=most as f64).contains(&failed), "{kind:?}: {failed} of {most}: {}", bridge.log());
        assert_eq!(looked_up("paused"), 50.0 - failed, "{kind:?}");
        assert_eq!(bridge.log().matches("name could not be looked up").count() as f64, failed, "{}", bridge.log());
        assert!(!bridge.log().contains("7999555"), "no numbers: {}", bridge.log());
        assert_eq!(bridge.metric("chatbridge_events_published_total", ""), 50.0);
        assert!(bridge.terminate().success());
        assert!(last - first < 8_000, "{kind:?}: {} ms", last - first);
    }
}
