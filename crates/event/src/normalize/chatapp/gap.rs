//! The event by which the bridge itself says what it may have missed.

use jiff::Timestamp;
use serde_json::value::{RawValue, to_raw_value};

use crate::event::{Channel, Event, EventId, Gap, GapReason, Kind, KindName, Source};
use chatbridge_base::json::Json;

/// A stretch of `channel` from `from` to `to` that was not heard; `missing` are the kinds that cannot be fetched.
///
/// Told twice in the same words it has the same id. Its time is the end of the stretch.
#[must_use]
pub fn gap(channel: &Channel, from: Timestamp, to: Timestamp, reason: GapReason, missing: Vec<KindName>) -> Event {
    let gap = Gap { channel: channel.name(), from, to, reason, missing };
    let source = Source::ChatApp(channel.clone());
    // A body nobody sent, for the dead letters should Kafka refuse the event.
    let raw = to_raw_value(&gap).unwrap_or_else(|_| RawValue::NULL.to_owned());
    let mut content = Vec::new();
    Json::Array(vec![Json::String("gap".into()), Json::parse(raw.get()).unwrap_or(Json::Null)])
        .write_canonical(&mut content);
    Event {
        id: EventId::of(&source.id().uri(), &content),
        time: Some(to),
        source,
        chat: None,
        sender: None,
        kind: Kind::Gap(gap),
        upstream_type: String::new(),
        foreign: false,
        raw,
    }
}
