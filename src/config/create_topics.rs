//! `[kafka.create_topics]`: whether the daemon makes the topics that are missing, and how.

use std::collections::BTreeMap;

use super::problem::Checks;
use super::text::{Within, text_form};

/// How missing topics are made. They are part of `[kafka]`, and compared with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateTopics {
    /// Partitions of each topic that is made.
    pub partitions: u16,
    /// Replicas of each partition.
    pub replication_factor: u16,
    /// Properties of the topics, as the broker names them.
    pub properties: BTreeMap<String, String>,
}

text_form! {
    /// `[kafka.create_topics]`, as written.
    #[schemars(rename = "CreateTopics")]
    pub(super) struct Text;

    /// Partitions of each topic that is made.
    partitions: Within<u32, 1, 10_000> = 12,
    /// Replicas of each partition.
    replication_factor: Within<u32, 1, 100> = 3,
    /// Properties of the topics, such as retention.ms.
    properties: BTreeMap<String, String>,
}

/// What cannot be read, and the end of the key that seems to be wrong then.
pub(super) const CONSEQUENCES: &[(&str, &str)] =
    &[("kafka.create_topics.replication_factor", "create_topics.properties.min.insync.replicas")];

pub(super) fn check(text: Text, kafka: &mut Checks<'_>) -> CreateTopics {
    let min_in_sync = text.properties.get("min.insync.replicas").and_then(|value| value.parse::<u32>().ok());
    if min_in_sync.is_some_and(|min| min > text.replication_factor.0) {
        let message = "is more than replication_factor: every record would be refused";
        kafka.complain("create_topics.properties.min.insync.replicas", message);
    }
    CreateTopics {
        partitions: u16::try_from(text.partitions.0).unwrap_or(u16::MAX),
        replication_factor: u16::try_from(text.replication_factor.0).unwrap_or(u16::MAX),
        properties: text.properties,
    }
}
