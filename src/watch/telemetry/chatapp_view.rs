//! What `/status` shows of ChatApp.

use jiff::Timestamp;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::chatapp::ChannelView;

/// Reads the state of ChatApp at one moment.
pub trait ChatAppShown: Send + Sync {
    /// The current state.
    fn view(&self) -> ChatAppView;

    /// Updates the gauges that are ages.
    fn refresh(&self);
}

/// What `/status` shows of ChatApp.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub struct ChatAppView {
    /// Since when there is a connection; absent while there is none.
    pub connected_since: Option<Timestamp>,
    /// Why there is none.
    pub connection_trouble: Option<String>,
    /// The tokens.
    pub tokens: TokensView,
    /// What lies on disk.
    pub spool: SpoolView,
    /// Every channel that is to be subscribed.
    pub channels: Vec<ChannelView>,
}

/// How the tokens are.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub struct TokensView {
    /// Until when the accessToken counts.
    pub access_ends: Option<Timestamp>,
    /// Until when the refreshToken does.
    pub refresh_ends: Option<Timestamp>,
    /// What went wrong last.
    pub trouble: Option<String>,
}

/// What is received and not yet in Kafka.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub struct SpoolView {
    /// Bodies.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the oldest was received.
    pub oldest: Option<Timestamp>,
    /// Bytes that the file occupies on its disk, which `chatapp.spool_bytes_max` limits.
    pub file_bytes: u64,
    /// `well`, `full` or `failing`; only the first takes more.
    pub condition: &'static str,
    /// Why it is full or failing.
    pub trouble: Option<String>,
}
