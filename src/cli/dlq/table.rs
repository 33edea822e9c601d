//! How a dead letter is listed. Without key and bytes, because they hold phone numbers and texts.

use serde_json::{Value, json};

use crate::cli::dlq::dead_letters::{Letter, Survey};
use crate::redact::Redactor;
use chatbridge_event::event::{Channel, SourceId};

/// librdkafka's messages can be long.
const ERROR_CHARS_MAX: usize = 80;

pub(super) const HEADINGS: &str = "TIME                  INSTANCE      REASON        PLACE       BYTES  TOPIC                ID                                    ERROR";

pub(super) fn row(letter: &Letter, was_replayed: bool, redactor: &Redactor) -> String {
    // Text in the topic must not be able to control this terminal.
    let printable = |text: &str| -> String { redactor.outside(text).chars().take(ERROR_CHARS_MAX).collect() };
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

pub(super) fn footer(found: &Survey, redactor: &Redactor) -> String {
    if found.selected.is_empty() {
        return "no dead letters".to_owned();
    }
    let named = |(reason, count): (&String, &usize)| format!("{} {count}", redactor.outside(reason));
    let reasons: Vec<String> = found.reasons.iter().map(named).collect();
    format!("{} in all: {}", found.selected.len(), reasons.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::dlq::dead_letters::Entry;
    use crate::core::consume::{ConsumedRecord, Position};

    /// A letter with a harmful value in every header.
    fn wicked() -> Letter {
        let harm = |text: &str| format!("{text}\u{202e}\u{1b}[2J\r\n d75b3a66c0ffee\u{9b}");
        let header = |name: &str, value: String| (name.to_owned(), value);
        let record = ConsumedRecord {
            position: Position { partition: 0, offset: 7 },
            timestamp_ms: Some(1_760_000_000_000),
            appended_ms: None,
            key: harm("key"),
            headers: vec![
                header("reason", harm("reason")),
                header("error", harm("error")),
                header("instance", "1101".to_owned()),
                header("topic", harm("topic")),
                header("receipt_id", harm("7")),
            ],
            value: Vec::new(),
        };
        match Entry::read(record) {
            Entry::Letter(letter) => *letter,
            _ => panic!("it is a letter"),
        }
    }

    #[test]
    fn a_list_holds_no_secret_and_nothing_that_writes_to_the_terminal() {
        let secret = secrecy::SecretString::from("d75b3a66c0ffee");
        let redactor = Redactor::new([&secret]);
        let letter = wicked();
        let mut found = Survey::default();
        found.selected.insert(letter.position, false);
        found.reasons.insert(letter.reason.clone(), 1);
        let document = redactor.json(&json(&letter, false)).expect("JSON");
        for shown in
            [row(&letter, true, &redactor), footer(&found, &redactor), crate::fit::json(&document).into_owned()]
        {
            assert!(shown.contains("reason") && shown.contains("<secret>"), "{shown:?}");
            assert!(
                !shown.contains("d75b3a66") && !shown.contains(['\u{202e}', '\u{1b}', '\u{9b}', '\n']),
                "{shown:?}"
            );
        }
    }
}
