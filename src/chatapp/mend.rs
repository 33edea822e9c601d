//! What was not heard is fetched, or told as a gap.

pub mod backfill;
pub mod keeper;
