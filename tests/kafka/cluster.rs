//! The tests' own cluster: its leader dies, a replica is missing, and what was acknowledged is still there.

use std::time::Instant;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::support::cluster::Cluster;
use crate::support::java::java_partitions;
use crate::support::judge::Topic;
use crate::support::needs::or_skip;
use crate::support::producer::{produce, producer};

const TOPIC: &str = "replicated";
const STRICT: &str = "strict";

#[test]
#[ignore = "starts a real Kafka"]
fn records_survive_their_leader_and_a_missing_replica_refuses_them() {
    let begun = Instant::now();
    let Some(mut cluster) = or_skip(Cluster::start()) else { return };
    let start = begun.elapsed();
    cluster.create_topic(TOPIC, 3, &[]);
    let keys = ["79001234567@c.us", "79876543210@c.us", "120363@g.us", "ключ", "instance:1101123456"];
    java_partitions(&cluster.bootstrap(), TOPIC, &keys).expect("the Java producer works");

    let leader = cluster.leader_of(TOPIC, 0).expect("a leader");
    let begun = Instant::now();
    cluster.kill(leader);
    let found = cluster.wait_for(TOPIC, 0, "led by another", |found| found.leader.is_some_and(|node| node != leader));
    let election = begun.elapsed();
    assert!(!found.in_sync.contains(&leader), "{found:?}");
    java_partitions(&cluster.bootstrap(), TOPIC, &keys).expect("two of three take records");
    let Some(topic) = Topic::read(&cluster.bootstrap(), TOPIC) else { return };
    assert_eq!(topic.records.len(), 10, "what the dead leader acknowledged, and what came after");
    let begun = Instant::now();
    cluster.start_again(leader);
    cluster.wait_for(TOPIC, 0, "in sync again", |found| found.in_sync.len() == 3);
    let again = begun.elapsed();

    cluster.create_topic(STRICT, 1, &[("min.insync.replicas", "3")]);
    let leader = cluster.leader_of(STRICT, 0).expect("a leader");
    let follower = (1..=3).find(|node| *node != leader).expect("three nodes");
    let client = producer(&cluster.bootstrap(), &[("retries", "0")]);
    assert_eq!(produce(&client, STRICT), Ok(()));
    let begun = Instant::now();
    cluster.pause(follower);
    cluster.wait_for(STRICT, 0, "short of a replica", |found| found.in_sync.len() == 2);
    let shrunk = begun.elapsed();
    let refused = KafkaError::MessageProduction(RDKafkaErrorCode::NotEnoughReplicas);
    assert_eq!(produce(&client, STRICT), Err(refused));
    cluster.resume(follower);
    cluster.wait_for(STRICT, 0, "in sync again", |found| found.in_sync.len() == 3);
    assert_eq!(produce(&client, STRICT), Ok(()));

    let begun = Instant::now();
    cluster.stop(leader);
    cluster.wait_for(STRICT, 0, "led by another", |found| found.leader.is_some_and(|node| node != leader));
    eprintln!(
        "cluster: start {start:.1?}, another leader {election:.1?} after a kill and {:.1?} after a stop began, in sync \
         {again:.1?} after a start, short of a frozen replica after {shrunk:.1?}",
        begun.elapsed()
    );
}
