//! The inputs and actions of a session.

use super::auth::{Auth, AuthFailure};
use super::frame::{ClientFrame, Received};
use super::report::Report;

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// Only time has passed.
    Tick,
    /// The WebSocket is open.
    Connected,
    /// The WebSocket could not be opened.
    Unreachable {
        /// The reason, for the log.
        detail: String,
    },
    /// A text frame. None may come between [`Action::Deliver`] and [`Input::Taken`].
    Frame(&'a str),
    /// A binary frame, which the Pusher protocol does not have; the same rule holds.
    Binary(&'a [u8]),
    /// The connection ended.
    Closed {
        /// The WebSocket close code, if there was one.
        code: Option<u16>,
        /// The reason as the peer or the system gave it, for the log.
        detail: String,
    },
    /// A frame above the limit began, so the connection can no longer be used.
    TooLarge,
    /// The answer to [`Action::Authorise`].
    Authorised {
        /// The connection it was asked for.
        socket_id: String,
        /// The channel it was asked for.
        channel: String,
        /// The result.
        answer: Result<Auth, AuthFailure>,
    },
    /// [`Action::RenewToken`] has ended, and whether there is a new token.
    TokenRenewed(bool),
    /// The sink has taken the last delivery.
    Taken,
    /// Events turned out to be missing although everything looks well.
    Distrusted,
    /// The session is to end.
    Stop,
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Open a WebSocket.
    Connect,
    /// Send a frame.
    Send(ClientFrame),
    /// Ask for the authorisation of a channel on this connection.
    Authorise {
        /// The connection's socket id.
        socket_id: String,
        /// The channel.
        channel: String,
    },
    /// Get a new access token.
    RenewToken,
    /// Give this to the sink, and read on only after the sink has taken it.
    Deliver(Received),
    /// Close the WebSocket, and go on reading until the other side has closed it.
    Close,
    /// Drop the WebSocket, or the attempt to open one. No input may come from it any more.
    Disconnect,
    /// Tell the observer.
    Report(Report),
    /// The session has ended.
    Finished,
}
