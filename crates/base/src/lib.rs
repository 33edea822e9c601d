//! What the other packages share. It depends on none of them.

pub mod clock;
pub mod json;
pub mod retry;
