//! What tells one ChatApp event from another: the content of its `ce_id` (reference chatapp §7.5).
//!
//! Upstream gives events no id. One message comes by push, by callback and by fetching, each time in another dress: with
//! more fields or fewer, numbers as strings, members in another order. So the id is made of what is the same in all of
//! them, and of the channel, which is the namespace. As a JSON array, scalars written as strings, in canonical form:
//!
//! | event | made of |
//! | --- | --- |
//! | `message` | `["message", chat, id, text, caption, "file" where there is one, else ""]` |
//! | `messageStatus` | `["messageStatus", chat, id, type, time]` |
//! | `messageDestroy`, a fetched message that is `destroyed` | `["messageDestroy", chat, id]` |
//! | `messageReaction` | `["messageReaction", chat, id, fromUser.id, reaction, action, time]` |
//! | all others, and these where chat or id is missing | `[event, item, received at (ms), place in the body]` |
//!
//! *The words of a message take part*, so that an edited message, pushed again or found by fetching, is an event of its
//! own and not taken for a repeat. Fields that the two forms may spell differently do not: a file's link may be signed
//! anew with each fetch.
//!
//! *A status has its time*, for several people may read one message.
//!
//! *The others have the time they were received*: a tag put on, taken off and put on again is three events, of which the
//! first and the third are the same to the letter. A repeat of such an event by upstream is therefore a new event; read
//! again from the bridge's own spool it is the same one. By two roads at once (socket and callback) it is two.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::event::ChatId;
use chatbridge_base::json::Json;

/// Which of several equal items this is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Occurrence {
    /// When its body was received.
    pub at: Option<Timestamp>,
    /// Its place among the items of the body.
    pub index: usize,
}

/// The content that the id of this item is made of.
#[must_use]
pub fn of(event: &str, item: &Json<'_>, chat: Option<&ChatId>, occurrence: Occurrence) -> Vec<u8> {
    let words = own_identity(event, item, chat).unwrap_or_else(|| {
        let at = occurrence.at.map_or_else(String::new, |at| at.as_millisecond().to_string());
        vec![text(event), as_text(item), Json::String(at.into()), Json::String(occurrence.index.to_string().into())]
    });
    let mut content = Vec::new();
    Json::Array(words).write_canonical(&mut content);
    content
}

fn own_identity<'j>(event: &'j str, item: &'j Json<'_>, chat: Option<&'j ChatId>) -> Option<Vec<Json<'j>>> {
    let field = |name: &str| text(item.get(name).words().unwrap_or_default());
    let more = match event {
        "message" => {
            let message = item.get("message");
            let said = |name: &str| text(message.get(name).words().unwrap_or_default());
            vec![said("text"), said("caption"), text(if message.get("file").is_null() { "" } else { "file" })]
        }
        "messageStatus" => vec![field("type"), field("time")],
        "messageDestroy" => vec![],
        "messageReaction" => {
            let author = text(item.get("fromUser").get("id").words().unwrap_or_default());
            vec![author, field("reaction"), field("action"), field("time")]
        }
        _ => return None,
    };
    let message = item.get("id").words()?;
    Some([vec![text(event), text(chat?.as_str()), text(message)], more].concat())
}

fn text(words: &str) -> Json<'_> {
    Json::String(Cow::Borrowed(words))
}

/// The same with numbers and booleans as strings: upstream's scalars wobble between the forms (reference chatapp §1.4).
fn as_text<'j>(value: &'j Json<'_>) -> Json<'j> {
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
