//! Everything about ChatApp at one moment, for `/status` and for the gauges that are ages.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::account::Account;
use crate::chatapp::keep::spool::{Condition, Spool};
use crate::watch::telemetry::chatapp::{ChannelView, ChatAppTelemetry, SpoolGauges};

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

/// Looks at the parts of one account.
#[derive(Clone)]
pub struct Overview {
    /// Its connection and channels.
    pub telemetry: Arc<ChatAppTelemetry>,
    /// Its tokens.
    pub account: Arc<Account>,
    /// Its spool.
    pub spool: Spool,
}

impl Overview {
    /// The situation at this moment.
    #[must_use]
    pub fn view(&self) -> ChatAppView {
        let (connection, tokens, depth) = (self.telemetry.connection(), self.account.tokens(), self.spool.depth());
        let (condition, trouble) = match &*self.spool.condition().borrow() {
            Condition::Well => ("well", None),
            Condition::Full(why) => ("full", Some(why.clone())),
            Condition::Failing(why) => ("failing", Some(why.clone())),
        };
        ChatAppView {
            connected_since: connection.connected_since,
            connection_trouble: connection.trouble,
            tokens: TokensView {
                access_ends: tokens.access_ends,
                refresh_ends: tokens.refresh_ends,
                trouble: tokens.trouble,
            },
            spool: SpoolView {
                frames: depth.frames,
                bytes: depth.bytes,
                oldest: depth.oldest,
                file_bytes: depth.file_bytes,
                condition,
                trouble,
            },
            channels: self.telemetry.channels().iter().map(|(_, channel)| channel.view()).collect(),
        }
    }

    /// Brings the gauges up to this moment.
    pub fn refresh(&self) {
        let (tokens, depth) = (self.account.tokens(), self.spool.depth());
        let waited = depth.oldest.map_or(0, |oldest| Timestamp::now().duration_since(oldest).as_secs().max(0));
        let gauges = SpoolGauges {
            frames: depth.frames,
            bytes: depth.bytes,
            file_bytes: depth.file_bytes,
            oldest_seconds: waited,
            takes_frames: *self.spool.condition().borrow() == Condition::Well,
        };
        self.telemetry.refresh(gauges, tokens.access_ends, tokens.refresh_ends);
    }
}
