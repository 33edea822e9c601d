//! The record of a dead letter: the bytes as they came, and headers that say why and where they belong. And the mark
//! that a replay leaves behind one.

use jiff::Timestamp;

use super::{CE_TRACEPARENT, Headers, Record, RecordFactory, TRACEPARENT};
use crate::event::{DeadLetterReason, EventId, SourceId};

/// A key or header longer than this is not carried into the dead letters: a poison event must not poison its own
/// grave. Documented ids have at most 40 characters.
const HEADER_BYTES_MAX: usize = 512;

/// The `reason` of a mark.
pub const MARK_REASON: &str = "replayed";
/// The mark's header that names its letter: `partition/offset`.
pub const MARKED_LETTER: &str = "replayed_letter";

/// Says of a letter that its event is in Kafka now. It lies behind the letter, under the same key.
pub struct Mark<'a> {
    /// The letter's partition.
    pub partition: i32,
    /// The letter's offset.
    pub offset: i64,
    /// The letter's `ce_id`, where it has one.
    pub id: Option<String>,
    /// The letter's key.
    pub key: &'a str,
    /// Where its event went.
    pub topic: &'a str,
}

/// The explanation is cut rather than left out.
const ERROR_CHARS_MAX: usize = 120;

/// Something that could not be published as an event.
#[derive(Clone)]
pub struct DeadLetter {
    /// Identity of the content, so that a repeat is known as one.
    pub id: EventId,
    /// What it was received for.
    pub source: SourceId,
    /// The kind of event it is, where it could be read as one: decides where it would have gone.
    pub kind: Option<&'static str>,
    /// The key it would have had, or its source's.
    pub key: String,
    /// Why it is here.
    pub reason: DeadLetterReason,
    /// The failure in words, without secrets and without content.
    pub error: String,
    /// The receipt it was handed out with, where one could be read.
    pub receipt_id: Option<String>,
    /// How often it was tried before it was given up.
    pub attempts: u32,
    /// When this process saw it first.
    pub first_seen: Timestamp,
    /// The `ce_` headers of the event, where it was one.
    pub event_headers: Headers,
    /// The bytes as they came.
    pub bytes: Vec<u8>,
}

impl RecordFactory {
    /// The record of `letter`, its value cut to `value_bytes_max` where the broker takes no more.
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
        // These two speak of a value that is an event; a dead letter's bytes may be anything.
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

    /// The record of `mark`. It has no value: what there is to know of the letter lies with the letter.
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
