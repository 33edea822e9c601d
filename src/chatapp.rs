//! ChatApp (chatapp.online): its events, pushed over the Pusher protocol.

pub mod normalize;
pub mod spool;
