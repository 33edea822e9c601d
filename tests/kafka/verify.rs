//! `chatbridge verify` over what the real bridge put into a real Kafka: it acquits, and it sees each breach.

use std::time::Duration;

use chatbridge_lab::green_api::{EntryId, JournalBody, JournalEntry, JournalEvent};
use rdkafka::config::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::trial::{judged, verify};

const TOPIC: &str = "chat-events";
const STAMPS: &[(&str, &str)] = &[("log.message.timestamp.type", "LogAppendTime")];

fn text(chat: &str, id: &str) -> Value {
    json!({"typeWebhook": "incomingMessageReceived", "idMessage": id, "senderData": {"chatId": chat},
           "messageData": {"typeMessage": "textMessage", "textMessageData": {"textMessage": "hi"}}})
}

/// The record of a body, as a bridge with all of these faults would write it.
fn produce(scene: &Scene, key: &str, id: Option<&str>, body: &Value, header: (&str, &str)) {
    let value = json!({"id": id, "kind": "message", "source": {"instance": scene.ids[0].to_string()}, "raw": body});
    // On the partition the bridge takes: an order is that of one partition.
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", scene.broker.bootstrap()).set("partitioner", "murmur2_random");
    let producer: FutureProducer = config.create().expect("a producer");
    let headers = OwnedHeaders::new().insert(Header { key: header.0, value: Some(header.1) });
    let value = value.to_string();
    let record = FutureRecord::to(TOPIC).key(key).payload(&value).headers(headers);
    scene.runtime.block_on(producer.send(record, Duration::from_secs(30))).expect("written");
}

/// The figures that are not those of a faultless run.
fn breaches(report: &Value) -> Vec<(&str, u64)> {
    let names = [
        "lost",
        "deleted_before_acknowledged",
        "out_of_order",
        "wrong_key",
        "split_chats",
        "wrong_id",
        "unexpected",
        "secrets_seen",
        "repeated",
    ];
    let figure = |name| report[name].as_u64().unwrap_or_else(|| panic!("{name} was not checked: {report}"));
    names.into_iter().map(|name| (name, figure(name))).filter(|(_, found)| *found > 0).collect()
}

/// The journal with further things that happened to the first instance.
fn with(journal: &[JournalEntry], more: Vec<JournalEvent>) -> Vec<JournalEntry> {
    let last = journal.last().expect("a journal");
    let more = (last.sequence + 1..).zip(more);
    let entries = more.map(|(sequence, what)| JournalEntry { sequence, what, instance: last.instance, ..last.clone() });
    journal.iter().cloned().chain(entries).collect()
}

#[test]
#[ignore = "starts a real Kafka"]
fn a_promise_kept_is_acquitted_and_each_breach_is_seen() {
    let Some(scene) = Scene::new(1, STAMPS) else { return };
    let instance = scene.ids[0];
    let (first, second) = (text("7900@c.us", "first"), text("7900@c.us", "second"));
    for body in [&first, &second] {
        scene.simulator.enqueue(instance, body.to_string()).expect("room");
    }
    scene.queue(300);
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait("deliveries", |_| (scene.deleted() > 100).then_some(()));
    bridge.kill();
    let bridge = Bridge::start(&scene.home, &[]);
    scene.wait_until_emptied(&bridge);
    assert!(bridge.terminate().success());
    let journal = scene.simulator.journal();

    let (code, report) = judged(&scene.home, &journal, &[]);
    eprintln!("verify: {report}");
    assert_eq!(code, Some(0), "{report}");
    assert_eq!(
        (&report["queued"], &report["published"], &report["promise_held"]),
        (&302.into(), &302.into(), &true.into())
    );
    assert_eq!(
        (&report["deletions_checked"], &report["secrets"]["tokens_searched"]),
        (&302.into(), &1.into()),
        "{report}"
    );
    let repeats = report["repeated"].as_u64().expect("a number");
    assert!(repeats <= 1, "one kill, one instance: {report}");
    let not_kept = |entries: &[JournalEntry], exit_code: i32, promise: &str| {
        let (code, report) = judged(&scene.home, entries, &[]);
        assert_eq!((code, &report["promise"]), (Some(exit_code), &promise.into()), "{report}");
        let found = breaches(&report).into_iter().map(|(name, count)| (name.to_owned(), count));
        found.filter(|(name, _)| name != "repeated").collect::<Vec<_>>()
    };
    let broken = |entries: &[JournalEntry]| not_kept(entries, 1, "broken");
    let is = |name: &str, count: u64| (name.to_owned(), count);

    // One more was queued and deleted, and is in no topic.
    let next = EntryId(303);
    let body = JournalBody(b"{\"typeWebhook\":\"new\"}".to_vec().into());
    let enqueued = JournalEvent::Enqueued { entry: next, body };
    let lost = with(&journal, vec![enqueued.clone(), JournalEvent::Deleted { entry: next, receipt: 9_999 }]);
    assert_eq!(broken(&lost), [is("lost", 1)]);
    assert_eq!(broken(&with(&journal, vec![enqueued.clone(), JournalEvent::Expired { entry: next }])), [is("lost", 1)]);
    let (code, report) = judged(&scene.home, &with(&journal, vec![enqueued]), &[]);
    assert_eq!((code, &report["still_queued"], &report["lost"]), (Some(0), &1.into(), &0.into()), "not lost, to come");

    // The second was queued first; when each was deleted stays as it was.
    let other = |id: &EntryId| if id.0 <= 2 { EntryId(3 - id.0) } else { *id };
    let swap = |entry: &JournalEntry| {
        let what = match entry.what.clone() {
            JournalEvent::Enqueued { entry: id, .. } if id.0 <= 2 => {
                let body = if id.0 == 1 { &second } else { &first };
                JournalEvent::Enqueued { entry: id, body: JournalBody(body.to_string().into()) }
            }
            JournalEvent::HandedOut { entry, receipt } => JournalEvent::HandedOut { entry: other(&entry), receipt },
            JournalEvent::Deleted { entry, receipt } => JournalEvent::Deleted { entry: other(&entry), receipt },
            what => what,
        };
        JournalEntry { what, ..entry.clone() }
    };
    assert_eq!(broken(&journal.iter().map(swap).collect::<Vec<_>>()), [is("out_of_order", 1)]);

    // Everything was deleted an hour before Kafka had it; a tolerance for clocks forgives that.
    let hour_ms = 3_600_000;
    let early: Vec<JournalEntry> =
        journal.iter().map(|entry| JournalEntry { unix_ms: entry.unix_ms - hour_ms, ..entry.clone() }).collect();
    assert_eq!(broken(&early), [is("deleted_before_acknowledged", 302)]);
    let forgiven = verify(&scene.home, &early, &["--clock-tolerance-ms", "3700000"], &[]);
    assert!(forgiven.status.success(), "{}", String::from_utf8_lossy(&forgiven.stdout));

    // From here on the topic itself is spoilt, one record after the other.
    produce(&scene, "7900@c.us", None, &text("7900@c.us", "never queued"), ("x", "y"));
    assert_eq!(not_kept(&journal, 2, "cannot_be_told"), [is("unexpected", 1)], "somebody else may have written it");
    let later: Vec<JournalEntry> =
        journal.iter().map(|entry| JournalEntry { unix_ms: entry.unix_ms + hour_ms, ..entry.clone() }).collect();
    let (_, report) = judged(&scene.home, &later, &[]);
    assert_eq!((&report["unexpected"], &report["lost"]), (&0.into(), &302.into()), "older than the journal: {report}");
    produce(&scene, "7901@c.us", None, &first, ("x", "y"));
    assert_eq!(broken(&journal), [is("wrong_key", 1), is("unexpected", 1)]);
    produce(&scene, "7900@c.us", Some("another"), &first, ("x", "y"));
    assert_eq!(broken(&journal), [is("wrong_key", 1), is("wrong_id", 1), is("unexpected", 1)]);
    let token = scene.token();
    produce(&scene, "7900@c.us", None, &first, ("authorization", &format!("Bearer {token}")));
    assert_eq!(broken(&journal), [is("wrong_key", 1), is("wrong_id", 1), is("unexpected", 1), is("secrets_seen", 1)]);
    let out = verify(&scene.home, &journal, &[], &[]);
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    eprintln!("{said}");
    assert!(said.contains("secret: chat-events, partition"), "where to look: {said}");
    assert!(!said.contains(&token) && !said.contains("7900@c.us"), "no secrets, no phones: {said}");
}

#[test]
#[ignore = "starts a real Kafka"]
fn every_form_of_a_record_and_every_fate_of_an_event_is_understood() {
    let Some(scene) = Scene::new(1, STAMPS) else { return };
    let instance = scene.ids[0];
    let drop = ("CHATBRIDGE__EVENTS__DROP", "statusInstanceChanged");
    let routing = ("CHATBRIDGE__ROUTING__CALL", "chat-calls");
    let mut number = 0;
    for form in [
        ("CHATBRIDGE__EVENTS__INCLUDE_RAW", "true"),
        ("CHATBRIDGE__EVENTS__INCLUDE_RAW", "false"),
        ("CHATBRIDGE__KAFKA__CLOUDEVENTS_MODE", "structured"),
        ("CHATBRIDGE__EVENTS__UNKNOWN", "dead_letter"),
    ] {
        number += 1;
        let thumbnail = "A".repeat(1_500_000);
        let quota = r#"{"typeWebhook":"quotaExceeded","quotaData":{"method":"sendMessage","used":1,"total":1}}"#;
        let image = format!(
            r#"{{"typeWebhook":"incomingMessageReceived","idMessage":"{number}","senderData":{{"chatId":"7900@c.us"}},
            "messageData":{{"typeMessage":"imageMessage","fileMessageData":{{"jpegThumbnail":"{thumbnail}"}}}}}}"#
        );
        for body in [
            text("7900@c.us", &format!("text {number}")).to_string(),
            format!(
                r#"{{"typeWebhook":"incomingMessageReceived","n":{number},"text":"\ud83d","id":123456789012345678901}}"#
            ),
            format!(r#"{{"typeWebhook":"incomingCall","from":"7900@c.us","status":"offer","n":{number}}}"#),
            format!(r#"{{"typeWebhook":"statusInstanceChanged","n":{number}}}"#),
            format!(r#"{{"typeWebhook":"new","n":{number},"deep":{}{}}}"#, "[".repeat(5_000), "]".repeat(5_000)),
            quota.to_owned(),
            quota.to_owned(),
            image,
            format!("{{\"broken {number}\": "),
            "null".to_owned(),
        ] {
            scene.simulator.enqueue(instance, body).expect("room");
        }
        scene.simulator.enqueue(instance, format!("{number} \u{fe}").into_bytes()).expect("room");
        scene.simulator.enqueue(instance, [b"not utf-8 \xff".as_slice(), &[number]].concat()).expect("room");
        let environment = [form, drop, routing, ("CHATBRIDGE__KAFKA__PROPERTIES__COMPRESSION_TYPE", "none")];
        let bridge = Bridge::start(&scene.home, &environment);
        scene.wait_until_emptied(&bridge);
        assert!(bridge.terminate().success());
    }
    let (code, report) = judged(&scene.home, &scene.simulator.journal(), &[drop, routing]);
    eprintln!("forms and fates: {report}");
    assert_eq!(code, Some(0), "{report}");
    let figures = ["queued", "published", "dead_lettered", "dropped", "still_queued", "lost", "collapsed", "repeated"];
    let found = figures.map(|name| report[name].as_u64().expect("a number"));
    // Each time four dead letters, one dropped, one collapsed; the last time what is of no known type is buried as
    // well.
    assert_eq!(found, [48, 26, 18, 4, 0, 0, 4, 0], "{report}");

    let (code, report) = judged(&scene.home, &scene.simulator.journal(), &[drop]);
    assert_eq!((code, &report["lost"]), (Some(1), &4.into()), "without the topic of calls they are missing: {report}");
}
