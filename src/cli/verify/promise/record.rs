//! What a record says about itself, in any form of its value.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::content::Content;
use crate::core::consume::ConsumedRecord;
use chatbridge_event::record::dead_letter::MARK_REASON;

/// Confluent's wire format: a zero byte and four bytes of schema id before the JSON.
const FRAME_BYTES: usize = 5;

/// A record, parsed as far as the verdict needs it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    /// The instance it names.
    pub(super) instance: u64,
    /// The identities of its content, made from the body it carries. Empty if it carries no body or only a part.
    pub(super) identities: Vec<String>,
    /// The ids it claims: in its value, its envelope and its headers.
    pub(super) claimed: Vec<String>,
    /// The receipt of an unreadable body.
    pub(super) receipt: Option<u64>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "specversion")]
    _specversion: IgnoredAny,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Value<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    source: Source<'a>,
    #[serde(borrow)]
    raw: Option<&'a RawValue>,
    reduced: Option<bool>,
}

#[derive(Deserialize)]
struct Source<'a> {
    #[serde(borrow)]
    instance: Cow<'a, str>,
}

/// A record of an event topic, or `None` if it is no event of a GREEN-API instance.
pub(super) fn event(record: &ConsumedRecord) -> Option<Account> {
    let value = match record.value.first() {
        Some(0) => record.value.get(FRAME_BYTES..)?,
        _ => &record.value,
    };
    let (envelope_id, value) = match serde_json::from_slice::<Envelope>(value) {
        Ok(envelope) => (envelope.id, envelope.data.get().as_bytes()),
        Err(_) => (None, value),
    };
    let value: Value = serde_json::from_slice(value).ok()?;
    let instance = value.source.instance.parse().ok()?;
    let content = value.raw.map(|raw| Content::of(instance, raw.get().as_bytes()));
    let identity = content.map(|content| match value.reduced {
        Some(true) => content.as_reduced(),
        _ => content.identity,
    });
    let header_id = record.header("ce_id").map(Cow::Borrowed);
    let claimed = [value.id, envelope_id, header_id].into_iter().flatten().map(Cow::into_owned).collect();
    Some(Account { instance, identities: identity.into_iter().collect(), claimed, receipt: None })
}

/// A record of the dead-letter topic.
pub(super) enum DeadLetter {
    Letter(Account),
    /// The mark of a replayed letter.
    Mark,
    /// Not written by this bridge.
    Foreign,
}

pub(super) fn dead_letter(record: &ConsumedRecord) -> DeadLetter {
    let reason = record.header("reason").unwrap_or_default();
    if reason == MARK_REASON {
        return DeadLetter::Mark;
    }
    let Some(instance) = record.header("instance").and_then(|instance| instance.parse().ok()) else {
        return DeadLetter::Foreign;
    };
    let identity = |bytes: &[u8]| Content::of(instance, bytes).identity;
    let claimed_id = record.header("ce_id").map(str::to_owned);
    // An unreadable body is carried in its whole answer, and its id is made from that answer.
    if matches!(reason, "not_json" | "not_utf8" | "no_body" | "too_long") {
        let receipt = record.header("receipt_id").and_then(|receipt| receipt.parse().ok());
        let identities = body_in_answer(&record.value).map(identity).into_iter().collect();
        return DeadLetter::Letter(Account { instance, identities, claimed: Vec::new(), receipt });
    }
    let is_cut = record.header("truncated_from_bytes").is_some();
    let identities = if is_cut { Vec::new() } else { vec![identity(&record.value)] };
    DeadLetter::Letter(Account { instance, identities, claimed: claimed_id.into_iter().collect(), receipt: None })
}

/// The bytes in the place of the body in `{"receiptId":5,"body":…}`, JSON or not.
fn body_in_answer(answer: &[u8]) -> Option<&[u8]> {
    const BODY: &[u8] = b"\"body\":";
    // Only a receipt comes before the body.
    let start = answer.windows(BODY.len()).take(64).position(|window| window == BODY)? + BODY.len();
    answer[start..].trim_ascii_end().strip_suffix(b"}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::consume::Position;

    const BODY: &str = r#"{"typeWebhook":"new","text":"\ud83d","n":123456789012345678901}"#;

    fn record(value: impl Into<Vec<u8>>, headers: &[(&str, &str)]) -> ConsumedRecord {
        ConsumedRecord {
            position: Position { partition: 0, offset: 0 },
            timestamp_ms: None,
            appended_ms: None,
            key: String::new(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            value: value.into(),
        }
    }

    fn value(more: &str) -> String {
        format!(r#"{{"id":"the id","kind":"unknown","source":{{"instance":"1101"}}{more}}}"#)
    }

    #[test]
    fn an_event_is_read_in_every_form() {
        let whole = value(&format!(r#","raw":{BODY}"#));
        let identity = Content::of(1101, BODY.as_bytes()).identity;
        let framed = [&[0, 0, 0, 0, 7], whole.as_bytes()].concat();
        let structured = format!(r#"{{"specversion":"1.0","id":"the id","source":"/green-api/1101","data":{whole}}}"#);
        for (record, claimed) in [
            (record(whole, &[("ce_id", "the id")]), 2),
            (record(framed, &[("ce_id", "the id")]), 2),
            (record(structured, &[]), 2),
        ] {
            let account = event(&record).expect("an event");
            assert_eq!((account.instance, &account.identities), (1101, &vec![identity.clone()]));
            assert_eq!(account.claimed, vec!["the id"; claimed]);
        }
        let bare = event(&record(value(""), &[])).expect("an event");
        assert_eq!((bare.identities.len(), bare.claimed), (0, vec!["the id".to_owned()]));
        for foreign in [&b""[..], b"\0\0\0", b"{}", b"[1]", b"text", br#"{"id":"a","source":"elsewhere"}"#] {
            assert_eq!(event(&record(foreign, &[])), None, "{foreign:?}");
        }
    }

    #[test]
    fn a_letter_is_known_by_its_bytes_where_they_are_whole() {
        let letter = |reason: &str, value: &[u8], more: &[(&str, &str)]| {
            let headers = [&[("reason", reason), ("instance", "1101"), ("ce_id", "the id")], more].concat();
            match dead_letter(&record(value, &headers)) {
                DeadLetter::Letter(account) => account,
                _ => panic!("{reason} is a letter"),
            }
        };
        let of = |body: &[u8]| vec![Content::of(1101, body).identity];
        let whole = letter("unknown_type", BODY.as_bytes(), &[]);
        assert_eq!((whole.identities, whole.claimed), (of(BODY.as_bytes()), vec!["the id".to_owned()]));
        let cut = letter("too_large", &BODY.as_bytes()[..9], &[("truncated_from_bytes", "60")]);
        assert_eq!((cut.identities.len(), cut.claimed), (0, vec!["the id".to_owned()]));
        let unread = letter("not_json", b"{\"receiptId\":17,\"body\":{\"a\": }", &[("receipt_id", "17")]);
        assert_eq!((unread.identities, unread.claimed.len(), unread.receipt), (of(b"{\"a\": "), 0, Some(17)));
        let nothing = letter("no_body", b"{\"receiptId\":17,\"body\":null}", &[("receipt_id", "17")]);
        assert_eq!(nothing.identities, of(b"null"));
        assert!(matches!(dead_letter(&record("", &[("reason", "replayed")])), DeadLetter::Mark));
        assert!(matches!(dead_letter(&record("", &[("reason", "theirs")])), DeadLetter::Foreign));
    }
}
