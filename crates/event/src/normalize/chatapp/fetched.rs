//! Events of messages that were fetched instead of pushed.

use serde_json::value::RawValue;

use super::identity::Occurrence;
use super::{Item, content, item_of};
use crate::event::{Channel, ChatId, Event};
use chatbridge_base::json::Json;

/// Members of the `meta` that the bridge adds to what it fetched: the chat from the request's path …
pub(super) const CHAT: &str = "chatId";
/// … and that it was fetched.
pub(super) const MARK: &str = "fetched";

/// The events of one item of a message list, in the order in which they happened.
///
/// A message becomes the event that its push would have been, with the same id. One that is `destroyed` becomes two:
/// the message, if it still has content, and its deletion, each with the id of its push. So consumers that know either
/// are not told again, and consumers that missed both get both.
///
/// `raw` has the form of a pushed body, so that consumers find the item in the same place. Its `meta` is the bridge's:
/// the event, the channel, the chat, and `"fetched":true`.
#[must_use]
pub fn fetched(channel: &Channel, chat: &ChatId, item: &RawValue) -> Vec<Item> {
    let view = Json::parse(item.get()).unwrap_or(Json::Null);
    let event = |name: &str| {
        let Item { event, form } = item_of(channel, name, &view, Some(chat), Occurrence::default());
        Item { event: Event { raw: raw(channel, chat, name, item), ..event }, form }
    };
    let is_destroyed = view.get("destroyed").boolean() == Some(true);
    let message = (!is_destroyed || content::says_something(&view)).then(|| event("message"));
    let deletion = is_destroyed.then(|| event("messageDestroy"));
    message.into_iter().chain(deletion).collect()
}

fn raw(channel: &Channel, chat: &ChatId, name: &str, item: &RawValue) -> Box<RawValue> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        data: [&'a RawValue; 1],
        meta: Meta<'a>,
    }
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Meta<'a> {
        #[serde(rename = "type")]
        event: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        license_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        messenger_type: Option<&'a str>,
        chat_id: &'a str,
        fetched: bool,
    }
    let (license_id, messenger_type) = match channel {
        Channel::Messenger { license, messenger } => (Some(license.as_str()), Some(messenger.as_str())),
        _ => (None, None),
    };
    let meta = Meta { event: name, license_id, messenger_type, chat_id: chat.as_str(), fetched: true };
    serde_json::value::to_raw_value(&Body { data: [item], meta }).unwrap_or_else(|_| item.to_owned())
}
