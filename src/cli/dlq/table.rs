//! How a dead letter looks in a list. Neither its key nor its bytes: they hold phone numbers and texts.

use serde_json::{Value, json};

use crate::dead_letters::{Letter, Survey};
use chatbridge_event::event::{Channel, SourceId};

/// What librdkafka has to say may be long.
const ERROR_CHARS_MAX: usize = 80;

pub(super) const HEADINGS: &str = "TIME                  INSTANCE      REASON        PLACE       BYTES  TOPIC                ID                                    ERROR";

pub(super) fn row(letter: &Letter, was_replayed: bool) -> String {
    let time = letter.time.map(|time| format!("{time:.0}")).unwrap_or_default();
    let channel = || letter.source.as_ref().and_then(SourceId::channel).map(|channel| printable(&channel.short()));
    let instance = letter.instance().map(|instance| instance.to_string()).or_else(channel).unwrap_or_default();
    let place = format!("{}/{}", letter.position.partition, letter.position.offset);
    let id = letter.id.map(|id| id.hyphenated().to_string()).unwrap_or_default();
    let error = printable(&letter.error);
    let error = if was_replayed { format!("replayed; {error}") } else { error };
    format!(
        "{time:<20}  {instance:<12}  {:<12}  {place:<8}  {:>7}  {:<19}  {id:<36}  {error}",
        printable(&letter.reason),
        letter.bytes.len(),
        printable(letter.topic.as_deref().unwrap_or_default()),
    )
}

/// Whoever may write to the topic shall not write to this terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(ERROR_CHARS_MAX).collect()
}

pub(super) fn json(letter: &Letter, was_replayed: bool) -> Value {
    let mut line = json!({
        "partition": letter.position.partition,
        "offset": letter.position.offset,
        "reason": letter.reason,
        "error": letter.error,
        "bytes": letter.bytes.len(),
        "replayed": was_replayed,
    });
    for (name, value) in [
        ("time", letter.time.map(|time| json!(time))),
        ("instance", letter.instance().map(|instance| json!(instance.to_string()))),
        ("channel", letter.source.as_ref().and_then(SourceId::channel).and_then(Channel::name).map(|name| json!(name))),
        ("topic", letter.topic.as_deref().map(|topic| json!(topic))),
        ("id", letter.id.map(|id| json!(id.hyphenated().to_string()))),
        ("attempts", letter.attempts.map(|attempts| json!(attempts))),
        ("first_seen", letter.first_seen.map(|time| json!(time))),
        ("receipt_id", letter.receipt_id.as_deref().map(|receipt| json!(receipt))),
        ("truncated_from_bytes", letter.truncated_from_bytes.map(|bytes| json!(bytes))),
    ] {
        if let Some(value) = value {
            line[name] = value;
        }
    }
    line
}

pub(super) fn footer(found: &Survey) -> String {
    if found.selected.is_empty() {
        return "no dead letters".to_owned();
    }
    let reasons: Vec<String> = found.reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    format!("{} in all: {}", found.selected.len(), reasons.join(", "))
}
