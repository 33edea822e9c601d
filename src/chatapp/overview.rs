//! The state of ChatApp at one moment, for `/status` and for the gauges that are ages.

use std::sync::Arc;

use super::account::Account;
use crate::chatapp::keep::spool::{Condition, Spool};
use crate::watch::telemetry::chatapp::{ChatAppTelemetry, SpoolGauges};
use crate::watch::telemetry::chatapp_view::{ChatAppShown, ChatAppView, SpoolView, TokensView};
use jiff::Timestamp;

/// Reads the state of one account.
#[derive(Clone)]
pub struct Overview {
    /// Its connection and channels.
    pub telemetry: Arc<ChatAppTelemetry>,
    /// Its tokens.
    pub account: Arc<Account>,
    /// Its spool.
    pub spool: Spool,
}

impl ChatAppShown for Overview {
    fn view(&self) -> ChatAppView {
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

    fn refresh(&self) {
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
