//! What happens to a session, and what it wants done.

use super::auth::{Auth, AuthFailure};
use super::frame::{ClientFrame, Received};
use super::report::Report;

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// Nothing but time passed.
    Tick,
    /// The WebSocket is open.
    Connected,
    /// It could not be opened.
    Unreachable {
        /// Why: for the log.
        detail: String,
    },
    /// A text frame. None may come between [`Action::Deliver`] and [`Input::Taken`].
    Frame(&'a str),
    /// A binary frame, which Pusher has none of; the same holds.
    Binary(&'a [u8]),
    /// The connection ended.
    Closed {
        /// The WebSocket close code, where there was one.
        code: Option<u16>,
        /// In the peer's words or the system's: for the log.
        detail: String,
    },
    /// A frame above the limit began; the connection is of no use any more.
    TooLarge,
    /// The answer to [`Action::Authorise`].
    Authorised {
        /// As it was asked with.
        socket_id: String,
        /// As it was asked for.
        channel: String,
        /// What came of it.
        answer: Result<Auth, AuthFailure>,
    },
    /// [`Action::RenewToken`] is done, and whether there is a new token.
    TokenRenewed(bool),
    /// The sink has taken what it was given.
    Taken,
    /// Somebody found out that events are missing although everything looks well.
    Distrusted,
    /// Leave.
    Stop,
}

/// What to do.
#[derive(Debug)]
pub enum Action {
    /// Open a WebSocket.
    Connect,
    /// Send a frame.
    Send(ClientFrame),
    /// Ask for the authorisation of a channel on the connection of this name.
    Authorise {
        /// The connection.
        socket_id: String,
        /// The channel.
        channel: String,
    },
    /// Get a new access token.
    RenewToken,
    /// Give this to the sink, and read on when it has taken it.
    Deliver(Received),
    /// Say goodbye, and go on reading until the other side has closed.
    Close,
    /// Let go of the WebSocket, or of the attempt to open one. Nothing of it may come in any more.
    Disconnect,
    /// Tell whoever wants to know.
    Report(Report),
    /// It is over.
    Finished,
}
