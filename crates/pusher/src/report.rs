//! What a session tells of itself: for metrics, the status page and whoever looks after gaps.

use std::fmt;
use std::time::Duration;

use super::auth::AuthFailure;
use super::code::{self, Rule};
use super::frame::ServerError;

/// What became of the session.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A connection is being made.
    Connecting,
    /// The server has named the connection.
    Established {
        /// Its name.
        socket_id: String,
    },
    /// The channel is subscribed: from here on events come. What is to be fetched of the time before is fetched now.
    Live {
        /// Its name.
        channel: String,
    },
    /// The channel is subscribed no more.
    Lost {
        /// Its name.
        channel: String,
    },
    /// The channel cannot be had for the moment; the others are not touched.
    Refused {
        /// Its name.
        channel: String,
        /// Why.
        refusal: Refusal,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The connection is gone, or none came to be. Each channel that was live has been told lost.
    Disconnected {
        /// Why.
        cause: Cause,
        /// When to connect again; [`Rule::Slow`] is for somebody to look at.
        rule: Rule,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The access token does not do; a new one is being asked for.
    TokenRefused,
    /// An error of the server that changes nothing.
    ServerError(ServerError),
    /// Something of the protocol that we do not know.
    UnknownFrame {
        /// Its name.
        event: String,
    },
    /// The sink takes nothing, and until it does there is no connection.
    Stalled {
        /// Since when it has taken nothing.
        lasting: Duration,
    },
    /// The session has ended as it was asked to.
    Stopped,
}

/// Why a channel cannot be had for the moment.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The endpoint gave no signature.
    #[error(transparent)]
    NoAuth(AuthFailure),
    /// The endpoint did not answer.
    #[error("the authorisation endpoint did not answer in time")]
    NoAuthInTime,
    /// The access token could not be renewed.
    #[error("not authorised, and the access token could not be renewed")]
    NoToken,
    /// The server does not take the signature, or refuses for another reason.
    #[error("the server refuses the channel: {}", .0.message)]
    ByServer(ServerError),
    /// The server did not answer.
    #[error("the server did not answer the subscription in time")]
    NoAnswer,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Name resolution, TCP, TLS or the upgrade failed.
    Unreachable {
        /// How.
        detail: String,
    },
    /// They took too long.
    ConnectTimeout,
    /// The server did not name the connection.
    HandshakeTimeout,
    /// The other side, or the network, closed.
    Closed {
        /// With this code.
        code: Option<u16>,
        /// In these words.
        detail: String,
    },
    /// The server said an error that ends a connection, whether or not it closes.
    Error(ServerError),
    /// Nothing came, not even the answer to a ping.
    Silent,
    /// A frame was larger than allowed.
    TooLarge,
    /// The sink took nothing for too long.
    Stalled,
    /// Somebody found events missing.
    Distrusted,
}

impl Cause {
    /// When to connect again.
    #[must_use]
    pub fn rule(&self) -> Rule {
        match self {
            Self::Closed { code, .. } => code::after_close(*code),
            Self::Error(error) => code::after_close(error.code),
            Self::Silent | Self::Distrusted => Rule::AtOnce,
            Self::Unreachable { .. }
            | Self::ConnectTimeout
            | Self::HandshakeTimeout
            | Self::TooLarge
            | Self::Stalled => Rule::BackOff,
        }
    }

    /// A short fixed word: for a metric's label.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::HandshakeTimeout => "handshake_timeout",
            Self::Closed { .. } => "closed",
            Self::Error(_) => "error",
            Self::Silent => "silent",
            Self::TooLarge => "too_large",
            Self::Stalled => "stalled",
            Self::Distrusted => "distrusted",
        }
    }

    /// The number of the close or of the error.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Closed { code, .. } => *code,
            Self::Error(error) => error.code,
            _ => None,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { detail } => write!(f, "the server cannot be reached: {detail}"),
            Self::ConnectTimeout => f.write_str("the server did not take the connection in time"),
            Self::HandshakeTimeout => f.write_str("the server took the connection and said nothing"),
            Self::Closed { code: Some(code), detail } => {
                write!(f, "{} (closed with {code}: {detail})", code::advice(*code))
            }
            Self::Closed { code: None, detail } => write!(f, "the connection ended: {detail}"),
            Self::Error(error) => {
                let code = error.code.unwrap_or_default();
                write!(f, "{} (error {code}: {})", code::advice(code), error.message)
            }
            Self::Silent => f.write_str("nothing came from the server, not even the answer to a ping"),
            Self::TooLarge => f.write_str("the server sent a frame larger than frame_bytes_max"),
            Self::Stalled => f.write_str("received events are not taken, so nothing was read for too long"),
            Self::Distrusted => f.write_str("events were missing although the subscription looked well"),
        }
    }
}
