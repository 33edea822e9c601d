//! `chatbridge verify` where there is no Kafka: the bridge and the judge both meet librdkafka's mock cluster.

use std::time::Duration;

use chatbridge_lab::green_api::generator::Generator;
use chatbridge_lab::green_api::{JournalEvent, SimulatedInstance, Simulator, SimulatorConfig};
use rdkafka::mocking::MockCluster;

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
    assert_eq!((code, &report["still_queued"]), (Some(1), &EVENTS.into()), "no bridge ran, so nothing is proved");
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

    let out = verify(&home, &journal, &[], &[("CHATBRIDGE__KAFKA__TOPIC", "no-such-topic")]);
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("no-such-topic"), "{}", String::from_utf8_lossy(&out.stderr));
}
