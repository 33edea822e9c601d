//! ChatApp (chatapp.online): its events, pushed over the Pusher protocol.
//!
//! Push has no replay. What is published while nobody is subscribed is lost, and what was received cannot be asked for
//! again. So a received event counts only once it is durable, and consumers are told of every stretch without a
//! subscription. What ChatApp does is in docs/upstream/chatapp.md, each fact with its source.

pub mod account;
pub mod api;
pub mod hear;
pub mod keep;
pub mod mend;
pub mod overview;
pub mod push;
mod signing;
pub mod tokens;
