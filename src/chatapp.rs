//! ChatApp (chatapp.online): its events, pushed over the Pusher protocol.

pub mod spool;
