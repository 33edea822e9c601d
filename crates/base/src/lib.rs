//! What the other packages share, and what knows none of them.
