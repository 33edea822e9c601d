//! Stand-ins for GREEN-API and ChatApp, with every fault they are known to have, and the oracle that judges what came
//! of what they were told. It knows nothing of chatbridge: what it shared with it, it would share the mistakes of.

pub mod chatapp;
pub mod green_api;
mod kit;
pub mod oracle;
