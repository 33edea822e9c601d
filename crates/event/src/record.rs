//! Event to record: what Kafka gets. Plain functions; the time is passed in.
//!
//! The form is the contract with consumers: CloudEvents 1.0 over Kafka, keyed by chat, in binary mode unless another
//! [`ValueForm`] is configured. The value has a struct of its own here, so that the core [`Event`] may change without
//! consumers noticing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_with::skip_serializing_none;

use crate::event::{
    Call, Chat, ChatChange, ChatId, Employee, Event, EventId, Gap, Instance, Kind, KindName, Message,
    QuickResponseChange, Sender, Source, SourceId, Status,
};
use crate::trace::{self, Sampling, TRACEPARENT};
use chatbridge_base::json::Json;

pub mod dead_letter;
mod value_form;

pub use value_form::{SchemaIds, ValueForm, unframed};

/// Kafka's retention may delete records with older timestamps, so such an event gets the time of its publishing
/// instead.
const TIMESTAMP_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Brokers refuse timestamps far in the future (`message.timestamp.after.max.ms`).
const TIMESTAMP_AHEAD_MAX: Duration = Duration::from_secs(5 * 60);
/// The usual size of a value without `raw`.
const VALUE_BYTES_BESIDE_RAW: usize = 1024;
/// A shorter thumbnail is not worth removing.
const THUMBNAIL_BYTES_KEPT: usize = 256;

/// Names the schema of the value: the `$id` of its JSON Schema. A breaking change makes it `v2`.
pub const EVENT_SCHEMA: &str = "urn:chatbridge:event:v1";

/// [`TRACEPARENT`] as an attribute.
const CE_TRACEPARENT: &str = "ce_traceparent";

/// Headers by name, in the order they are written.
pub type Headers = Vec<(&'static str, String)>;

/// One Kafka record.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// The topic it goes to.
    pub topic: Arc<str>,
    /// The key: the chat, or its source if there is no chat. Never empty.
    pub key: String,
    /// The headers.
    pub headers: Headers,
    /// The record's timestamp in Unix milliseconds.
    pub timestamp_ms: i64,
    /// The value.
    pub value: Vec<u8>,
}

/// One event of a chat, or of the source it came from, as chatbridge publishes it. Fields without a value are absent, never null.
///
/// This is the value of a record in binary mode, and the schema's root.
#[skip_serializing_none]
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct Value<'a> {
    /// The event: repeats of it carry the same id. Also the header `ce_id`.
    id: EventId,
    /// What it is, and which block it has.
    kind: KindName,
    /// When it happened, where upstream says so.
    time: Option<Timestamp>,
    /// Where it came from.
    source: &'a Source,
    /// The chat it belongs to; events of the source itself have none.
    chat: Option<&'a Chat>,
    /// Who caused it.
    sender: Option<&'a Sender>,
    /// Block of the kind `message`.
    message: Option<&'a Message>,
    /// Block of the kind `message_status`.
    status: Option<&'a Status>,
    /// Block of the kind `call`.
    call: Option<&'a Call>,
    /// Block of the kinds `instance_state`, `instance_socket`, `instance_device` and `quota_exceeded`.
    instance: Option<&'a Instance>,
    /// Block of the kinds `avatar_changed`, `chat_blocked` and `chat_update`.
    chat_change: Option<&'a ChatChange>,
    /// Block of the kind `employee`.
    employee: Option<&'a Employee>,
    /// Block of the kind `quick_response`.
    quick_response: Option<&'a QuickResponseChange>,
    /// Block of the kind `gap`.
    gap: Option<&'a Gap>,
    /// Present and true where preview pictures were taken out because Kafka refused the whole record.
    reduced: Option<bool>,
    /// The notification's body exactly as it came; where it brought several events, with this one alone. Absent where
    /// the bridge is configured to leave it out, and where it made the event itself.
    raw: Option<&'a RawValue>,
}

/// How much of an event goes into its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    Whole,
    /// Without preview pictures, and marked as such: the second try of a record that is too large for Kafka.
    WithoutThumbnails,
}

/// Makes records for the configured topics.
#[derive(Debug, Clone)]
pub struct RecordFactory {
    /// The topic of events whose kind has no topic of its own.
    pub topic: Arc<str>,
    /// Topics of single kinds, by the kind's name.
    pub routing: BTreeMap<&'static str, Arc<str>>,
    /// The topic of dead letters.
    pub dead_letter_topic: Arc<str>,
    /// Whether the body is included as `raw`.
    pub include_raw: bool,
    /// The form of the values of events.
    pub form: ValueForm,
    /// Whether records and dead letters carry their trace, and which traces are marked as sampled.
    pub traceparent: Option<Sampling>,
}

/// The default topics, with `raw`, in binary mode, without `traceparent`.
impl Default for RecordFactory {
    fn default() -> Self {
        Self {
            topic: "chat-events".into(),
            routing: BTreeMap::new(),
            dead_letter_topic: "chat-events-dlq".into(),
            include_raw: true,
            form: ValueForm::Plain,
            traceparent: None,
        }
    }
}

impl RecordFactory {
    /// The topic of events of this kind.
    #[must_use]
    pub fn topic_of(&self, kind: &str) -> &Arc<str> {
        self.routing.get(kind).unwrap_or(&self.topic)
    }

    /// The record of `event`. `now` is the timestamp of events that have no usable time.
    #[must_use]
    pub fn record(&self, event: &Event, extent: Extent, now: Timestamp) -> Record {
        self.record_to(self.topic_of(event.kind.name()), event, extent, now)
    }

    fn traceparent(&self, event: EventId) -> Option<String> {
        self.traceparent.map(|sampling| trace::traceparent(event, sampling))
    }

    /// A gap is the bridge's own event, so it has no body. What was not understood, or not read to its end, is only in
    /// the body.
    fn wants_raw(&self, event: &Event) -> bool {
        let is_elsewhere = event.kind.is_understood() && !event.unread;
        !matches!(event.kind, Kind::Gap(_)) && (self.include_raw || !is_elsewhere)
    }

    /// Whether events go to this topic.
    #[must_use]
    pub fn is_event_topic(&self, topic: &Arc<str>) -> bool {
        *topic == self.topic || self.routing.values().any(|routed| routed == topic)
    }

    /// The record of `event` for this topic, which must be a topic of events: other topics have no schema id.
    #[must_use]
    pub fn record_to(&self, topic: &Arc<str>, event: &Event, extent: Extent, now: Timestamp) -> Record {
        let reduced = (extent == Extent::WithoutThumbnails).then(|| without_thumbnails(event));
        let event = reduced.as_ref().unwrap_or(event);
        let object = Value {
            id: event.id,
            kind: event.kind.kind_name(),
            time: event.time,
            source: &event.source,
            chat: event.chat.as_ref(),
            sender: event.sender.as_ref(),
            message: if let Kind::Message(message) = &event.kind { Some(message) } else { None },
            status: if let Kind::MessageStatus(status) = &event.kind { Some(status) } else { None },
            call: if let Kind::Call(call) = &event.kind { Some(call) } else { None },
            instance: match &event.kind {
                Kind::InstanceState(instance)
                | Kind::InstanceSocket(instance)
                | Kind::InstanceDevice(instance)
                | Kind::QuotaExceeded(instance) => Some(instance),
                _ => None,
            },
            chat_change: match &event.kind {
                Kind::AvatarChanged(change) | Kind::ChatBlocked(change) => Some(change),
                Kind::ChatUpdate(change) => Some(change),
                _ => None,
            },
            employee: if let Kind::Employee(employee) = &event.kind { Some(employee) } else { None },
            quick_response: if let Kind::QuickResponse(change) = &event.kind { Some(change) } else { None },
            gap: if let Kind::Gap(gap) = &event.kind { Some(gap) } else { None },
            reduced: reduced.is_some().then_some(true),
            raw: self.wants_raw(event).then_some(&*event.raw),
        };
        let traceparent = self.traceparent(event.id);
        let attributes = attributes(event, traceparent.as_deref());
        let mut value = self.form.opening(topic, &attributes);
        // Most of a value is `raw`: reserve room for it, so that a large value is not moved as it grows.
        value.reserve(event.raw.get().len() + VALUE_BYTES_BESIDE_RAW);
        serde_json::to_writer(&mut value, &object)
            .expect("string keys and a Vec: nothing in a value can fail to serialise");
        value.extend_from_slice(self.form.closing());
        let mut headers = self.form.headers(attributes);
        headers.extend(traceparent.map(|traceparent| (TRACEPARENT, traceparent)));
        Record {
            topic: Arc::clone(topic),
            key: key(&event.source.id(), event.chat.as_ref()),
            headers,
            timestamp_ms: timestamp(event.time, now).as_millisecond(),
            value,
        }
    }
}

/// [`headers`], and the trace as in CloudEvents' extension for distributed tracing. Tracing libraries do not read
/// CloudEvents attributes, so the record has the header `traceparent` as well; over one hop both must be equal.
fn attributes(event: &Event, traceparent: Option<&str>) -> Headers {
    let mut attributes = headers(event);
    attributes.extend(traceparent.map(|traceparent| (CE_TRACEPARENT, traceparent.to_owned())));
    attributes
}

/// A GREEN-API chat's id without the parts that do not distinguish chats: a `:N` device suffix and the older WhatsApp
/// domain. Nothing else is merged; a lid and a phone number stay two chats.
#[must_use]
pub fn chat_key(chat: &ChatId) -> String {
    let id = chat.as_str();
    let Some((user, domain)) = id.rsplit_once('@') else { return id.to_owned() };
    let user = match user.rsplit_once(':') {
        Some((bare, device)) if device.bytes().all(|byte| byte.is_ascii_digit()) => bare,
        _ => user,
    };
    let domain = if domain == "s.whatsapp.net" { "c.us" } else { domain };
    format!("{user}@{domain}")
}

/// The key of an event's record. ChatApp's ids are opaque, so they are kept unchanged.
#[must_use]
pub fn key(source: &SourceId, chat: Option<&Chat>) -> String {
    match (source, chat) {
        (_, None) => source.key(),
        (SourceId::GreenApi(_), Some(chat)) => chat_key(&chat.id),
        (SourceId::ChatApp(_), Some(chat)) => chat.id.as_str().to_owned(),
    }
}

/// The CloudEvents attributes as `ce_` headers: the Kafka binding's binary mode.
#[must_use]
pub fn headers(event: &Event) -> Headers {
    let mut headers = vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", event.id.to_string()),
        ("ce_source", event.source.id().uri()),
        ("ce_type", format!("chatbridge.{}.v1", event.kind.name())),
        ("ce_dataschema", EVENT_SCHEMA.to_owned()),
    ];
    if let Some(chat) = &event.chat {
        headers.push(("ce_subject", chat.id.as_str().to_owned()));
    }
    if let Some(time) = event.time {
        headers.push(("ce_time", time.to_string()));
    }
    headers.push(("content-type", "application/json".to_owned()));
    headers
}

fn timestamp(event_time: Option<Timestamp>, now: Timestamp) -> Timestamp {
    event_time
        .filter(|time| {
            let age = now.duration_since(*time);
            age.is_negative() && age.unsigned_abs() <= TIMESTAMP_AHEAD_MAX
                || !age.is_negative() && age.unsigned_abs() <= TIMESTAMP_AGE_MAX
        })
        .unwrap_or(now)
}

fn without_thumbnails(event: &Event) -> Event {
    let mut event = event.clone();
    if let Kind::Message(message) = &mut event.kind {
        message.content.remove_thumbnail();
        if let Some(content) = message.quoted.as_mut().and_then(|quoted| quoted.content.as_mut()) {
            content.remove_thumbnail();
        }
    }
    if let Some(mut body) = Json::parse(event.raw.get())
        && body.remove_long("jpegThumbnail", THUMBNAIL_BYTES_KEPT)
    {
        let mut text = Vec::with_capacity(event.raw.get().len());
        body.write_canonical(&mut text);
        if let Some(raw) = String::from_utf8(text).ok().and_then(|text| RawValue::from_string(text).ok()) {
            event.raw = raw;
        }
    }
    event
}

#[cfg(test)]
mod tests;
