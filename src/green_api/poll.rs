//! Receiving by polling: the delivery loop, and how long to wait after each outcome.

pub mod episode;
pub(crate) mod overlap;
pub mod poller;
pub(crate) mod rival;
pub(crate) mod throttle;
pub mod weather;
