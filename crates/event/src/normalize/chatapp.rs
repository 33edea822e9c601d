//! ChatApp's bodies to events: one for each item of `data`, in order. Plain functions that never fail.
//!
//! A body is `{"data":[…],"meta":{…}}`; on the socket it may also be inside `payload`. A field that is missing,
//! misspelt or of another type than documented is left out. An unknown event, an item that is not an object and a body
//! without items each become one [`Kind::Unknown`] with everything in `raw`.
//!
//! # What `raw` is
//!
//! The body as it came, with only this item in `data` and everything else unchanged. A `payload` wrapper is removed if
//! it holds nothing else. So consumers find `raw.data[0]` and `raw.meta` by every road, and nothing is lost. A body
//! with one item is its own `raw`, byte for byte. A body with more than 50,000 items is not split and becomes one
//! [`Kind::Unknown`]. The same holds if repeating what surrounds the items would take more than 64 MiB.
//!
//! # What the `ce_id` is made of
//!
//! See [`identity`]: a message has the same id by push, by callback and by fetching, while its edit, its deletion and
//! each of its statuses have their own. What a message said before, and so which of its forms is new, is not known
//! here: an [`Item`] says which form of which subject it is, and the bridge remembers.

use std::ops::Range;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::event::{Channel, Chat, ChatId, DeadLetterReason, Event, Kind, Source, Undecodable};
use chatbridge_base::json::{self, Json};

mod change;
mod content;
mod fetched;
mod gap;
pub mod identity;
mod message;
mod parties;

pub use fetched::fetched;
pub use gap::gap;
use identity::{Form, Occurrence, Place};

/// The most bytes that repeating what surrounds the items may take; a body beyond that is not split. Bodies seen so far
/// have a few items and some hundred bytes around them.
const FRAMES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A body with more items than this is not split: what has to be remembered for each item until all are in Kafka would
/// take more memory than the body.
const ITEMS_MAX: usize = 50_000;

/// What is known about a body from outside.
#[derive(Debug, Clone, Default)]
pub struct Arrival {
    /// The channel it was received on. If the road has none, the one in `meta`.
    pub channel: Option<Channel>,
    /// The name of the event it came as, for bodies whose `meta` has none.
    pub event: Option<String>,
    /// Its place in the spool, for the ids of events that have no identity of their own.
    pub place: Option<Place>,
}

/// One item of a body, or one that was fetched.
pub struct Item {
    /// Its event, with the id that holds if its subject never had this form before.
    pub event: Event,
    /// Which form of which subject it is, if any.
    pub form: Option<Form>,
}

/// The items of one body, read one at a time.
pub struct Items {
    arrival: Arrival,
    body: Box<RawValue>,
    /// The part of the body that becomes `raw`.
    scope: Range<usize>,
    /// The range of `data`; `None` if the body has no items.
    data: Option<Range<usize>>,
    /// The remaining items of the list in `data`. `None` if there is a single item outside a list.
    list: Option<json::Items>,
    /// The number of items.
    count: usize,
    next: usize,
    meta: Meta,
    wrapped: bool,
}

/// The contents of `meta`.
#[derive(Default)]
struct Meta {
    event: String,
    channel: Option<Channel>,
    /// Only in bodies that the bridge fetched: see [`fetched`].
    chat: Option<ChatId>,
    is_fetched: bool,
}

/// Whether a body looks like ChatApp's, for code that reads bodies of any origin.
#[must_use]
pub fn is_body(document: &Json<'_>) -> bool {
    [document, document.get("payload")]
        .into_iter()
        .any(|body| matches!(body.get("data"), Json::Array(_) | Json::Object(_)) && body.get("meta").is_object())
}

/// The JSON in `bytes`.
///
/// # Errors
/// The dead letter, if it is not JSON.
pub fn decode(bytes: Vec<u8>) -> Result<Box<RawValue>, Undecodable> {
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let bytes = error.into_bytes();
            return Err(Undecodable {
                bytes,
                reason: DeadLetterReason::NotUtf8,
                error: "the body is not UTF-8".to_owned(),
            });
        }
    };
    serde_json::from_str::<Box<RawValue>>(text.trim_start_matches('\u{feff}')).map_err(|error| Undecodable {
        reason: DeadLetterReason::NotJson,
        // Only the position: serde_json's own message may quote the content.
        error: format!("not JSON, line {} column {}", error.line(), error.column()),
        bytes: text.into_bytes(),
    })
}

/// Reads a body. It always gives at least one event.
#[must_use]
pub fn normalize(arrival: Arrival, body: Box<RawValue>) -> Items {
    let text = body.get();
    let whole = 0..text.len();
    let (outside, outside_count) = json::members(text, ["data", "payload", "meta"]).unwrap_or_default();
    let [outer_data, payload, outer_meta] = outside;
    let payload = payload.filter(|_| outer_data.is_none());
    let inside = payload.clone().and_then(|at| json::members(&text[at], ["data", "meta"]));
    let wrapped = inside.is_some();
    let (scope, at, [data, meta]) = match (payload, inside) {
        // A wrapper with other members stays in `raw`.
        (Some(payload), Some((inside, _))) if outside_count > 1 => (whole, payload.start, inside),
        (Some(payload), Some((inside, _))) => (payload.clone(), payload.start, inside),
        _ => (whole, 0, [outer_data, outer_meta]),
    };
    let shifted = |range: Range<usize>| range.start + at..range.end + at;
    let (data, meta) = (data.map(shifted), meta.map(shifted));
    let list = data.clone().and_then(|data| json::Items::of(&text[data]));
    let count = match (&data, &list) {
        (Some(data), Some(list)) => list.count(&text[data.clone()]),
        // One item instead of a list.
        (Some(data), None) => usize::from(text[data.clone()].starts_with('{')),
        (None, _) => 0,
    };
    let meta = meta.and_then(|range| Json::parse(&text[range]));
    let meta = Meta::of(&meta.unwrap_or(Json::Null), &arrival);
    let frames_bytes = data.as_ref().map_or(0, |data| count.saturating_mul(scope.len() - data.len()));
    let is_taken_apart = count == 1 || (2..=ITEMS_MAX).contains(&count) && frames_bytes <= FRAMES_BYTES_MAX;
    let (data, list, count) = if is_taken_apart { (data, list, count) } else { (None, None, 1) };
    Items { arrival, scope, data, list, count, next: 0, meta, wrapped, body }
}

impl Meta {
    fn of(meta: &Json, arrival: &Arrival) -> Self {
        let event = meta.get("type").words().or(arrival.event.as_deref()).unwrap_or_default();
        let named = |name: &str| meta.get(name).words();
        let channel = Channel::of(named("licenseId"), named("messengerType"), named("companyId"), named("userId"));
        Self {
            event: event.to_owned(),
            channel: (channel != Channel::Unnamed).then_some(channel),
            chat: named(fetched::CHAT).and_then(ChatId::new),
            is_fetched: meta.get(fetched::MARK).boolean() == Some(true),
        }
    }
}

impl Items {
    /// Whether the body came inside `payload`.
    #[must_use]
    pub fn is_wrapped(&self) -> bool {
        self.wrapped
    }

    /// Whether it had no items: its one event is the body itself, as unknown.
    #[must_use]
    pub fn is_without_items(&self) -> bool {
        self.data.is_none()
    }

    fn raw(&self, item: &Range<usize>) -> Box<RawValue> {
        let (body, scope) = (self.body.get(), &self.scope);
        let text = match &self.data {
            None => return self.body.clone(),
            Some(_) if self.count == 1 => body[scope.clone()].to_owned(),
            Some(data) => {
                let (before, after) = (&body[scope.start..data.start], &body[data.end..scope.end]);
                [before, "[", &body[item.clone()], "]", after].concat()
            }
        };
        // The pieces are JSON, so the result is too. If it were not, the whole body would still hold everything.
        RawValue::from_string(text).unwrap_or_else(|_| self.body.clone())
    }

    /// The range of the next item; the whole body if it is not split.
    fn advance(&mut self) -> Option<Range<usize>> {
        if self.next == self.count {
            return None;
        }
        self.next += 1;
        let body = self.body.get();
        match (&self.data, &mut self.list) {
            (Some(data), Some(list)) => {
                let item = list.next(&body[data.clone()])?;
                Some(data.start + item.start..data.start + item.end)
            }
            (Some(data), None) => Some(data.clone()),
            (None, _) => Some(0..body.len()),
        }
    }

    fn item(&self, index: usize, at: &Range<usize>) -> Item {
        // The text of a RawValue is valid JSON, so this cannot fail.
        let item = Json::parse(&self.body.get()[at.clone()]).unwrap_or(Json::Null);
        let meta = &self.meta;
        let channel = self.arrival.channel.as_ref().or(meta.channel.as_ref()).unwrap_or(&Channel::Unnamed);
        let foreign = meta.channel.as_ref().is_some_and(|claimed| claimed != channel);
        let occurrence = Occurrence { place: self.arrival.place, index };
        // In a fetched message, the deletion is a separate event.
        let is_destroyed = item.get("destroyed").boolean() == Some(true) && !meta.is_fetched;
        let event = match meta.event.as_str() {
            _ if self.data.is_none() => "",
            "message" if is_destroyed => "messageDestroy",
            event => event,
        };
        let Item { event, form } = item_of(channel, event, &item, meta.chat.as_ref(), occurrence);
        Item { event: Event { raw: self.raw(at), foreign, upstream_type: meta.event.clone(), ..event }, form }
    }
}

impl Iterator for Items {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let at = self.advance()?;
        Some(self.item(self.next - 1, &at))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Items {}

/// One item, without its event's `raw`. `chat` is the one it was fetched from.
fn item_of(channel: &Channel, event: &str, item: &Json, chat: Option<&ChatId>, occurrence: Occurrence) -> Item {
    let chat = parties::chat(item.get("chat"), chat);
    let kind = if item.is_object() { kind(event, item, chat.as_ref()) } else { Kind::Unknown };
    let source = Source::ChatApp(channel.clone());
    let (id, form) = identity::of(&source.id().uri(), event, item, chat.as_ref().map(|chat| &chat.id), occurrence);
    // A message tells its own author and time, not those of its deletion.
    let is_told = event != "messageDestroy" || item.get("destroyed").is_null();
    let event = Event {
        id,
        time: seconds(item.get("time")).filter(|_| is_told),
        sender: parties::sender(item.get("fromUser")).filter(|_| is_told),
        chat,
        kind,
        upstream_type: event.to_owned(),
        foreign: false,
        unread: item.has_opaque(),
        source,
        raw: RawValue::NULL.to_owned(),
    };
    Item { event, form }
}

fn kind(event: &str, item: &Json, chat: Option<&Chat>) -> Kind {
    match event {
        "message" => message::message(item),
        "messageStatus" => message::status(item),
        "messageDestroy" => message::deletion(item),
        "messageReaction" => message::reaction(item, chat),
        "employeeStatus" | "employeeWorkday" => change::employee(event, item),
        "quickResponseList" | "quickResponse" => change::quick_response(event, item),
        _ => change::of_chat(event, item).unwrap_or(Kind::Unknown),
    }
}

/// Unix seconds. Negative times are invalid, and RFC 3339 cannot express years before 0.
fn seconds(seconds: &Json) -> Option<Timestamp> {
    seconds.integer().filter(|seconds| *seconds >= 0).and_then(|seconds| Timestamp::from_second(seconds).ok())
}

/// The field, unless it is absent or empty.
fn owned(value: &Json) -> Option<String> {
    value.words().map(str::to_owned)
}

/// The `id` of an object, or the value itself if it is the id.
fn id(value: &Json) -> Option<String> {
    owned(value.get("id")).or_else(|| owned(value))
}

#[cfg(test)]
mod tests;
