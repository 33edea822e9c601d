//! Events that cannot be read, are too large, or are none that anybody knows.

use chatbridge_lab::green_api::{Fault, FaultKind, Method};

use super::odd::{Lands, Odd, noise};
use super::row::{MEMORY, Pace, Row};
use super::shapes::{bodies_of_green_api, bytes};
use crate::support::way::Way;

const UNREADABLE: &str = "Events that cannot be read";
const UNKNOWN: &str = "Events that nobody knows";
const LARGE: &str = "Events that are too large";

/// One such event, on the first instance.
fn one(group: &'static str, name: &'static str, odd: fn() -> Odd) -> Row {
    Row::new(group, name, move |stage| stage.queue(odd()))
}

/// A picture with a preview of so many bytes.
fn picture(lands: Lands, preview_bytes: usize) -> Odd {
    let preview = noise(preview_bytes);
    Odd::new(
        lands,
        format!(
            r#"{{"typeWebhook":"incomingMessageReceived","idMessage":"MARK","senderData":{{"chatId":"CHAT"}},"messageData":{{"typeMessage":"imageMessage","fileMessageData":{{"caption":"kept","jpegThumbnail":"{preview}"}}}}}}"#
        ),
    )
}

pub(crate) fn rows() -> Vec<Row> {
    let nested = || {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        Odd::new(Lands::Whole, format!(r#"{{"typeWebhook":"new","idMessage":"MARK","chatId":"CHAT","deep":{deep}}}"#))
    };
    vec![
        one(UNREADABLE, "body is broken JSON", || Odd::new(Lands::Letter, r#"{"id":"MARK","broken": "#))
            .letters(&["not_json"]),
        one(UNREADABLE, "body is not UTF-8", || Odd::new(Lands::Letter, b"{\"id\":\"MARK\",\"no\":\"\xff\xfe\"}".to_vec()))
            .letters(&["not_utf8"]),
        Row::upstream(UNREADABLE, "broken JSON that shows no receiptId", || {
            let body = r#"{"body": {"typeWebhook": "#.to_owned();
            vec![Fault::new(Method::Receive, FaultKind::RawBody { body })]
        })
        .class("unreadable")
        .phase("backing_off")
        .says("carries no receipt to delete it with"),
        Row::upstream(UNREADABLE, "a body without a receiptId", || {
            let body = r#"{"body": {"typeWebhook": "new"}}"#.to_owned();
            vec![Fault::new(Method::Receive, FaultKind::RawBody { body })]
        })
        .class("unreadable")
        .phase("backing_off"),
        one(UNREADABLE, "half a surrogate pair", || Odd::text(Lands::Whole, r"half \ud83d of it")),
        one(UNREADABLE, "nested 10,000 deep", nested),
        one(UNKNOWN, "unknown typeWebhook", || {
            Odd::new(Lands::Whole, r#"{"typeWebhook":"neverSeen","idMessage":"MARK","chatId":"CHAT"}"#)
        }),
        one(UNKNOWN, "unknown typeMessage", || {
            Odd::new(
                Lands::Whole,
                r#"{"typeWebhook":"incomingMessageReceived","idMessage":"MARK","senderData":{"chatId":"CHAT"},"messageData":{"typeMessage":"neverSeen"}}"#,
            )
        }),
        one(UNKNOWN, "names another instance", || {
            Odd::new(
                Lands::Whole,
                r#"{"typeWebhook":"incomingCall","idMessage":"MARK","from":"CHAT","status":"offer","instanceData":{"idInstance":4242}}"#,
            )
        })
        .says("names another instance")
        .counts("chatbridge_foreign_instance_total"),
        one(LARGE, "2 MB of text that compresses", || Odd::text(Lands::Whole, &"a".repeat(2_000_000))),
        one(LARGE, "2 MB of text, topic takes 1 MB", || Odd::text(Lands::CutLetter, &noise(2_000_000)))
            .publish_class("too_large")
            .letters(&["too_large"]),
        one(LARGE, "2 MB of preview picture, topic takes 1 MB", || picture(Lands::Reduced, 2_000_000))
            .publish_class("too_large"),
        Row::new(LARGE, "limit of the topic lowered to 20 kB", |stage| {
            stage.change_topic("max.message.bytes", "20000");
            stage.queue(Odd::text(Lands::Letter, &noise(100_000)));
            stage.queue(picture(Lands::Reduced, 100_000));
            stage.queue(Odd::text(Lands::Whole, "small"));
        })
        .ends(|stage| stage.change_topic("max.message.bytes", "1048588"))
        .publish_class("too_large")
        .letters(&["too_large"]),
        Row::new(LARGE, "answer above response_bytes_max", |stage| {
            let bytes = if stage.pace == Pace::Table { 9_000_000 } else { 200_000 };
            // Cut, it says no longer whose chat it is.
            stage.queue(Odd { key: None, ..Odd::text(Lands::CutLetter, &noise(bytes)) });
        })
        .only(&[Way::Poll])
        .hurried("CHATBRIDGE__GREEN_API__RESPONSE_BYTES_MAX", "65536")
        .letters(&["too_long"]),
        Row::new(LARGE, "bodies of many shapes, 256 MiB of memory", |stage| {
            for (turn, (_, body)) in bodies_of_green_api().into_iter().enumerate() {
                stage.queue_for(turn % stage.ids.len(), shaped(&body));
            }
            for (_, bytes) in bytes() {
                stage.queue(Odd::new(Lands::Letter, [b"MARK", &bytes[..]].concat()));
            }
        })
        .hits_all()
        .under(MEMORY)
        .with("MALLOC_MMAP_THRESHOLD_", "131072")
        .with("CHATBRIDGE__WEBHOOK__BUFFERED_BYTES_MAX", "25165824")
        .letters(&["not_utf8", "not_json", "not_json", "not_json", "not_json"]),
    ]
}

/// A body of GREEN-API's, with a mark and a chat of its own.
fn shaped(body: &str) -> Odd {
    let rest = body.replacen("1@c.us", "CHAT", 1);
    let rest = rest.strip_prefix('{').expect("an object");
    let chat = if rest.contains("CHAT") { "" } else { r#""from":"CHAT","# };
    Odd::new(Lands::Whole, format!(r#"{{"idMessage":"MARK",{chat}{rest}"#))
}
