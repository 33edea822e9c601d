//! The block of the kinds that tell of a change in a chat.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::{App, Tag};

/// Block of `avatar_changed` and `chat_blocked`, and of `chat_update`.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChatChange {
    /// `avatar_changed`: the new picture; absent where it was taken away.
    pub avatar_url: Option<String>,
    /// `avatar_changed`: whether the chat has an account with the messenger.
    pub account_exists: Option<bool>,
    /// `chat_blocked`: upstream's word for what happened; its words are undocumented. `chat_update`: upstream's word
    /// behind `action`, where it has one.
    pub status: Option<String>,
    /// `chat_update`: what of the chat changed.
    pub change: Option<Changed>,
    /// `chat_update`: what became of it.
    pub action: Option<ChangeAction>,
    /// `chat_update`: the new status or process in upstream's word, or the id of the tag, employee, level or
    /// conversation it is about.
    pub value: Option<String>,
    /// `chat_update` of `tag`: the tag.
    pub tag: Option<Tag>,
    /// `chat_update` of `conversation`: the window that was opened.
    pub conversation: Option<Conversation>,
    /// `chat_update`: the employee who changed it.
    pub changed_by: Option<String>,
    /// `chat_update`: the application it was changed through.
    pub app: Option<App>,
}

/// What of a chat changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Changed {
    /// A tag was put to it or taken away.
    Tag,
    /// Its status.
    Status,
    /// The employee who answers for it.
    Responsible,
    /// Whether that employee is pinned to it.
    ResponsiblePin,
    /// The employee who set the task.
    Producer,
    /// An employee who helps.
    Accomplice,
    /// An employee who watches.
    Auditor,
    /// Its level.
    Level,
    /// A window in which one may write freely was opened (WhatsApp: 24 hours).
    Conversation,
    /// It was read.
    Read,
    /// Its process.
    Process,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeAction {
    /// It is so now, as `value` says where there is one.
    Set,
    /// It is so no more.
    Cleared,
    /// `value` is one more of several.
    Added,
    /// `value` is no longer among several.
    Removed,
    /// A word this version does not know, or none; see `status`.
    Unknown,
}

/// A window in which one may write freely.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Conversation {
    /// Its id.
    pub id: Option<String>,
    /// Who opened it, in upstream's word.
    #[serde(rename = "type")]
    pub conversation_type: Option<String>,
    /// When it was opened.
    pub start_time: Option<Timestamp>,
    /// When it closes.
    pub end_time: Option<Timestamp>,
}
