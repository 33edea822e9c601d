//! ChatApp's bodies to events: one for each item of `data`, in its order. Plain functions that never fail.
//!
//! A body is `{"data":[…],"meta":{…}}`, on the socket inside `payload` as well (reference chatapp §1.2, §3.3). What is
//! missing, misspelt or of another type than documented leaves its field absent; an event nobody knows, an item that is
//! no object and a body without items each become one [`Kind::Unknown`] with everything in `raw`.
//!
//! # What `raw` is
//!
//! The body as it came, with this one item in `data` and all else untouched, out of its `payload` where that holds
//! everything there is. So consumers find `raw.data[0]` and `raw.meta`, whatever the road, and nothing is lost. A body
//! with one item is its own `raw`, byte for byte. Where so many items stand in so large a body that the copies of what is
//! around them would come to more than 64 MiB, it is not taken apart and becomes one [`Kind::Unknown`].
//!
//! # What the `ce_id` is made of
//!
//! See [`identity`]: ids are made so that a message has one id by push, by callback and by fetching, while its edit, its
//! deletion and each of its statuses have their own.

use std::borrow::Cow;
use std::ops::Range;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::event::{Channel, Chat, ChatId, DeadLetterReason, Event, EventId, Kind, Source, Undecodable};
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
use identity::Occurrence;

/// What the frames of a body may come to when each of its items gets one: beyond that it is not taken apart. Bodies seen
/// have a few items and some hundred bytes around them.
const FRAMES_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What is known of a body beside its bytes.
#[derive(Debug, Clone, Default)]
pub struct Arrival {
    /// The channel it was received on; where the road has none, the one that `meta` names.
    pub channel: Option<Channel>,
    /// The name of the event it came as, for bodies whose `meta` names none.
    pub event: Option<String>,
    /// When it was received. Whoever reads it again from a spool has to give the same time: ids of events that upstream
    /// gives no identity are made of it.
    pub at: Option<Timestamp>,
}

/// The events of one body, made one at a time.
pub struct Items {
    arrival: Arrival,
    body: Box<RawValue>,
    /// The part of the body that becomes `raw`.
    scope: Range<usize>,
    /// Where `data` stands; a body without items has none.
    data: Option<Range<usize>>,
    /// Where its items stand; of a body without items, the whole body.
    items: Vec<Range<usize>>,
    next: usize,
    meta: Meta,
    wrapped: bool,
}

/// What `meta` says.
#[derive(Default)]
struct Meta {
    event: String,
    channel: Option<Channel>,
    /// Only in what the bridge fetched itself: see [`fetched`].
    chat: Option<ChatId>,
    is_fetched: bool,
}

/// Whether a body looks like ChatApp's, for readers of bodies of every origin.
#[must_use]
pub fn is_body(document: &Json<'_>) -> bool {
    [document, document.get("payload")]
        .into_iter()
        .any(|body| matches!(body.get("data"), Json::Array(_) | Json::Object(_)) && body.get("meta").is_object())
}

/// The JSON in `bytes`.
///
/// # Errors
/// What goes to the dead letters, where there is none.
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
        // Where, not what: serde_json's own message may quote the content.
        error: format!("not JSON, line {} column {}", error.line(), error.column()),
        bytes: text.into_bytes(),
    })
}

/// Reads a body. There is always at least one event in it.
#[must_use]
pub fn normalize(arrival: Arrival, body: Box<RawValue>) -> Items {
    let text = body.get();
    let (whole, members) = (0..text.len(), json::members_of(text).unwrap_or_default());
    let payload = find(&members, "payload").filter(|_| find(&members, "data").is_none());
    let inside = payload.as_ref().and_then(|at| json::members_of(&text[at.clone()]));
    let wrapped = inside.is_some();
    let (scope, at, members) = match (payload, inside) {
        // A wrapper that holds something beside the payload stays in `raw`.
        (Some(payload), Some(inside)) if members.len() > 1 => (whole.clone(), payload.start, inside),
        (Some(payload), Some(inside)) => (payload.clone(), payload.start, inside),
        _ => (whole.clone(), 0, members),
    };
    let shifted = |range: Range<usize>, by: usize| range.start + by..range.end + by;
    let data = find(&members, "data").map(|range| shifted(range, at));
    let items = data.as_ref().map_or_else(Vec::new, |data| match json::items_of(&text[data.clone()]) {
        Some(items) => items.into_iter().map(|item| shifted(item, data.start)).collect(),
        // One item where a list of them should be.
        None if text[data.clone()].starts_with('{') => vec![data.clone()],
        None => Vec::new(),
    });
    let meta = find(&members, "meta").and_then(|range| Json::parse(&text[shifted(range, at)]));
    let meta = Meta::of(&meta.unwrap_or(Json::Null), &arrival);
    let frames_bytes = data.as_ref().map_or(0, |data| items.len().saturating_mul(scope.len() - data.len()));
    let is_taken_apart = items.len() == 1 || (items.len() > 1 && frames_bytes <= FRAMES_BYTES_MAX);
    let (data, items) = if is_taken_apart { (data, items) } else { (None, vec![whole]) };
    Items { arrival, scope, data, items, next: 0, meta, wrapped, body }
}

/// Where the member `name` stands; of several the last counts.
fn find(members: &[(Cow<'_, str>, Range<usize>)], name: &str) -> Option<Range<usize>> {
    members.iter().rev().find(|(key, _)| key == name).map(|(_, at)| at.clone())
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

    /// Whether no items were found in it: its one event is the body itself, as unknown.
    #[must_use]
    pub fn is_without_items(&self) -> bool {
        self.data.is_none()
    }

    fn raw(&self, item: &Range<usize>) -> Box<RawValue> {
        let (body, scope) = (self.body.get(), &self.scope);
        match &self.data {
            None => self.body.clone(),
            Some(data) => {
                let text = if self.items.len() == 1 {
                    body[scope.clone()].to_owned()
                } else {
                    let (before, after) = (&body[scope.start..data.start], &body[data.end..scope.end]);
                    [before, "[", &body[item.clone()], "]", after].concat()
                };
                // Pieces of JSON put together as JSON; were it ever not so, the whole body says it all as well.
                RawValue::from_string(text).unwrap_or_else(|_| self.body.clone())
            }
        }
    }

    fn event(&self, index: usize, at: &Range<usize>) -> Event {
        // Text out of a RawValue is JSON, so this reads.
        let item = Json::parse(&self.body.get()[at.clone()]).unwrap_or(Json::Null);
        let meta = &self.meta;
        let channel = self.arrival.channel.as_ref().or(meta.channel.as_ref()).unwrap_or(&Channel::Unnamed);
        let foreign = meta.channel.as_ref().is_some_and(|claimed| claimed != channel);
        let occurrence = Occurrence { at: self.arrival.at, index };
        // Fetched, the deletion is an event of its own beside the message.
        let is_destroyed = item.get("destroyed").boolean() == Some(true) && !meta.is_fetched;
        let event = match meta.event.as_str() {
            _ if self.data.is_none() => "",
            "message" if is_destroyed => "messageDestroy",
            event => event,
        };
        let event = event_of(channel, event, &item, meta.chat.as_ref(), occurrence);
        Event { raw: self.raw(at), foreign, upstream_type: meta.event.clone(), ..event }
    }
}

impl Iterator for Items {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let at = self.items.get(self.next)?.clone();
        self.next += 1;
        Some(self.event(self.next - 1, &at))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.items.len() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Items {}

/// The event of one item, but for its `raw`. `chat` is the one it was fetched from.
fn event_of(channel: &Channel, event: &str, item: &Json, chat: Option<&ChatId>, occurrence: Occurrence) -> Event {
    let chat = parties::chat(item.get("chat"), chat);
    let kind = if item.is_object() { kind(event, item, chat.as_ref()) } else { Kind::Unknown };
    let source = Source::ChatApp(channel.clone());
    let content = identity::of(event, item, chat.as_ref().map(|chat| &chat.id), occurrence);
    // A message says when it was written and by whom, and nothing of who destroyed it when.
    let is_told = event != "messageDestroy" || item.get("destroyed").is_null();
    Event {
        id: EventId::of(&source.id().uri(), &content),
        time: seconds(item.get("time")).filter(|_| is_told),
        sender: parties::sender(item.get("fromUser")).filter(|_| is_told),
        chat,
        kind,
        upstream_type: event.to_owned(),
        foreign: false,
        source,
        raw: RawValue::NULL.to_owned(),
    }
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

/// Unix seconds. Nothing was sent before 1970, and RFC 3339 has no words for the years before Christ.
fn seconds(seconds: &Json) -> Option<Timestamp> {
    seconds.integer().filter(|seconds| *seconds >= 0).and_then(|seconds| Timestamp::from_second(seconds).ok())
}

/// A field that is there and says something.
fn owned(value: &Json) -> Option<String> {
    value.words().map(str::to_owned)
}

/// The `id` of an object that is there for nothing else, also where it is the id itself.
fn id(value: &Json) -> Option<String> {
    owned(value.get("id")).or_else(|| owned(value))
}

#[cfg(test)]
mod tests;
