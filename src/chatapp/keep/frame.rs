//! A frame as it lies on disk, its number, and the road by which it came.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A frame's number. Later frames have greater numbers, also after a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub(crate) u64);

impl Sequence {
    /// Greater than any frame.
    pub(crate) const MAX: Self = Self(u64::MAX);
}

/// The road by which something came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Road {
    /// Pushed over the socket.
    Push,
    /// Sent to the callback URL.
    Callback,
    /// Fetched because its push may have been missed.
    Backfill,
    /// Fetched while the channel was subscribed, to find missed pushes.
    Reconcile,
    /// Made by the bridge.
    Bridge,
}

impl Road {
    /// The label's value.
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

/// Something received, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The road by which it came.
    pub road: Road,
    /// The Pusher channel, if it came over one.
    pub channel: Option<String>,
    /// The name of the Pusher event, if it came as one.
    pub event: Option<String>,
    /// When it was received.
    pub received_at: Timestamp,
    /// For fetched items: the last frame in the spool when they were requested.
    pub asked_behind: Option<Sequence>,
    /// The body, unchanged.
    pub body: Vec<u8>,
}

/// What precedes the body: one line of JSON.
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

    /// `None` if [`Frame::encode`] did not write these bytes.
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
