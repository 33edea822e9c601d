//! The GREEN-API wing: its client, receiving by polling, receiving by webhook.
//!
//! What GREEN-API does is in docs/upstream/green-api.md, each fact with its source.

pub(crate) mod answer;
pub mod caller;
pub mod carrier;
pub mod client;
pub mod debug;
pub mod ending;
pub mod examine;
pub(crate) mod pace;
pub mod poll;
pub mod push;
pub mod queue;
pub mod watch;
