//! Whatever GREEN-API's bytes are, a receive's answer or a webhook call's body, they become a record.
//!
//! Ten minutes on one core, shared and at low priority, with an empty corpus beside the fixtures: 4,691,390 runs (7,805
//! a second), 5,669 edges covered, 36 MB at most, nothing found.
//!
//! What is found next becomes a row of `bodies_that_once_broke_something_become_records` in `tests/it/properties.rs`.

#![no_main]

use chatbridge::core::policy::Policy;
use chatbridge::core::prepared::prepare;
use chatbridge::green_api::client;
use chatbridge::green_api::push::endpoint::understood;
use chatbridge_event::event::{Body, InstanceId, Notification};
use chatbridge_event::normalize::green_api::normalize;
use chatbridge_event::record::{Extent, Record, RecordFactory};
use libfuzzer_sys::fuzz_target;
use shared::{is_json, now};

mod shared;

const INSTANCE: u64 = 1_101_000_001;

fuzz_target!(|bytes: &[u8]| {
    answer(bytes);
    // The same bytes as a body spare the fuzzer from finding the envelope.
    answer(&[br#"{"receiptId":7,"body":"#, bytes, b"}"].concat());
    call(bytes);
});

/// The answer of a receive.
fn answer(bytes: &[u8]) {
    let Ok(Some(received)) = client::decode(InstanceId::new(INSTANCE), bytes.to_vec()) else { return };
    if let Some(buried) = carried(received.notification) {
        assert!(bytes.starts_with(&buried), "a dead letter is what came, as far as it was read");
    }
}

/// The body of a webhook call.
fn call(bytes: &[u8]) {
    let Ok(body) = understood(&Default::default(), bytes.to_vec()) else { return };
    if let Some(buried) = carried(Notification { instance: InstanceId::new(INSTANCE), receipt_id: None, body }) {
        assert!(bytes == buried, "a dead letter is what came");
    }
}

/// What must hold for any notification. The value of its dead letter, where its body cannot be read.
fn carried(notification: Notification) -> Option<Vec<u8>> {
    let body = match &notification.body {
        Body::Json(raw) => Some(raw.clone()),
        Body::Undecodable { .. } => None,
    };
    let first = record(notification.clone());
    assert!(!first.key.is_empty());
    assert!(first == record(notification), "the same twice");
    let id = |record: &Record| record.headers.iter().find(|(name, _)| *name == "ce_id").map(|(_, id)| id.clone());
    assert!(id(&first).is_some());
    let Some(body) = body else {
        assert!(&*first.topic == "chat-events-dlq");
        return Some(first.value);
    };
    let end = [b",\"raw\":", body.get().as_bytes(), b"}"].concat();
    assert!(first.value.ends_with(&end), "raw is the body, byte for byte");
    assert!(is_json(&first.value), "a value is JSON");

    let event = normalize(InstanceId::new(INSTANCE), body);
    let reduced = RecordFactory::default().record(&event, Extent::WithoutThumbnails, now());
    assert!(reduced.key == first.key && id(&reduced) == id(&first));
    assert!(is_json(&reduced.value), "a value without thumbnails is JSON");
    None
}

fn record(notification: Notification) -> Record {
    let prepared = prepare(notification, &Policy::default(), now());
    prepared.record(&RecordFactory::default(), now()).expect("nothing is dropped")
}
