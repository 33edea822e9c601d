//! The block of `message`: who wrote what, and what it answers.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::Content;

/// Block of `message`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Message {
    /// Upstream's `idMessage`. On MAX unique only within a chat (reference §9.1).
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
}

/// Towards the instance's account, or away from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the other side.
    Incoming,
    /// From the account itself.
    Outgoing,
}

/// By whose hand a message was written (reference §9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The other side.
    Contact,
    /// The account's phone or another of its clients.
    Phone,
    /// GREEN-API's send methods.
    Api,
}

/// The message that was answered, as far as upstream repeats it (reference §9.5).
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

/// A message, named by its id (reference §9.4).
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReplyTo {
    /// Its id.
    pub message_id: Option<String>,
    /// Who wrote it.
    pub participant: Option<String>,
}
