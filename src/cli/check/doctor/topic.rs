//! Judges what the brokers report about a topic. Pure.

use std::collections::BTreeMap;

use super::{Finding, Verdict};
use crate::config::CreateTopics;

/// A record has its event's own time if that is at most this old: GREEN-API's 24 hours …
const RECORD_AGE_MAX_MS: i64 = 24 * 60 * 60 * 1000;
/// … and at most this far ahead.
const RECORD_AHEAD_MAX_MS: i64 = 5 * 60 * 1000;
/// A record should be kept this long, for a consumer that was away.
const READABLE_MS: i64 = 24 * 60 * 60 * 1000;
/// Kafka's default, rounded. With less, events lose their preview and long ones become dead letters.
const RECORD_BYTES_USUAL: i64 = 1_000_000;

/// A topic as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TopicFacts {
    /// Its name.
    pub(super) name: String,
    /// Whether dead letters go there.
    pub(super) is_for_dead_letters: bool,
    /// Its state.
    pub(super) state: TopicState,
}

/// The state of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TopicState {
    /// It does not exist. `made_on_first_use` tells whether brokers create topics when first asked for them.
    Missing { made_on_first_use: bool },
    /// It cannot be used, with librdkafka's error.
    Unusable(String),
    /// This user may not see it.
    Hidden,
    /// It exists.
    There {
        /// Its partitions.
        partitions: Vec<Partition>,
        /// Its properties, or why they are not known.
        properties: Result<BTreeMap<String, String>, String>,
    },
}

/// A partition as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Partition {
    /// Whether some broker leads it.
    pub(super) has_leader: bool,
    /// How many replicas it should have.
    pub(super) replicas: usize,
    /// How many are in sync.
    pub(super) in_sync: usize,
}

/// Findings about a topic. `create` says whether and how `run` creates missing topics. `events_bytes_max` is the
/// largest record that an event topic accepts, if known.
pub(super) fn judge(topic: &TopicFacts, create: Option<&CreateTopics>, events_bytes_max: Option<i64>) -> Vec<Finding> {
    let subject = format!("topic {}", topic.name);
    match &topic.state {
        TopicState::Missing { made_on_first_use } => vec![missing(&subject, &topic.name, create, *made_on_first_use)],
        TopicState::Hidden => vec![Finding::new(
            Verdict::Broken,
            &subject,
            "this user may not see it",
            format!("grant Describe and Write on topic {} to the user of kafka.properties", topic.name),
        )],
        TopicState::Unusable(why) => {
            vec![Finding::new(Verdict::Broken, &subject, format!("cannot be used: {why}"), "look at the brokers' logs")]
        }
        TopicState::There { partitions, properties } => {
            let mut findings = Vec::new();
            let known = properties.as_ref().ok();
            replication(&subject, partitions, number(known, "min.insync.replicas"), &mut findings);
            match properties {
                Ok(properties) => judge_properties(&subject, topic, properties, events_bytes_max, &mut findings),
                Err(why) => findings.push(Finding::new(
                    Verdict::NotChecked,
                    &subject,
                    format!("its properties could not be read: {why}"),
                    "grant DescribeConfigs on it, or look at min.insync.replicas, retention and max.message.bytes",
                )),
            }
            if findings.is_empty() {
                findings.push(Finding::well(&subject, there(partitions)));
            }
            findings
        }
    }
}

/// The largest record that the topic accepts, if known.
pub(super) fn bytes_max(topic: &TopicFacts) -> Option<i64> {
    match &topic.state {
        TopicState::There { properties: Ok(properties), .. } => number(Some(properties), "max.message.bytes"),
        _ => None,
    }
}

fn there(partitions: &[Partition]) -> String {
    let replicas = partitions.iter().map(|partition| partition.replicas).min().unwrap_or(0);
    format!("there: {} partitions, {replicas} replicas", partitions.len())
}

fn missing(subject: &str, name: &str, create: Option<&CreateTopics>, made_on_first_use: bool) -> Finding {
    if let Some(CreateTopics { partitions, replication_factor, .. }) = create {
        let found = format!(
            "is not there; `chatbridge run` would create it ([kafka.create_topics]: {partitions} partitions, \
             {replication_factor} replicas)"
        );
        return Finding::well(subject, found);
    }
    if made_on_first_use {
        return Finding::new(
            Verdict::Warning,
            subject,
            "is not there; the brokers would make it on first use, with their defaults",
            "create it with the partitions and replicas you want",
        );
    }
    let fix = format!(
        "kafka-topics.sh --create --topic {name} --partitions 12 --replication-factor 3 --config \
         min.insync.replicas=2; or have it done at start by [kafka.create_topics]"
    );
    Finding::new(Verdict::Broken, subject, "is not there", fix)
}

/// `acks=all` is only as safe as the number of replicas that have to acknowledge.
fn replication(subject: &str, partitions: &[Partition], min_in_sync: Option<i64>, findings: &mut Vec<Finding>) {
    let count = |which: &dyn Fn(&Partition) -> bool| partitions.iter().filter(|partition| which(partition)).count();
    let min = usize::try_from(min_in_sync.unwrap_or(1)).unwrap_or(1);
    let replicas = partitions.iter().map(|partition| partition.replicas).min().unwrap_or(0);
    let leaderless = count(&|partition| !partition.has_leader);
    let too_few = count(&|partition| partition.has_leader && partition.in_sync < min);
    let behind = count(&|partition| partition.in_sync < partition.replicas);
    let mut add = |verdict, found: String, fix: &str| findings.push(Finding::new(verdict, subject, found, fix));
    if leaderless > 0 {
        let found = format!("{leaderless} of {} partitions have no leader and take nothing", partitions.len());
        add(Verdict::Broken, found, "bring back the brokers that hold them");
    }
    if replicas < min {
        let found =
            format!("min.insync.replicas is {min} and there are only {replicas} replicas: every record is refused");
        add(Verdict::Broken, found, "give it more replicas, or lower min.insync.replicas");
    } else if too_few > 0 {
        let found = format!("{too_few} partitions have fewer than {min} replicas in sync and refuse every record");
        add(Verdict::Broken, found, "bring back the brokers that hold the others");
    } else if behind > 0 && leaderless == 0 {
        let found = format!("{behind} partitions have replicas that are not in sync");
        add(Verdict::Warning, found, "look for a broker that is away or slow");
    }
    match (replicas, min) {
        (1, 1) => add(
            Verdict::Warning,
            "has one replica: with its broker goes what was acknowledged".to_owned(),
            "use a replication factor of 3 and min.insync.replicas = 2, unless this is for trying out",
        ),
        (2.., 1) if min_in_sync.is_some() => add(
            Verdict::Warning,
            format!("min.insync.replicas is 1: of {replicas} replicas one alone may acknowledge"),
            "set min.insync.replicas = 2",
        ),
        (2.., _) if replicas == min => add(
            Verdict::Warning,
            format!("all {replicas} replicas have to be in sync: one broker away, and nothing is taken"),
            "use one replica more than min.insync.replicas",
        ),
        _ => {}
    }
}

fn judge_properties(
    subject: &str,
    topic: &TopicFacts,
    properties: &BTreeMap<String, String>,
    events_bytes_max: Option<i64>,
    findings: &mut Vec<Finding>,
) {
    let number = |name: &str| number(Some(properties), name);
    let is =
        |name: &str, word: &str| properties.get(name).is_some_and(|value| value.split(',').any(|v| v.trim() == word));
    let mut warn = |found: String, fix: &str| findings.push(Finding::new(Verdict::Warning, subject, found, fix));
    if is("cleanup.policy", "compact") {
        let (found, fix) = if topic.is_for_dead_letters {
            ("is compacted, which loses dead letters of the same chat", "set cleanup.policy = delete")
        } else {
            ("is compacted: of each chat only the latest event stays", "set cleanup.policy = delete")
        };
        warn(found.to_owned(), fix);
    }
    // With append time a record counts as new, however old its event is. Otherwise it may arrive up to 24 hours old.
    let by_event_time = !is("message.timestamp.type", "LogAppendTime");
    let age_max_ms = if by_event_time { RECORD_AGE_MAX_MS } else { 0 };
    if let Some(retention_ms) = number("retention.ms").filter(|ms| (0..age_max_ms + READABLE_MS).contains(ms)) {
        let hours = retention_ms / (60 * 60 * 1000);
        let found = if by_event_time {
            format!("keeps records for {hours} h by the event's time, and events may arrive 24 h old")
        } else {
            format!("keeps records for {hours} h")
        };
        warn(found, "set retention.ms to three days or more");
    }
    if by_event_time {
        let older = ["message.timestamp.before.max.ms", "message.timestamp.difference.max.ms"];
        if let Some(limit) = older.into_iter().filter_map(number).min().filter(|ms| *ms < RECORD_AGE_MAX_MS) {
            let found = format!("takes no time stamps older than {} h", limit / (60 * 60 * 1000));
            warn(
                found,
                "set message.timestamp.before.max.ms to 86400000 or more; until then older events bear the time of \
                 their publishing",
            );
        }
        if let Some(limit) = number("message.timestamp.after.max.ms").filter(|ms| *ms < RECORD_AHEAD_MAX_MS) {
            let found = format!("takes no time stamps more than {} s ahead", limit / 1000);
            warn(
                found,
                "set message.timestamp.after.max.ms to 300000 or more; until then such events bear the time of their \
                 publishing",
            );
        }
    }
    let Some(bytes_max) = number("max.message.bytes") else { return };
    if topic.is_for_dead_letters && events_bytes_max.is_some_and(|events| bytes_max < events) {
        let found = format!("takes {bytes_max} bytes a record, less than the topic of events: dead letters are cut");
        warn(found, "set max.message.bytes to that of the topic of events");
    } else if bytes_max < RECORD_BYTES_USUAL {
        let found = format!("takes only {bytes_max} bytes a record");
        let fix = "set max.message.bytes to 1048588 or more; until then larger events lose their previews or become \
                   dead letters";
        warn(found, fix);
    }
}

fn number(properties: Option<&BTreeMap<String, String>>, name: &str) -> Option<i64> {
    properties?.get(name)?.parse().ok()
}

#[cfg(test)]
mod tests;
