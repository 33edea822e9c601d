//! The committed schemas are the code's, every fixture's record fits them, and the table of their README is true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use chatbridge::config::{Calls, Events, UnknownPolicy, load};
use chatbridge::core::policy::Policy;
use chatbridge::core::prepared::{prepare, prepare_event, prepare_undecodable};
use chatbridge::core::schema::{self, ConfigKey};
use chatbridge_event::event::{Body, DeadLetterReason, InstanceId, KindName, Notification, SourceId, Undecodable};
use chatbridge_event::normalize::chatapp::identity::of_unreadable;
use chatbridge_event::record::{Record, RecordFactory};
use jiff::Timestamp;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::chatapp;
use crate::normalize::{fixtures, parsed, record_of};

/// Set to write what is expected to be there.
const UPDATE: &str = "CHATBRIDGE_UPDATE_SCHEMAS";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/schemas")
}

fn assert_is(name: &str, expected: &str) {
    let path = folder().join(name);
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&path, expected).expect("writable");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what the code says; run {UPDATE}=1 cargo test --test it schemas",
        path.display()
    );
}

/// The records of every fixture, by name.
fn records() -> BTreeMap<String, Record> {
    let of_green_api = fixtures().into_iter().map(|path| {
        let body = fs::read_to_string(&path).expect("readable");
        (path.file_stem().expect("a name").to_string_lossy().into_owned(), record_of(body.trim()))
    });
    of_green_api.chain(chatapp::records()).collect()
}

/// The values of every fixture's records, by name.
fn examples() -> BTreeMap<String, Value> {
    records().into_iter().map(|(name, record)| (name, parsed(&record.value))).collect()
}

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::options().should_validate_formats(true).build(schema).expect("a schema")
}

#[test]
fn the_committed_schemas_are_the_codes() {
    assert_is("event.schema.json", &format!("{:#}\n", schema::event()));
    assert_is("config.schema.json", &format!("{:#}\n", schema::config()));
    assert_is("asyncapi.json", &format!("{:#}\n", schema::async_api()));
    assert_is("../../docs/configuration.md", &schema::config_reference(&schema::config()));
}

/// What the reference says of a key is what `check` goes by: its range, its words, its variable.
#[test]
fn the_reference_of_the_configuration_is_true() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml");
    let is_refused = |key: &ConfigKey, value: &str| {
        let variable = key.variable.replace("<id>", "1101000001");
        let path = key.path.replace("[]", "[0]");
        // Without a section, and a token in it, nobody may be received by webhook.
        let webhook = ("CHATBRIDGE__WEBHOOK__TOKEN".to_owned(), "secret".to_owned());
        match load(Some(&sample), [webhook, (variable, value.to_owned())]) {
            Ok(_) => false,
            Err(error) => error.problems.iter().any(|problem| problem.key == path),
        }
    };
    let keys = schema::config_keys(&schema::config());
    assert!(keys.len() > 30, "{keys:#?}");
    for key in &keys {
        assert!(!key.sentence.is_empty(), "{} has no sentence", key.path);
        let is_id = key.path.ends_with(".id");
        assert_eq!(key.range.is_some(), key.takes == "A whole number" && !is_id, "{}", key.path);
        if let Some((min, max)) = key.range {
            // How far down these may go depends on the key beside them.
            let depends =
                ["green_api.retry_max_ms", "green_api.loss_alarm_after_seconds", "webhook.buffered_bytes_max"];
            let depends = depends.contains(&&*key.path);
            assert!(depends || !is_refused(key, &min.to_string()), "{} = {min}", key.path);
            assert!(!is_refused(key, &max.to_string()), "{} = {max}", key.path);
            assert!(min == 0 || is_refused(key, &(min - 1).to_string()), "{} = {}", key.path, min - 1);
            assert!(is_refused(key, &(max + 1).to_string()), "{} = {}", key.path, max + 1);
        }
        if !key.words.is_empty() {
            assert!(key.words.iter().all(|(word, _)| !is_refused(key, word)), "{}", key.path);
            assert!(is_refused(key, "telepathy"), "{}", key.path);
        }
        if key.default.is_some() && key.takes == "A whole number" {
            assert!(!is_refused(key, key.default.as_deref().expect("there")), "{}", key.path);
        }
    }
    let defaults = keys.iter().filter(|key| key.default.is_some()).count();
    assert!(defaults > 20, "only {defaults} defaults are known");
}

#[test]
fn the_schemas_are_schemas() {
    for schema in [schema::event(), schema::config()] {
        jsonschema::meta::validate(&schema).expect("valid against draft 2020-12");
    }
}

#[test]
fn every_record_fits_the_schema() {
    let validator = validator(&schema::event());
    for (name, value) in examples() {
        let problems: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(problems.is_empty(), "{name}: {problems:?}");
    }
}

#[test]
fn the_schema_refuses_what_is_no_record_and_lets_fields_be_added() {
    let validator = validator(&schema::event());
    let value = examples().remove("text").expect("there is a text");
    let with = |pointer: &str, new: Value| {
        let mut value = value.clone();
        let (place, name) = pointer.rsplit_once('/').expect("a pointer");
        value.pointer_mut(place).expect("there").as_object_mut().expect("an object").insert(name.to_owned(), new);
        value
    };
    for added in ["/new", "/source/new", "/message/new", "/message/content/new"] {
        assert!(validator.is_valid(&with(added, 1.into())), "{added} may be added");
    }
    for (pointer, wrong) in [
        ("/id", "x".into()),
        ("/kind", "telepathy".into()),
        ("/kind", "call".into()),
        ("/time", "yesterday".into()),
        ("/chat", Value::Null),
        ("/chat/type", "crowd".into()),
        ("/source/instance", 1.into()),
        ("/message/direction", "sideways".into()),
        ("/message/content", serde_json::json!({"text": "untagged"})),
        ("/message/content/text", 1.into()),
        ("/message/content/text", Value::Null),
    ] {
        assert!(!validator.is_valid(&with(pointer, wrong.clone())), "{pointer} = {wrong}");
    }
}

#[test]
fn the_sample_configuration_fits_its_schema() {
    let sample = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config.toml")).expect("readable");
    let sample: Value = config::Config::builder()
        .add_source(config::File::from_str(&sample, config::FileFormat::Toml))
        .build()
        .and_then(config::Config::try_deserialize)
        .expect("TOML");
    let validator = validator(&schema::config());
    let problems: Vec<String> = validator.iter_errors(&sample).map(|error| error.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?}");
    assert!(!validator.is_valid(&serde_json::json!({"kafka": {"brocker": "x"}})), "an unknown key is refused");
}

#[test]
fn every_kind_and_every_content_has_a_fixture() {
    let examples = examples();
    let kinds: BTreeSet<&str> = examples.values().filter_map(|value| value["kind"].as_str()).collect();
    assert_eq!(kinds, KindName::ALL.iter().map(|kind| kind.as_str()).collect());
    let contents: BTreeSet<&str> = examples.values().filter_map(content_type).collect();
    assert_eq!(contents, contents_of_schema(&schema::event()).iter().map(String::as_str).collect());
}

fn content_type(value: &Value) -> Option<&str> {
    value["message"]["content"]["type"].as_str()
}

fn contents_of_schema(schema: &Value) -> Vec<String> {
    let variants = schema["$defs"]["Content"]["oneOf"].as_array().expect("one of several");
    variants.iter().map(|one| one["properties"]["type"]["const"].as_str().expect("a tag").to_owned()).collect()
}

/// Every `$ref` of the AsyncAPI document leads somewhere, and its messages accept the records they describe.
#[test]
fn the_async_api_document_holds_together() {
    let document = schema::async_api();
    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(members) => {
                found.extend(members.get("$ref").and_then(Value::as_str));
                members.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
    let messages = document["components"]["messages"].as_object().expect("messages");
    let validators: Vec<(&String, jsonschema::Validator)> = messages
        .iter()
        .filter(|(name, _)| !name.starts_with("dead_letter"))
        .map(|(name, message)| {
            // Its own schema language is draft 7, and the references are to the document.
            let mut schema = document.clone();
            schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
            schema["allOf"] = serde_json::json!([message["payload"]]);
            (name, validator(&schema))
        })
        .collect();
    for (name, value) in examples() {
        for (described, validator) in &validators {
            let fits = value["kind"] == **described;
            assert_eq!(validator.is_valid(&value), fits, "{name} as {described}");
        }
    }
}

/// The headers a record really has are the ones its message describes.
#[test]
fn the_async_api_document_describes_the_headers() {
    let document = schema::async_api();
    for record in records().into_values() {
        let headers: Value = record.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let kind = headers["ce_type"].as_str().and_then(|word| word.split('.').nth(1)).expect("a kind");
        let schema = &document["components"]["messages"][kind]["headers"];
        assert!(jsonschema::is_valid(schema, &headers), "{headers}");
        for name in headers.as_object().expect("headers").keys() {
            assert!(!schema["properties"][name].is_null(), "{name} is not described");
        }
    }
}

#[test]
fn the_async_api_document_describes_the_headers_of_dead_letters() {
    let schema = &schema::async_api()["components"]["messages"]["dead_letter"]["headers"];
    let now = Timestamp::from_second(1_760_000_060).expect("in range");
    let event = r#"{"typeWebhook":"brandNewThing","timestamp":1760000000,"chatId":"79995550001@c.us"}"#;
    let bytes = Body::Undecodable {
        bytes: b"{".to_vec(),
        reason: DeadLetterReason::NotJson,
        error: "not JSON, line 1 column 1".to_owned(),
        receipt_at: 0..0,
    };
    let events = Events { unknown: UnknownPolicy::DeadLetter, ..Events::default() };
    let policy = Policy::new(events, Calls::default());
    let of_green_api = [Body::Json(RawValue::from_string(event.to_owned()).expect("JSON")), bytes].map(|body| {
        let notification = Notification { instance: InstanceId::new(7), receipt_id: Some("7".to_owned()), body };
        prepare(notification, &policy, now)
    });
    let undecodable =
        Undecodable { bytes: b"{".to_vec(), reason: DeadLetterReason::NotJson, error: "not JSON".to_owned() };
    let unknown = chatapp::events(&chatapp::bodies()["unknown-event"]).remove(0);
    let id = of_unreadable("/chatapp", chatapp::PLACE);
    let of_chatapp = [
        prepare_event(unknown, &policy, now),
        prepare_undecodable(SourceId::ChatApp(chatapp::channel()), id, undecodable, now),
    ];
    for prepared in of_green_api.into_iter().chain(of_chatapp) {
        let record = prepared.record(&RecordFactory::default(), now).expect("a dead letter");
        assert_eq!(&*record.topic, "chat-events-dlq");
        let headers: Value = record.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert!(jsonschema::is_valid(schema, &headers), "{headers}");
        for name in headers.as_object().expect("headers").keys() {
            assert!(!schema["properties"][name].is_null(), "{name} is not described");
        }
    }
}

#[test]
fn the_tables_of_the_readme_are_the_codes() {
    let path = folder().join("README.md");
    let readme = fs::read_to_string(&path).unwrap_or_default();
    let (start, end) = ("<!-- tables, written by a test -->\n", "<!-- end of tables -->");
    let (before, rest) = readme.split_once(start).expect("the mark is there");
    let (_, after) = rest.split_once(end).expect("the mark is there");
    assert_is("README.md", &format!("{before}{start}\n{}\n{end}{after}", tables()));
}

fn tables() -> String {
    let examples = examples();
    let mut text = String::from(
        "| `kind` | `typeWebhook` | ChatApp's event | block | a fixture | the block in it |\n\
         | --- | --- | --- | --- | --- | --- |\n",
    );
    for kind in KindName::ALL {
        let of_kind = || examples.iter().filter(|(_, value)| value["kind"] == kind.as_str());
        let example = of_kind().find(|(name, _)| **name == preferred(kind.as_str())).or_else(|| of_kind().next());
        let (name, value) = example.expect("every kind has a fixture");
        let block = kind.block().map_or(String::new(), |block| format!("`{block}`"));
        let shown = kind.block().map_or(String::new(), |block| format!("`{}`", value[block]));
        let webhooks = words(of_kind().map(|(_, value)| &value["raw"]["typeWebhook"]));
        let events = words(of_kind().map(|(_, value)| chatapp_event(value)));
        text += &format!("| `{}` | {webhooks} | {events} | {block} | {} | {shown} |\n", kind.as_str(), link(name));
    }
    text += "\n| `message.content.type` | `typeMessage` | ChatApp's `type`, or event | a fixture | the content in it |\n\
             | --- | --- | --- | --- | --- |\n";
    for content in contents_of_schema(&schema::event()) {
        let of_content = || examples.iter().filter(|(_, value)| content_type(value) == Some(&content));
        let example = of_content().find(|(name, _)| **name == preferred(&content)).or_else(|| of_content().next());
        let (name, value) = example.expect("every content has a fixture");
        let types = words(of_content().map(|(_, value)| &value["raw"]["messageData"]["typeMessage"]));
        let of_chatapp = words(of_content().map(|(_, value)| match chatapp_event(value) {
            event if event == "message" => &value["raw"]["data"][0]["type"],
            event => event,
        }));
        text +=
            &format!("| `{content}` | {types} | {of_chatapp} | {} | `{}` |\n", link(name), value["message"]["content"]);
    }
    text
}

fn chatapp_event(value: &Value) -> &Value {
    match &value["raw"] {
        raw if raw["payload"].is_object() => &raw["payload"]["meta"]["type"],
        raw => &raw["meta"]["type"],
    }
}

/// The fixture that shows a word best, where that is not the first in the alphabet.
fn preferred(word: &str) -> String {
    match word {
        "message" => "text".to_owned(),
        "message_status" => "status-delivered".to_owned(),
        "call" => "call-ringing".to_owned(),
        "avatar_changed" => "avatar".to_owned(),
        "edit" => "edit-text".to_owned(),
        "unknown" => "unknown-type".to_owned(),
        "chat_update" => "chatapp/chat-tag".to_owned(),
        "employee" => "chatapp/employee-status".to_owned(),
        "quick_response" => "chatapp/quick-response".to_owned(),
        word => word.replace('_', "-"),
    }
}

/// A gap is the bridge's own word; its record alone lies there.
fn link(fixture: &str) -> String {
    if fixture == "gap" {
        return "[gap](../../tests/fixtures/chatapp/gap.snap)".to_owned();
    }
    let fixture = fixture.split('#').next().unwrap_or_default();
    format!("[{fixture}](../../tests/fixtures/{fixture}.json)")
}

/// The upstream's words in order, each once, as the vendor spells them.
fn words<'v>(found: impl Iterator<Item = &'v Value>) -> String {
    let words: BTreeSet<String> = found.filter_map(Value::as_str).map(|word| format!("`{word}`")).collect();
    words.into_iter().collect::<Vec<_>>().join(", ")
}
