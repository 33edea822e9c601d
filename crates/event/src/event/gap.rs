//! The block of `gap`: a stretch of time that may be missing.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::KindName;

/// Block of `gap`: between `from` and `to` the bridge did not hear a source that repeats nothing. What it could fetch
/// later follows as events of its own; events of the kinds in `missing` could not be fetched and may have been lost.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// The channel, by the name it is subscribed to by.
    pub channel: Option<String>,
    /// Heard until then.
    pub from: Timestamp,
    /// Heard again from then on.
    pub to: Timestamp,
    /// Why.
    pub reason: GapReason,
    /// Kinds of events that may have been lost. Reactions and edits are of the kind `message`, and can never be fetched:
    /// whether or not it is named here, some of them may be missing.
    pub missing: Vec<KindName>,
}

/// Why a source was not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// The connection was lost.
    Disconnected,
    /// The bridge was not running.
    NotRunning,
    /// The subscription was refused for a while.
    Refused,
    /// Nothing was said, but events were missed: upstream had ended the subscription without a word.
    Silence,
}

impl GapReason {
    /// Every reason there is.
    pub const ALL: [Self; 4] = [Self::Disconnected, Self::NotRunning, Self::Refused, Self::Silence];

    /// The word, for labels and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disconnected => "disconnected",
            Self::NotRunning => "not_running",
            Self::Refused => "refused",
            Self::Silence => "silence",
        }
    }
}
