//! Receiving by polling: the straight line, and how long to wait after what.

pub mod episode;
pub(crate) mod overlap;
pub mod poller;
pub(crate) mod rival;
pub(crate) mod throttle;
pub mod weather;
