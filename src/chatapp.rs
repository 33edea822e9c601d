//! ChatApp (chatapp.online): its events, pushed over the Pusher protocol.

pub mod account;
pub mod api;
pub mod backfill;
pub mod spool;
pub mod tokens;
