//! The block of the kinds that tell of a change in a chat.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

/// Block of `avatar_changed` and `chat_blocked` (reference §9.8, §9.9).
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ChatChange {
    /// `avatar_changed`: the new picture; absent where it was taken away.
    pub avatar_url: Option<String>,
    /// `avatar_changed`: whether the chat has an account with the messenger.
    pub account_exists: Option<bool>,
    /// `chat_blocked`: upstream's word for what happened; its words are undocumented.
    pub status: Option<String>,
}
