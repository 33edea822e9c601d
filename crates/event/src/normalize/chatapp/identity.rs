//! The identity of ChatApp's events: what the `ce_id` is made of, and which form of which message an event is.
//!
//! ChatApp gives events no id. A message that comes by push, by callback and by fetching looks different each time:
//! more or fewer fields, numbers as strings, members in another order. So the id is made of what is the same in all of
//! them, and of the channel, which is the namespace. It is a JSON array in canonical form, with scalars written as
//! strings:
//!
//! | event | made of |
//! | --- | --- |
//! | `message` | `["message", chat, id, text, caption, "file" where there is one, else ""]` |
//! | `messageStatus` | `["messageStatus", chat, id, type, time]` |
//! | `messageDestroy`, a fetched message that is `destroyed` | `["messageDestroy", chat, id]` |
//! | `messageReaction` | `["messageReaction", chat, id, fromUser.id, reaction, action, time]` |
//! | all others, and these where chat or id is missing | `[event, item, spool, sequence, index]` |
//! | a gap | `["gap", gap, spool, sequence]` |
//! | bytes that cannot be read | `["unreadable", spool, sequence]` |
//!
//! *The text of a message is included*, so that an edited message is an event of its own. Fields that may differ
//! between roads are not: a file's link may be signed anew with each fetch.
//!
//! *A form that comes back has a new id.* A text may be edited back to what it was, a reaction removed and added again,
//! a file replaced under the same caption. The id of such a form is UUIDv5 in the namespace of the id above, over the
//! `ce_id` of the form that it replaces, written with hyphens. The bridge uses [`Form`] to detect this.
//!
//! *The time of a status is included*, because several people may read one message.
//!
//! *All others include their place in the spool*: if a tag is added, removed and added again within a millisecond,
//! these are three events, and the first and the third are identical. `spool` is a random UUID that is made with the
//! spool's file, `sequence` counts the frames in it and is never reused, `index` is the item's index in the body. An
//! event that is read again from the spool has the same id. If ChatApp sends it again, or by two roads at once (socket
//! and callback), it is a new event.

use std::borrow::Cow;

use uuid::Uuid;

use crate::event::{ChatId, EventId};
use chatbridge_base::json::Json;

/// A place in the spool. No other frame has or will ever have the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The spool's own id, made with its file.
    pub spool: Uuid,
    /// The frame's number in the spool.
    pub sequence: u64,
}

/// Distinguishes equal items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Occurrence {
    /// The place of its body.
    pub place: Option<Place>,
    /// Its index in the body.
    pub index: usize,
}

/// Something that goes through several forms: a message with its edits and its deletion, the statuses of a message, or
/// one person's reaction to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject(u128);

impl Subject {
    /// The number under which it is stored.
    #[must_use]
    pub fn number(self) -> u128 {
        self.0
    }

    /// The subject with this number.
    #[must_use]
    pub fn from_number(number: u128) -> Self {
        Self(number)
    }
}

/// One form of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// The subject.
    pub subject: Subject,
    /// Identifies what all roads have in common. It is the event's id if the subject never had this form before.
    pub words: EventId,
    /// The same with everything else in the message: the file with its link, the location.
    pub exact: u128,
    /// Whether it is an earlier form: the content of a deleted message.
    pub is_past: bool,
}

/// The id of an item's event, and its form if it is one.
#[must_use]
pub(super) fn of(
    source: &str,
    event: &str,
    item: &Json<'_>,
    chat: Option<&ChatId>,
    occurrence: Occurrence,
) -> (EventId, Option<Form>) {
    if let Some(form) = form(source, event, item, chat) {
        return (form.words, Some(form));
    }
    let index = occurrence.index.to_string();
    let [spool, sequence] = place_words(occurrence.place);
    let content = [text(event), as_text(item), spool, sequence, Json::String(index.into())];
    (id(source, content.to_vec()), None)
}

/// The id of the event about a gap.
pub(super) fn of_gap(source: &str, gap: Json<'_>, place: Option<Place>) -> EventId {
    let [spool, sequence] = place_words(place);
    id(source, vec![text("gap"), gap, spool, sequence])
}

/// The id of bytes that cannot be read.
#[must_use]
pub fn of_unreadable(source: &str, place: Place) -> EventId {
    let [spool, sequence] = place_words(Some(place));
    id(source, vec![text("unreadable"), spool, sequence])
}

/// The id of a form that its subject had before, and that now replaces the one with the id `replaced`.
#[must_use]
pub fn of_return(words: EventId, replaced: EventId) -> EventId {
    words.within(&replaced.to_string())
}

fn form(source: &str, event: &str, item: &Json<'_>, chat: Option<&ChatId>) -> Option<Form> {
    let field = |name: &str| text(item.get(name).words().unwrap_or_default());
    let author = || text(item.get("fromUser").get("id").words().unwrap_or_default());
    // The subject, what distinguishes its forms, and what only an exact copy shares.
    let (of, said, rest) = match event {
        "message" => {
            let message = item.get("message");
            let said = |name: &str| text(message.get(name).words().unwrap_or_default());
            let file = text(if message.get("file").is_null() { "" } else { "file" });
            ("message", vec![said("text"), said("caption"), file], rest_of(message))
        }
        "messageDestroy" => ("message", vec![], None),
        "messageStatus" => ("messageStatus", vec![field("type"), field("time")], None),
        "messageReaction" => {
            ("messageReaction", vec![author(), field("reaction"), field("action"), field("time")], None)
        }
        _ => return None,
    };
    let of_whom = if of == "messageReaction" { vec![author()] } else { vec![] };
    let message = [text(chat?.as_str()), text(item.get("id").words()?)];
    let words = named(source, event, &message, said.clone());
    let exact = rest.map_or(words, |rest| named(source, event, &message, [said, vec![rest]].concat()));
    Some(Form {
        subject: Subject(number(named(source, "subject", &message, [vec![text(of)], of_whom].concat()))),
        words,
        exact: number(exact),
        is_past: event == "message" && item.get("destroyed").boolean() == Some(true),
    })
}

fn named<'j>(source: &str, what: &'j str, message: &[Json<'j>; 2], more: Vec<Json<'j>>) -> EventId {
    id(source, [vec![text(what)], message.to_vec(), more].concat())
}

/// The contents of a message beside its text, without empty values.
fn rest_of<'j>(message: &'j Json<'j>) -> Option<Json<'j>> {
    let Json::Object(members) = message else { return None };
    let rest = members.iter().filter(|(name, _)| !matches!(&**name, "text" | "caption"));
    let rest: Vec<_> = rest.filter_map(|(name, value)| Some((Cow::Borrowed(&**name), said(value)?))).collect();
    (!rest.is_empty()).then_some(Json::Object(rest))
}

/// A value without empty parts, scalars as strings, links without their signature.
fn said<'j>(value: &'j Json<'j>) -> Option<Json<'j>> {
    match value {
        Json::Object(members) => {
            let members: Vec<_> =
                members.iter().filter_map(|(name, value)| Some((Cow::Borrowed(&**name), said(value)?))).collect();
            (!members.is_empty()).then_some(Json::Object(members))
        }
        Json::Array(items) => {
            let items: Vec<_> = items.iter().filter_map(said).collect();
            (!items.is_empty()).then_some(Json::Array(items))
        }
        Json::String(words) => (!words.is_empty()).then(|| text(unsigned(words))),
        Json::Null => None,
        Json::Bool(_) | Json::Number(_) | Json::Opaque(_) => Some(as_text(value)),
    }
}

/// A link without its query if that holds a signature: it may differ each time for the same file.
fn unsigned(link: &str) -> &str {
    let Some((path, query)) = link.split_once('?').filter(|(path, _)| path.contains("://")) else { return link };
    let is_signature = |parameter: &str| {
        let name = parameter.split('=').next().unwrap_or_default().to_ascii_lowercase();
        name == "sig" || name.ends_with("signature")
    };
    if query.split('&').any(is_signature) { path } else { link }
}

fn id(source: &str, words: Vec<Json<'_>>) -> EventId {
    let mut content = Vec::new();
    Json::Array(words).write_canonical(&mut content);
    EventId::of(source, &content)
}

fn number(id: EventId) -> u128 {
    u128::from_be_bytes(id.bytes())
}

fn place_words<'j>(place: Option<Place>) -> [Json<'j>; 2] {
    let words = place.map_or_else(Default::default, |place| [place.spool.to_string(), place.sequence.to_string()]);
    words.map(|words: String| Json::String(words.into()))
}

fn text(words: &str) -> Json<'_> {
    Json::String(Cow::Borrowed(words))
}

/// The same with numbers and booleans as strings, because ChatApp writes them either way.
fn as_text<'j>(value: &'j Json<'j>) -> Json<'j> {
    match value {
        Json::Null => Json::Null,
        Json::Bool(_) | Json::String(_) => text(value.text().unwrap_or_default()),
        Json::Number(_) => {
            let mut digits = Vec::new();
            value.write_canonical(&mut digits);
            Json::String(String::from_utf8_lossy(&digits).into_owned().into())
        }
        Json::Array(items) => Json::Array(items.iter().map(as_text).collect()),
        Json::Object(members) => {
            Json::Object(members.iter().map(|(name, value)| (Cow::Borrowed(&**name), as_text(value))).collect())
        }
        Json::Opaque(text) => Json::Opaque(text),
    }
}
