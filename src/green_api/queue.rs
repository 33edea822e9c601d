//! What every source of notifications has in common.
//!
//! A source contains only its protocol: it receives, lets [`crate::core::bridge::Bridge`] deliver, and settles in its
//! own way. The queue settles by deleting, which needs a [`crate::core::settled::Settled`]. Only the bridge makes one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::core::settled::Settled;
use chatbridge_event::event::Notification;

/// The result of a receive: a notification, and the receipt that deletes it.
pub struct Received {
    /// What deletes it.
    pub receipt: Receipt,
    /// What was received.
    pub notification: Notification,
}

/// GREEN-API's `receiptId` of one receive, in its own spelling. Not `Clone`: it is used once.
#[derive(Debug)]
pub struct Receipt(String);

impl Receipt {
    /// Digits, perhaps with a sign. Nothing else may get into the URL that it becomes part of.
    pub(crate) fn new(digits: &str) -> Option<Self> {
        let bare = digits.strip_prefix('-').unwrap_or(digits);
        let plausible = (1..=20).contains(&bare.len()) && bare.bytes().all(|byte| byte.is_ascii_digit());
        plausible.then(|| Self(digits.to_owned()))
    }

    /// The digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How upstream answered a delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Removed for good.
    Deleted,
    /// It was already gone (the 500 that mentions `findUnAckedMessage`).
    AlreadyGone,
    /// Not removed now, but perhaps before: receive again to find out.
    Unclear,
}

/// Why a receive or delete failed, grouped by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// Back off and try again.
    #[error("{detail}")]
    Unreachable {
        /// The metric's label.
        class: &'static str,
        /// What happened, without secrets.
        detail: String,
    },
    /// Ask again at once, and back off if that keeps failing. The connection was closed before the first byte of an
    /// answer.
    #[error("{detail}")]
    Closed {
        /// What happened, without secrets.
        detail: String,
    },
    /// Slow down.
    #[error(
        "GREEN-API says 429, too many requests: the bridge slows down by itself; if it lasts, look for another program \
         that uses this instance"
    )]
    RateLimited {
        /// How long upstream asks to wait, if it does.
        retry_after: Option<Duration>,
    },
    /// The instance is not ready, but may become ready by itself: try every few seconds.
    #[error("{fix} ({detail})")]
    Waiting {
        /// The metric's label.
        class: &'static str,
        /// What the operator can do.
        fix: &'static str,
        /// What upstream said, without secrets.
        detail: String,
    },
    /// An operator has to act: try rarely, and say so clearly.
    #[error("{fix} ({detail})")]
    Misconfigured {
        /// The metric's label.
        class: &'static str,
        /// What the operator has to do.
        fix: &'static str,
        /// What upstream said, without secrets.
        detail: String,
    },
    /// Nothing came and nothing is known: the answer says nothing about the queue. Poll again, and report it if it
    /// lasts.
    #[error("no answer that speaks for the queue: {detail}")]
    NoAnswer {
        /// What came instead.
        detail: String,
    },
    /// The head can be neither read nor deleted: alert and back off.
    #[error("the head of the queue cannot be read and carries no receipt to delete it with: {detail}")]
    Unreadable {
        /// What is wrong with it, without content.
        detail: String,
    },
}

impl QueueError {
    /// The metric's label.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Unreachable { class, .. } | Self::Waiting { class, .. } | Self::Misconfigured { class, .. } => class,
            Self::Closed { .. } => "connection",
            Self::RateLimited { .. } => "rate_limited",
            Self::NoAnswer { .. } => "no_answer",
            Self::Unreadable { .. } => "unreadable",
        }
    }

    /// What an operator can do about it, or `None` if the error's message already says so.
    #[must_use]
    pub fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Unreachable { class: "server_error", .. } => {
                Some("GREEN-API has trouble of its own: wait, it keeps notifications for 24 hours")
            }
            Self::Unreachable { class: "not_json" | "garbled" | "unexpected", .. } => {
                Some("something else may answer in GREEN-API's place: check api_url and what stands in between")
            }
            Self::Unreachable { .. } | Self::Closed { .. } | Self::NoAnswer { .. } => {
                Some("check api_url, and the network and proxies between here and GREEN-API")
            }
            Self::RateLimited { .. } | Self::Waiting { .. } | Self::Misconfigured { .. } | Self::Unreadable { .. } => {
                None
            }
        }
    }
}

/// A first-in-first-out queue that hands out its head again until it is deleted.
pub trait NotificationQueue: Send + Sync + 'static {
    /// Waits a while for the head of the queue. `None` if nothing came. Dropping the future loses nothing: what may
    /// have been handed out stays at the head.
    fn receive(&self) -> impl Future<Output = Result<Option<Received>, QueueError>> + Send;

    /// Deletes what `receipt` was handed out for. `proof` is never read: having to hold it is the point.
    ///
    /// Deleting with the proof compiles:
    ///
    /// ```
    /// use chatbridge::core::settled::Settled;
    /// use chatbridge::green_api::queue::{NotificationQueue, Receipt};
    /// async fn settle(queue: &impl NotificationQueue, receipt: Receipt, proof: &Settled) {
    ///     let _ = queue.delete(receipt, proof).await;
    /// }
    /// ```
    ///
    /// Deleting without it does not:
    ///
    /// ```compile_fail,E0061
    /// use chatbridge::core::settled::Settled;
    /// use chatbridge::green_api::queue::{NotificationQueue, Receipt};
    /// async fn settle(queue: &impl NotificationQueue, receipt: Receipt, proof: &Settled) {
    ///     let _ = queue.delete(receipt).await;
    /// }
    /// ```
    ///
    /// Only the bridge can make a proof, and only from what a publisher makes:
    ///
    /// ```compile_fail,E0451
    /// use chatbridge::core::settled::{Outcome, Settled};
    /// use chatbridge_event::event::EventId;
    /// fn forged(id: EventId, outcome: Outcome) -> Settled {
    ///     Settled { id, outcome }
    /// }
    /// ```
    ///
    /// ```compile_fail,E0451
    /// use chatbridge::core::publish::Delivered;
    /// fn forged() -> Delivered {
    ///     Delivered { partition: 0 }
    /// }
    /// ```
    fn delete(&self, receipt: Receipt, proof: &Settled) -> impl Future<Output = Result<Deletion, QueueError>> + Send;
}

impl<Q: NotificationQueue> NotificationQueue for Arc<Q> {
    fn receive(&self) -> impl Future<Output = Result<Option<Received>, QueueError>> + Send {
        Q::receive(self)
    }

    fn delete(&self, receipt: Receipt, proof: &Settled) -> impl Future<Output = Result<Deletion, QueueError>> + Send {
        Q::delete(self, receipt, proof)
    }
}
