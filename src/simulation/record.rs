//! Checks that a record matches what was queued: key, topic and bytes. Pure.

use super::bodies::{Fate, Made};
use chatbridge_event::record::Record;

/// What is known of the content of the record.
pub(super) struct AsKnown {
    /// It is an answer that was cut on its way.
    pub(super) mutilated: bool,
    /// The broker refused it for good.
    pub(super) refused: bool,
    /// How often it was received.
    pub(super) sights: u32,
}

/// What is wrong with `record`, if it is the record of `made`.
pub(super) fn objections(record: &Record, made: &Made, as_known: &AsKnown) -> Vec<String> {
    let Made { body, key, fate, is_json, .. } = made;
    let AsKnown { mutilated, refused, sights } = *as_known;
    let is_letter = &*record.topic == "chat-events-dlq";
    let readable = *is_json && !mutilated;
    let mut wrong = Vec::new();
    if record.key != *key && !(mutilated && record.key.starts_with("instance:")) {
        wrong.push(format!("key {} instead of {key}", record.key));
    }
    if readable && *fate == Fate::Nowhere {
        wrong.push("the configuration drops it".to_owned());
    }
    if readable && is_letter && *fate == Fate::Topic && !refused {
        wrong.push("buried though nobody refused it".to_owned());
    }
    if !is_letter && (!readable || *fate != Fate::Topic) {
        wrong.push("published though it belongs to the dead letters".to_owned());
    }
    if !readable && sights < 2 {
        wrong.push("buried at the first unreadable answer".to_owned());
    }
    let value = &record.value;
    let same = match (is_letter, readable) {
        (true, true) => body.starts_with(value),
        (true, false) => mutilated || value.is_empty() || contains(value, body),
        (false, _) => {
            value.strip_suffix(b"}").is_some_and(|value| value.ends_with(body)) || contains(value, br#""reduced":true"#)
        }
    };
    if !same {
        wrong.push("other bytes than those that were queued".to_owned());
    }
    wrong
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}
