use jiff::Timestamp;

use super::*;
use crate::event::{Content, Direction, EventId, Gap, GapReason, KindName, Origin};
use crate::record::{Extent, RecordFactory, key};

const META: &str = r#""meta":{"type":"message","licenseId":1229,"messengerType":"grWhatsApp"}"#;

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("JSON")
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).expect("in range")
}

fn channel() -> Channel {
    Channel::from_name("private-v1.licenses.1229.messengers.grWhatsApp").expect("a channel")
}

fn events(body: &str) -> Vec<Event> {
    normalize(Arrival::default(), raw(body)).map(|item| item.event).collect()
}

fn place(sequence: u64) -> Option<Place> {
    Some(Place { spool: uuid::Uuid::from_u128(1), sequence })
}

/// One item of the licence's channel, in the frame `sequence`.
fn received_item(event: &str, item: &str, sequence: u64) -> Item {
    let body = format!(r#"{{"data":[{item}],"meta":{{"type":"{event}"}}}}"#);
    let arrival = Arrival { channel: Some(channel()), event: None, place: place(sequence) };
    normalize(arrival, raw(&body)).next().expect("one item")
}

fn received(event: &str, item: &str, sequence: u64) -> Event {
    received_item(event, item, sequence).event
}

fn id(event: &str, item: &str) -> EventId {
    received(event, item, 0).id
}

fn form(event: &str, item: &str) -> Form {
    received_item(event, item, 0).form.expect("a form")
}

fn list(item: &str) -> Vec<Event> {
    let items = fetched(&channel(), &ChatId::new("7999@c.us").expect("not empty"), &raw(item));
    items.into_iter().map(|item| item.event).collect()
}

const MESSAGE: &str =
    r#"{"id":7,"type":"text","message":{"text":"hi","caption":"","file":null},"chat":{"id":"7999@c.us"}}"#;

#[test]
fn a_message_has_one_id_by_every_road_and_its_edit_another() {
    for same in [
        r#"{"chat":{"id":"7999@c.us","name":"Ira"},"message":{"text":"hi"},"id":"7","time":1}"#,
        r#"{"id":"7","internalId":"9","message":{"text":"hi","caption":null},"chat":{"id":"7999@c.us"},"fromMe":true}"#,
    ] {
        assert_eq!(id("message", MESSAGE), id("message", same), "{same}");
    }
    assert_eq!(
        list(r#"{"id":"7","message":{"text":"hi"},"internalId":"9","destroyed":false}"#)[0].id,
        id("message", MESSAGE)
    );
    for (what, other) in [
        ("edited", MESSAGE.replace("hi", "hi there")),
        ("given a caption", MESSAGE.replace(r#""caption":"""#, r#""caption":"x""#)),
        ("with its file at last", MESSAGE.replace("null", r#"{"link":"x"}"#)),
        ("another's", MESSAGE.replace(":7,", ":8,")),
        ("in another chat", MESSAGE.replace("7999", "7998")),
        ("destroyed", MESSAGE.replace(r#""id":7"#, r#""id":7,"destroyed":true"#)),
    ] {
        assert_ne!(id("message", MESSAGE), id("message", &other), "{what}");
    }
    let elsewhere =
        Arrival { channel: Channel::from_name("private-v1.licenses.1.messengers.max"), ..Arrival::default() };
    let elsewhere = normalize(elsewhere, raw(&format!(r#"{{"data":[{MESSAGE}],{META}}}"#))).next().expect("one").event;
    assert_ne!(elsewhere.id, id("message", MESSAGE));
    assert!(elsewhere.foreign, "meta names another channel");
    // python3: uuid5(uuid5(NAMESPACE_URL, "/chatapp/1229/grWhatsApp"), '["message","7999@c.us","7","hi","",""]')
    assert_eq!(id("message", MESSAGE).to_string(), "3d1c6777-a00e-5d1a-a2fa-74ea81dcf04c");
}

#[test]
fn statuses_and_reactions_differ_in_what_they_say() {
    let status = r#"{"id":7,"type":"viewed","time":5,"chat":{"id":"7999@c.us","phone":"7"}}"#;
    assert_eq!(
        id("messageStatus", status),
        id("messageStatus", r#"{"id":"7","type":"viewed","time":"5","chat":{"id":"7999@c.us"}}"#)
    );
    for other in [status.replace("viewed", "sent"), status.replace(":5", ":6"), status.replace(":7,", ":8,")] {
        assert_ne!(id("messageStatus", status), id("messageStatus", &other), "{other}");
    }
    let reaction = r#"{"id":7,"reaction":"a","time":5,"action":"react","fromUser":{"id":1},"chat":{"id":"7999@c.us"}}"#;
    for (from, to) in [("react\"", "unreact\""), (":5", ":6"), ("\"a\"", "\"b\""), (":1}", ":2}"), (":7,", ":8,")] {
        assert_ne!(id("messageReaction", reaction), id("messageReaction", &reaction.replace(from, to)), "{from}");
    }
    assert_ne!(id("messageReaction", reaction), id("messageStatus", reaction));
}

#[test]
fn a_form_is_told_by_all_that_a_message_holds_and_its_subject_by_none_of_it() {
    let file = MESSAGE.replace("null", r#"{"link":"https://x/1?X-Sig=a","name":"a.pdf","size":1}"#);
    let (bare, with) = (form("message", MESSAGE), form("message", &file));
    assert_eq!(bare.exact, form("message", &MESSAGE.replace(r#","file":null"#, "")).exact);
    for (what, other, is_same) in [
        ("swapped", file.replace("x/1", "x/2"), false),
        ("another version", file.replace("X-Sig=a", "X-Sig=b"), false),
        ("renamed", file.replace("a.pdf", "b.pdf"), false),
        ("a number as words", file.replace("\"size\":1", "\"size\":\"1\""), true),
        ("what says nothing", file.replace("\"size\":1", "\"size\":1,\"width\":null,\"hash\":\"\""), true),
    ] {
        let other = form("message", &other);
        assert_eq!((other.subject, other.words), (with.subject, with.words), "{what}");
        assert_eq!(other.exact == with.exact, is_same, "{what}");
    }
    let signed = file.replace("X-Sig=a", "X-Amz-Date=1&X-Amz-Signature=a");
    let anew = signed.replace("Date=1", "Date=2").replace("Signature=a", "Signature=b");
    assert_eq!(form("message", &signed).exact, form("message", &anew).exact, "signed anew");
    let here = MESSAGE.replace(r#""file":null"#, r#""location":{"latitude":1}"#);
    let there = here.replace(r#""latitude":1"#, r#""latitude":2"#);
    assert_ne!(form("message", &here).exact, form("message", &there).exact, "a place that moves");

    assert_eq!(bare.subject, with.subject);
    assert_eq!(bare.subject, form("message", &MESSAGE.replace("hi", "edited")).subject);
    let about = |event: &str, author: u32| {
        form(event, &format!(r#"{{"id":"7","chat":{{"id":"7999@c.us"}},"fromUser":{{"id":{author}}}}}"#)).subject
    };
    assert_eq!(about("messageDestroy", 1), bare.subject, "the last form of a message");
    assert_ne!(about("messageStatus", 1), bare.subject);
    assert_ne!(about("messageReaction", 1), bare.subject);
    assert_ne!(about("messageReaction", 1), about("messageReaction", 2));
    assert_ne!(form("message", &MESSAGE.replace(":7,", ":8,")).subject, bare.subject);
    // python3: uuid5(UUID("3d1c6777-a00e-5d1a-a2fa-74ea81dcf04c"), "00000000-0000-0000-0000-000000000001")
    let replaced = EventId::from_uuid(uuid::Uuid::from_u128(1));
    assert_eq!(identity::of_return(bare.words, replaced).to_string(), "234a3b5c-d347-5ed2-aa33-31b31fa6c90f");
}

#[test]
fn what_has_no_identity_of_its_own_happens_each_time_it_is_received() {
    let tag = r#"{"type":"add","tag":{"id":29},"chat":{"id":"7999@c.us"}}"#;
    assert_eq!(received("chatTag", tag, 5).id, received("chatTag", &tag.replace("29", "\"29\""), 5).id);
    assert_ne!(received("chatTag", tag, 5).id, received("chatTag", tag, 6).id, "put on again");
    assert!(received_item("chatTag", tag, 5).form.is_none());
    let elsewhere = Some(Place { spool: uuid::Uuid::from_u128(2), sequence: 5 });
    let arrival = Arrival { channel: Some(channel()), event: Some("chatTag".to_owned()), place: elsewhere };
    let elsewhere = normalize(arrival, raw(&format!(r#"{{"data":[{tag}]}}"#))).next().expect("one item").event;
    assert_ne!(received("chatTag", tag, 5).id, elsewhere.id, "a new spool counts from 1 again");
    assert_ne!(received("chatTag", tag, 5).id, received("chatAuditor", tag, 5).id);
    let twice = format!(r#"{{"data":[{tag},{tag}],"meta":{{"type":"chatTag"}}}}"#);
    let twice = events(&twice);
    assert_ne!(twice[0].id, twice[1].id);
    let nowhere = r#"{"id":7}"#;
    assert_ne!(
        received("messageDestroy", nowhere, 5).id,
        received("messageDestroy", nowhere, 6).id,
        "without its chat"
    );
    let known = r#"{"id":7,"chat":{"id":"7999@c.us"}}"#;
    assert_eq!(received("messageDestroy", known, 5).id, received("messageDestroy", known, 6).id);
}

#[test]
fn a_destroyed_message_that_was_fetched_is_told_as_far_as_it_says_something_and_then_its_deletion() {
    let deletion = id("messageDestroy", r#"{"id":7,"chat":{"id":"7999@c.us"}}"#);
    let both = list(&MESSAGE.replace(r#""id":7"#, r#""id":7,"time":5,"fromUser":{"id":1},"destroyed":true"#));
    assert_eq!(both.iter().map(|event| event.id).collect::<Vec<_>>(), [id("message", MESSAGE), deletion]);
    assert!(both[0].time.is_some() && both[0].sender.is_some(), "who wrote it when");
    assert!(both[1].time.is_none() && both[1].sender.is_none(), "who destroyed it when is not said");
    let Kind::Message(message) = &both[1].kind else { panic!("a message") };
    assert_eq!(message.content, Content::Deletion { message_id: Some("7".to_owned()) });
    let empty = list(r#"{"id":"7","message":{"text":"","file":null},"destroyed":"true"}"#);
    assert_eq!(empty.iter().map(|event| event.id).collect::<Vec<_>>(), [deletion]);
    // Out of the dead letters each is read again as what it was.
    for event in &both {
        let again = normalize(Arrival { channel: Some(channel()), ..Arrival::default() }, event.raw.clone());
        let again: Vec<Event> = again.map(|item| item.event).collect();
        assert_eq!((again.len(), again[0].id, &again[0].kind), (1, event.id, &event.kind));
    }
}

#[test]
fn the_road_s_channel_and_event_stand_in_for_what_meta_lacks() {
    let body = r#"{"data":[{"chat":{"id":"1"}}]}"#;
    let bare = events(body).remove(0);
    assert_eq!((bare.kind.name(), bare.source.id().uri()), ("unknown", "/chatapp".to_owned()));
    let arrival = Arrival { channel: Some(channel()), event: Some("chatRead".to_owned()), place: None };
    let known = normalize(arrival, raw(body)).next().expect("one item").event;
    assert_eq!((known.kind.name(), known.upstream_type.as_str()), ("chat_update", "chatRead"));
    assert_eq!(known.source.id().uri(), "/chatapp/1229/grWhatsApp");
    assert!(!known.foreign);
}

#[test]
fn chats_are_keyed_as_given() {
    for chat in ["79001234567:3@s.whatsapp.net", "private-1480005234h-544", "79001234567"] {
        let event = received("message", &format!(r#"{{"chat":{{"id":"{chat}"}}}}"#), 0);
        assert_eq!(key(&event.source.id(), event.chat.as_ref()), chat);
    }
}

#[test]
fn wrapped_bodies_are_told_from_bare_ones() {
    for (body, wrapped, empty) in [
        (format!(r#"{{"data":[{{}}],{META}}}"#), false, false),
        (format!(r#"{{"payload":{{"data":[{{}}],{META}}}}}"#), true, false),
        (format!(r#"{{"payload":{{"data":[{{}}]}},"data":[{{}}],{META}}}"#), false, false),
        (format!(r#"{{"payload":{{{META}}}}}"#), true, true),
        (r#"{"payload":[]}"#.to_owned(), false, true),
        ("[]".to_owned(), false, true),
        ("null".to_owned(), false, true),
    ] {
        let items = normalize(Arrival::default(), raw(&body));
        assert_eq!((items.is_wrapped(), items.is_without_items(), items.len()), (wrapped, empty, 1), "{body}");
    }
}

#[test]
fn who_wrote_a_message_by_what_hand() {
    for (item, direction, origin) in [
        (r#"{"side":"in","fromMe":true}"#, Direction::Incoming, Origin::Contact),
        (r#"{"fromMe":"false"}"#, Direction::Incoming, Origin::Contact),
        (r#"{"side":"out","fromApi":1,"fromApp":{"id":"a"}}"#, Direction::Outgoing, Origin::Api),
        (r#"{"side":"out","fromApp":{"id":"bitrix"}}"#, Direction::Outgoing, Origin::App),
        (r#"{"side":"out","created":{"id":685}}"#, Direction::Outgoing, Origin::App),
        (r#"{"side":"out","type":"system"}"#, Direction::Outgoing, Origin::App),
        (r#"{"fromMe":true,"fromApp":{}}"#, Direction::Outgoing, Origin::Phone),
        (r#"{"side":"up"}"#, Direction::Unknown, Origin::Unknown),
    ] {
        let Kind::Message(message) = received("message", item, 0).kind else { panic!("a message") };
        assert_eq!((message.direction, message.origin), (direction, origin), "{item}");
    }
}

#[test]
fn a_gap_says_what_may_be_missing_and_has_no_body() {
    let told = |to: i64| {
        let missing = vec![KindName::MessageStatus];
        let told = Gap { channel: None, from: at(1_000), to: at(to), reason: GapReason::NotRunning, missing };
        gap(&channel(), told, place(1))
    };
    assert_eq!(told(2_000).id, told(2_000).id);
    assert_ne!(told(2_000).id, told(3_000).id);
    let record = RecordFactory::default().record(&told(2_000), Extent::Whole, at(2_000));
    assert_eq!(record.key, "license:1229:grWhatsApp");
    let value: serde_json::Value = serde_json::from_slice(&record.value).expect("JSON");
    assert_eq!((value["gap"]["reason"].as_str(), value.get("raw")), (Some("not_running"), None));
    let words = GapReason::ALL.map(|reason| serde_json::to_value(reason).expect("a word"));
    assert_eq!(words, GapReason::ALL.map(|reason| serde_json::Value::from(reason.as_str())));
    assert!(matches!(told(2_000).kind, Kind::Gap(Gap { .. })));
}

#[test]
fn bytes_that_are_no_json_are_handed_back() {
    for (bytes, reason) in [
        (&b"{\"data\":"[..], DeadLetterReason::NotJson),
        (b"", DeadLetterReason::NotJson),
        (b"{\"data\":[\"\xff\"]}", DeadLetterReason::NotUtf8),
    ] {
        let Err(undecodable) = decode(bytes.to_vec()) else { panic!("{bytes:?} is JSON") };
        assert_eq!((undecodable.bytes.as_slice(), undecodable.reason), (bytes, reason));
    }
    let body = decode(b"\xef\xbb\xbf {\"data\":[]}\n".to_vec()).ok().expect("JSON behind a mark");
    assert_eq!(body.get(), "{\"data\":[]}");
}

#[test]
fn a_body_whose_raws_would_flood_the_topic_stays_in_one_piece() {
    let body = |items: usize, rest: usize| {
        let text = format!(r#"{{"data":[{}0],"rest":"{}"}}"#, "0,".repeat(items - 1), "x".repeat(rest));
        normalize(Arrival::default(), raw(&text))
    };
    assert_eq!(body(600, 100_000).len(), 600, "60 MB in all, one after the other");
    let whole = body(700, 100_000);
    assert_eq!((whole.len(), whole.is_without_items()), (1, true));
    let whole: Vec<Event> = whole.map(|item| item.event).collect();
    assert_eq!((whole[0].kind.name(), whole[0].raw.get().len()), ("unknown", 101_420));
    assert_eq!(body(1, 100_000).len(), 1);
}
