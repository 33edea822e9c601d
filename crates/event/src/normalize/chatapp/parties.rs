//! The chat, the author and the application of an item.

use super::{id, owned};
use crate::event::{App, Chat, ChatDetails, ChatId, ChatType, Sender, Tag, TagCategory};
use chatbridge_base::json::Json;

/// The chat an item names, or the one it was fetched from.
pub(super) fn chat(chat: &Json, fetched_from: Option<&ChatId>) -> Option<Chat> {
    let id = chat.get("id").words().and_then(ChatId::new).or_else(|| fetched_from.cloned())?;
    let chat_type = chat.get("type").words().map_or_else(|| type_by_id(&id), chat_type);
    let details = details(chat);
    Some(Chat {
        chat_type,
        name: owned(chat.get("name")),
        details: (details != ChatDetails::default()).then(|| Box::new(details)),
        id,
    })
}

fn chat_type(word: &str) -> Option<ChatType> {
    match word {
        "private" => Some(ChatType::Private),
        "group" => Some(ChatType::Group),
        "channel" => Some(ChatType::Channel),
        _ => None,
    }
}

/// Telegram's ids begin with the type; the others are WhatsApp's.
fn type_by_id(id: &ChatId) -> Option<ChatType> {
    match id.as_str().split_once('-') {
        Some((word @ ("private" | "group" | "channel"), _)) => chat_type(word),
        _ => id.chat_type(),
    }
}

fn details(chat: &Json) -> ChatDetails {
    ChatDetails {
        phone: owned(chat.get("phone")),
        username: owned(chat.get("username")),
        email: owned(chat.get("email")),
        image_url: owned(chat.get("image")),
        link: owned(chat.get("link")),
        tags: several(chat.get("tags"), tag),
        responsible: id(chat.get("responsible")),
        responsible_pinned: chat.get("responsiblePin").boolean(),
        producer: id(chat.get("producer")),
        accomplices: several(chat.get("accomplices"), id),
        auditors: several(chat.get("auditors"), id),
        status: owned(chat.get("status")),
        level: id(chat.get("level")),
        process: owned(chat.get("process")),
    }
}

fn several<T>(list: &Json, read: impl Fn(&Json) -> Option<T>) -> Option<Vec<T>> {
    matches!(list, Json::Array(_)).then(|| list.items().iter().filter_map(read).collect())
}

pub(super) fn tag(tag: &Json) -> Option<Tag> {
    let category = tag.get("category");
    let category = category.is_object().then(|| TagCategory {
        id: owned(category.get("id")),
        name: owned(category.get("name")),
        sort: category.get("sort").integer(),
    });
    tag.is_object().then(|| Tag {
        id: owned(tag.get("id")),
        name: owned(tag.get("name")),
        color: owned(tag.get("color")),
        sort: tag.get("sort").integer(),
        category,
    })
}

pub(super) fn sender(user: &Json) -> Option<Sender> {
    Some(Sender {
        id: user.get("id").words().and_then(ChatId::new)?,
        name: owned(user.get("name")),
        contact_name: None,
        sender_type: None,
        bot: None,
        phone: owned(user.get("phone")),
        username: owned(user.get("username")),
        email: owned(user.get("email")),
    })
}

pub(super) fn app(app: &Json) -> Option<App> {
    let read = App { id: owned(app.get("id")), sender: owned(app.get("sender")), tracking: owned(app.get("tracking")) };
    (read != App::default()).then_some(read)
}
