//! The common blocks: the source an event came from, its chat, its author.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::{ChatId, InstanceId};

/// Where an event came from.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Source {
    /// The upstream system.
    pub system: System,
    /// The polled instance.
    pub instance: InstanceId,
    /// The instance's own account (`wid`), absent where it is not authorised.
    pub account: Option<String>,
    /// Which messenger the instance speaks.
    pub messenger: Option<String>,
}

impl Source {
    /// `ce_source` of a GREEN-API instance.
    #[must_use]
    pub fn uri(instance: InstanceId) -> String {
        format!("/green-api/{instance}")
    }
}

/// The upstream systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// GREEN-API.
    GreenApi,
}

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
}

/// Sorts of chats (reference §9.3, §10).
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
    /// MAX and Telegram: the phone number, absent where hidden.
    pub phone: Option<String>,
}
