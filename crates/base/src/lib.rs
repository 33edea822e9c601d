//! What the other packages share, and what knows none of them.

pub mod clock;
pub mod json;
pub mod retry;
