use super::*;
use crate::event::{DeadLetterReason, InstanceId};
use crate::normalize::green_api::normalize;

fn event(body: &str) -> Event {
    normalize(InstanceId::new(1101), RawValue::from_string(body.to_owned()).expect("JSON"))
}

fn now() -> Timestamp {
    Timestamp::from_second(1_760_000_000).expect("in range")
}

#[test]
fn one_chat_has_one_key_and_two_chats_have_two() {
    for (id, key) in [
        ("79001234567@c.us", "79001234567@c.us"),
        ("79001234567:3@c.us", "79001234567@c.us"),
        ("79001234567:12@s.whatsapp.net", "79001234567@c.us"),
        ("79001234567@s.whatsapp.net", "79001234567@c.us"),
        ("120650379300963@lid", "120650379300963@lid"),
        ("79099197688-1506012221@g.us", "79099197688-1506012221@g.us"),
        ("-1001234567890", "-1001234567890"),
        ("a:b@c.us", "a:b@c.us"),
        ("odd:1", "odd:1"),
    ] {
        assert_eq!(chat_key(&ChatId::new(id).expect("not empty")), key, "{id}");
    }
}

#[test]
fn events_without_a_chat_share_the_key_of_their_instance() {
    for body in [r#"{"typeWebhook":"stateInstanceChanged"}"#, r#"{"chatId":""}"#, "null", "[1]", r#""text""#] {
        let record = RecordFactory::default().record(&event(body), Extent::Whole, now());
        assert_eq!(record.key, "instance:1101", "{body}");
    }
}

#[test]
fn only_a_usable_event_time_stamps_the_record() {
    let hour = 3600;
    for (offset, kept) in [(0, true), (-23 * hour, true), (-25 * hour, false), (4 * 60, true), (6 * 60, false)] {
        let seconds = now().as_second() + offset;
        let record =
            RecordFactory::default().record(&event(&format!(r#"{{"timestamp":{seconds}}}"#)), Extent::Whole, now());
        let expected = if kept { seconds } else { now().as_second() };
        assert_eq!(record.timestamp_ms, expected * 1000, "{offset}");
    }
    for body in [r#"{"timestamp":99999999999999999}"#, r#"{"timestamp":"soon"}"#, "{}"] {
        let record = RecordFactory::default().record(&event(body), Extent::Whole, now());
        assert_eq!(record.timestamp_ms, now().as_millisecond(), "{body}");
        assert!(!record.headers.iter().any(|(name, _)| *name == "ce_time"), "{body}");
    }
}

#[test]
fn the_reduced_record_lacks_thumbnails_and_says_so() {
    let thumbnail = "A".repeat(5000);
    let body = format!(
        r#"{{"typeWebhook":"incomingMessageReceived","messageData":{{"typeMessage":"imageMessage",
           "fileMessageData":{{"caption":"kept","jpegThumbnail":"{thumbnail}"}},
           "quotedMessage":{{"typeMessage":"imageMessage","jpegThumbnail":"{thumbnail}"}}}}}}"#
    );
    let event = event(&body);
    let factory = RecordFactory::default();
    let whole = factory.record(&event, Extent::Whole, now());
    let reduced = factory.record(&event, Extent::WithoutThumbnails, now());
    assert!(whole.value.len() > 10_000 && reduced.value.len() < 1_000);
    let value: serde_json::Value = serde_json::from_slice(&reduced.value).expect("JSON");
    assert_eq!(value["reduced"], true);
    assert_eq!(value["message"]["content"]["caption"], "kept");
    assert_eq!(value["raw"]["messageData"]["fileMessageData"]["caption"], "kept");
    assert_eq!(reduced.headers, whole.headers, "the id is the whole event's");
}

#[test]
fn raw_can_be_left_out() {
    let factory = RecordFactory { include_raw: false, ..RecordFactory::default() };
    let hologram = r#"{"typeWebhook":"incomingMessageReceived","messageData":{"typeMessage":"hologram"}}"#;
    for (body, has_raw) in [
        (r#"{"typeWebhook":"incomingCall"}"#, false),
        // Nobody understood it, so its body is all there is.
        (r#"{"typeWebhook":"x"}"#, true),
        (hologram, true),
    ] {
        let record = factory.record(&event(body), Extent::Whole, now());
        assert_eq!(String::from_utf8_lossy(&record.value).contains("\"raw\""), has_raw, "{body}");
    }
}

#[test]
fn structured_mode_is_one_envelope_with_the_attributes_of_binary_mode() {
    let event = event(r#"{"typeWebhook":"incomingCall","timestamp":1760000000,"from":"79\"00@c.us"}"#);
    let plain = RecordFactory::default().record(&event, Extent::Whole, now());
    let factory = RecordFactory { form: ValueForm::CloudEvent, ..RecordFactory::default() };
    let structured = factory.record(&event, Extent::Whole, now());
    assert_eq!(structured.headers, [("content-type", "application/cloudevents+json; charset=UTF-8".to_owned())]);
    assert_eq!((&structured.key, structured.timestamp_ms), (&plain.key, plain.timestamp_ms));
    let mut envelope: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&structured.value).expect("JSON");
    let data: serde_json::Value = serde_json::from_slice(&plain.value).expect("JSON");
    assert_eq!(envelope.remove("data"), Some(data));
    assert_eq!(envelope.remove("datacontenttype"), Some("application/json".into()));
    let as_headers: std::collections::BTreeMap<_, _> =
        envelope.iter().map(|(name, value)| (format!("ce_{name}"), value.as_str().expect("text"))).collect();
    for (name, value) in plain.headers.iter().filter(|(name, _)| name.starts_with("ce_")) {
        assert_eq!(as_headers.get(*name), Some(&value.as_str()), "{name}");
    }
    assert_eq!(as_headers.len(), plain.headers.len() - 1, "and no more");
}

#[test]
fn a_framed_value_is_five_bytes_and_the_plain_value() {
    let event = event("{}");
    let plain = RecordFactory::default().record(&event, Extent::Whole, now());
    let ids = SchemaIds::new([("chat-events".into(), 0x0102_0304)].into());
    let factory = RecordFactory { form: ValueForm::Framed(ids), ..RecordFactory::default() };
    let framed = factory.record(&event, Extent::Whole, now());
    assert_eq!(framed.value[..5], [0, 1, 2, 3, 4]);
    assert_eq!(framed.value[5..], plain.value);
    assert_eq!(framed.headers, plain.headers);
    assert_eq!(unframed(&framed.value), plain.value);
    assert_eq!(unframed(&plain.value), plain.value);
    assert_eq!((unframed(&[]), unframed(&[0, 1])), (&[][..], &[][..]));
}

#[test]
fn a_dead_letter_carries_its_story_and_nothing_that_could_poison_it_again() {
    let event = event(&format!(r#"{{"chatId":"{}"}}"#, "9".repeat(5000)));
    let letter = dead_letter::DeadLetter {
        kind: None,
        id: event.id,
        source: event.source.id(),
        key: key(&event.source.id(), event.chat.as_ref()),
        reason: crate::event::DeadLetterReason::TooLarge,
        error: "too large".to_owned(),
        receipt_id: Some("42".to_owned()),
        attempts: 2,
        first_seen: now(),
        event_headers: headers(&event),
        bytes: event.raw.get().as_bytes().to_vec(),
    };
    let record = RecordFactory::default().dead_letter(&letter, 100, now());
    assert_eq!(record.key, "instance:1101", "a key of 5 kB is no key");
    assert_eq!(record.value.len(), 100);
    let header = |name: &str| record.headers.iter().find(|(have, _)| *have == name).map(|(_, value)| value.as_str());
    let id = event.id.to_string();
    for (name, expected) in [
        ("reason", Some("too_large")),
        ("error", Some("too large")),
        ("instance", Some("1101")),
        ("receipt_id", Some("42")),
        ("attempts", Some("2")),
        ("first_seen", Some("2025-10-09T08:53:20Z")),
        ("topic", Some("chat-events")),
        ("truncated_from_bytes", Some("5013")),
        ("ce_id", Some(&*id)),
        ("ce_subject", None),
    ] {
        assert_eq!(header(name), expected, "{name}");
    }
}

#[test]
fn a_kind_goes_to_its_own_topic_and_its_dead_letters_say_so() {
    let records = RecordFactory { routing: [("call", "chat-calls".into())].into(), ..RecordFactory::default() };
    let call = event(r#"{"typeWebhook":"incomingCall"}"#);
    assert_eq!(&*records.record(&call, Extent::Whole, now()).topic, "chat-calls");
    let state = event(r#"{"typeWebhook":"stateInstanceChanged"}"#);
    assert_eq!(&*records.record(&state, Extent::Whole, now()).topic, "chat-events");
    for (kind, expected) in [(Some("call"), "chat-calls"), (Some("message"), "chat-events"), (None, "chat-events")] {
        let letter = dead_letter::DeadLetter {
            id: call.id,
            source: call.source.id(),
            kind,
            key: "7900@c.us".to_owned(),
            reason: DeadLetterReason::Refused,
            error: String::new(),
            receipt_id: None,
            attempts: 1,
            first_seen: now(),
            event_headers: Vec::new(),
            bytes: Vec::new(),
        };
        let record = records.dead_letter(&letter, usize::MAX, now());
        assert_eq!(&*record.topic, "chat-events-dlq");
        assert!(record.headers.contains(&("topic", expected.to_owned())), "{kind:?}: {:?}", record.headers);
    }
}

#[test]
fn every_kind_can_be_routed_by_its_word() {
    for body in [
        r#"{"typeWebhook":"incomingMessageReceived"}"#,
        r#"{"typeWebhook":"outgoingMessageStatus"}"#,
        r#"{"typeWebhook":"outgoingCall"}"#,
        r#"{"typeWebhook":"incomingBlock"}"#,
        r#"{"typeWebhook":"deviceInfo"}"#,
        r#"{"typeWebhook":"deviceInfo","avatarInfo":{"chatId":"1"}}"#,
        r#"{"typeWebhook":"stateInstanceChanged"}"#,
        r#"{"typeWebhook":"statusInstanceChanged"}"#,
        r#"{"typeWebhook":"quotaExceeded"}"#,
        r#"{"typeWebhook":"new"}"#,
    ] {
        let name = event(body).kind.name();
        assert!(KindName::ALL.iter().any(|known| known.as_str() == name), "{name}");
    }
}

#[test]
fn the_trace_is_in_a_header_and_in_the_attributes_of_either_mode_and_of_a_dead_letter() {
    let event = event(r#"{"chatId":"7900@c.us"}"#);
    let sampling = Sampling::percent(100);
    let expected = trace::traceparent(event.id, sampling);
    let traced = RecordFactory { traceparent: Some(sampling), ..RecordFactory::default() };
    let of = |record: &Record, wanted: &str| {
        let found: Vec<_> = record.headers.iter().filter(|(name, _)| *name == wanted).map(|(_, v)| v.clone()).collect();
        found.join(" and ")
    };
    let binary = traced.record(&event, Extent::Whole, now());
    assert_eq!([of(&binary, "traceparent"), of(&binary, "ce_traceparent")], [expected.clone(), expected.clone()]);

    let structured = RecordFactory { form: ValueForm::CloudEvent, ..traced.clone() };
    let structured = structured.record(&event, Extent::Whole, now());
    assert_eq!([of(&structured, "traceparent"), of(&structured, "ce_traceparent")], [expected.clone(), String::new()]);
    let envelope: serde_json::Value = serde_json::from_slice(&structured.value).expect("JSON");
    assert_eq!(envelope["traceparent"], expected);
    assert_eq!(String::from_utf8_lossy(&structured.value).matches("\"traceparent\"").count(), 1);

    let letter = dead_letter::DeadLetter {
        id: event.id,
        source: event.source.id(),
        kind: None,
        key: "7900@c.us".to_owned(),
        reason: DeadLetterReason::Refused,
        error: String::new(),
        receipt_id: None,
        attempts: 1,
        first_seen: now(),
        event_headers: headers(&event),
        bytes: Vec::new(),
    };
    let buried = traced.dead_letter(&letter, usize::MAX, now());
    assert_eq!([of(&buried, "traceparent"), of(&buried, "ce_traceparent")], [expected.clone(), expected]);

    let plain = RecordFactory::default();
    for record in [plain.record(&event, Extent::Whole, now()), plain.dead_letter(&letter, usize::MAX, now())] {
        assert!(record.headers.iter().all(|(name, _)| !name.contains("trace")), "{:?}", record.headers);
    }
}
