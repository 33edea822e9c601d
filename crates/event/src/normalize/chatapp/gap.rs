//! The bridge's own event about what it may have missed.

use serde_json::value::{RawValue, to_raw_value};

use super::identity::{self, Place};
use crate::event::{Channel, Event, Gap, Kind, Source};
use chatbridge_base::json::Json;

/// The event of a gap of `channel`; `missing` are the kinds that cannot be fetched.
///
/// Its id is made of its place in the spool, not of its times: two gaps may have the same times if a clock stood still
/// or went back. Its time is the end of the gap.
#[must_use]
pub fn gap(channel: &Channel, gap: Gap, place: Option<Place>) -> Event {
    let gap = Gap { channel: channel.name(), ..gap };
    let source = Source::ChatApp(channel.clone());
    // A made-up body, for the dead letters if Kafka refuses the event.
    let raw = to_raw_value(&gap).unwrap_or_else(|_| RawValue::NULL.to_owned());
    let id = identity::of_gap(&source.id().uri(), Json::parse(raw.get()).unwrap_or(Json::Null), place);
    Event {
        id,
        time: Some(gap.to),
        source,
        chat: None,
        sender: None,
        kind: Kind::Gap(gap),
        upstream_type: String::new(),
        foreign: false,
        unread: false,
        raw,
    }
}
