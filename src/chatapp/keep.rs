//! What was received is kept on disk until it is in Kafka.

pub mod drain;
pub(crate) mod forms;
pub(crate) mod frame;
pub(crate) mod lanes;
pub(crate) mod reserve;
pub mod spool;
pub(crate) mod unpack;
