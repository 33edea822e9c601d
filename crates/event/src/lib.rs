//! From a body to an event and to a record: values and arithmetic, no I/O.

pub mod event;
pub mod normalize;
pub mod record;
pub mod trace;
