//! Makes the `message` block from `messageData`.

use super::{content, owned};
use crate::event::message::{Quoted, ReplyTo};
use crate::event::{Content, DeliveryState, Direction, Kind, Message, Origin};
use chatbridge_base::json::Json;

/// In the flat form, the contents of `messageData` are in the body itself.
pub(super) fn message(direction: Direction, origin: Origin, body: &Json) -> Kind {
    let data = content::data_object(body, &["messageData"]);
    let content = content::of_message(data);
    let reply_to = reply_to(&content, data);
    // In broken vendor samples the quoted object is beside messageData.
    let quoted = [data, body].into_iter().map(|place| place.get("quotedMessage")).find(|found| found.is_object());
    let quoted = quoted.map(quoted_message).filter(|quoted| {
        // A reaction's quoted object is its target. Unless it has content of its own, the reaction says everything
        // already.
        quoted.content.is_some() || !matches!(content, Content::Reaction { .. })
    });
    let (forwarded, forwarding_score) = forwarding(data);
    let status = data.get("statusMessage").words();
    // In an edit or a deletion, this text would be about the message that it refers to.
    let is_about_another = matches!(content, Content::Edit(_) | Content::Deletion { .. });
    let flag = |name: &str| data.get(name).boolean().filter(|_| !is_about_another);
    Kind::Message(Box::new(Message {
        id: owned(body.get("idMessage")),
        direction,
        origin,
        quoted: quoted.or_else(|| reply_to.as_ref().map(quoted_without_object)),
        reply_to,
        content,
        forwarded,
        forwarding_score,
        state: status.map(DeliveryState::from_word),
        status: status.map(str::to_owned),
        edited: flag("isEdited"),
        deleted: flag("isDeleted"),
        internal_id: None,
        subtype: None,
        app: None,
        employee: None,
    }))
}

/// `isForwarded` and `forwardingScore` are in the data object, whatever its name, or beside it.
fn forwarding(data: &Json) -> (Option<bool>, Option<i64>) {
    let Json::Object(members) = data else { return (None, None) };
    let inside = members.iter().filter(|(key, _)| key != "quotedMessage").map(|(_, value)| value);
    let places: Vec<&Json> = inside.chain([data]).collect();
    (
        places.iter().find_map(|place| place.get("isForwarded").boolean()),
        places.iter().find_map(|place| place.get("forwardingScore").integer()),
    )
}

fn quoted_message(quoted: &Json) -> Quoted {
    Quoted {
        message_id: owned(quoted.get("stanzaId")),
        participant: owned(quoted.get("participant")),
        content: content::of_quoted(quoted),
    }
}

/// In an answer's text this is the answered message. Elsewhere `stanzaId` means something else and is part of the
/// content.
fn reply_to(content: &Content, data: &Json) -> Option<ReplyTo> {
    if !matches!(content, Content::Text(_) | Content::Link(_)) {
        return None;
    }
    let extended = content::data_object(data, &content::EXTENDED_TEXT);
    let reply_to =
        ReplyTo { message_id: owned(extended.get("stanzaId")), participant: owned(extended.get("participant")) };
    (reply_to != ReplyTo::default()).then_some(reply_to)
}

/// The oldest form of an answer has no quoted object, only the ids beside the text.
fn quoted_without_object(reply_to: &ReplyTo) -> Quoted {
    Quoted { message_id: reply_to.message_id.clone(), participant: reply_to.participant.clone(), content: None }
}
