//! Messages, their statuses, reactions and deletions.

use super::{content, id, owned, parties};
use crate::event::message::Quoted;
use crate::event::{Chat, Content, DeliveryState, Direction, Kind, Message, Origin, Status};
use chatbridge_base::json::Json;

pub(super) fn message(item: &Json) -> Kind {
    let direction = direction(item);
    let app = parties::app(item.get("fromApp"));
    let employee = id(item.get("created"));
    let is_note = item.get("type").words() == Some("system");
    let origin = match direction {
        Direction::Incoming => Origin::Contact,
        Direction::Outgoing if item.get("fromApi").boolean() == Some(true) => Origin::Api,
        // Messages of an employee were written in ChatApp, and so were notes.
        Direction::Outgoing if app.is_some() || employee.is_some() || is_note => Origin::App,
        Direction::Outgoing => Origin::Phone,
        Direction::Unknown => Origin::Unknown,
    };
    Kind::Message(Box::new(Message {
        id: owned(item.get("id")),
        direction,
        origin,
        content: content::of(item),
        quoted: quoted(item.get("quotedMessage")),
        reply_to: None,
        forwarded: None,
        forwarding_score: None,
        state: None,
        status: None,
        edited: None,
        deleted: None,
        internal_id: owned(item.get("internalId")),
        subtype: owned(item.get("subtype")),
        app,
        employee,
    }))
}

fn direction(item: &Json) -> Direction {
    match (item.get("side").words(), item.get("fromMe").boolean()) {
        (Some("in"), _) => Direction::Incoming,
        (Some("out"), _) => Direction::Outgoing,
        (_, Some(true)) => Direction::Outgoing,
        (_, Some(false)) => Direction::Incoming,
        (_, None) => Direction::Unknown,
    }
}

fn quoted(quoted: &Json) -> Option<Quoted> {
    let says_something = quoted.get("message").is_object() || quoted.get("type").words().is_some();
    quoted.is_object().then(|| Quoted {
        message_id: owned(quoted.get("id")),
        participant: None,
        content: says_something.then(|| content::of(quoted)),
    })
}

/// The author of a deletion is not given.
pub(super) fn deletion(item: &Json) -> Kind {
    about(Direction::Unknown, Origin::Unknown, Content::Deletion { message_id: owned(item.get("id")) })
}

pub(super) fn reaction(item: &Json, chat: Option<&Chat>) -> Kind {
    let emoji = owned(item.get("reaction"));
    let (emoji, taken_back) = match item.get("action").words() {
        Some("unreact") => (None, emoji),
        _ => (emoji, None),
    };
    // A private chat has the id of its person; for anybody else the side is unknown.
    let is_other_side = item
        .get("fromUser")
        .get("id")
        .words()
        .is_some_and(|author| chat.is_some_and(|chat| chat.id.as_str() == author));
    let (direction, origin) = match is_other_side {
        true => (Direction::Incoming, Origin::Contact),
        false => (Direction::Unknown, Origin::Unknown),
    };
    let message_id = owned(item.get("id"));
    about(direction, origin, Content::Reaction { emoji, message_id, participant: None, taken_back })
}

/// Something about another message, without a message id of its own.
fn about(direction: Direction, origin: Origin, content: Content) -> Kind {
    Kind::Message(Box::new(Message {
        id: None,
        direction,
        origin,
        content,
        quoted: None,
        reply_to: None,
        forwarded: None,
        forwarding_score: None,
        state: None,
        status: None,
        edited: None,
        deleted: None,
        internal_id: None,
        subtype: None,
        app: None,
        employee: None,
    }))
}

pub(super) fn status(item: &Json) -> Kind {
    let word = item.get("type").words();
    // Its form is unknown; take what can be read.
    let error = item.get("error");
    let description = [error, error.get("message"), error.get("code")].into_iter().find_map(owned);
    Kind::MessageStatus(Status {
        message_id: owned(item.get("id")),
        direction: Direction::Outgoing,
        state: match word.unwrap_or_default() {
            "viewed" => DeliveryState::Read,
            word => DeliveryState::from_word(word),
        },
        status: word.map(str::to_owned),
        description,
        error: None,
        sent_by_api: None,
        app: parties::app(item.get("fromApp")),
    })
}
