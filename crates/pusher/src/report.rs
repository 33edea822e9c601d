//! What a session reports: for metrics, the status page and the handling of gaps.

use std::fmt;
use std::time::Duration;

use super::auth::AuthFailure;
use super::code::{self, Rule};
use super::frame::ServerError;

/// What happened to the session.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    /// A connection is being made.
    Connecting,
    /// The server has sent the socket id.
    Established {
        /// The socket id.
        socket_id: String,
    },
    /// The channel is subscribed: events come from here on. Now is the time to fetch what was missed before.
    Live {
        /// Its name.
        channel: String,
    },
    /// The channel is no longer subscribed.
    Lost {
        /// Its name.
        channel: String,
    },
    /// The channel cannot be subscribed at the moment; the others are not affected.
    Refused {
        /// Its name.
        channel: String,
        /// Why.
        refusal: Refusal,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The connection is gone, or could not be made. Each channel that was live has been reported as lost.
    Disconnected {
        /// Why.
        cause: Cause,
        /// When to connect again; somebody should look into [`Rule::Slow`].
        rule: Rule,
        /// When it is tried again.
        retry_in: Duration,
    },
    /// The access token was refused; a new one is being requested.
    TokenRefused,
    /// An error from the server that changes nothing.
    ServerError(ServerError),
    /// A protocol event that we do not know.
    UnknownFrame {
        /// Its name.
        event: String,
    },
    /// The sink takes nothing, and there is no connection until it does.
    Stalled {
        /// For how long it has taken nothing.
        lasting: Duration,
    },
    /// The session has ended as requested.
    Stopped,
}

/// Why a channel cannot be subscribed at the moment.
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
    /// The server does not accept the signature, or refuses for another reason.
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
        /// The reason.
        detail: String,
    },
    /// The connection attempt took too long.
    ConnectTimeout,
    /// The server did not send the socket id.
    HandshakeTimeout,
    /// The server or the network closed the connection.
    Closed {
        /// The close code.
        code: Option<u16>,
        /// The reason.
        detail: String,
    },
    /// The server sent an error that ends a connection, whether or not it closes it.
    Error(ServerError),
    /// Nothing came, not even the answer to a ping.
    Silent,
    /// A frame was larger than allowed.
    TooLarge,
    /// The sink took nothing for too long.
    Stalled,
    /// Events turned out to be missing.
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

    /// A short fixed word for a metric's label.
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

    /// The code of the close or of the error.
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
