//! `[kafka]`: where records go.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::create_topics::{self, CreateTopics};
use super::fingerprint::Compared;
use super::problem::Checks;
use super::secrets::Given;
use super::text::{text_form, topic};

mod brokers;
mod properties;

pub use brokers::broker_list;
pub use properties::canonical;

/// Where records go.
#[derive(Debug, Clone)]
pub struct Kafka {
    /// `host:port`, comma separated, as [`broker_list`] gives it.
    pub brokers: String,
    /// Topic of events.
    pub topic: Arc<str>,
    /// Topic of dead letters.
    pub dead_letter_topic: Arc<str>,
    /// Where an event's CloudEvents attributes are.
    pub cloudevents_mode: CloudEventsMode,
    /// librdkafka properties as given, none of them twice, whatever its spelling. Values may be passwords, so none of
    /// them prints.
    pub properties: BTreeMap<String, SecretString>,
    /// How missing topics are made; `None`: not at all.
    pub create_topics: Option<CreateTopics>,
}

/// `kafka.cloudevents_mode`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CloudEventsMode {
    /// In `ce_` headers; the value is the event alone.
    #[default]
    Binary,
    /// In a JSON envelope that is the value; the event is its `data`.
    Structured,
}

impl Kafka {
    /// The properties of a client, each of them once: of several spellings the last one counts, and the operator's come
    /// behind those in `before`.
    #[must_use]
    pub fn client_properties(&self, before: &[(&str, &str)], behind: &[(&str, &str)]) -> BTreeMap<String, String> {
        let operators = self.properties.iter().map(|(name, value)| (name.as_str(), value.expose_secret()));
        let all = before.iter().copied().chain(operators).chain(behind.iter().copied());
        let each_once: BTreeMap<&str, (&str, &str)> =
            all.map(|(name, value)| (canonical(name), (name, value))).collect();
        each_once.into_values().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// The values of properties that nobody may read.
    pub(super) fn passwords(&self) -> impl Iterator<Item = &SecretString> {
        self.properties.iter().filter(|(name, _)| properties::is_secret(name)).map(|(_, value)| value)
    }
}

text_form! {
    /// `[kafka]`
    #[schemars(rename = "Kafka")]
    pub(super) struct Text;

    /// `host:port`, several separated by commas. An IPv6 address stands in brackets; a scheme such as ssl:// does not belong
    /// here, see `security.protocol`.
    brokers: String = "localhost:9092",
    /// Topic of events.
    topic: String = "chat-events",
    /// Topic of what cannot be published as an event.
    dead_letter_topic: String = "chat-events-dlq",
    /// Where an event's CloudEvents attributes are: binary (in headers) or structured (around the value).
    cloudevents_mode: CloudEventsMode,
    /// Any librdkafka property but those the promise rests on, each in one of its spellings.
    properties: BTreeMap<String, Given>,
    /// Properties whose value is read from a file: passwords.
    property_files: BTreeMap<String, PathBuf>,
    /// Where this section is there, the daemon makes the topics that are missing.
    create_topics: Option<create_topics::Text>,
}

pub(super) fn check(text: Text, checks: &mut Checks<'_>) -> Kafka {
    let mut checks = checks.table("kafka");
    let brokers = broker_list(&text.brokers).unwrap_or_else(|wrong| {
        wrong.into_iter().for_each(|wrong| checks.complain("brokers", wrong));
        String::new()
    });
    let is_topic = topic("topic", &text.topic, &mut checks);
    topic("dead_letter_topic", &text.dead_letter_topic, &mut checks);
    if is_topic && text.topic == text.dead_letter_topic {
        checks.complain("dead_letter_topic", "must not be the topic of events");
    }
    Kafka {
        brokers,
        topic: text.topic.into(),
        dead_letter_topic: text.dead_letter_topic.into(),
        cloudevents_mode: text.cloudevents_mode,
        properties: properties::properties(text.properties, text.property_files, &mut checks),
        create_topics: text.create_topics.map(|text| create_topics::check(text, &mut checks)),
    }
}

impl Compared for Kafka {
    fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.properties.values()
    }
}
