//! Telemetry of webhook calls that never reached an instance, and of all answers.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, IntCounterVec};
use tracing::warn;

use super::listener::ListenerTelemetry;

/// Why a call was refused. The cause is the caller or the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No token, or not the instance's token.
    Unauthorised,
    /// An address that may not call.
    Forbidden,
    /// An instance that is not received by webhook here.
    UnknownInstance,
    /// No such path.
    UnknownPath,
    /// Longer than `webhook.body_bytes_max`.
    TooLarge,
    /// Compressed, wrapped or encoded in a way that is not supported.
    Envelope,
    /// The body did not come in time.
    TooSlow,
    /// A call without a body.
    Empty,
    /// The body broke off.
    Unreadable,
    /// Nothing says which instance the call is for.
    Nameless,
}

impl Refused {
    /// The metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorised => "unauthorised",
            Self::Forbidden => "forbidden",
            Self::UnknownInstance => "unknown_instance",
            Self::UnknownPath => "unknown_path",
            Self::TooLarge => "too_large",
            Self::Envelope => "envelope",
            Self::TooSlow => "too_slow",
            Self::Empty => "empty",
            Self::Unreadable => "unreadable",
            Self::Nameless => "nameless",
        }
    }

    /// What an operator can do about it.
    fn fix(self) -> &'static str {
        match self {
            Self::Unauthorised => {
                "if it is GREEN-API, set the instance's webhookUrlToken to the webhook_token of the configuration"
            }
            Self::Forbidden => {
                "if it is GREEN-API, add the address to webhook.allow_from, or the proxy to trusted_proxies"
            }
            Self::UnknownInstance => "add the instance with receive = \"webhook\", or clear its webhookUrl",
            Self::UnknownPath => "the webhookUrl of an instance has to end in /green-api/<idInstance>",
            Self::TooLarge => "if it is GREEN-API, raise webhook.body_bytes_max: the instance stands still until then",
            Self::Envelope => {
                "if it is GREEN-API, look at what a proxy before this listener does to bodies: JSON in UTF-8 is read, \
                 bare or as gzip, deflate, br or zstd; the instance stands still until then"
            }
            Self::TooSlow => "if it is GREEN-API, raise webhook.body_timeout_seconds, or look at the way to here",
            Self::Empty => "GREEN-API never sends an empty body: somebody else is trying out the address",
            Self::Unreadable => "the connection broke off; GREEN-API sends it again",
            Self::Nameless => {
                "let the webhookUrl end in /green-api/<idInstance>, so that bodies nobody can read have an owner"
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unauthorised => "the Authorization header does not hold this instance's webhookUrlToken",
            Self::Forbidden => "this address may not call",
            Self::UnknownInstance => "this instance is not received by webhook here",
            Self::UnknownPath => "nothing is received here",
            Self::TooLarge => "the body is too long",
            Self::Envelope => "the body is compressed, wrapped or spelt in a way that is not read here",
            Self::TooSlow => "the body did not come in time",
            Self::Empty => "there is no notification in it",
            Self::Unreadable => "the body broke off",
            Self::Nameless => "it names no instance",
        })
    }
}

/// Why the answer is not 200 yet: the caller should send the same call again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// Kafka has not acknowledged in time; the event is still in flight, or waits behind one that is.
    #[error("Kafka has not acknowledged it in time")]
    Late,
    /// Too many other calls wait already.
    #[error("too many calls for this instance at once")]
    Crowded,
    /// The process is ending, or the instance is no longer received by webhook.
    #[error("the bridge is stopping")]
    Stopping,
    /// A bug: the task that delivered it panicked.
    #[error("delivering it failed unexpectedly; please report the log line")]
    Panicked,
}

/// Counts and logs how webhook calls were answered.
pub struct CallTelemetry {
    /// Counted by answer.
    answered: IntCounterVec,
    /// The time from a call's head to its 200.
    acknowledged: Histogram,
    listener: Arc<ListenerTelemetry>,
}

impl CallTelemetry {
    /// Counts in `answered` and `acknowledged`; `listener` counts the connections.
    #[must_use]
    pub fn new(answered: IntCounterVec, acknowledged: Histogram, listener: ListenerTelemetry) -> Self {
        Self { answered, acknowledged, listener: Arc::new(listener) }
    }

    /// The telemetry of its connections.
    #[must_use]
    pub fn listener(&self) -> Arc<ListenerTelemetry> {
        Arc::clone(&self.listener)
    }

    /// A call was answered with 200, this long after its head was read.
    pub fn acknowledged(&self, took: Duration) {
        self.count("acknowledged");
        self.acknowledged.observe(took.as_secs_f64());
    }

    /// A call was told to come again.
    pub fn not_now(&self, why: NotNow) {
        self.count(match why {
            NotNow::Late => "late",
            NotNow::Crowded => "crowded",
            NotNow::Stopping => "stopping",
            NotNow::Panicked => "panicked",
        });
    }

    /// A call was told to come again: Kafka was not found yet.
    pub fn starting(&self) {
        self.count("starting");
    }

    /// A call was refused.
    pub fn refused(&self, why: Refused, peer: SocketAddr) {
        self.count(why.as_str());
        if self.is_news(why.as_str()) {
            warn!(%peer, class = why.as_str(), fix = why.fix(), "a webhook call was refused: {why}");
        }
    }

    /// A call was told to come again: there is no room for its body.
    pub fn full(&self) {
        const CLASS: &str = "full";
        self.count(CLASS);
        if self.is_news(CLASS) {
            warn!(
                class = CLASS,
                "a webhook call is answered with 503: the bodies in memory are as many as may be; look whether Kafka \
                 takes records, else raise webhook.buffered_bytes_max. GREEN-API keeps the event and sends it again"
            );
        }
    }

    fn count(&self, answer: &'static str) {
        self.answered.with_label_values(&[answer]).inc();
    }

    fn is_news(&self, class: &'static str) -> bool {
        self.listener.reminders.is_due(class)
    }
}
