//! Receiving from ChatApp, and keeping track of the time up to which everything was received.

pub(crate) mod ahead;
pub mod intake;
pub mod ledger;
pub mod standing;
