//! The words of `/status` and of the metrics' labels: what an instance is doing, and what went wrong last.

use jiff::Timestamp;
use serde::Serialize;
use serde_with::skip_serializing_none;

/// The error class of a poller's panic.
pub const PANIC: &str = "panic";
/// The error class for a GREEN-API that has notifications but does not call.
pub const NOT_CALLED: &str = "not_called";

/// What the other consumer probably is, and what it costs.
pub const RIVAL_ADVICE: &str = "stop the other consumer (a second chatbridge, a chat-bot SDK, which empties the queue \
                                when it starts, or the console's own receiving) or events will miss from Kafka";

/// Why GREEN-API may not call.
pub const NOT_CALLED_ADVICE: &str = "look whether its webhookUrl leads here (`chatbridge check --online`), and at what \
                                     stands before this listener: name, certificate, reverse proxy, firewall. Calls \
                                     that are refused are counted in chatbridge_webhook_requests_total";

/// What an instance's poller is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not yet polled.
    Starting,
    /// Waiting for notifications.
    Polling,
    /// Waiting for GREEN-API's webhook calls.
    Listening,
    /// A notification is in hand.
    Delivering,
    /// GREEN-API does not answer well; trying again soon.
    BackingOff,
    /// The instance is not ready; trying again soon.
    Waiting,
    /// An operator has to act; trying again rarely.
    Misconfigured,
    /// The dead-letter topic takes nothing; trying again rarely.
    Parked,
    /// No longer polled.
    Stopped,
}

impl Phase {
    /// The metric's label; `/status` uses the same word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Polling => "polling",
            Self::Listening => "listening",
            Self::Delivering => "delivering",
            Self::BackingOff => "backing_off",
            Self::Waiting => "waiting",
            Self::Misconfigured => "misconfigured",
            Self::Parked => "parked",
            Self::Stopped => "stopped",
        }
    }
}

/// The latest notification.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub struct LastEvent {
    /// Its kind.
    pub kind: &'static str,
    /// When it was received.
    pub received_at: Timestamp,
    /// When it happened.
    pub time: Option<Timestamp>,
}

/// The latest failure.
#[derive(Debug, Clone, Serialize)]
pub struct LastError {
    /// The metric's label.
    pub class: String,
    /// What happened and what to do.
    pub message: String,
    /// When.
    pub at: Timestamp,
}
