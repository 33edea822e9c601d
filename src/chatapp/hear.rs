//! What is heard of ChatApp, and until when it was heard.

pub(crate) mod ahead;
pub mod intake;
pub mod ledger;
pub mod standing;
