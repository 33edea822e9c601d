//! `[kafka.create_topics]`: whether the daemon makes the topics that are missing, and how.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Problem;
use super::validate::number;

/// `[kafka.create_topics]`, as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "CreateTopics")]
pub(super) struct File {
    /// Partitions of each topic that is made.
    #[schemars(range(min = 1, max = 10_000))]
    partitions: u32,
    /// Replicas of each partition.
    #[schemars(range(min = 1, max = 100))]
    replication_factor: u32,
    /// Properties of the topics, such as retention.ms.
    properties: BTreeMap<String, String>,
}

impl Default for File {
    fn default() -> Self {
        Self { partitions: 12, replication_factor: 3, properties: BTreeMap::new() }
    }
}

/// How missing topics are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTopics {
    /// Partitions of each topic that is made.
    pub partitions: u16,
    /// Replicas of each partition.
    pub replication_factor: u16,
    /// Properties of the topics, as the broker names them.
    pub properties: BTreeMap<String, String>,
}

pub(super) fn create_topics(file: File, problems: &mut Vec<Problem>) -> CreateTopics {
    let key = |name: &str| format!("kafka.create_topics.{name}");
    let partitions = number(&key("partitions"), file.partitions, 1..=10_000, problems);
    let replication_factor = number(&key("replication_factor"), file.replication_factor, 1..=100, problems);
    let min_in_sync = file.properties.get("min.insync.replicas").and_then(|value| value.parse::<u32>().ok());
    let is_factor = (1..=100).contains(&replication_factor);
    if is_factor && min_in_sync.is_some_and(|min| min > replication_factor) {
        problems.push(Problem::new(
            key("properties.min.insync.replicas"),
            "is more than replication_factor: every record would be refused",
        ));
    }
    CreateTopics {
        partitions: u16::try_from(partitions).unwrap_or(u16::MAX),
        replication_factor: u16::try_from(replication_factor).unwrap_or(u16::MAX),
        properties: file.properties,
    }
}
