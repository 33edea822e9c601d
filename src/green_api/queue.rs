//! What every source of notifications has in common.
//!
//! A source holds its protocol and nothing else: it receives, lets [`crate::core::bridge::Bridge`] deliver, and settles in
//! its own idiom. The queue's idiom is deleting; it asks for [`crate::core::settled::Settled`], which only the bridge makes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::core::settled::Settled;
use chatbridge_event::event::Notification;

/// What a receive hands out: a notification, and the receipt that deletes it.
pub struct Received {
    /// What deletes it.
    pub receipt: Receipt,
    /// What came.
    pub notification: Notification,
}

/// GREEN-API's `receiptId` of one hand-out, in its own spelling. Not `Clone`: it is used once.
#[derive(Debug)]
pub struct Receipt(String);

impl Receipt {
    /// Digits, perhaps with a sign; nothing else may reach the URL it becomes part of.
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
    /// Was gone already (the 500 that speaks of `findUnAckedMessage`).
    AlreadyGone,
    /// Not removed, or removed before: receive again to learn which.
    Unclear,
}

/// Why a receive or delete failed, by what the caller does next.
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
    /// Ask again at once; should that keep failing, back off. The connection was closed before a byte of the answer had
    /// come.
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
        /// For as long as upstream asks, where it does.
        retry_after: Option<Duration>,
    },
    /// The instance is not ready; it may become so by itself: try every few seconds.
    #[error("{fix} ({detail})")]
    Waiting {
        /// The metric's label.
        class: &'static str,
        /// What the operator can do.
        fix: &'static str,
        /// What upstream said, without secrets.
        detail: String,
    },
    /// Nothing helps but an operator: try rarely, say so clearly.
    #[error("{fix} ({detail})")]
    Misconfigured {
        /// The metric's label.
        class: &'static str,
        /// What the operator has to do.
        fix: &'static str,
        /// What upstream said, without secrets.
        detail: String,
    },
    /// Nothing came, and nothing is known: whoever answered does not speak for the queue. Poll again; should it last,
    /// tell.
    #[error("no answer that speaks for the queue: {detail}")]
    NoAnswer {
        /// What came instead.
        detail: String,
    },
    /// Something lies at the head that can be neither read nor deleted: alarm and back off.
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

    /// What an operator can do about it; `None` where the words of the error say so themselves.
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
    /// Waits a while for the head of the queue; `None` where nothing came. Dropping the future costs nothing: what
    /// may have been handed out stays at the head.
    fn receive(&self) -> impl Future<Output = Result<Option<Received>, QueueError>> + Send;

    /// Deletes what `receipt` was handed out for. `proof` is never read: having to hold it is the point.
    ///
    /// Deleting with the proof compiles:
    ///
    /// ```
    /// use chatbridge::{bridge::Settled, source::{NotificationQueue, Receipt}};
    /// async fn settle(queue: &impl NotificationQueue, receipt: Receipt, proof: &Settled) {
    ///     let _ = queue.delete(receipt, proof).await;
    /// }
    /// ```
    ///
    /// Deleting without it does not:
    ///
    /// ```compile_fail,E0061
    /// use chatbridge::{bridge::Settled, source::{NotificationQueue, Receipt}};
    /// async fn settle(queue: &impl NotificationQueue, receipt: Receipt, proof: &Settled) {
    ///     let _ = queue.delete(receipt).await;
    /// }
    /// ```
    ///
    /// And nobody but the bridge makes a proof, out of what nobody but a publisher makes:
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
