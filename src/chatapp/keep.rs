//! Keeping what was received on disk until Kafka has it.

pub mod drain;
pub(crate) mod forms;
pub(crate) mod frame;
pub(crate) mod lanes;
pub(crate) mod reserve;
pub mod spool;
pub mod suspects;
pub(crate) mod unpack;
