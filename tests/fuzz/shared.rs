//! What several targets need.

use jiff::Timestamp;
use serde_json::value::RawValue;

/// The time at which everything is received.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(1_760_000_000).expect("in range")
}

/// Whether it is one JSON value.
pub(crate) fn is_json(bytes: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(bytes).is_ok()
}
