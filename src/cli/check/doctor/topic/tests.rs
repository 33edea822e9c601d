//! Topics as they may be found, and what the doctor makes of them.

use super::*;

fn partition(replicas: usize, in_sync: usize) -> Partition {
    Partition { has_leader: true, replicas, in_sync }
}

fn topic(partitions: Vec<Partition>, properties: &[(&str, &str)]) -> TopicFacts {
    // As Apache Kafka's defaults, but for what a careful operator sets.
    let mut all: BTreeMap<String, String> = [
        ("cleanup.policy", "delete"),
        ("max.message.bytes", "1048588"),
        ("message.timestamp.after.max.ms", "3600000"),
        ("message.timestamp.before.max.ms", "9223372036854775807"),
        ("message.timestamp.type", "CreateTime"),
        ("min.insync.replicas", "2"),
        ("retention.ms", "604800000"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    all.extend(properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let state = TopicState::There { partitions, properties: Ok(all) };
    TopicFacts { name: "chat-events".to_owned(), is_for_dead_letters: false, state }
}

/// The one finding there is.
#[track_caller]
fn only(facts: &TopicFacts) -> Finding {
    let mut findings = judge(facts, None, None);
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.remove(0)
}

#[test]
fn replicas_decide_what_an_acknowledgement_is_worth() {
    use Verdict::{Broken, Warning, Well};
    let leaderless = Partition { has_leader: false, replicas: 3, in_sync: 0 };
    for (what, partitions, min, verdict, words) in [
        ("as it should be", vec![partition(3, 3); 12], "2", Well, "12 partitions, 3 replicas"),
        ("one behind", vec![partition(3, 3), partition(3, 2)], "2", Warning, "1 partitions have replicas that are not"),
        ("too few in sync", vec![partition(3, 1)], "2", Broken, "fewer than 2 replicas in sync"),
        ("can never be", vec![partition(1, 1)], "2", Broken, "every record is refused"),
        ("nobody leads", vec![partition(3, 3), leaderless], "2", Broken, "1 of 2 partitions have no leader"),
        ("one replica", vec![partition(1, 1)], "1", Warning, "one replica"),
        ("one may acknowledge alone", vec![partition(3, 3)], "1", Warning, "one alone may acknowledge"),
        ("no room for maintenance", vec![partition(2, 2)], "2", Warning, "all 2 replicas have to be in sync"),
    ] {
        let finding = only(&topic(partitions, &[("min.insync.replicas", min)]));
        assert_eq!(finding.verdict, verdict, "{what}: {finding:?}");
        assert!(finding.found.contains(words), "{what}: {finding:?}");
        assert_eq!(finding.fix.is_some(), verdict != Well, "{what}: {finding:?}");
    }
}

#[test]
fn properties_that_hurt_later_are_warnings() {
    for (name, value, words) in [
        ("cleanup.policy", "compact", Some("of each chat only the latest")),
        ("cleanup.policy", "compact,delete", Some("of each chat only the latest")),
        ("retention.ms", "86400000", Some("keeps records for 24 h by the event's time")),
        ("retention.ms", "172800000", None),
        ("retention.ms", "-1", None),
        ("message.timestamp.before.max.ms", "3600000", Some("older than 1 h")),
        ("message.timestamp.difference.max.ms", "3600000", Some("older than 1 h")),
        ("message.timestamp.before.max.ms", "86400000", None),
        ("message.timestamp.after.max.ms", "60000", Some("more than 60 s ahead")),
        ("message.timestamp.after.max.ms", "300000", None),
        ("max.message.bytes", "1000", Some("only 1000 bytes")),
        ("max.message.bytes", "33554432", None),
    ] {
        let finding = only(&topic(vec![partition(3, 3)], &[(name, value)]));
        let expected = if words.is_some() { Verdict::Warning } else { Verdict::Well };
        assert_eq!(finding.verdict, expected, "{name} = {value}: {finding:?}");
        assert!(finding.found.contains(words.unwrap_or("there")), "{name} = {value}: {finding:?}");
    }
}

#[test]
fn a_topic_that_stamps_by_itself_takes_any_time() {
    let append = ("message.timestamp.type", "LogAppendTime");
    let stamps = topic(vec![partition(3, 3)], &[append, ("message.timestamp.before.max.ms", "1")]);
    assert_eq!(only(&stamps).verdict, Verdict::Well);
    assert_eq!(only(&topic(vec![partition(3, 3)], &[append, ("retention.ms", "86400000")])).verdict, Verdict::Well);
}

#[test]
fn dead_letters_need_room_for_what_was_refused() {
    let small = [("max.message.bytes", "1048588")];
    let dead_letters = TopicFacts { is_for_dead_letters: true, ..topic(vec![partition(3, 3)], &small) };
    let findings = judge(&dead_letters, None, Some(10_000_000));
    assert!(findings[0].found.contains("dead letters are cut"), "{findings:#?}");
    assert_eq!(judge(&dead_letters, None, Some(1_048_588))[0].verdict, Verdict::Well);
}

#[test]
fn a_topic_that_is_not_there_is_made_by_the_bridge_the_brokers_or_somebody() {
    let missing =
        |made_on_first_use| TopicFacts { state: TopicState::Missing { made_on_first_use }, ..topic(Vec::new(), &[]) };
    let create = CreateTopics { partitions: 6, replication_factor: 2, properties: BTreeMap::new() };
    let made = &judge(&missing(false), Some(&create), None)[0];
    assert_eq!(made.verdict, Verdict::Well);
    assert!(made.found.contains("would create it ([kafka.create_topics]: 6 partitions, 2 replicas)"), "{made:?}");
    assert_eq!(only(&missing(true)).verdict, Verdict::Warning);
    let nobody = only(&missing(false));
    assert_eq!(nobody.verdict, Verdict::Broken);
    assert!(nobody.fix.as_deref().is_some_and(|fix| fix.contains("kafka-topics.sh --create --topic chat-events")));
}

#[test]
fn what_may_not_be_seen_is_said() {
    let hidden = TopicFacts { state: TopicState::Hidden, ..topic(Vec::new(), &[]) };
    assert_eq!(only(&hidden).verdict, Verdict::Broken);
    let properties = Err("Broker: Topic authorization failed".to_owned());
    let state = TopicState::There { partitions: vec![partition(3, 3)], properties };
    let unread = only(&TopicFacts { state, ..topic(Vec::new(), &[]) });
    assert_eq!(unread.verdict, Verdict::NotChecked);
    assert!(unread.fix.as_deref().is_some_and(|fix| fix.contains("DescribeConfigs")), "{unread:?}");
}
