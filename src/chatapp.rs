//! ChatApp (chatapp.online): its events, pushed over the Pusher protocol.
//!
//! Push has no replay: what is published while nobody is subscribed is gone, and what was received cannot be asked for
//! again. So a received event counts only once it is durable, and every stretch without a subscription is told.
//! § is a section of the notes on ChatApp and the Pusher protocol.

pub mod account;
mod ahead;
pub mod api;
pub mod backfill;
pub mod drain;
mod forms;
pub mod intake;
pub mod keeper;
mod lanes;
pub mod ledger;
pub mod overview;
pub(crate) mod reserve;
mod signing;
pub mod spool;
pub mod standing;
pub mod tokens;
mod unpack;
