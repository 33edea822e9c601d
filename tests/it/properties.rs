//! Whatever GREEN-API sends tomorrow becomes a record: properties over bodies that were never documented.

use std::fs;
use std::sync::OnceLock;

use chatbridge::core::schema;
use chatbridge_event::event::{Event, InstanceId};
use chatbridge_event::normalize::green_api::normalize;
use chatbridge_event::record::{Extent, Record, RecordFactory};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::value::RawValue;

use crate::normalize::{fixtures, record_of};

mod chatapp;
mod mutation;

use mutation::{Mutation, Tree};

/// Every fixture, as something that can be broken.
fn bodies() -> &'static [Tree] {
    static BODIES: OnceLock<Vec<Tree>> = OnceLock::new();
    BODIES.get_or_init(|| {
        fixtures()
            .iter()
            .filter_map(|path| serde_json::from_str(&fs::read_to_string(path).expect("readable")).ok())
            .map(|body: serde_json::Value| Tree::of(&body))
            .collect()
    })
}

/// Every name in the fixtures: where one field is renamed to another's, most is to be confused.
fn names() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names: Vec<String> = bodies().iter().flat_map(Tree::names).collect();
        names.sort();
        names.dedup();
        names
    })
}

fn event_validator() -> &'static jsonschema::Validator {
    static VALIDATOR: OnceLock<jsonschema::Validator> = OnceLock::new();
    VALIDATOR
        .get_or_init(|| jsonschema::options().should_validate_formats(true).build(&schema::event()).expect("a schema"))
}

fn header<'r>(record: &'r Record, name: &str) -> Option<&'r str> {
    record.headers.iter().find(|(have, _)| *have == name).map(|(_, value)| value.as_str())
}

/// What must hold for any JSON at all.
fn becomes_a_record(body: &str) -> Result<(), TestCaseError> {
    let record = record_of(body);
    prop_assert!(record == record_of(body), "the same input, the same record");
    prop_assert!(!record.key.is_empty());
    prop_assert!(header(&record, "ce_id").is_some());
    let raw = format!(r#","raw":{body}}}"#);
    prop_assert!(record.value.ends_with(raw.as_bytes()), "raw is the body, byte for byte");

    let event = normalize(InstanceId::new(1_101_000_001), RawValue::from_string(body.to_owned()).expect("JSON"));
    let now = Timestamp::from_second(1_760_000_060).expect("in range");
    // Without the body's own raw, which may hold numbers that serde_json's own values cannot.
    let without_raw = Event { raw: RawValue::from_string("{}".to_owned()).expect("JSON"), ..event.clone() };
    for extent in [Extent::Whole, Extent::WithoutThumbnails] {
        let record = RecordFactory::default().record(&without_raw, extent, now);
        let value = serde_json::from_slice(&record.value).expect("a value is JSON");
        let problems: Vec<String> = event_validator().iter_errors(&value).map(|error| error.to_string()).collect();
        prop_assert!(problems.is_empty(), "{:?} in {}", problems, value);
    }
    let reduced = RecordFactory::default().record(&event, Extent::WithoutThumbnails, now);
    prop_assert!(serde_json::from_slice::<&RawValue>(&reduced.value).is_ok());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_mutated_body_becomes_a_record(
        body in prop::sample::select(bodies()),
        mutations in prop::collection::vec(Mutation::any(names()), 1..8),
    ) {
        let mut body = body;
        for mutation in mutations {
            mutation.apply(&mut body);
        }
        becomes_a_record(&body.to_string())?;
    }

    #[test]
    fn every_json_becomes_a_record(body in Tree::any(names())) {
        becomes_a_record(&body.to_string())?;
    }

    #[test]
    fn the_order_and_spelling_of_fields_does_not_change_the_id(
        body in prop::sample::select(bodies()),
        seed in any::<u64>(),
    ) {
        let (plain, respelt) = (body.to_string(), body.respelt(seed));
        let (plain, respelt) = (record_of(&plain), record_of(&respelt));
        prop_assert_eq!(header(&plain, "ce_id"), header(&respelt, "ce_id"));
        prop_assert_eq!(plain.key, respelt.key);
    }

    #[test]
    fn a_chat_has_one_key_under_every_spelling(
        number in "[1-9][0-9]{4,14}",
        device in prop::option::of(0_u16..100),
        domain in prop::sample::select(&["c.us", "s.whatsapp.net"][..]),
        place in prop::sample::select(&[
            r#"{"senderData":{"chatId":"ID"}}"#,
            r#"{"typeWebhook":"outgoingMessageStatus","chatId":"ID"}"#,
            r#"{"typeWebhook":"incomingCall","from":"ID"}"#,
            r#"{"typeWebhook":"deviceInfo","avatarInfo":{"chatId":"ID"}}"#,
        ][..]),
    ) {
        let device = device.map_or(String::new(), |device| format!(":{device}"));
        let record = record_of(&place.replace("ID", &format!("{number}{device}@{domain}")));
        prop_assert_eq!(record.key, format!("{number}@c.us"));
    }

    #[test]
    fn lids_groups_and_numeric_chats_keep_their_id_as_key(
        id in "([1-9][0-9]{4,16}@lid|[1-9][0-9]{4,10}-[0-9]{10}@g\\.us|[0-9]{18}@g\\.us|-?[1-9][0-9]{4,15})",
    ) {
        let record = record_of(&format!(r#"{{"senderData":{{"chatId":"{id}"}}}}"#));
        prop_assert_eq!(record.key, id);
    }
}

/// What the properties and the fuzzer found, kept.
#[test]
fn bodies_that_once_broke_something_become_records() {
    for body in [
        "null",
        "[]",
        "\"\"",
        "1e999",
        r#"{"senderData":{"chatId":"@"}}"#,
        r#"{"timestamp":1e18}"#,
        r#"{"timestamp":-99999999999}"#,
    ] {
        becomes_a_record(body).expect(body);
    }
}
