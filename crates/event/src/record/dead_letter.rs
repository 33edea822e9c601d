//! The record of a dead letter: the bytes as they came, and headers that say why it is here and where it belongs. Also
//! the mark that a replay leaves for a letter.

use jiff::Timestamp;

use super::{CE_TRACEPARENT, Headers, Record, RecordFactory, TRACEPARENT};
use crate::event::{DeadLetterReason, EventId, SourceId};

/// A longer key or header is left out of the dead letter: what made the event unpublishable must not make its dead
/// letter unpublishable too. Documented ids have at most 40 characters.
const HEADER_BYTES_MAX: usize = 512;

/// The `reason` of a mark.
pub const MARK_REASON: &str = "replayed";
/// The mark's header that names its letter: `partition/offset`.
pub const MARKED_LETTER: &str = "replayed_letter";

/// Says that the event of a letter is in Kafka now. It comes after the letter, with the same key.
pub struct Mark<'a> {
    /// The letter's partition.
    pub partition: i32,
    /// The letter's offset.
    pub offset: i64,
    /// The letter's `ce_id`, if it has one.
    pub id: Option<String>,
    /// The letter's key.
    pub key: &'a str,
    /// The topic its event went to.
    pub topic: &'a str,
}

/// A longer explanation is cut.
const ERROR_CHARS_MAX: usize = 120;

/// Something that could not be published as an event.
#[derive(Clone)]
pub struct DeadLetter {
    /// Made from the content, so that a repeat has the same id.
    pub id: EventId,
    /// What it was received for.
    pub source: SourceId,
    /// The kind of event, if it could be read as one: decides which topic it would have gone to.
    pub kind: Option<&'static str>,
    /// The key it would have had, or its source's.
    pub key: String,
    /// Why it is here.
    pub reason: DeadLetterReason,
    /// The failure in words, without secrets and without content.
    pub error: String,
    /// The receipt it was received with, if one could be read.
    pub receipt_id: Option<String>,
    /// The number of tries.
    pub attempts: u32,
    /// When this process first saw it.
    pub first_seen: Timestamp,
    /// The `ce_` headers of the event, if it was one.
    pub event_headers: Headers,
    /// The bytes as they came.
    pub bytes: Vec<u8>,
}

impl RecordFactory {
    /// The record of `letter`, its value cut to `value_bytes_max` if the broker takes no more.
    #[must_use]
    pub fn dead_letter(&self, letter: &DeadLetter, value_bytes_max: usize, now: Timestamp) -> Record {
        let value = &letter.bytes[..letter.bytes.len().min(value_bytes_max)];
        let mut headers = vec![
            ("reason", letter.reason.as_str().to_owned()),
            ("error", letter.error.chars().take(ERROR_CHARS_MAX).collect()),
        ];
        headers.extend(letter.source.instance().map(|instance| ("instance", instance.to_string())));
        headers.extend([
            ("attempts", letter.attempts.to_string()),
            ("first_seen", letter.first_seen.to_string()),
            ("topic", letter.kind.map_or(&self.topic, |kind| self.topic_of(kind)).to_string()),
        ]);
        if let Some(receipt_id) = &letter.receipt_id {
            headers.push(("receipt_id", receipt_id.clone()));
        }
        if value.len() < letter.bytes.len() {
            headers.push(("truncated_from_bytes", letter.bytes.len().to_string()));
        }
        if letter.event_headers.is_empty() {
            headers.push(("ce_id", letter.id.to_string()));
            headers.push(("ce_source", letter.source.uri()));
        }
        // These two describe a value that is an event; a dead letter's bytes may be anything.
        let of_value = |name: &str| matches!(name, "content-type" | "ce_dataschema");
        let event_headers = letter.event_headers.iter().filter(|(name, _)| !of_value(name));
        headers.extend(event_headers.cloned());
        if let Some(traceparent) = self.traceparent(letter.id) {
            headers.push((CE_TRACEPARENT, traceparent.clone()));
            headers.push((TRACEPARENT, traceparent));
        }
        headers.retain(|(_, value)| value.len() <= HEADER_BYTES_MAX);
        let key = Some(&letter.key).filter(|key| key.len() <= HEADER_BYTES_MAX);
        Record {
            topic: self.dead_letter_topic.clone(),
            key: key.cloned().unwrap_or_else(|| letter.source.key()),
            headers,
            timestamp_ms: now.as_millisecond(),
            value: value.to_vec(),
        }
    }

    /// The record of `mark`. It has no value: everything else about the letter is in the letter.
    #[must_use]
    pub fn mark(&self, mark: &Mark<'_>, now: Timestamp) -> Record {
        let mut headers = vec![
            ("reason", MARK_REASON.to_owned()),
            (MARKED_LETTER, format!("{}/{}", mark.partition, mark.offset)),
            ("topic", mark.topic.to_owned()),
        ];
        headers.extend(mark.id.clone().map(|id| ("ce_id", id)));
        Record {
            topic: self.dead_letter_topic.clone(),
            key: mark.key.to_owned(),
            headers,
            timestamp_ms: now.as_millisecond(),
            value: Vec::new(),
        }
    }
}
