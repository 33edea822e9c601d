//! Any answer of receiveNotification becomes a record, and any body of ChatApp one for each item, whatever the bytes.
//!
//! ```text
//! cargo install cargo-fuzz
//! RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir tests/fuzz -s none decode \
//!     tests/fuzz/corpus/decode tests/fixtures tests/fixtures/chatapp -- -dict=tests/fuzz/decode.dict -max_total_time=600
//! ```
//!
//! `RUSTC_BOOTSTRAP` stands in for a nightly compiler. No sanitizer: there is no unsafe code here to watch.
//!
//! Ten minutes on one core, shared and at low priority, with an empty corpus beside the fixtures: 6,644,830 runs
//! (11,056 a second), 6,361 edges covered, 40 MB at most, nothing found. What is found next becomes a row of
//! `bodies_that_once_broke_something_become_records` in `tests/it/properties.rs`.

#![no_main]

use chatbridge::core::policy::Policy;
use chatbridge::core::prepared::{prepare, prepare_event};
use chatbridge::green_api::client;
use chatbridge_event::event::{Body, ChatId, InstanceId, Notification};
use chatbridge_event::normalize::chatapp;
use chatbridge_event::normalize::green_api::normalize;
use chatbridge_event::record::{Extent, Record, RecordFactory};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

const INSTANCE: u64 = 1_101_000_001;

fuzz_target!(|bytes: &[u8]| {
    answer(bytes);
    // The same bytes as a body spare the fuzzer from finding the envelope.
    answer(&[br#"{"receiptId":7,"body":"#, bytes, b"}"].concat());
    body_of_chatapp(bytes);
    body_of_chatapp(&[br#"{"data":["#, bytes, br#"],"meta":{"type":"message"}}"#].concat());
});

fn body_of_chatapp(bytes: &[u8]) {
    let body = match chatapp::decode(bytes.to_vec()) {
        Ok(body) => body,
        Err(undecodable) => return assert!(undecodable.bytes == bytes),
    };
    let now = Timestamp::from_second(1_760_000_000).expect("in range");
    let items = chatapp::normalize(chatapp::Arrival::default(), body.clone());
    let (expected, is_one) = (items.len(), items.len() == 1);
    let mut events = 0;
    for chatapp::Item { event, .. } in items {
        events += 1;
        assert!(!is_one || body.get().contains(event.raw.get()), "raw is the body, byte for byte");
        is_json(event.raw.get().as_bytes());
        let record = prepare_event(event, &Policy::default(), now).record(&RecordFactory::default(), now);
        let record = record.expect("nothing is dropped");
        assert!(!record.key.is_empty());
        is_json(&record.value);
    }
    assert!(events == expected && events > 0, "an event for each item");
    if let Some(chat) = ChatId::new("1") {
        for chatapp::Item { event, .. } in chatapp::fetched(&chatbridge_event::event::Channel::Unnamed, &chat, &body) {
            assert!(event.raw.get().contains(body.get()), "raw has the item, byte for byte");
        }
    }
}

fn answer(bytes: &[u8]) {
    let Ok(Some(received)) = client::decode(InstanceId::new(INSTANCE), bytes.to_vec()) else { return };
    let now = Timestamp::from_second(1_760_000_000).expect("in range");
    let body = match &received.notification.body {
        Body::Json(raw) => Some(raw.clone()),
        Body::Undecodable { .. } => None,
    };
    let first = record(received.notification.clone(), now);
    assert!(!first.key.is_empty());
    assert!(first == record(received.notification, now), "the same twice");
    let id = |record: &Record| record.headers.iter().find(|(name, _)| *name == "ce_id").map(|(_, id)| id.clone());
    assert!(id(&first).is_some());
    let Some(body) = body else {
        assert!(&*first.topic == "chat-events-dlq" && bytes.starts_with(&first.value));
        return;
    };
    let end = [b",\"raw\":", body.get().as_bytes(), b"}"].concat();
    assert!(first.value.ends_with(&end), "raw is the body, byte for byte");
    is_json(&first.value);

    let event = normalize(InstanceId::new(INSTANCE), body);
    let reduced = RecordFactory::default().record(&event, Extent::WithoutThumbnails, now);
    assert!(reduced.key == first.key && id(&reduced) == id(&first));
    is_json(&reduced.value);
}

fn record(notification: Notification, now: Timestamp) -> Record {
    prepare(notification, &Policy::default(), now).record(&RecordFactory::default(), now).expect("nothing is dropped")
}

fn is_json(value: &[u8]) {
    serde_json::from_slice::<&RawValue>(value).expect("a value is JSON");
}
