//! What a notification says, as values: ids, the common blocks, one block per kind.
//!
//! These types are what consumers read: they serialise to the blocks of the record's value, in
//! `snake_case`, absent rather than null, and their doc comments are the descriptions of the JSON Schema. They know
//! nothing of Kafka, of HTTP or of the body they were read from.

use std::ops::Range;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_with::skip_serializing_none;

mod channel;
mod chat_change;
pub mod content;
mod employee;
mod gap;
mod ids;
mod instance;
mod kind;
pub mod message;
mod parties;
mod quick_response;
mod source;
mod status;
mod upstream_error;

pub use channel::{Channel, ChannelPart};
pub use chat_change::{ChangeAction, Changed, ChatChange, Conversation};
pub use content::Content;
pub use employee::{Employee, EmployeeAspect, EmployeeState};
pub use gap::{Gap, GapReason};
pub use ids::{ChatId, EventId, InstanceId};
pub use instance::{Device, Instance, InstanceState, Quota, QuotaState};
pub use kind::{Kind, KindName};
pub use message::{Direction, Message, Origin};
pub use parties::{App, Chat, ChatDetails, ChatType, Sender, Tag, TagCategory};
pub use quick_response::{
    QuickResponse, QuickResponseAccess, QuickResponseAction, QuickResponseChange, QuickResponseList, QuickResponsePart,
};
pub use source::{Source, SourceId};
pub use status::{DeliveryState, Status};
pub use upstream_error::UpstreamError;

/// A notification as it came: whose it is, and its bytes.
#[derive(Clone)]
pub struct Notification {
    /// The instance it was received for; what the body says of its instance is only a claim.
    pub instance: InstanceId,
    /// The receipt it was handed out with, for the dead letter's header; a webhook has none.
    pub receipt_id: Option<String>,
    /// The body.
    pub body: Body,
}

/// The body of a notification.
#[derive(Clone)]
pub enum Body {
    /// JSON, verbatim.
    Json(Box<RawValue>),
    /// Anything else: it goes to the dead letters as it is.
    Undecodable {
        /// The whole answer as it came, up to the configured limit.
        bytes: Vec<u8>,
        /// Why nobody could read it.
        reason: DeadLetterReason,
        /// The same in words, without content.
        error: String,
        /// Where in `bytes` the receipt stands: it changes with each hand-out and is no part of the content.
        receipt_at: Range<usize>,
    },
}

impl Body {
    /// What tells this undecodable body from another, whatever receipt it was handed out with; `None` for JSON.
    #[must_use]
    pub fn undecodable_content(&self) -> Option<Vec<u8>> {
        match self {
            Self::Json(_) => None,
            Self::Undecodable { bytes, receipt_at, .. } => {
                let (before, after) = (bytes.get(..receipt_at.start), bytes.get(receipt_at.end..));
                Some([before.unwrap_or(bytes), after.unwrap_or_default()].concat())
            }
        }
    }
}

/// Bytes that nobody could read.
#[derive(Clone)]
pub struct Undecodable {
    /// As they came.
    pub bytes: Vec<u8>,
    /// Why nobody could read them.
    pub reason: DeadLetterReason,
    /// The same in words, without content.
    pub error: String,
}

/// Why something went to the dead-letter topic: the fixed words of its `reason` header and of the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum DeadLetterReason {
    /// The answer is not JSON.
    NotJson,
    /// The answer is not UTF-8.
    NotUtf8,
    /// A receipt without a body.
    NoBody,
    /// The answer is longer than `green_api.response_bytes_max`.
    TooLong,
    /// Kafka takes no record of that size, even without thumbnails.
    TooLarge,
    /// Kafka refused the record for another reason.
    Refused,
    /// An unknown type, and `events.unknown = "dead_letter"`.
    UnknownType,
    /// The bridge ended several times in a row at this body of ChatApp, so it was not read any more. The letter holds
    /// the whole body.
    Crashed,
}

impl DeadLetterReason {
    /// Every reason there is.
    pub const ALL: [Self; 8] = [
        Self::NotJson,
        Self::NotUtf8,
        Self::NoBody,
        Self::TooLong,
        Self::TooLarge,
        Self::Refused,
        Self::UnknownType,
        Self::Crashed,
    ];

    /// The word used in headers and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotUtf8 => "not_utf8",
            Self::NoBody => "no_body",
            Self::TooLong => "too_long",
            Self::TooLarge => "too_large",
            Self::Refused => "refused",
            Self::UnknownType => "unknown_type",
            Self::Crashed => "crashed",
        }
    }
}

/// A notification as understood.
#[derive(Clone)]
pub struct Event {
    /// Its `ce_id`.
    pub id: EventId,
    /// When it happened, where upstream says so.
    pub time: Option<Timestamp>,
    /// Where it came from.
    pub source: Source,
    /// The chat it belongs to; instance events have none.
    pub chat: Option<Chat>,
    /// Who caused it.
    pub sender: Option<Sender>,
    /// What it is.
    pub kind: Kind,
    /// The upstream's own word for it (`typeWebhook`, ChatApp's event name), for policies. A body of the flat form has no
    /// such word; it gets the one that the same event has otherwise. Empty where there is none.
    pub upstream_type: String,
    /// Whether the body claims another instance than the polled one, or another channel than its own: the debug
    /// endpoint makes forging possible.
    pub foreign: bool,
    /// Whether something in the body was nested too deep, or too much, to be read ([`chatbridge_base::json::VALUES_MAX`]). Only
    /// `raw` has it then, so `raw` travels along whatever the configuration says.
    pub unread: bool,
    /// The body exactly as it came; of a body with several items, the body with this item alone.
    pub raw: Box<RawValue>,
}

/// Block of `call`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Call {
    /// The call; its ringing and its outcome share it.
    pub id: Option<String>,
    /// Who called whom.
    pub direction: Direction,
    /// Where the call stands.
    pub state: CallState,
    /// Upstream's word.
    pub status: Option<String>,
    /// One line about the call for the people in the chat, in the configured language.
    pub summary: Option<&'static str>,
    /// Incoming calls: the caller's name as the account knows it, where it was asked for and known in time.
    pub caller_name: Option<String>,
    /// Whether it is a video call, where upstream says so.
    pub video: Option<bool>,
    /// Whether several people are called at once, where upstream says so.
    pub group: Option<bool>,
    /// Outgoing calls: who was called, and what became of each.
    pub participants: Option<Vec<CallParticipant>>,
    /// Outgoing calls: how long it lasted.
    pub duration_seconds: Option<i64>,
}

/// One of those who were called.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CallParticipant {
    /// As it came.
    pub id: Option<ChatId>,
    /// Where the call stands for this one.
    pub state: CallState,
    /// Upstream's word.
    pub status: Option<String>,
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// `offer`.
    Ringing,
    /// `pickUp`.
    Answered,
    /// `hungUp`, also spelt `hangUp`: the called side refused, or does not want to be disturbed.
    Rejected,
    /// `declined`, formerly `missed`: the caller gave up or nobody came in time.
    Missed,
    /// `invalid`: an outgoing call that never came about; upstream says no more.
    Invalid,
    /// A word this version does not know, or none (2021 to 2023); see `status`.
    Unknown,
}

impl CallState {
    /// From upstream's word, in every spelling seen.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "offer" => Self::Ringing,
            "pickUp" => Self::Answered,
            "hungUp" | "hangUp" => Self::Rejected,
            "declined" | "missed" => Self::Missed,
            "invalid" => Self::Invalid,
            _ => Self::Unknown,
        }
    }
}
