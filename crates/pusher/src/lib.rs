//! A client of the Pusher protocol.
