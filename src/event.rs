//! What a notification says, as values: ids, the common blocks, one block per kind.
//!
//! These types are what consumers read: they serialise to the blocks of the record's value (design: *The record*), in
//! `snake_case`, absent rather than null. They know nothing of Kafka, of HTTP or of the body they were read from.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_with::skip_serializing_none;

mod ids;
pub mod message;

pub use ids::{ChatId, EventId, InstanceId};
pub use message::{Content, Direction, Message, Origin};

/// A notification as it came: whose it is, and its bytes.
#[derive(Clone)]
pub struct Notification {
    /// The instance it was received for; what the body says of its instance is only a claim (reference §8).
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
    },
}

/// Why something went to the dead-letter topic: the fixed words of its `reason` header and of the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
}

impl DeadLetterReason {
    /// Every reason there is.
    pub const ALL: [Self; 7] =
        [Self::NotJson, Self::NotUtf8, Self::NoBody, Self::TooLong, Self::TooLarge, Self::Refused, Self::UnknownType];

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
    /// The upstream's own word for it (`typeWebhook`), for policies; empty where there is none.
    pub upstream_type: String,
    /// The instance the body claims, where that is not the polled one: the debug endpoint makes forging possible
    /// (reference §8).
    pub foreign_instance: bool,
    /// The body exactly as it came.
    pub raw: Box<RawValue>,
}

/// Where an event came from.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum System {
    /// GREEN-API.
    GreenApi,
}

/// The chat of an event.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

/// What an event is, with its block.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Something was written, by whichever side.
    Message(Box<Message>),
    /// A message went on its way.
    MessageStatus(Status),
    /// A call rang or ended.
    Call(Call),
    /// The instance was authorised, blocked, started …
    InstanceState(Instance),
    /// The instance's connection came or went.
    InstanceSocket(Instance),
    /// Nothing this version knows: the common blocks and `raw`.
    Unknown,
}

impl Kind {
    /// Every kind's word, for a configuration that names them.
    pub const NAMES: &[&str] = &[
        "message",
        "message_status",
        "call",
        "instance_state",
        "instance_socket",
        "instance_device",
        "quota_exceeded",
        "avatar_changed",
        "chat_blocked",
        "unknown",
    ];

    /// The kind's word in `ce_type`, in `kind` and in metric labels; one of [`Kind::NAMES`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::MessageStatus(_) => "message_status",
            Self::Call(_) => "call",
            Self::InstanceState(_) => "instance_state",
            Self::InstanceSocket(_) => "instance_socket",
            Self::Unknown => "unknown",
        }
    }
}

/// Block of `message_status`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The message it is about; some failures come without (reference §9.2).
    pub message_id: Option<String>,
    /// Whose message: ours on its way out, or theirs being read.
    pub direction: Direction,
    /// How far it got.
    pub state: DeliveryState,
    /// Upstream's word.
    pub status: Option<String>,
    /// Why it failed, in upstream's words.
    pub description: Option<String>,
    /// Whether the message was sent through the API.
    pub sent_by_api: Option<bool>,
}

/// How far a message got (reference §9.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Left for the recipient.
    Sent,
    /// Reached the recipient's device.
    Delivered,
    /// Was read.
    Read,
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
    /// From upstream's word, in every spelling seen (reference §9.6, §12.9).
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "sent" => Self::Sent,
            "delivered" => Self::Delivered,
            "read" => Self::Read,
            "failed" | "fail" => Self::Failed,
            "noAccount" => Self::NoAccount,
            "notInGroup" => Self::NotInGroup,
            "yellowCard" | "suspended" => Self::Suspended,
            "noActiveSession" => Self::NoActiveSession,
            _ => Self::Unknown,
        }
    }
}

/// Block of `call`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// The call; its ringing and its outcome share it.
    pub id: Option<String>,
    /// Who called whom.
    pub direction: Direction,
    /// Where the call stands.
    pub state: CallState,
    /// Upstream's word.
    pub status: Option<String>,
    /// One line about the call for the people in the chat, in the configured language (seed 004).
    pub summary: Option<&'static str>,
    /// Incoming calls: the caller's name as the account knows it, where it was asked for and known in time.
    pub caller_name: Option<String>,
    /// Outgoing calls: with video or without.
    pub video: Option<bool>,
    /// Outgoing calls: how long it lasted.
    pub duration_seconds: Option<i64>,
}

/// Where a call stands (reference §9.7, seeds 000 and 004).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    /// A word this version does not know, or none (2021 to 2023); see `status`.
    Unknown,
}

impl CallState {
    /// From upstream's word, in every spelling seen (reference §12.9).
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "offer" => Self::Ringing,
            "pickUp" => Self::Answered,
            "hungUp" | "hangUp" => Self::Rejected,
            "declined" | "missed" => Self::Missed,
            _ => Self::Unknown,
        }
    }
}

/// Block of the instance kinds.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// What the instance is now: `authorized`, `not_authorized`, `starting` … or `online`, `offline`; `unknown` for a
    /// word this version does not know.
    pub state: &'static str,
    /// Upstream's word.
    pub status: Option<String>,
}

impl Instance {
    /// `state` for upstream's word (reference §6).
    #[must_use]
    pub fn state_of_word(word: &str) -> &'static str {
        match word {
            "authorized" => "authorized",
            "notAuthorized" => "not_authorized",
            "blocked" => "blocked",
            "starting" => "starting",
            "sleepMode" => "sleep_mode",
            // yellowCard is the deprecated spelling.
            "suspended" | "yellowCard" => "suspended",
            "pendingPassword" => "pending_password",
            "pendingCode" => "pending_code",
            "online" => "online",
            "offline" => "offline",
            _ => "unknown",
        }
    }
}
