use std::collections::{BTreeMap, HashSet};

use super::*;
use crate::chatapp::archive::text;
use crate::chatapp::config::Licence;

const KINDS: [&str; 19] = [
    "message",
    "messageStatus",
    "messageDestroy",
    "messageReaction",
    "chatTag",
    "chatStatus",
    "chatResponsible",
    "chatResponsiblePin",
    "chatProducer",
    "chatAccomplice",
    "chatAuditor",
    "chatLevel",
    "chatConversation",
    "chatRead",
    "chatProcess",
    "employeeStatus",
    "employeeWorkday",
    "quickResponseList",
    "quickResponse",
];

fn generator() -> Generator {
    let messengers = ["grWhatsApp", "caWhatsApp", "telegram", "max"];
    let config =
        ChatAppSimulatorConfig { licences: vec![Licence::new(1229, messengers)], ..ChatAppSimulatorConfig::default() };
    Generator::new(&config, 3)
}

/// `data` and `meta`, wherever they lie.
fn inner(event: &Event) -> Value {
    let body: Value = serde_json::from_str(&event.body).expect("JSON");
    body.get("payload").cloned().unwrap_or(body)
}

#[test]
fn all_nineteen_kinds_come_and_messages_most_of_all() {
    let mut counts = BTreeMap::new();
    for event in generator().take(5_000) {
        let body = inner(&event);
        assert_eq!(body["meta"]["type"], *event.name);
        assert!(body["data"].as_array().is_some_and(|items| !items.is_empty()), "{body}");
        *counts.entry(event.name).or_insert(0) += 1;
    }
    assert_eq!(counts.keys().map(String::as_str).collect::<HashSet<_>>(), KINDS.into_iter().collect());
    assert!(counts["message"] > 2_000 && counts["messageStatus"] > 800, "{counts:?}");
}

#[test]
fn shapes_vary_as_those_of_the_service_do() {
    let events: Vec<Event> = generator().take(3_000).collect();
    let bodies: Vec<Value> = events.iter().map(inner).collect();
    let some = |has: &dyn Fn(&Value) -> bool| bodies.iter().any(has);
    let item = |body: &Value, field: &str| body["data"][0][field].clone();
    assert!(some(&|body| item(body, "id").is_string()) && some(&|body| item(body, "id").is_u64()));
    assert!(some(&|body| item(body, "time").is_string()) && some(&|body| item(body, "time").is_u64()));
    assert!(some(&|body| body["meta"]["licenseId"].is_string()) && some(&|body| body["meta"]["licenseId"].is_u64()));
    for kind in ["message", "messageStatus", "quickResponse"] {
        let several =
            |body: &Value| body["meta"]["type"] == kind && body["data"].as_array().is_some_and(|all| all.len() > 1);
        assert!(some(&several), "{kind}");
    }
    let wrapped = events.iter().filter(|event| event.body.starts_with(r#"{"payload""#)).count();
    assert!((1_000..2_000).contains(&wrapped), "{wrapped}");
}

#[test]
fn no_message_has_the_id_of_another_and_statuses_are_of_messages() {
    let mut messages = HashSet::new();
    let mut statuses = HashSet::new();
    for event in generator().take(5_000) {
        for item in inner(&event)["data"].as_array().expect("items") {
            let chat = item["chat"]["id"].as_str().map(str::to_owned);
            match &*event.name {
                "message" => assert!(messages.insert((event.channel.clone(), chat, text(&item["id"])))),
                "messageStatus" => {
                    assert!(messages.contains(&(event.channel.clone(), chat, text(&item["id"]))));
                    assert!(statuses.insert((event.channel.clone(), text(&item["id"]), item["type"].to_string())));
                }
                _ => {}
            }
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_events_and_a_second_batch_goes_on() {
    let run = |mut generator: Generator| (0..200).map(|_| generator.event_at(1_700_000_000)).collect::<Vec<_>>();
    assert_eq!(run(generator()), run(generator()));
    let mut first = generator();
    first.by_ref().take(50).for_each(drop);
    let ids = |generator: Generator| {
        let events: Vec<_> = generator.take(50).filter(|event| event.name == "message").collect();
        events.iter().map(|event| text(&inner(event)["data"][0]["id"])).collect::<HashSet<_>>()
    };
    assert!(ids(generator()).is_disjoint(&ids(generator().starting_at(first.next_sequence()))));
}

#[test]
fn items_can_be_told_apart_where_asked_for() {
    let mut seen = HashSet::new();
    for event in generator().with_unique_items().wrapped(Wrapping::Never).take(1_000) {
        let body: Value = serde_json::from_str(&event.body).expect("JSON");
        for item in body["data"].as_array().expect("not wrapped") {
            assert!(seen.insert(item["simulated"].as_u64().expect("a number")));
        }
    }
}
