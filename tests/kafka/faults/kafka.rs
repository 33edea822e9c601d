//! Kafka stops, freezes, dies, refuses, loses a topic.

use std::collections::HashSet;

use chatbridge_lab::green_api::JournalEvent;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::row::{Place, Row};
use super::stage::{INSTANCES, Stage, unix_ms};
use crate::support::guard::write;
use crate::support::record::read;

const AWAY: &str = "Kafka is away";
const REFUSES: &str = "Kafka refuses";
/// For so long the brokers keep a connection that nobody uses.
pub(super) const IDLE_SECONDS: u64 = 8;

pub(crate) fn rows() -> Vec<Row> {
    let harmed = |group, name, strike: fn(&mut Stage<'_>)| Row::new(group, name, strike).at(Place::Harmed).hits_all();
    let all = |group, name, strike: fn(&mut Stage<'_>)| Row::new(group, name, strike).hits_all();
    vec![
        harmed(AWAY, "broker stopped, started again", |stage| stage.ground.broker().stop())
            .lasts(8, 20)
            .ends(|stage| stage.ground.broker().start_again())
            .says("Kafka is away")
            .says("Kafka takes records again")
            .and(nothing_was_fetched_in_vain),
        harmed(AWAY, "broker killed (kill -9), started again", |stage| stage.ground.broker().kill())
            .lasts(4, 10)
            .ends(|stage| stage.ground.broker().start_again())
            .and(nothing_was_fetched_in_vain),
        harmed(AWAY, "broker frozen (SIGSTOP) for 30 s", |stage| stage.ground.broker().pause())
            .lasts(10, 30)
            .ends(|stage| stage.ground.broker().resume())
            .and(nothing_was_fetched_in_vain),
        Row::new(AWAY, "three brokers, the leader killed (kill -9)", |stage| {
            let topic = stage.topic.clone();
            let leader = stage.ground.cluster().leader_of(&topic, 0);
            stage.ground.cluster().kill(leader);
            stage.killed = Some(leader);
        })
        .at(Place::Cluster)
        .hits_all()
        .after(revive),
        all(AWAY, "idle connections closed, one broker (connections.max.idle.ms)", go_quiet)
            .lasts(3 * IDLE_SECONDS, 5 * IDLE_SECONDS)
            .ends(flow_again)
            .and(nobody_noticed),
        all(AWAY, "idle connections closed, three brokers", go_quiet)
            .at(Place::Cluster)
            .lasts(3 * IDLE_SECONDS, 5 * IDLE_SECONDS)
            .ends(flow_again)
            .and(nobody_noticed),
        Row::new(REFUSES, "too few in-sync replicas (NotEnoughReplicas)", |stage| {
            stage.ground.cluster().kill(3);
            stage.killed = Some(3);
        })
        .at(Place::Cluster)
        .topic("min.insync.replicas", "3")
        .hits_all()
        .lasts(8, 35)
        .ends(revive),
        Row::new(REFUSES, "the right to write taken away, given back", |stage| {
            let (guard, broker) = stage.ground.guard();
            guard.revoke(broker, &[write(&stage.topic)]);
        })
        .at(Place::Restricted)
        .hits_all()
        .lasts(6, 35)
        .ends(|stage| stage.ground.allow(&[&stage.topic]))
        .publish_class("unavailable")
        .and(nothing_was_fetched_in_vain),
        all(REFUSES, "topic deleted under the bridge, made again", |stage| {
            // What lies in it goes with it, and that is the operator's doing: it is read first.
            stage.load.as_ref().expect("it flows").pause();
            stage.wait_until_emptied();
            stage.kept = read(&stage.ground.bootstrap(), &stage.topic).unwrap_or_default();
            stage.delete_topic();
            stage.load.as_ref().expect("it flows").resume();
        })
        .lasts(6, 35)
        .ends(|stage| stage.ground.make_topic(&stage.topic, &[])),
        fatal("producer fails for good: out of order sequence", |stage| {
            produce_error(stage, RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
        }),
        // librdkafka gets a new epoch by itself.
        Row::new(REFUSES, "producer fenced (InvalidProducerEpoch)", |stage| {
            produce_error(stage, RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH);
        })
        .at(Place::Mock)
        .hits_all()
        .repeats_max(INSTANCES),
    ]
}

/// Nothing happens for longer than a broker keeps a connection that nobody uses.
fn go_quiet(stage: &mut Stage<'_>) {
    stage.load.as_ref().expect("it flows").pause();
    stage.wait_until_emptied();
}

fn flow_again(stage: &mut Stage<'_>) {
    stage.load.as_ref().expect("it flows").resume();
}

/// The client says of such a broker that it is down; nobody else does.
fn nobody_noticed(stage: &Stage<'_>) {
    // Told to those who read everything.
    assert!(stage.shown.log.contains("brokers are down"), "the connections were closed");
    assert!(!stage.shown.kafka_unusable, "/status said that Kafka is not usable");
    assert!(!stage.shown.kafka_down, "chatbridge_kafka_up was 0");
    for words in ["Kafka is away", "does not take records", "Kafka takes records again"] {
        assert_eq!(stage.said(words), 0, "{words}: {}", stage.visible_log());
    }
}

/// Real brokers do not do it when asked, so librdkafka's mock does. A record may have been written before the error.
fn fatal(name: &'static str, strike: fn(&mut Stage<'_>)) -> Row {
    Row::new(REFUSES, name, strike)
        .at(Place::Mock)
        .hits_all()
        .publish_class("unavailable")
        .says("a new one takes over")
        .repeats_max(INSTANCES)
}

fn produce_error(stage: &Stage<'_>, error: RDKafkaRespErr) {
    stage.ground.mock().request_errors(RDKafkaApiKey::Produce, &[error]);
}

fn revive(stage: &mut Stage<'_>) {
    if let Some(node) = stage.killed.take() {
        stage.ground.cluster().start_again(node);
    }
}

/// Each instance holds its one notification, and the queue upstream keeps the rest.
pub(super) fn nothing_was_fetched_in_vain(stage: &Stage<'_>) {
    // What it had taken before may take its time to come through.
    let away = stage.holding_ms + 1_000..=stage.ending_ms;
    let (mut handed_out, mut pushed) = (0, HashSet::new());
    for entry in stage.simulator.journal().into_iter().filter(|entry| away.contains(&unix_ms(entry))) {
        match entry.what {
            JournalEvent::HandedOut { .. } => handed_out += 1,
            // The same again, where GREEN-API tires or is told to come again.
            JournalEvent::Pushed { entry: event } => drop(pushed.insert((entry.instance, event))),
            _ => {}
        }
    }
    let held = handed_out + pushed.len() as u64;
    assert!(held <= INSTANCES, "{held} while Kafka took nothing");
}
