//! A frame as it lies on disk.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// By which road something came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Road {
    /// Off the socket.
    Push,
    /// By the callback URL.
    Callback,
    /// Fetched, because a push of it may have been missed.
    Backfill,
    /// Fetched while the channel was subscribed, to see whether a push of it was missed.
    Reconcile,
    /// Made by the bridge itself.
    Bridge,
}

impl Road {
    /// The word in labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Callback => "callback",
            Self::Backfill => "backfill",
            Self::Reconcile => "reconcile",
            Self::Bridge => "bridge",
        }
    }
}

/// Something received, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// By which road it came.
    pub road: Road,
    /// The Pusher channel, where it came over one.
    pub channel: Option<String>,
    /// The Pusher event's name, where it came as one.
    pub event: Option<String>,
    /// When; ids of events that have no identity of their own are made of it.
    pub received_at: Timestamp,
    /// The body, byte for byte.
    pub body: Vec<u8>,
}

/// What stands before the body, in one line of JSON.
#[derive(Serialize, Deserialize)]
struct Head<'f> {
    road: Road,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    channel: Option<std::borrow::Cow<'f, str>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    event: Option<std::borrow::Cow<'f, str>>,
    received_at: Timestamp,
}

impl Frame {
    pub(super) fn encode(&self) -> Vec<u8> {
        let head = Head {
            road: self.road,
            channel: self.channel.as_deref().map(Into::into),
            event: self.event.as_deref().map(Into::into),
            received_at: self.received_at,
        };
        let mut bytes = serde_json::to_vec(&head).expect("strings and a time are JSON");
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// `None` for what was not written by [`Frame::encode`].
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: Head<'_> = serde_json::from_slice(&bytes[..end]).ok()?;
        Some(Self {
            road: head.road,
            channel: head.channel.map(Into::into),
            event: head.event.map(Into::into),
            received_at: head.received_at,
            body: bytes[end + 1..].to_vec(),
        })
    }
}
