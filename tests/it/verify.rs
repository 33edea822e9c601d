//! `chatbridge verify` where there is no Kafka: the bridge and the judge both meet librdkafka's mock cluster.

use std::time::Duration;

use chatbridge_event::event::InstanceId;
use chatbridge_event::normalize::green_api::normalize;
use chatbridge_lab::green_api::generator::Generator;
use chatbridge_lab::green_api::{JournalEntry, JournalEvent, SimulatedInstance, Simulator, SimulatorConfig};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::bridge::{Bridge, Home};
use crate::support::trial::{judged, verify};

const PATIENCE: Duration = Duration::from_secs(180);
const INSTANCE: u64 = 1_101_000_001;
const EVENTS: u64 = 200;

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_is_judged_and_a_journal_with_a_gap_is_not() {
    let kafka = MockCluster::new(1).expect("a mock cluster");
    kafka.create_topic("chat-events", 3, 1).expect("a topic");
    kafka.create_topic("chat-events-dlq", 1, 1).expect("a topic");
    let token = format!("{:032x}", fastrand::u128(..));
    let simulator = Simulator::start(SimulatorConfig {
        instances: vec![SimulatedInstance::new(INSTANCE, token.clone())],
        requests_per_second_max: 100_000,
        ..SimulatorConfig::default()
    });
    let simulator = simulator.await.expect("a free port");
    let mut generator = Generator::new(INSTANCE, 1);
    for _ in 0..EVENTS {
        simulator.enqueue(INSTANCE, generator.body()).expect("room");
    }
    let home = Home::new(simulator.url(), &[(INSTANCE, token)], &kafka.bootstrap_servers(), "");

    let (code, report) = judged(&home, &simulator.journal(), &[]);
    assert_eq!((code, &report["still_queued"]), (Some(2), &EVENTS.into()), "no bridge ran, so nothing is proved");
    assert_eq!((&report["lost"], &report["anything_delivered"]), (&0.into(), &false.into()), "{report}");

    let bridge = Bridge::start(&home, &[]);
    let emptied = tokio::time::timeout(PATIENCE, simulator.emptied()).await;
    assert!(emptied.is_ok(), "{}", bridge.log());
    assert!(bridge.terminate().success());
    let journal = simulator.journal();

    let (code, report) = judged(&home, &journal, &[]);
    assert_eq!(code, Some(0), "{report}");
    assert_eq!((&report["queued"], &report["published"], &report["lost"]), (&EVENTS.into(), &EVENTS.into(), &0.into()));
    // The mock keeps the producer's times, so this must not be called good.
    assert!(report["deleted_before_acknowledged"].is_null(), "{report}");
    assert_eq!(report["deletions_not_checked"], EVENTS);
    let table = verify(&home, &journal, &[], &[]);
    let said = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(said.contains("The promise held") && said.contains("LogAppendTime"), "{said}");
    assert_eq!(String::from_utf8_lossy(&table.stderr), "");

    let delete = journal.iter().position(|entry| matches!(entry.what, JournalEvent::Deleted { .. })).expect("a delete");
    let gap = [&journal[..delete], &journal[delete + 1..]].concat();
    let out = verify(&home, &gap, &["--json"], &[]);
    assert_eq!((out.status.code(), out.stdout.len()), (Some(64), 0), "no judgement");
    assert!(String::from_utf8_lossy(&out.stderr).contains("is incomplete"), "{}", String::from_utf8_lossy(&out.stderr));

    foreign_records_break_nothing(&home, &journal, &kafka.bootstrap_servers()).await;

    let out = verify(&home, &journal, &[], &[("CHATBRIDGE__KAFKA__TOPIC", "no-such-topic")]);
    assert_eq!(out.status.code(), Some(2), "what cannot be read is not broken");
    assert!(String::from_utf8_lossy(&out.stderr).contains("no-such-topic"), "{}", String::from_utf8_lossy(&out.stderr));
}

/// What others write to the topics is counted, and does not break the promise. Where the bridge itself may have written
/// it, the verdict is left open.
async fn foreign_records_break_nothing(home: &Home, journal: &[JournalEntry], bootstrap: &str) {
    let producer: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("a producer");
    let put = async |topic: &str, headers: OwnedHeaders, value: &str| {
        let record = FutureRecord::to(topic).key("7900@c.us").payload(value).headers(headers);
        producer.send(record, Duration::from_secs(30)).await.expect("written");
    };
    let value = |instance: u64, id: &str, body: &str| {
        format!(r#"{{"id":"{id}","kind":"message","source":{{"instance":"{instance}"}},"raw":{body}}}"#)
    };
    let foreign = |report: &Value| {
        let names = ["/read/of_others", "/read/of_no_instance", "/unexpected", "/wrong_id"];
        names.map(|name| report.pointer(name).and_then(Value::as_u64).expect("a figure"))
    };

    put("chat-events", OwnedHeaders::new(), "{\"an order\": 17}").await;
    put("chat-events", OwnedHeaders::new(), &value(1_101_000_999, "", "{}")).await;
    let of_others = OwnedHeaders::new().insert(Header { key: "instance", value: Some("1101000999") });
    put("chat-events-dlq", of_others, "a letter").await;
    put("chat-events-dlq", OwnedHeaders::new(), "another program's").await;
    let (code, report) = judged(home, journal, &[]);
    assert_eq!((code, &report["promise"]), (Some(0), &"kept".into()), "{report}");
    assert_eq!(foreign(&report), [4, 2, 0, 0], "{report}");

    put("chat-events", OwnedHeaders::new(), &value(INSTANCE, "", "{\"never\": \"queued\"}")).await;
    let (code, report) = judged(home, journal, &[]);
    assert_eq!((code, &report["promise"]), (Some(2), &"cannot_be_told".into()), "{report}");
    assert_eq!((foreign(&report), &report["promise_held"]), ([4, 2, 1, 0], &false.into()), "{report}");
    let said = String::from_utf8_lossy(&verify(home, journal, &[], &[]).stdout).into_owned();
    for words in ["IT CANNOT BE TOLD", "1 of these instances but never queued", "foreign: chat-events, partition"] {
        assert!(said.contains(words), "{words} is missing from {said}");
    }
    assert!(!said.contains("BROKEN"), "{said}");

    // The id of an event that was queued, over another body: that was altered, whoever else writes here.
    let queued = journal.iter().find_map(|entry| match &entry.what {
        JournalEvent::Enqueued { body, .. } => String::from_utf8(body.0.to_vec()).ok(),
        _ => None,
    });
    let raw = RawValue::from_string(queued.expect("an event")).expect("JSON");
    let id = normalize(InstanceId::new(INSTANCE), raw).id.to_string();
    put("chat-events", OwnedHeaders::new(), &value(INSTANCE, &id, "{\"altered\": true}")).await;
    let (code, report) = judged(home, journal, &[]);
    assert_eq!((code, &report["promise"]), (Some(1), &"broken".into()), "{report}");
    assert_eq!(foreign(&report), [4, 2, 1, 1], "{report}");
}
