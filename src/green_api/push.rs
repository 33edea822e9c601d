//! Receiving by webhook: the endpoint that GREEN-API calls, and one intake for each instance.

pub(crate) mod endpoint;
pub mod intake;
pub(crate) mod intakes;
