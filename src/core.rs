//! The core: from an event to the broker's acknowledgement, whatever it was received from.
//!
//! It knows the packages and the configuration's types. It knows no upstream and no metrics: who delivers tells it a
//! [`witness`] of its own.

pub mod bridge;
pub mod consume;
pub mod policy;
pub mod prepared;
pub mod publish;
pub mod schema;
pub mod schema_registry;
pub mod settled;
pub mod witness;
