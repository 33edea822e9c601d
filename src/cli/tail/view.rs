//! Reads what a line shows from a record, in any form of its value. Pure.

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::words;
use crate::core::consume::ConsumedRecord;
use crate::redact::Redactor;
use chatbridge_base::json::Json;
use chatbridge_event::record::dead_letter::MARK_REASON;
use chatbridge_event::record::unframed;

/// The parts of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct View {
    /// When it happened, or the record's own time.
    pub(super) time: Option<Timestamp>,
    /// The instance, or the words for ChatApp's channel, if known.
    pub(super) instance: Option<String>,
    /// The event's kind, if known. For a dead letter, the kind that its event would have had.
    pub(super) kind: Option<String>,
    /// `in` or `out`, if the event has a direction.
    pub(super) direction: &'static str,
    /// The text in the column of the kind.
    pub(super) label: String,
    /// Who said what.
    pub(super) words: String,
}

impl View {
    /// From a record of an event topic.
    pub(super) fn of_event(record: &ConsumedRecord) -> Self {
        let value = unframed(&record.value);
        let text = serde_json::from_slice::<&RawValue>(value).ok().map(RawValue::get);
        let document = text.and_then(Json::parse).unwrap_or(Json::Null);
        // In structured mode the event is inside an envelope.
        let event = if document.get("specversion").is_null() { &document } else { document.get("data") };
        let kind = event.get("kind").words().map(str::to_owned);
        let time = event.get("time").words().and_then(|time| time.parse().ok());
        let direction = ["message", "status", "call"]
            .into_iter()
            .find_map(|block| event.get(block).get("direction").words())
            .map_or("", |direction| match direction {
                "outgoing" => "out",
                "incoming" => "in",
                _ => "",
            });
        let words = match kind {
            Some(_) => words::of_event(event),
            None => format!("no event of chatbridge: {} bytes", record.value.len()),
        };
        Self {
            time: time.or_else(|| stamped(record)),
            instance: place(event.get("source")),
            label: kind.clone().unwrap_or_else(|| "?".to_owned()),
            kind,
            direction,
            words,
        }
    }

    /// From a record of the dead-letter topic.
    pub(super) fn of_dead_letter(record: &ConsumedRecord, redactor: &Redactor) -> Self {
        let header = |name: &str| record.header(name).unwrap_or_default();
        let reason = header("reason");
        let words = match reason {
            MARK_REASON => format!("its event is in {} now", header("topic")),
            _ => format!("{}, for {}, {} bytes", redactor.text(header("error")), header("topic"), record.value.len()),
        };
        Self {
            time: stamped(record),
            instance: record
                .header("instance")
                .or_else(|| header("ce_source").strip_prefix("/chatapp/"))
                .map(str::to_owned),
            kind: header("ce_type").split('.').nth(1).map(str::to_owned),
            direction: "",
            label: format!("dead: {reason}"),
            words,
        }
    }
}

/// `1101000001`, `1229/telegram`, `2226`.
fn place(source: &Json<'_>) -> Option<String> {
    let words = || ["license", "messenger", "company", "user"].iter().filter_map(|word| source.get(word).words());
    let channel = || words().collect::<Vec<_>>().join("/");
    source.get("instance").words().map(str::to_owned).or_else(|| Some(channel()).filter(|words| !words.is_empty()))
}

fn stamped(record: &ConsumedRecord) -> Option<Timestamp> {
    record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok())
}

/// Which events are shown. An empty list means any.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// Keys of chats, whole or only the part before the `@`.
    pub(super) chats: Vec<String>,
    /// Names of kinds.
    pub(super) kinds: Vec<&'static str>,
    /// Ids of instances.
    pub(super) instances: Vec<String>,
}

impl Filter {
    pub(super) fn wants(&self, view: &View, key: &str) -> bool {
        let user = key.split_once('@').map_or(key, |(user, _)| user);
        let any = |have: Option<&str>, wanted: &[String]| {
            wanted.is_empty() || have.is_some_and(|have| wanted.iter().any(|wanted| wanted == have))
        };
        (any(Some(key), &self.chats) || any(Some(user), &self.chats))
            && (self.kinds.is_empty() || view.kind.as_deref().is_some_and(|kind| self.kinds.contains(&kind)))
            && any(view.instance.as_deref(), &self.instances)
    }
}
