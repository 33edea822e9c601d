//! From a notification's body to a record, kind by kind, beside two rulers: the same body through `serde_json::Value`
//! and back, and into typed structs that hold what a reader of its kind would want.

use chatbridge::core::policy::Policy;
use chatbridge::core::prepared::prepare;
use chatbridge_base::json::Json;
use chatbridge_event::event::{Body, EventId, InstanceId, Notification, SourceId};
use chatbridge_event::normalize::green_api::normalize;
use chatbridge_event::record::{Extent, RecordFactory, headers, key};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

const INSTANCE: u64 = 1_101_000_001;

/// Fixtures that between them have every block.
const BODIES: [(&str, &str); 7] = [
    ("text", include_str!("../../tests/fixtures/text.json")),
    ("image", include_str!("../../tests/fixtures/image.json")),
    ("quoted", include_str!("../../tests/fixtures/quoted-text.json")),
    ("poll", include_str!("../../tests/fixtures/poll.json")),
    ("status", include_str!("../../tests/fixtures/status-delivered.json")),
    ("call", include_str!("../../tests/fixtures/call-ringing.json")),
    ("state", include_str!("../../tests/fixtures/instance-state.json")),
];

fn main() {
    divan::main();
}

/// The body as it comes: on one line.
fn body(kind: &str) -> String {
    let (_, text) = BODIES.iter().find(|(name, _)| *name == kind).expect("a kind");
    chatbridge_base::json::on_one_line(text)
}

fn kinds() -> impl Iterator<Item = &'static str> {
    BODIES.iter().map(|(kind, _)| *kind)
}

fn raw(kind: &str) -> Box<RawValue> {
    RawValue::from_string(body(kind)).expect("JSON")
}

fn now() -> Timestamp {
    Timestamp::from_second(1_760_000_000).expect("in range")
}

/// All of it: understood, decided about, written down.
#[divan::bench(args = kinds())]
fn body_to_record(bencher: Bencher, kind: &str) {
    let (policy, factory) = (Policy::default(), RecordFactory::default());
    let text = body(kind);
    bencher
        .counter(BytesCount::of_str(&text))
        .with_inputs(|| {
            let receipt_id = Some("1234567".to_owned());
            Notification { instance: InstanceId::new(INSTANCE), receipt_id, body: Body::Json(raw(kind)) }
        })
        .bench_values(|notification| prepare(notification, &policy, now()).record(&factory, now()));
}

/// The first half: understood.
#[divan::bench(args = kinds())]
fn body_to_event(bencher: Bencher, kind: &str) {
    bencher.with_inputs(|| raw(kind)).bench_values(|raw| normalize(InstanceId::new(INSTANCE), raw));
}

/// The second half: written down.
#[divan::bench(args = kinds())]
fn event_to_record(bencher: Bencher, kind: &str) {
    let (event, factory) = (normalize(InstanceId::new(INSTANCE), raw(kind)), RecordFactory::default());
    bencher.bench(|| factory.record(black_box(&event), Extent::Whole, now()));
}

/// A ruler: read without a type and written again.
#[divan::bench(args = kinds())]
fn ruler_value_round_trip(bencher: Bencher, kind: &str) {
    let text = body(kind);
    bencher.bench(|| {
        let value: Value = serde_json::from_str(black_box(&text)).expect("JSON");
        serde_json::to_vec(&value)
    });
}

/// A ruler: read once into types.
#[divan::bench(args = kinds())]
fn ruler_typed_parse(bencher: Bencher, kind: &str) {
    let text = body(kind);
    bencher.bench(|| serde_json::from_str::<Typed>(black_box(&text)).expect("documented"));
}

#[divan::bench(args = kinds())]
fn canonical_form(bencher: Bencher, kind: &str) {
    let text = body(kind);
    let json = Json::parse(&text).expect("JSON");
    bencher.bench(|| {
        let mut out = Vec::with_capacity(text.len());
        black_box(&json).write_canonical(&mut out);
        out
    });
}

#[divan::bench(args = kinds())]
fn tolerant_parse(bencher: Bencher, kind: &str) {
    let text = body(kind);
    bencher.bench(|| Json::parse(black_box(&text)).map(drop));
}

#[divan::bench(args = kinds())]
fn ce_id(bencher: Bencher, kind: &str) {
    let (text, source) = (body(kind), SourceId::GreenApi(InstanceId::new(INSTANCE)));
    bencher.bench(|| EventId::of(&source.uri(), black_box(text.as_bytes())));
}

#[divan::bench]
fn record_key(bencher: Bencher) {
    let event = normalize(InstanceId::new(INSTANCE), raw("text"));
    bencher.bench(|| key(&event.source.id(), black_box(event.chat.as_ref())));
}

#[divan::bench]
fn record_headers(bencher: Bencher) {
    let event = normalize(InstanceId::new(INSTANCE), raw("text"));
    bencher.bench(|| headers(black_box(&event)));
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read for the reading's sake")]
struct Typed {
    type_webhook: String,
    instance_data: Option<InstanceData>,
    timestamp: Option<i64>,
    id_message: Option<String>,
    sender_data: Option<SenderData>,
    message_data: Option<MessageData>,
    chat_id: Option<String>,
    status: Option<String>,
    send_by_api: Option<bool>,
    from: Option<String>,
    state_instance: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read for the reading's sake")]
struct InstanceData {
    id_instance: Option<u64>,
    wid: Option<String>,
    type_instance: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read for the reading's sake")]
struct SenderData {
    chat_id: Option<String>,
    sender: Option<String>,
    chat_name: Option<String>,
    sender_name: Option<String>,
    sender_contact_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read for the reading's sake")]
struct MessageData {
    type_message: Option<String>,
    text_message_data: Option<TextData>,
    extended_text_message_data: Option<TextData>,
    file_message_data: Option<FileData>,
    poll_message_data: Option<PollData>,
    quoted_message: Option<QuotedData>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read for the reading's sake")]
struct TextData {
    text_message: Option<String>,
    text: Option<String>,
    description: Option<String>,
    title: Option<String>,
    preview_type: Option<String>,
    jpeg_thumbnail: Option<String>,
    stanza_id: Option<String>,
    participant: Option<String>,
    is_forwarded: Option<bool>,
    forwarding_score: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read for the reading's sake")]
struct FileData {
    download_url: Option<String>,
    caption: Option<String>,
    file_name: Option<String>,
    jpeg_thumbnail: Option<String>,
    mime_type: Option<String>,
    is_forwarded: Option<bool>,
    forwarding_score: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read for the reading's sake")]
struct PollData {
    name: Option<String>,
    options: Option<Vec<PollOption>>,
    multiple_answers: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read for the reading's sake")]
struct PollOption {
    option_name: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "read for the reading's sake")]
struct QuotedData {
    stanza_id: Option<String>,
    participant: Option<String>,
    type_message: Option<String>,
    text_message: Option<String>,
    caption: Option<String>,
    download_url: Option<String>,
    jpeg_thumbnail: Option<String>,
}
