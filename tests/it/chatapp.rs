//! Each fixture is a body of ChatApp; the records its items become lie beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use chatbridge::core::policy::Policy;
use chatbridge::core::prepared::prepare_event;
use chatbridge_event::event::{Channel, ChatId, Event, Gap, GapReason, KindName};
use chatbridge_event::normalize::chatapp::identity::Place;
use chatbridge_event::normalize::chatapp::{Arrival, fetched, gap, normalize};
use chatbridge_event::record::{Record, RecordFactory};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::normalize::parsed;

/// The fixtures that were fetched are items of this chat.
const CHAT: &str = "79995550001@c.us";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/chatapp")
}

/// Name and text of the fixtures in `folder`, in order.
fn texts(folder: &Path) -> BTreeMap<String, String> {
    fs::read_dir(folder)
        .expect("fixtures are there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, fs::read_to_string(&path).expect("readable").trim().to_owned())
        })
        .collect()
}

/// The bodies that were pushed.
pub(crate) fn bodies() -> BTreeMap<String, String> {
    texts(&folder())
}

/// The items that were fetched.
pub(crate) fn fetched_items() -> BTreeMap<String, String> {
    texts(&folder().join("fetched"))
}

pub(crate) fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("JSON")
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("in range")
}

pub(crate) fn channel() -> Channel {
    Channel::from_name("private-v1.licenses.1229.messengers.grWhatsApp").expect("a channel")
}

/// Where each of the bodies lies.
pub(crate) const PLACE: Place = Place { spool: Uuid::from_u128(0x5eed), sequence: 1 };

/// The events of a body whose road names no channel.
pub(crate) fn events(body: &str) -> Vec<Event> {
    let items = normalize(Arrival { place: Some(PLACE), ..Arrival::default() }, raw(body));
    items.map(|item| item.event).collect()
}

pub(crate) fn events_of_item(item: &str) -> Vec<Event> {
    let items = fetched(&channel(), &ChatId::new(CHAT).expect("not empty"), &raw(item));
    items.into_iter().map(|item| item.event).collect()
}

pub(crate) fn record(event: Event) -> Record {
    let now = at(1_760_000_060);
    prepare_event(event, &Policy::default(), now).record(&RecordFactory::default(), now).expect("not dropped")
}

fn the_gap() -> Event {
    let missing = vec![KindName::MessageStatus, KindName::ChatUpdate];
    let (from, to) = (at(1_760_000_000), at(1_760_000_045));
    let told = Gap { channel: None, from, to, reason: GapReason::Disconnected, missing };
    gap(&channel(), told, Some(PLACE))
}

/// The records of all fixtures, by the name of the fixture; of its second item and the following with a number.
pub(crate) fn records() -> BTreeMap<String, Record> {
    let pushed = bodies().into_iter().map(|(name, body)| (format!("chatapp/{name}"), events(&body)));
    let fetched =
        fetched_items().into_iter().map(|(name, item)| (format!("chatapp/fetched/{name}"), events_of_item(&item)));
    let made = [("gap".to_owned(), vec![the_gap()])];
    let numbered = |(name, events): (String, Vec<Event>)| {
        let name = move |index: usize| if index == 0 { name.clone() } else { format!("{name}#{}", index + 1) };
        events.into_iter().enumerate().map(move |(index, event)| (name(index), record(event))).collect::<Vec<_>>()
    };
    pushed.chain(fetched).chain(made).flat_map(numbered).collect()
}

fn shown(event: Event) -> Value {
    let record = record(event);
    json!({
        "topic": &*record.topic,
        "key": record.key,
        "timestamp_ms": record.timestamp_ms,
        "headers": record.headers.iter().map(|(k, v)| json!([k, v])).collect::<Vec<_>>(),
        "value": parsed(&record.value),
    })
}

fn assert_snapshot(folder: &str, name: &str, events: Vec<Event>) {
    let shown: Vec<Value> = events.into_iter().map(shown).collect();
    insta::with_settings!({ snapshot_path => folder, prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_json_snapshot!(name, shown);
    });
}

#[test]
fn every_fixture_becomes_the_records_beside_it() {
    for (name, body) in bodies() {
        let events = events(&body);
        let document = parsed(body.as_bytes());
        let inside = if document["payload"].is_object() { &document["payload"] } else { &document };
        let items = inside["data"].as_array().filter(|items| items.len() > 1);
        assert_eq!(events.len(), items.map_or(1, Vec::len), "{name}");
        for (index, event) in events.iter().enumerate() {
            let raw = parsed(event.raw.get().as_bytes());
            match items {
                Some(items) => {
                    assert_eq!((&raw["data"], &raw["meta"]), (&json!([items[index]]), &inside["meta"]), "{name}");
                }
                None => assert!(body.contains(event.raw.get()), "{name}: raw is the body, byte for byte"),
            }
        }
        assert_snapshot("../fixtures/chatapp", &name, events);
    }
    for (name, item) in fetched_items() {
        let events = events_of_item(&item);
        assert!(events.iter().all(|event| event.raw.get().contains(&item)), "{name}: raw has the item, byte for byte");
        assert_snapshot("../fixtures/chatapp/fetched", &name, events);
    }
    assert_snapshot("../fixtures/chatapp", "gap", vec![the_gap()]);
}

#[test]
fn the_seed_s_events_are_all_understood() {
    let told: Vec<String> = bodies().values().flat_map(|body| events(body)).map(|event| event.upstream_type).collect();
    for event in [
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
    ] {
        assert!(told.iter().any(|told| told == event), "{event} has a fixture");
        let body = format!(r#"{{"data":[{{}}],"meta":{{"type":"{event}"}}}}"#);
        assert_ne!(events(&body)[0].kind.name(), "unknown", "{event}");
    }
}
