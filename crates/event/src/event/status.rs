//! The block of `message_status`: how far a message got.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::{App, Direction, UpstreamError};

/// Block of `message_status`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Status {
    /// The message it is about; some failures come without.
    pub message_id: Option<String>,
    /// Whose message: ours on its way out, or theirs being read.
    pub direction: Direction,
    /// How far it got.
    pub state: DeliveryState,
    /// Upstream's word.
    pub status: Option<String>,
    /// Why it failed, in upstream's words.
    pub description: Option<String>,
    /// The upstream error that `description` names.
    pub error: Option<UpstreamError>,
    /// Whether the message was sent through the API.
    pub sent_by_api: Option<bool>,
    /// ChatApp: the application the message was written in.
    pub app: Option<App>,
}

/// How far a message got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits to be sent.
    Pending,
    /// Left for the recipient.
    Sent,
    /// Reached the recipient's device.
    Delivered,
    /// Was read.
    Read,
    /// A voice message or video was played.
    Played,
    /// Will not arrive.
    Failed,
    /// The recipient has no account.
    NoAccount,
    /// The sender is not a member of the group.
    NotInGroup,
    /// Sending is suspended.
    Suspended,
    /// WABA: no session is open with the recipient.
    NoActiveSession,
    /// A word this version does not know; see `status`.
    Unknown,
}

impl DeliveryState {
    /// From upstream's word, in every spelling seen.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "pending" => Self::Pending,
            "sent" => Self::Sent,
            "delivered" => Self::Delivered,
            "read" => Self::Read,
            "played" => Self::Played,
            "failed" | "fail" => Self::Failed,
            "noAccount" => Self::NoAccount,
            "notInGroup" => Self::NotInGroup,
            "yellowCard" | "suspended" => Self::Suspended,
            "noActiveSession" => Self::NoActiveSession,
            _ => Self::Unknown,
        }
    }
}
