//! Whatever frames come off ChatApp's socket, the session keeps its word, none for the application is lost, and each of
//! them becomes records.
//!
//! Each of the first lines is a frame, and comes twice: to a session whose server does by itself what it should, and to
//! one that hears nothing else. The bytes as a whole are the data of an event, so that the fuzzer need not find its
//! frame.
//!
//! Ten minutes on one core, shared and at low priority, with an empty corpus beside frames and fixtures: 1,431,899 runs
//! (2,382 a second), 4,618 edges covered, 37 MB at most, nothing found. A dictionary makes no difference.

#![no_main]

use chatbridge::core::policy::Policy;
use chatbridge::core::prepared::prepare_event;
use chatbridge_event::event::{Channel, ChatId, Event};
use chatbridge_event::normalize::chatapp::identity::Place;
use chatbridge_event::normalize::chatapp::{self, Arrival, Item};
use chatbridge_event::record::RecordFactory;
use chatbridge_pusher::Received;
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use shared::{is_json, now};
use socket::{CHANNELS, Rim};
use uuid::Uuid;

mod shared;
mod socket;

/// Enough for two connections; a body has more lines, and they are no frames.
const FRAMES_MAX: usize = 12;

fuzz_target!(|bytes: &[u8]| {
    for server_helps in [true, false] {
        let mut rim = Rim::new(server_helps);
        for frame in bytes.split(|byte| *byte == b'\n').take(FRAMES_MAX) {
            received(frame, rim.hears(frame));
        }
        rim.stops();
    }
    body(Arrival::default(), bytes);
    let wrapped = [br#"{"data":["#, bytes, br#"],"meta":{"type":"message"}}"#].concat();
    body(Arrival::default(), &wrapped);
    if let Ok(text) = std::str::from_utf8(&wrapped) {
        let frame = json!({"event": "message", "channel": CHANNELS[0], "data": text}).to_string();
        let event = Rim::new(true).hears(frame.as_bytes());
        assert!(matches!(event, Some(Received::Event { data, .. }) if data == text), "data is what was sent");
    }
});

/// What the session made of a frame that it read.
fn received(frame: &[u8], received: Option<Received>) {
    let is_object = is_json(frame) && frame.trim_ascii_start().starts_with(b"{");
    match received {
        Some(Received::Event { channel, event, data }) => {
            assert!(is_object, "only an object is an event");
            let place = Place { spool: Uuid::nil(), sequence: 7 };
            let channel = channel.as_deref().and_then(Channel::from_name);
            body(Arrival { channel, event: Some(event), place: Some(place) }, data.as_bytes());
        }
        Some(Received::Unreadable { bytes }) => assert!(bytes == frame, "it is kept as it came"),
        None => assert!(is_object, "odd is not lost"),
    }
}

/// What must hold for any body.
fn body(arrival: Arrival, bytes: &[u8]) {
    let body = match chatapp::decode(bytes.to_vec()) {
        Ok(body) => body,
        Err(undecodable) => return assert!(undecodable.bytes == bytes),
    };
    let items = chatapp::normalize(arrival, body.clone());
    let (expected, is_one) = (items.len(), items.len() == 1);
    let mut events = 0;
    for Item { event, .. } in items {
        events += 1;
        assert!(!is_one || body.get().contains(event.raw.get()), "raw is the body, byte for byte");
        becomes_a_record(event);
    }
    assert!(events == expected && events > 0, "an event for each item");
    if let Some(chat) = ChatId::new("1") {
        for Item { event, .. } in chatapp::fetched(&Channel::Unnamed, &chat, &body) {
            assert!(event.raw.get().contains(body.get()), "raw has the item, byte for byte");
            becomes_a_record(event);
        }
    }
}

fn becomes_a_record(event: Event) {
    assert!(is_json(event.raw.get().as_bytes()));
    let record = prepare_event(event, &Policy::default(), now()).record(&RecordFactory::default(), now());
    let record = record.expect("nothing is dropped");
    assert!(!record.key.is_empty());
    assert!(is_json(&record.value), "a value is JSON");
}
