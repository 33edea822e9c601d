//! The content of a message, and of a message quoted in one: the same forms under other names.
//!
//! A message keeps its content in a data object named after its type. A quoted one keeps it flat, or under a shorter
//! name. So each form looks for its data object under every name that was ever seen, and if there is none, reads the
//! fields from the place where the object should have been.

use std::borrow::Cow;

use super::{lower_first, owned};
use crate::event::{ChatId, Content, UpstreamError};
use chatbridge_base::json::Json;

mod controls;
mod media;
mod places;
mod polls;
mod shop;
mod text;

/// Where the text of an answer, a link or a reaction is: in a message, and in a quoted one or in the flat form.
pub(super) const EXTENDED_TEXT: [&str; 2] = ["extendedTextMessageData", "extendedTextMessage"];

/// The content in `messageData`.
pub(super) fn of_message(data: &Json) -> Content {
    let type_message = data.get("typeMessage").words();
    let known = type_message.map(lower_first).or_else(|| type_by_fields(data).map(Cow::Borrowed));
    known
        .and_then(|known| of_type(&known, data))
        .unwrap_or_else(|| Content::Unsupported { type_message: type_message.map(str::to_owned) })
}

/// The content of a `quotedMessage` object; `None` if it only refers to a message.
pub(super) fn of_quoted(quoted: &Json) -> Option<Content> {
    let says_something = quoted.get("typeMessage").words().is_some() || type_by_fields(quoted).is_some();
    says_something.then(|| of_message(quoted))
}

/// The first of `names` that is an object in `place`, else `place` itself.
pub(super) fn data_object<'j, 'a>(place: &'j Json<'a>, names: &[&str]) -> &'j Json<'a> {
    names.iter().map(|name| place.get(name)).find(|found| found.is_object()).unwrap_or(place)
}

/// The message that a data object refers to.
fn target(place: &Json, data: &Json) -> Option<String> {
    of_target(place, data, "stanzaId")
}

/// What a data object says about the message it refers to. Without a data object, these fields are a quoted message's
/// own.
fn of_target(place: &Json, data: &Json, field: &str) -> Option<String> {
    (!std::ptr::eq(place, data)).then(|| owned(data.get(field)))?
}

fn of_type(type_message: &str, place: &Json) -> Option<Content> {
    Some(match type_message {
        "textMessage" => text::text(place),
        // There is no quotedMessageData: the answer's text is in extendedTextMessageData.
        "extendedTextMessage" | "quotedMessage" => text::text_or_link(place),
        "imageMessage" => Content::Image(media::media(place)),
        "videoMessage" => Content::Video(media::media(place)),
        "documentMessage" => Content::Document(media::media(place)),
        "audioMessage" => Content::Audio(media::media(place)),
        "stickerMessage" => Content::Sticker(media::media(place)),
        "locationMessage" => Content::Location(places::location(place)),
        "contactMessage" => Content::Contacts { contacts: places::one_contact(place) },
        "contactsArrayMessage" => Content::Contacts { contacts: places::many_contacts(place) },
        "groupInviteMessage" => Content::GroupInvite(places::group_invite(place)),
        "pollMessage" | "pollCreationMessage" => Content::Poll(polls::poll(place)),
        "pollUpdateMessage" => Content::PollVote(polls::poll_vote(place)),
        "reactionMessage" => reaction(place),
        "editedMessage" => Content::Edit(text::edit(place)),
        "deletedMessage" => {
            let message_id = target(place, data_object(place, &["deletedMessageData"]));
            Content::Deletion { message_id: message_id.or_else(|| owned(place.get("deletedMessageId"))) }
        }
        "buttonsMessage" => Content::Buttons(controls::buttons(place)),
        "listMessage" => Content::List(controls::list(place)),
        "templateMessage" => Content::Template(controls::template(place)),
        "buttonsResponseMessage" => Content::ButtonReply(controls::buttons_reply(place)),
        "listResponseMessage" => Content::ButtonReply(controls::list_reply(place)),
        "templateButtonsReplyMessage" | "templateButtonReplyMessage" => {
            Content::ButtonReply(controls::template_reply(place))
        }
        // A message with reply buttons; pressing one gives the *Response*.
        "interactiveButtons" | "interactiveButtonsReply" | "interactiveButtonReply" => controls::interactive(place),
        "interactiveButtonsResponse" => Content::ButtonReply(controls::interactive_reply(place)),
        "productMessage" => Content::Product(Box::new(shop::product(place))),
        "orderMessage" => Content::Order(Box::new(shop::order(place))),
        _ => return None,
    })
}

/// The message it reacts to is in a quoted object; in the flat form, beside the emoji.
fn reaction(place: &Json) -> Content {
    let data = data_object(place, &EXTENDED_TEXT);
    let quoted = place.get("quotedMessage");
    Content::Reaction {
        emoji: owned(data.get("text")),
        message_id: owned(quoted.get("stanzaId")).or_else(|| target(place, data)),
        participant: owned(quoted.get("participant")).or_else(|| of_target(place, data, "participant")),
        taken_back: None,
    }
}

/// If `typeMessage` is missing, a field that only one type has decides.
fn type_by_fields(place: &Json) -> Option<&'static str> {
    [
        ("textMessageData", "textMessage"),
        ("extendedTextMessageData", "extendedTextMessage"),
        ("extendedTextMessage", "extendedTextMessage"),
        ("textMessage", "textMessage"),
        ("locationMessageData", "locationMessage"),
        ("location", "locationMessage"),
        ("contactMessageData", "contactMessage"),
        ("contact", "contactMessage"),
        ("contacts", "contactsArrayMessage"),
        ("editedMessageData", "editedMessage"),
        ("deletedMessageData", "deletedMessage"),
        ("groupInviteMessageData", "groupInviteMessage"),
        ("pollCreationMessage", "pollMessage"),
    ]
    .into_iter()
    .find(|(field, _)| !place.get(field).is_null())
    .map(|(_, known)| known)
}

/// The text of a field, or the error that stands in its place. If text follows the marker, it is kept, because a person
/// may have written it.
fn words_or_error(value: &Json) -> (Option<String>, Option<UpstreamError>) {
    let Some(words) = value.words() else { return (None, None) };
    match UpstreamError::at_start_of(words) {
        Some((error, "")) => (None, Some(error)),
        Some((error, _)) => (Some(words.to_owned()), Some(error)),
        None => (Some(words.to_owned()), None),
    }
}

fn chat_id(value: &Json) -> Option<ChatId> {
    value.words().and_then(ChatId::new)
}
