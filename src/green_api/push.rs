//! Receiving by webhook: the endpoint that GREEN-API calls, and one intake for each instance.

pub mod endpoint;
pub mod intake;
pub mod intakes;
