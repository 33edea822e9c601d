//! What tells one ChatApp event from another: what its `ce_id` is made of, and of which message it is a form.
//!
//! ChatApp gives events no id. One message comes by push, by callback and by fetching, each time in another dress: with
//! more fields or fewer, numbers as strings, members in another order. So the id is made of what is the same in all of
//! them, and of the channel, which is the namespace. As a JSON array, scalars written as strings, in canonical form:
//!
//! | event | made of |
//! | --- | --- |
//! | `message` | `["message", chat, id, text, caption, "file" where there is one, else ""]` |
//! | `messageStatus` | `["messageStatus", chat, id, type, time]` |
//! | `messageDestroy`, a fetched message that is `destroyed` | `["messageDestroy", chat, id]` |
//! | `messageReaction` | `["messageReaction", chat, id, fromUser.id, reaction, action, time]` |
//! | all others, and these where chat or id is missing | `[event, item, spool, sequence, index]` |
//! | a gap | `["gap", gap, spool, sequence]` |
//! | bytes that nobody can read | `["unreadable", spool, sequence]` |
//!
//! *The words of a message take part*, so that an edited message is an event of its own. Fields that the roads may spell
//! differently do not: a file's link may be signed anew with each fetch.
//!
//! *A form that comes back has another id than before.* A text may be edited back to what it was, a reaction taken back
//! and put again, a file replaced under the same caption. The id of such a form is UUIDv5 in the namespace of the id
//! above, over the `ce_id` of the form that it replaces, written with hyphens. [`Form`] is what the bridge needs to see
//! that.
//!
//! *A status has its time*, for several people may read one message.
//!
//! *The others have their place in the spool*: a tag put on, taken off and put on again within a millisecond is three
//! events, of which the first and the third are the same to the letter. `spool` is a random UUID that is made with the
//! spool's file, `sequence` counts the frames in it and is never given twice, `index` is the item's place in the body.
//! Read again from the spool an event has the same id; sent again by ChatApp, or by two roads at once (socket and
//! callback), it is a new event.

use std::borrow::Cow;

use uuid::Uuid;

use crate::event::{ChatId, EventId};
use chatbridge_base::json::Json;

/// Where something lies in the spool. No other frame has or will ever have the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The spool's own id, made with its file.
    pub spool: Uuid,
    /// The frame's number there.
    pub sequence: u64,
}

/// Which of several equal items this is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Occurrence {
    /// Where its body lies.
    pub place: Option<Place>,
    /// Its place among the items of the body.
    pub index: usize,
}

/// Something that has one form after the other: a message with its edits and its end, the statuses of a message, one
/// person's reaction to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subject(u128);

impl Subject {
    /// The number that it is stored under.
    #[must_use]
    pub fn number(self) -> u128 {
        self.0
    }

    /// The one that is stored under this number.
    #[must_use]
    pub fn from_number(number: u128) -> Self {
        Self(number)
    }
}

/// What an event says of its subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    /// What it is a form of.
    pub subject: Subject,
    /// What all roads tell alike; the event's id, as long as the subject did not have this form before.
    pub words: EventId,
    /// The same with everything else that the message holds: the file with its link, the location.
    pub exact: u128,
    /// Whether it is not the form of now: what a destroyed message said.
    pub is_past: bool,
}

/// The id of an item's event, and its form where it is one.
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

/// The id of the event by which the bridge tells of a gap.
pub(super) fn of_gap(source: &str, gap: Json<'_>, place: Option<Place>) -> EventId {
    let [spool, sequence] = place_words(place);
    id(source, vec![text("gap"), gap, spool, sequence])
}

/// The id of bytes that nobody can read.
#[must_use]
pub fn of_unreadable(source: &str, place: Place) -> EventId {
    let [spool, sequence] = place_words(Some(place));
    id(source, vec![text("unreadable"), spool, sequence])
}

/// The id of a form that its subject had before, replacing the one with the id `replaced`.
#[must_use]
pub fn of_return(words: EventId, replaced: EventId) -> EventId {
    words.within(&replaced.to_string())
}

fn form(source: &str, event: &str, item: &Json<'_>, chat: Option<&ChatId>) -> Option<Form> {
    let field = |name: &str| text(item.get(name).words().unwrap_or_default());
    let author = || text(item.get("fromUser").get("id").words().unwrap_or_default());
    // What the subject is called, what tells its forms from one another, and what only an exact copy has.
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

/// What a message holds beside its words, as far as it says something.
fn rest_of<'j>(message: &'j Json<'j>) -> Option<Json<'j>> {
    let Json::Object(members) = message else { return None };
    let rest = members.iter().filter(|(name, _)| !matches!(&**name, "text" | "caption"));
    let rest: Vec<_> = rest.filter_map(|(name, value)| Some((Cow::Borrowed(&**name), said(value)?))).collect();
    (!rest.is_empty()).then_some(Json::Object(rest))
}

/// A value without what says nothing, scalars as strings, links without their signature.
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

/// A link without its query, where that holds a signature: it may be another one each time for the same file.
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

/// The same with numbers and booleans as strings, for ChatApp writes them either way.
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
