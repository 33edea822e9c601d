//! The tests' own cluster: its leader dies, a replica is missing, and what was acknowledged is still there.

use std::collections::BTreeSet;
use std::time::Instant;

use rdkafka::error::RDKafkaErrorCode;

use crate::support::cluster::Cluster;
use crate::support::java::java_partitions;
use crate::support::judge::Topic;
use crate::support::needs::or_skip;
use crate::support::producer::{produce_until, producer};

const TOPIC: &str = "replicated";
const STRICT: &str = "strict";

#[test]
#[ignore = "starts a real Kafka"]
fn records_survive_their_leader_and_a_missing_replica_refuses_them() {
    let begun = Instant::now();
    let Some(mut cluster) = or_skip(Cluster::start()) else { return };
    let start = begun.elapsed();
    cluster.create_topic(TOPIC, 3, &[]);
    let before = ["79001234567@c.us", "79876543210@c.us", "120363@g.us", "ключ", "instance:1101123456"];
    let after = before.map(|key| format!("{key}, later"));
    java_partitions(&cluster.bootstrap(), TOPIC, &before).expect("the Java producer works");

    let leader = cluster.leader_of(TOPIC, 0);
    let begun = Instant::now();
    cluster.kill(leader);
    // Both at once: on a busy machine it may have handed over before it died, and then it is the replica that is
    // missed.
    cluster.wait_for(TOPIC, 0, "led by another, without the dead one", |found| {
        found.leader.is_some_and(|node| node != leader) && !found.in_sync.contains(&leader)
    });
    let election = begun.elapsed();
    java_partitions(&cluster.bootstrap(), TOPIC, &after).expect("two of three take records");
    let Some(topic) = Topic::read(&cluster.bootstrap(), TOPIC) else { return };
    // By their keys: a producer that got no answer in time sends again, and then a record is there twice.
    let found: BTreeSet<&str> = topic.records.iter().filter_map(|record| record["key"].as_str()).collect();
    let sent = before.into_iter().chain(after.iter().map(String::as_str)).collect();
    assert_eq!(found, sent, "what the dead leader acknowledged, and what came after");
    let begun = Instant::now();
    cluster.start_again(leader);
    cluster.wait_for(TOPIC, 0, "in sync again", |found| found.in_sync.len() == 3);
    let again = begun.elapsed();

    cluster.create_topic(STRICT, 1, &[("min.insync.replicas", "3")]);
    let leader = cluster.leader_of(STRICT, 0);
    let follower = (1..=3).find(|node| *node != leader).expect("three nodes");
    // Nothing is tried again behind our back, and a try ends before patience does.
    let client = producer(&cluster.bootstrap(), &[("retries", "0"), ("message.timeout.ms", "20000")]);
    produce_until(&client, STRICT, Ok(()));
    let begun = Instant::now();
    cluster.pause(follower);
    cluster.wait_for(STRICT, 0, "short of a replica", |found| !found.in_sync.contains(&follower));
    let shrunk = begun.elapsed();
    produce_until(&client, STRICT, Err(RDKafkaErrorCode::NotEnoughReplicas));
    cluster.resume(follower);
    cluster.wait_for(STRICT, 0, "in sync again", |found| found.in_sync.len() == 3);
    produce_until(&client, STRICT, Ok(()));

    let leader = cluster.leader_of(STRICT, 0);
    let begun = Instant::now();
    cluster.stop(leader);
    cluster.wait_for(STRICT, 0, "led by another", |found| found.leader.is_some_and(|node| node != leader));
    eprintln!(
        "cluster: start {start:.1?}, another leader {election:.1?} after a kill and {:.1?} after a stop began, in sync \
         {again:.1?} after a start, short of a frozen replica after {shrunk:.1?}",
        begun.elapsed()
    );
}
