//! The block of `message`: who wrote what, and what it answers.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::{App, Content, DeliveryState};

/// Block of `message`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Message {
    /// Upstream's `idMessage`. On MAX, and on ChatApp, unique only within a chat. Absent where upstream
    /// names only the message that a reaction or deletion is about.
    pub id: Option<String>,
    /// Towards the account or away from it.
    pub direction: Direction,
    /// By whose hand.
    pub origin: Origin,
    /// What it says.
    pub content: Content,
    /// The message it answers, as far as upstream repeats it.
    pub quoted: Option<Quoted>,
    /// The message it answers, as the text itself names it; should it differ from `quoted`, upstream said both.
    pub reply_to: Option<ReplyTo>,
    /// Whether it was forwarded.
    pub forwarded: Option<bool>,
    /// How often it was forwarded.
    pub forwarding_score: Option<i64>,
    /// How far it had got, where upstream says so with the message itself (GREEN-API's flat form).
    pub state: Option<DeliveryState>,
    /// Upstream's word for `state`.
    pub status: Option<String>,
    /// Whether it had been edited by then, where upstream says so.
    pub edited: Option<bool>,
    /// Whether it had been deleted by then, where upstream says so.
    pub deleted: Option<bool>,
    /// ChatApp: its own id of the message, which orders the messages of a chat.
    pub internal_id: Option<String>,
    /// ChatApp: upstream's closer word for the type; `command` marks a bot's command.
    pub subtype: Option<String>,
    /// ChatApp: the application it was written in.
    pub app: Option<App>,
    /// ChatApp: the employee who wrote it; of automatic answers, the owner of the account.
    pub employee: Option<String>,
}

/// Towards the instance's account, or away from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the other side.
    Incoming,
    /// From the account itself.
    Outgoing,
    /// Upstream does not say.
    Unknown,
}

/// By whose hand a message was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The other side.
    Contact,
    /// The account's phone or another of its clients.
    Phone,
    /// The upstream's send methods.
    Api,
    /// ChatApp: one of its applications, or an application of one's own.
    App,
    /// Upstream does not say.
    Unknown,
}

/// The message that was answered, as far as upstream repeats it.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Quoted {
    /// Its id.
    pub message_id: Option<String>,
    /// Who wrote it.
    pub participant: Option<String>,
    /// What it said.
    pub content: Option<Content>,
}

/// A message, named by its id.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReplyTo {
    /// Its id.
    pub message_id: Option<String>,
    /// Who wrote it.
    pub participant: Option<String>,
}
