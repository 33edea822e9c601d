//! A frame as it lies on disk, its number, and the road by which it came.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A frame's number: later ones are greater, also after a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub(crate) u64);

impl Sequence {
    /// Behind every frame.
    pub(crate) const MAX: Self = Self(u64::MAX);
}

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
    /// When.
    pub received_at: Timestamp,
    /// What was fetched: the last frame in the spool when it was asked for.
    pub asked_behind: Option<Sequence>,
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
    #[serde(skip_serializing_if = "Option::is_none", default)]
    asked_behind: Option<u64>,
}

impl Frame {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let head = Head {
            road: self.road,
            channel: self.channel.as_deref().map(Into::into),
            event: self.event.as_deref().map(Into::into),
            received_at: self.received_at,
            asked_behind: self.asked_behind.map(|Sequence(number)| number),
        };
        let mut bytes = serde_json::to_vec(&head).expect("strings and a time are JSON");
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// `None` for what was not written by [`Frame::encode`].
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let head: Head<'_> = serde_json::from_slice(&bytes[..end]).ok()?;
        Some(Self {
            road: head.road,
            channel: head.channel.map(Into::into),
            event: head.event.map(Into::into),
            received_at: head.received_at,
            asked_behind: head.asked_behind.map(Sequence),
            body: bytes[end + 1..].to_vec(),
        })
    }
}
