//! Notification to event: a plain function that never fails.
//!
//! A field that is missing, misspelt or of another type than documented is left out. An unknown type becomes
//! [`Kind::Unknown`] with the common blocks that could be read. The body itself is kept beside. No I/O, no clock, no
//! Kafka.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::event::{
    Chat, ChatId, ChatType, DeliveryState, Direction, Event, EventId, InstanceId, Kind, Origin, Sender, Source,
    SourceId, Status, UpstreamError,
};
use chatbridge_base::json::Json;

mod call;
mod content;
mod instance;
mod message;

/// Reads one GREEN-API notification body as an event of `instance`, the instance it was received for.
#[must_use]
pub fn normalize(instance: InstanceId, raw: Box<RawValue>) -> Event {
    // The text of a RawValue is valid JSON. If it were not, the event would still be published, as unknown.
    let body = Json::parse(raw.get()).unwrap_or(Json::Null);

    let mut canonical = Vec::with_capacity(raw.get().len());
    body.write_canonical(&mut canonical);
    let id = EventId::of(&SourceId::GreenApi(instance).uri(), &canonical);

    let upstream_type = body.get("typeWebhook").words().or_else(|| flat_type(&body)).unwrap_or_default();
    let claimed = body.get("instanceData").get("idInstance");
    let event = Event {
        id,
        time: time(body.get("timestamp")),
        source: source(instance, &body),
        chat: chat(&body),
        sender: sender(&body),
        kind: kind(upstream_type, &body),
        upstream_type: upstream_type.to_owned(),
        foreign: !claimed.is_null() && claimed.integer() != i64::try_from(instance.get()).ok(),
        unread: body.has_opaque(),
        raw: RawValue::NULL.to_owned(),
    };
    drop(body);
    Event { raw, ..event }
}

/// Unix seconds. Negative times are invalid, and RFC 3339 cannot express years before 0.
fn time(seconds: &Json) -> Option<Timestamp> {
    seconds.integer().filter(|seconds| *seconds >= 0).and_then(|seconds| Timestamp::from_second(seconds).ok())
}

fn source(instance: InstanceId, body: &Json) -> Source {
    let data = body.get("instanceData");
    Source::GreenApi {
        instance,
        account: owned(data.get("wid")),
        // For MAX the value is the version of its API.
        messenger: data.get("typeInstance").words().map(|word| if word == "v3" { "max" } else { word }.to_owned()),
    }
}

/// The type of a body in the flat form of GREEN-API's journals, which has no `typeWebhook`: the type that the same
/// event has otherwise. If an outgoing message does not mention the API, it is unknown whether it came from the phone.
fn flat_type(body: &Json) -> Option<&'static str> {
    let type_message = body.get("typeMessage").words().map(lower_first)?;
    match (body.get("type").words()?, &*type_message) {
        (_, "incomingCall") => Some("incomingCall"),
        (_, "outgoingCall") => Some("outgoingCall"),
        ("incoming", _) => Some("incomingMessageReceived"),
        ("outgoing", _) if body.get("sendByApi").boolean() == Some(true) => Some("outgoingAPIMessageReceived"),
        ("outgoing", _) => Some("outgoingMessageReceived"),
        _ => None,
    }
}

/// The object with the chat and the sender; in the flat form this is the body itself.
fn parties<'j, 'a>(body: &'j Json<'a>) -> &'j Json<'a> {
    content::data_object(body, &["senderData"])
}

/// This order of look-ups covers every documented sample.
fn chat(body: &Json) -> Option<Chat> {
    let parties = parties(body);
    let id = [parties.get("chatId"), body.get("chatId"), body.get("from"), body.get("avatarInfo").get("chatId")]
        .into_iter()
        .find_map(Json::words)
        .and_then(ChatId::new)?;
    let chat_type = chat_type(&id, parties.get("chatType").words());
    Some(Chat { chat_type, name: owned(parties.get("chatName")), id, details: None })
}

/// By the given type, else by the id. A group's id is never a person's, whatever the given type: MAX has called groups
/// `user`.
fn chat_type(id: &ChatId, word: Option<&str>) -> Option<ChatType> {
    let by_id = id.chat_type();
    match word.and_then(named_chat_type) {
        Some(ChatType::Private | ChatType::Bot) if by_id == Some(ChatType::Group) => by_id,
        named => named.or(by_id),
    }
}

fn named_chat_type(word: &str) -> Option<ChatType> {
    match word {
        "user" => Some(ChatType::Private),
        "group" => Some(ChatType::Group),
        "supergroup" => Some(ChatType::Supergroup),
        "channel" => Some(ChatType::Channel),
        "bot" => Some(ChatType::Bot),
        _ => None,
    }
}

fn sender(body: &Json) -> Option<Sender> {
    let data = parties(body);
    Some(Sender {
        id: [data.get("sender"), body.get("senderId")].into_iter().find_map(Json::words).and_then(ChatId::new)?,
        name: owned(data.get("senderName")),
        contact_name: owned(data.get("senderContactName")),
        sender_type: owned(data.get("senderType")),
        bot: data.get("isBot").boolean(),
        phone: phone(data.get("senderPhoneNumber")),
        username: None,
        email: None,
    })
}

/// 0 means a hidden number.
fn phone(number: &Json) -> Option<String> {
    number.words().filter(|number| *number != "0").map(str::to_owned)
}

fn kind(upstream_type: &str, body: &Json) -> Kind {
    match &*lower_first(upstream_type) {
        "incomingMessageReceived" => message::message(Direction::Incoming, Origin::Contact, body),
        "outgoingMessageReceived" => message::message(Direction::Outgoing, outgoing_origin(body), body),
        "outgoingAPIMessageReceived" => message::message(Direction::Outgoing, Origin::Api, body),
        "outgoingMessageStatus" => Kind::MessageStatus(status(Direction::Outgoing, body)),
        "incomingMessageStatus" => Kind::MessageStatus(status(Direction::Incoming, body)),
        "incomingCall" => Kind::Call(call::call(Direction::Incoming, body)),
        "outgoingCall" => Kind::Call(call::call(Direction::Outgoing, body)),
        "stateInstanceChanged" => Kind::InstanceState(instance::state(body.get("stateInstance"))),
        "statusInstanceChanged" => Kind::InstanceSocket(instance::state(body.get("statusInstance"))),
        "deviceInfo" => instance::device_info(body),
        "quotaExceeded" => Kind::QuotaExceeded(instance::quota(body.get("quotaData"))),
        "incomingBlock" => instance::incoming_block(body),
        _ => Kind::Unknown,
    }
}

/// The type says that it was not written through the API. If the type was derived here and the body does not say so, it
/// is unknown.
fn outgoing_origin(body: &Json) -> Origin {
    let is_said = body.get("typeWebhook").words().is_some() || body.get("sendByApi").boolean().is_some();
    if is_said { Origin::Phone } else { Origin::Unknown }
}

/// One vendor page capitalises the type, another the typeMessage.
fn lower_first(word: &str) -> Cow<'_, str> {
    if !word.starts_with(|first: char| first.is_ascii_uppercase()) {
        return Cow::Borrowed(word);
    }
    let mut lowered = word.to_owned();
    lowered[..1].make_ascii_lowercase();
    Cow::Owned(lowered)
}

fn status(direction: Direction, body: &Json) -> Status {
    let word = body.get("status").words();
    let description = body.get("description").words();
    Status {
        message_id: owned(body.get("idMessage")),
        direction,
        state: DeliveryState::from_word(word.unwrap_or_default()),
        status: word.map(str::to_owned),
        error: description.and_then(UpstreamError::at_start_of).map(|(error, _)| error),
        description: description.map(str::to_owned),
        sent_by_api: body.get("sendByApi").boolean(),
        app: None,
    }
}

/// The field, unless it is absent or empty.
fn owned(value: &Json) -> Option<String> {
    value.words().map(str::to_owned)
}

#[cfg(test)]
mod tests;
