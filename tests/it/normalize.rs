//! Each fixture is a body; the record it becomes lies beside it.

use std::fs;
use std::path::{Path, PathBuf};

use chatbridge::core::policy::Policy;
use chatbridge::core::prepared::prepare;
use chatbridge_event::event::{Body, InstanceId, Notification};
use chatbridge_event::record::{Record, RecordFactory};
use jiff::Timestamp;
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub(crate) fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut fixtures: Vec<PathBuf> = fs::read_dir(folder)
        .expect("tests/fixtures is there")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    fixtures.sort();
    fixtures
}

fn record(body: &str, now: Timestamp) -> Record {
    let notification = Notification {
        instance: InstanceId::new(1_101_000_001),
        receipt_id: Some("7".to_owned()),
        body: Body::Json(RawValue::from_string(body.to_owned()).expect("a fixture is JSON")),
    };
    prepare(notification, &Policy::default(), now).record(&RecordFactory::default(), now).expect("not dropped")
}

/// The record of a fixture, made a minute after the fixtures' time, so that its timestamp is the event's own.
pub(crate) fn record_of(body: &str) -> Record {
    record(body, Timestamp::from_second(1_760_000_060).expect("in range"))
}

/// serde_json's `Value` cannot hold a lone surrogate; the record itself keeps it verbatim in `raw`.
pub(crate) fn parsed(json: &[u8]) -> Value {
    let text = String::from_utf8(json.to_vec()).expect("UTF-8").replace(r"\ud83d", r"\ufffd");
    serde_json::from_str(&text).expect("JSON")
}

#[test]
fn every_fixture_becomes_the_record_beside_it() {
    for path in fixtures() {
        let body = fs::read_to_string(&path).expect("readable");
        let record = record_of(body.trim());
        let mut value = parsed(&record.value);
        assert!(
            String::from_utf8_lossy(&record.value).contains(body.trim()),
            "{}: raw is the body, byte for byte",
            path.display()
        );
        value["raw"] = "(the body above, byte for byte)".into();
        let shown = json!({
            "topic": &*record.topic,
            "key": record.key,
            "timestamp_ms": record.timestamp_ms,
            "headers": record.headers.iter().map(|(k, v)| json!([k, v])).collect::<Vec<_>>(),
            "value": value,
        });
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        insta::with_settings!({ snapshot_path => "../fixtures", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_json_snapshot!(name, shown);
        });
    }
}

#[test]
fn the_spelling_of_a_body_does_not_change_its_id_and_its_content_does() {
    let now = Timestamp::now();
    let id = |body: &str| record(body, now).headers.iter().find(|(name, _)| *name == "ce_id").expect("an id").1.clone();
    let body = r#"{"typeWebhook":"outgoingMessageStatus","idMessage":"A","status":"sent"}"#;
    let same = "{ \"status\" : \"s\\u0065nt\",\n \"idMessage\":\"A\", \"typeWebhook\":\"outgoingMessageStatus\" }";
    let other = r#"{"typeWebhook":"outgoingMessageStatus","idMessage":"A","status":"read"}"#;
    assert_eq!(id(body), id(same));
    assert_ne!(id(body), id(other));
}
