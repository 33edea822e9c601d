use super::*;
use crate::core::consume::Position;
use crate::redact::Redactor;

fn record(key: &str, headers: &[(&str, &str)], value: &[u8]) -> ConsumedRecord {
    ConsumedRecord {
        position: Position { partition: 0, offset: 0 },
        timestamp_ms: Some(1_760_000_000_000),
        appended_ms: None,
        key: key.to_owned(),
        headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        value: value.to_vec(),
    }
}

/// The event of this block, with the chat, sender and source that most have.
fn event(rest: &str) -> String {
    format!(
        r#"{{"time":"2025-10-09T08:53:21Z","source":{{"instance":"1101000001"}},"chat":{{"id":"7999@c.us","type":"private","name":"Ira"}},"sender":{{"id":"7999@c.us","name":"Ira"}},{rest}}}"#
    )
}

fn message(content: &str) -> String {
    event(&format!(r#""kind":"message","message":{{"direction":"incoming","origin":"contact","content":{content}}}"#))
}

const PLAIN: Layout = Layout { columns: None, colours: false };

fn line(value: &str) -> String {
    let record = record("7999@c.us", &[], value.as_bytes());
    PLAIN.line(&View::of_event(&record), &record)
}

#[test]
fn a_line_says_when_where_who_and_what() {
    assert_eq!(
        line(&message(r#"{"type":"text","text":"Добрый день! 👋"}"#)),
        "2025-10-09T08:53:21Z  1101000001    7999@c.us             in   message          Ira: Добрый день! 👋"
    );
    let words = |value: &str| View::of_event(&record("k", &[], value.as_bytes())).words;
    for (content, expected) in [
        (r#"{"type":"link","text":"see https://a.b","title":"A"}"#, "Ira: A, see https://a.b"),
        (r#"{"type":"image","caption":"the sky"}"#, "Ira: [image] the sky"),
        (r#"{"type":"document","file_name":"a.pdf","caption":"a.pdf"}"#, "Ira: [document] a.pdf"),
        (r#"{"type":"audio"}"#, "Ira: [audio]"),
        (r#"{"type":"text","error":{"code":"SWE001","meaning":"lost"}}"#, "Ira: SWE001, lost"),
        (r#"{"type":"location","name":"Home","latitude":1.5,"longitude":-2}"#, "Ira: [location] Home, 1.5, -2"),
        (r#"{"type":"contacts","contacts":[{"name":"A"},{"name":"B"}]}"#, "Ira: [contacts] A / B"),
        (r#"{"type":"poll","name":"Lunch?","options":[{"name":"Soup"},{}]}"#, "Ira: [poll] Lunch?, Soup"),
        (r#"{"type":"reaction","emoji":"👍","message_id":"M"}"#, "Ira: [reaction] 👍"),
        (r#"{"type":"hologram","text":"of a later version"}"#, "Ira: [hologram] of a later version"),
        (r#"{"type":"unsupported","type_message":"holo"}"#, "Ira: [unsupported] holo"),
        (r#"{"type":"text","text":"\ud83d half"}"#, "Ira: \u{fffd} half"),
    ] {
        assert_eq!(words(&message(content)), expected, "{content}");
    }
    for (rest, direction, expected) in [
        (
            r#""kind":"message","message":{"direction":"outgoing","origin":"api","content":{"type":"text","text":"x"}}"#,
            "out",
            "api: x",
        ),
        (
            r#""kind":"message_status","status":{"direction":"outgoing","state":"failed","description":"why","message_id":"M1"}"#,
            "out",
            "failed, why, M1",
        ),
        (
            r#""kind":"call","call":{"direction":"incoming","state":"missed","caller_name":"Oleg","duration_seconds":7}"#,
            "in",
            "missed, Oleg, 7 s",
        ),
        (r#""kind":"instance_state","instance":{"state":"authorized","status":"authorized"}"#, "", "authorized"),
        (r#""kind":"instance_device","instance":{"device":{"platform":"android","model":"X"}}"#, "", "android, X"),
        (
            r#""kind":"quota_exceeded","instance":{"quota":{"state":"exceeded","method":"m","used":3,"total":3}}"#,
            "",
            "exceeded, m, 3 of 3",
        ),
        (r#""kind":"avatar_changed","chat_change":{}"#, "", "the picture is gone"),
        (r#""kind":"avatar_changed","chat_change":{"avatar_url":"u"}"#, "", "a new picture"),
        (r#""kind":"chat_blocked","chat_change":{"status":"block"}"#, "", "block"),
        (
            r#""kind":"chat_update","chat_change":{"change":"tag","action":"added","value":"29","status":"add","tag":{"name":"VIP"}}"#,
            "",
            "tag, added, 29, add, VIP",
        ),
        (
            r#""kind":"employee","employee":{"id":"685","about":"presence","state":"online","status":"online"}"#,
            "",
            "presence, online, 685",
        ),
        (
            r#""kind":"quick_response","quick_response":{"changed":"response","action":"deleted","list":{"id":"1"},"response":{"id":"2"}}"#,
            "",
            "response, deleted, 1, 2",
        ),
        (
            r#""kind":"gap","gap":{"channel":"c","from":"1","to":"2","reason":"disconnected","missing":[]}"#,
            "",
            "disconnected, 1, 2, c",
        ),
        (
            r#""kind":"message","message":{"direction":"unknown","origin":"unknown","content":{"type":"deletion"}}"#,
            "",
            "Ira: [deletion]",
        ),
        (r#""kind":"unknown","raw":{"typeWebhook":"new"}"#, "", "new"),
        (r#""kind":"unknown","raw":{"data":[1],"meta":{"type":"newer"}}"#, "", "newer"),
        (r#""kind":"of a later version""#, "", ""),
    ] {
        let view = View::of_event(&record("k", &[], event(rest).as_bytes()));
        assert_eq!((view.direction, &*view.words), (direction, expected), "{rest}");
    }
    let group = message(r#"{"type":"text","text":"x"}"#)
        .replace("private", "group")
        .replace(r#""name":"Ira"}"#, r#""name":"Us"}"#);
    assert_eq!(words(&group), "Us / Us: x", "both names were replaced");
}

#[test]
fn a_line_names_the_instance_or_the_channel() {
    let place = |source: &str, header: &str| {
        let record = record("k", &[("ce_source", header)], format!(r#"{{"source":{source}}}"#).as_bytes());
        (View::of_event(&record).instance, View::of_dead_letter(&record, &Redactor::default()).instance)
    };
    let (event, letter) = place(r#"{"system":"chatapp","license":"1229","messenger":"max"}"#, "/chatapp/1229/max");
    assert_eq!((event.as_deref(), letter.as_deref()), (Some("1229/max"), Some("1229/max")));
    let (event, letter) = place(r#"{"system":"green-api","instance":"1101","messenger":"max"}"#, "/green-api/1101");
    assert_eq!((event.as_deref(), letter.as_deref()), (Some("1101"), None), "a letter has a header for it");
}

#[test]
fn nobody_writes_to_the_terminal() {
    let wicked = r#"{"type":"text","text":"a\u001b[2J\nb\r\tc\u009b1A\u202ed\u2028e 👩‍👩‍👧"}"#;
    let shown = line(&message(wicked));
    assert!(shown.ends_with("Ira: a\u{fffd}[2J b c\u{fffd}1A\u{fffd}d e 👩‍👩‍👧"), "{shown:?}");
    let wicked = record("7\u{1b}[1m@c.us", &[("reason", "\u{7}"), ("error", "\u{1b}c")], b"");
    let shown = PLAIN.line(&View::of_dead_letter(&wicked, &Redactor::default()), &wicked);
    assert!(!shown.chars().any(char::is_control), "{shown:?}");

    let json = "{\"a\":\r\"\u{9b}1A\u{7f}\u{202e}я\"}\n";
    let escaped = crate::fit::json(json);
    assert_eq!(escaped, "{\"a\": \"\\u009b1A\\u007f\\u202eя\"}\n");
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
    assert_eq!(parsed(&escaped), parsed(json));
}

#[test]
fn a_line_fits_its_terminal_by_columns_and_not_by_letters() {
    let wide = message(&format!(r#"{{"type":"text","text":"{}"}}"#, "語".repeat(200)));
    let record = record("7999@c.us", &[], wide.as_bytes());
    let view = View::of_event(&record);
    for columns in [100, 121] {
        let shown = Layout { columns: Some(columns), colours: false }.line(&view, &record);
        let width = console::measure_text_width(&shown);
        assert!(width <= columns && width + 1 >= columns && shown.ends_with('…'), "{columns}: {width} {shown}");
    }
    let coloured = Layout { columns: Some(100), colours: true }.line(&view, &record);
    assert!(coloured.contains("\u{1b}["), "{coloured:?}");
}

#[test]
fn plain_framed_and_structured_values_read_the_same() {
    let plain = message(r#"{"type":"text","text":"x"}"#);
    let framed = [b"\0\x01\x02\x03\x04", plain.as_bytes()].concat();
    let structured = format!(r#"{{"specversion":"1.0","id":"i","data":{plain}}}"#);
    let views =
        [plain.as_bytes(), &framed, structured.as_bytes()].map(|value| View::of_event(&record("k", &[], value)));
    assert_eq!((views[0].words.as_str(), views[0].kind.as_deref()), ("Ira: x", Some("message")));
    assert_eq!(views[0], views[1]);
    assert_eq!(views[0], views[2]);
    let foreign = View::of_event(&record("k", &[], b"\xff\xfe"));
    assert_eq!((foreign.label.as_str(), foreign.words.as_str()), ("?", "no event of chatbridge: 2 bytes"));
}

#[test]
fn dead_letters_tell_their_reason_and_not_their_bytes() {
    let headers = [
        ("reason", "too_large"),
        ("error", "broker: too large"),
        ("instance", "7"),
        ("topic", "chat-events"),
        ("ce_type", "chatbridge.message.v1"),
    ];
    let letter = record("7999@c.us", &headers, b"secret words");
    let view = View::of_dead_letter(&letter, &Redactor::default());
    assert_eq!(view.kind.as_deref(), Some("message"));
    assert_eq!(
        PLAIN.line(&view, &letter),
        "2025-10-09T08:53:20Z  7             7999@c.us                  dead: too_large  broker: too large, for chat-events, 12 bytes"
    );
    let mark = View::of_dead_letter(&record("k", &[("reason", "replayed"), ("topic", "t")], b""), &Redactor::default());
    assert_eq!((mark.label.as_str(), mark.words.as_str()), ("dead: replayed", "its event is in t now"));
}

#[test]
fn each_filter_must_be_met_by_one_of_its_values() {
    let value = message(r#"{"type":"text","text":"x"}"#);
    let view = View::of_event(&record("7999@c.us", &[], value.as_bytes()));
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    for (chats, kinds, instances, wanted) in [
        (&[][..], &[][..], &[][..], true),
        (&["7999@c.us"], &["message"], &["1101000001"], true),
        (&["7000", "7999"], &["call", "message"], &["5", "1101000001"], true),
        (&["799"], &[], &[], false),
        (&["7999@g.us"], &[], &[], false),
        (&[], &["call"], &[], false),
        (&[], &[], &["5"], false),
    ] {
        let filter = Filter { chats: owned(chats), kinds: kinds.to_vec(), instances: owned(instances) };
        assert_eq!(filter.wants(&view, "7999@c.us"), wanted, "{filter:?}");
    }
    assert!(start("10m").is_ok() && start("2026-01-31T12:00:00Z").is_ok() && start("soon").is_err());
    assert_eq!((start("beginning"), start("end")), (Ok(Start::Beginning), Ok(Start::End)));
}
