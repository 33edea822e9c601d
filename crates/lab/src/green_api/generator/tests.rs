//! The events are of the kinds, shapes and ids they claim.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde_json::Value;

use super::Generator;

const WHATSAPP: u64 = 1_101_000_001;
/// Instances have twelve digits since July 2026.
const MAX: u64 = 310_000_000_001;

fn events(generator: &mut Generator, count: usize) -> Vec<Value> {
    let now = 1_760_000_000;
    // Two events a second, so that state events have their chance.
    (0..count).map(|n| serde_json::from_str(&generator.body_at(now + n as u64 / 2)).expect("json")).collect()
}

fn text<'v>(event: &'v Value, pointer: &str) -> &'v str {
    event.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn the_same_seed_gives_the_same_events() {
    let run = |seed| events(&mut Generator::new(WHATSAPP, seed), 300);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn every_kind_comes_and_no_two_bodies_are_equal() {
    let mut generator = Generator::new(WHATSAPP, 1);
    let bodies: Vec<_> = (0..5_000).map(|n| generator.body_at(1_760_000_000 + n / 100)).collect();
    assert_eq!(bodies.iter().collect::<HashSet<_>>().len(), bodies.len(), "a repeated body is a repeated event");
    let mut kinds = BTreeMap::new();
    for body in &bodies {
        let event: Value = serde_json::from_str(body).expect("json");
        let kind = format!("{} {}", text(&event, "/typeWebhook"), text(&event, "/messageData/typeMessage"));
        *kinds.entry(kind.trim().to_owned()).or_insert(0) += 1;
    }
    for webhook in ["incomingMessageReceived", "outgoingMessageReceived", "outgoingAPIMessageReceived"] {
        for message in ["text", "extendedText", "quoted", "image", "video", "document", "audio", "sticker", "edited"] {
            assert!(kinds.contains_key(&format!("{webhook} {message}Message")), "{webhook} {message}: {kinds:?}");
        }
    }
    for message in ["deleted", "reaction", "location", "contact", "poll", "template", "hologram"] {
        assert!(kinds.contains_key(&format!("incomingMessageReceived {message}Message")), "{message}: {kinds:?}");
    }
    for webhook in ["outgoingMessageStatus", "incomingCall", "stateInstanceChanged", "somethingNewHappened"] {
        assert!(kinds.contains_key(webhook), "{webhook}: {kinds:?}");
    }
}

#[test]
fn message_ids_grow_and_statuses_and_outcomes_point_back() {
    let mut known = BTreeSet::new();
    let mut last = 0;
    let mut generator = Generator::new(WHATSAPP, 3);
    for event in events(&mut generator, 2_000) {
        let id = text(&event, "/idMessage").to_owned();
        let points_back = match text(&event, "/typeWebhook") {
            "stateInstanceChanged" => continue,
            "outgoingMessageStatus" => true,
            "incomingCall" => text(&event, "/status") != "offer",
            _ => false,
        };
        let number: u64 = id.strip_prefix("SIM-1101000001-").expect("the form").parse().expect("a number");
        if points_back {
            assert!(known.contains(&id), "{event}");
        } else {
            assert_eq!(number, last + 1, "{event}");
            last = number;
        }
        known.insert(id);
    }
    assert_eq!(generator.next_sequence(), last + 1);
}

#[test]
fn unique_ids_are_unique_and_start_where_told() {
    let mut generator = Generator::new(WHATSAPP, 3).with_unique_ids().starting_at(100);
    let ids: Vec<u64> = events(&mut generator, 1_000)
        .iter()
        .filter_map(|event| text(event, "/idMessage").rsplit('-').next()?.parse().ok())
        .collect();
    assert!(ids.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    assert_eq!(ids[0], 100);
}

#[test]
fn chats_are_as_many_as_asked_and_of_the_messenger() {
    let chat_ids = |instance, chats| -> BTreeSet<String> {
        events(&mut Generator::new(instance, 5).with_chats(chats), 2_000)
            .iter()
            .map(|event| text(event, "/senderData/chatId").to_owned())
            .filter(|id| !id.is_empty())
            .collect()
    };
    let whatsapp = chat_ids(WHATSAPP, 10);
    assert_eq!(whatsapp.len(), 10);
    assert_eq!(whatsapp.iter().filter(|id| id.ends_with("@g.us")).count(), 2, "{whatsapp:?}");
    assert!(whatsapp.iter().all(|id| id.ends_with("@g.us") || (id.starts_with("7999000") && id.len() == 16)));
    let max = chat_ids(MAX, 10);
    assert!(max.iter().all(|id| id.parse::<i64>().is_ok()), "{max:?}");
    assert_eq!(max.iter().filter(|id| id.starts_with('-')).count(), 2, "{max:?}");
}

#[test]
fn max_has_its_own_fields_and_neither_calls_nor_sent() {
    for event in events(&mut Generator::new(MAX, 5), 1_000) {
        assert_eq!(text(&event, "/instanceData/typeInstance"), "v3");
        assert_ne!(text(&event, "/typeWebhook"), "incomingCall");
        assert_ne!(text(&event, "/status"), "sent");
        if event.get("senderData").is_some() {
            assert!(event["senderData"]["senderPhoneNumber"].is_u64(), "{event}");
        }
    }
}
