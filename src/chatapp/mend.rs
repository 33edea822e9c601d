//! Gaps: messages that were not heard are fetched, and consumers are told of the rest.

pub mod backfill;
pub mod keeper;
