//! The common blocks: the chat of an event, its author, the application it came through.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::ChatId;

/// The chat of an event.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Chat {
    /// As it came; the record's key is its normalised form.
    pub id: ChatId,
    /// What sort of chat, where the id or upstream tells.
    #[serde(rename = "type")]
    pub chat_type: Option<ChatType>,
    /// Its display name.
    pub name: Option<String>,
    /// ChatApp: what else upstream knows of the other side, and how far the work on the chat is.
    pub details: Option<Box<ChatDetails>>,
}

/// What ChatApp says of a chat, beside the id and the name.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChatDetails {
    /// The other side's phone number.
    pub phone: Option<String>,
    /// The other side's name with the messenger.
    pub username: Option<String>,
    /// The other side's address.
    pub email: Option<String>,
    /// The chat's picture.
    pub image_url: Option<String>,
    /// A link to the chat.
    pub link: Option<String>,
    /// Its tags.
    pub tags: Option<Vec<Tag>>,
    /// The employee who answers for it.
    pub responsible: Option<String>,
    /// Whether that employee is pinned to it.
    pub responsible_pinned: Option<bool>,
    /// The employee who set the task.
    pub producer: Option<String>,
    /// Employees who help.
    pub accomplices: Option<Vec<String>>,
    /// Employees who watch.
    pub auditors: Option<Vec<String>>,
    /// Its status, in upstream's word.
    pub status: Option<String>,
    /// Its level.
    pub level: Option<String>,
    /// Its process, in upstream's word.
    pub process: Option<String>,
}

/// A tag that employees put to chats.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Tag {
    /// Its id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its colour, as it came.
    pub color: Option<String>,
    /// Its place among the tags.
    pub sort: Option<i64>,
    /// The category it belongs to.
    pub category: Option<TagCategory>,
}

/// A category of tags.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TagCategory {
    /// Its id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its place among the categories.
    pub sort: Option<i64>,
}

/// The application something was done through.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct App {
    /// `bitrix`, `webchat`, an application of one's own …
    pub id: Option<String>,
    /// On whose behalf: `employee` or `system`.
    pub sender: Option<String>,
    /// What the application gave along to know it by.
    pub tracking: Option<String>,
}

/// Sorts of chats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatType {
    /// One other person.
    Private,
    /// A group.
    Group,
    /// A Telegram or MAX supergroup.
    Supergroup,
    /// A channel.
    Channel,
    /// A bot.
    Bot,
}

/// The author of an event.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sender {
    /// As it came.
    pub id: ChatId,
    /// The name the sender gave.
    pub name: Option<String>,
    /// The name in the account's phone book.
    pub contact_name: Option<String>,
    /// MAX and Telegram: `user`, `bot` and the like, in upstream's word.
    #[serde(rename = "type")]
    pub sender_type: Option<String>,
    /// MAX: whether the sender is a bot, where upstream says so.
    pub bot: Option<bool>,
    /// MAX, Telegram and ChatApp: the phone number, absent where hidden.
    pub phone: Option<String>,
    /// ChatApp: the name with the messenger.
    pub username: Option<String>,
    /// ChatApp: the address.
    pub email: Option<String>,
}
