//! The kinds of events, and their words.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Call, ChatChange, Employee, Gap, Instance, Message, QuickResponseChange, Status};

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
    /// The phone the instance runs on told of itself.
    InstanceDevice(Instance),
    /// A limit of the tariff was reached.
    QuotaExceeded(Instance),
    /// The chat has another picture.
    AvatarChanged(ChatChange),
    /// The other side blocked the account, or let it in again.
    ChatBlocked(ChatChange),
    /// Employees changed something about the chat.
    ChatUpdate(Box<ChatChange>),
    /// An employee came, or the day's work began or ended.
    Employee(Employee),
    /// The texts that employees answer with changed.
    QuickResponse(Box<QuickResponseChange>),
    /// A source that repeats nothing was not heard for a while. The bridge itself says so.
    Gap(Gap),
    /// Nothing this version knows: the common blocks and `raw`.
    Unknown,
}

impl Kind {
    /// Whether this version knows what it is, to the content of a message.
    #[must_use]
    pub fn is_understood(&self) -> bool {
        match self {
            Self::Unknown => false,
            Self::Message(message) => message.content.is_supported(),
            _ => true,
        }
    }

    /// Which of the kinds this is, without its block.
    #[must_use]
    pub fn kind_name(&self) -> KindName {
        match self {
            Self::Message(_) => KindName::Message,
            Self::MessageStatus(_) => KindName::MessageStatus,
            Self::Call(_) => KindName::Call,
            Self::InstanceState(_) => KindName::InstanceState,
            Self::InstanceSocket(_) => KindName::InstanceSocket,
            Self::InstanceDevice(_) => KindName::InstanceDevice,
            Self::QuotaExceeded(_) => KindName::QuotaExceeded,
            Self::AvatarChanged(_) => KindName::AvatarChanged,
            Self::ChatBlocked(_) => KindName::ChatBlocked,
            Self::ChatUpdate(_) => KindName::ChatUpdate,
            Self::Employee(_) => KindName::Employee,
            Self::QuickResponse(_) => KindName::QuickResponse,
            Self::Gap(_) => KindName::Gap,
            Self::Unknown => KindName::Unknown,
        }
    }

    /// The kind's word in `ce_type`, in `kind` and in metric labels.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.kind_name().as_str()
    }
}

/// What an event is; it names the block that stands beside the common ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KindName {
    /// Something was written, by whichever side: block `message`.
    Message,
    /// A message went on its way: block `status`.
    MessageStatus,
    /// A call rang or ended: block `call`.
    Call,
    /// The instance was authorised, blocked, started …: block `instance`.
    InstanceState,
    /// The instance's connection came or went: block `instance`.
    InstanceSocket,
    /// The phone the instance runs on told of itself: block `instance`.
    InstanceDevice,
    /// A limit of the tariff was reached: block `instance`.
    QuotaExceeded,
    /// The chat has another picture: block `chat_change`.
    AvatarChanged,
    /// The other side blocked the account, or let it in again: block `chat_change`.
    ChatBlocked,
    /// Employees changed something about the chat: block `chat_change`.
    ChatUpdate,
    /// An employee came, or the day's work began or ended: block `employee`.
    Employee,
    /// The texts that employees answer with changed: block `quick_response`.
    QuickResponse,
    /// A source that repeats nothing was not heard for a while, as the bridge itself says: block `gap`.
    Gap,
    /// Nothing this version of the bridge knows: the common blocks and `raw`.
    Unknown,
}

impl KindName {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Message,
        Self::MessageStatus,
        Self::Call,
        Self::InstanceState,
        Self::InstanceSocket,
        Self::InstanceDevice,
        Self::QuotaExceeded,
        Self::AvatarChanged,
        Self::ChatBlocked,
        Self::ChatUpdate,
        Self::Employee,
        Self::QuickResponse,
        Self::Gap,
        Self::Unknown,
    ];

    /// The word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::MessageStatus => "message_status",
            Self::Call => "call",
            Self::InstanceState => "instance_state",
            Self::InstanceSocket => "instance_socket",
            Self::InstanceDevice => "instance_device",
            Self::QuotaExceeded => "quota_exceeded",
            Self::AvatarChanged => "avatar_changed",
            Self::ChatBlocked => "chat_blocked",
            Self::ChatUpdate => "chat_update",
            Self::Employee => "employee",
            Self::QuickResponse => "quick_response",
            Self::Gap => "gap",
            Self::Unknown => "unknown",
        }
    }

    /// The block that every event of this kind has beside the common ones.
    #[must_use]
    pub fn block(self) -> Option<&'static str> {
        match self {
            Self::Message => Some("message"),
            Self::MessageStatus => Some("status"),
            Self::Call => Some("call"),
            Self::InstanceState | Self::InstanceSocket | Self::InstanceDevice | Self::QuotaExceeded => Some("instance"),
            Self::AvatarChanged | Self::ChatBlocked | Self::ChatUpdate => Some("chat_change"),
            Self::Employee => Some("employee"),
            Self::QuickResponse => Some("quick_response"),
            Self::Gap => Some("gap"),
            Self::Unknown => None,
        }
    }
}
