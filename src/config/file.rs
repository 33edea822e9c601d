//! The configuration exactly as it is written: every key optional, every default in one place.
//!
//! Doc comments here are the reference of the keys, from which `docs/configuration.md` is made; `config.toml` at the root
//! shows the same keys with the same defaults. Tests keep them together, and the ranges with what is really refused. No
//! `flatten`, no `untagged`: both would spoil the error messages.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::de::IntoDeserializer;
use serde::{Deserialize, Deserializer, Serialize};

use super::{admin, chatapp, create_topics, tracing, webhook};

/// The whole file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    /// How long a stop may take: notifications in hand are published and deleted, then the process ends.
    #[schemars(range(min = 1, max = 3600))]
    pub(super) shutdown_timeout_seconds: u64,
    /// How often to look whether this file, or a file it names, has changed, and to live by it if so; 0: only on SIGHUP.
    #[schemars(range(min = 0, max = 86_400))]
    pub(super) config_check_seconds: u64,
    pub(super) kafka: Kafka,
    pub(super) schema_registry: SchemaRegistry,
    pub(super) admin: admin::File,
    pub(super) green_api: GreenApi,
    /// Where this section is there, instances may have `receive = "webhook"`.
    pub(super) webhook: Option<webhook::File>,
    /// ChatApp's events.
    pub(super) chatapp: Option<chatapp::File>,
    pub(super) events: Events,
    pub(super) calls: Calls,
    pub(super) tracing: tracing::File,
    /// Topics of their own for some kinds; every other kind goes to `kafka.topic`.
    pub(super) routing: BTreeMap<String, String>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            shutdown_timeout_seconds: 25,
            config_check_seconds: 0,
            kafka: Kafka::default(),
            schema_registry: SchemaRegistry::default(),
            admin: admin::File::default(),
            green_api: GreenApi::default(),
            webhook: None,
            chatapp: None,
            events: Events::default(),
            calls: Calls::default(),
            tracing: tracing::File::default(),
            routing: BTreeMap::new(),
        }
    }
}

/// `[kafka]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Kafka {
    /// `host:port`, several separated by commas. An IPv6 address stands in brackets; a scheme such as ssl:// does not belong
    /// here, see `security.protocol`.
    pub(super) brokers: String,
    /// Topic of events.
    pub(super) topic: String,
    /// Topic of what cannot be published as an event.
    pub(super) dead_letter_topic: String,
    /// Where an event's CloudEvents attributes are: binary (in headers) or structured (around the value).
    pub(super) cloudevents_mode: CloudEventsMode,
    /// Any librdkafka property but those the promise rests on, each in one of its spellings.
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) properties: BTreeMap<String, SecretString>,
    /// Properties whose value is read from a file: passwords.
    pub(super) property_files: BTreeMap<String, PathBuf>,
    /// Where this section is there, the daemon makes the topics that are missing.
    pub(super) create_topics: Option<create_topics::File>,
}

impl Default for Kafka {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".to_owned(),
            topic: "chat-events".to_owned(),
            dead_letter_topic: "chat-events-dlq".to_owned(),
            cloudevents_mode: CloudEventsMode::default(),
            properties: BTreeMap::new(),
            property_files: BTreeMap::new(),
            create_topics: None,
        }
    }
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

/// `[schema_registry]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SchemaRegistry {
    /// The address of a registry with Confluent's API; without one there is no framing.
    pub(super) url: Option<String>,
    /// Whether to register the schema, or only to find it there.
    pub(super) register: bool,
    /// For Basic authentication, with `password` or `password_file`.
    pub(super) username: Option<String>,
    /// Goes with `username`.
    #[schemars(with = "Option<String>")]
    pub(super) password: Option<SecretString>,
    /// A file holding the password, instead of `password`.
    pub(super) password_file: Option<PathBuf>,
    /// For Bearer authentication.
    #[schemars(with = "Option<String>")]
    pub(super) token: Option<SecretString>,
    /// A file holding the token, instead of `token`.
    pub(super) token_file: Option<PathBuf>,
    /// How long a request may take, connecting included.
    #[schemars(range(min = 1, max = 300))]
    pub(super) request_timeout_seconds: u64,
}

impl Default for SchemaRegistry {
    fn default() -> Self {
        Self {
            url: None,
            register: true,
            username: None,
            password: None,
            password_file: None,
            token: None,
            token_file: None,
            request_timeout_seconds: 10,
        }
    }
}

/// `[green_api]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct GreenApi {
    /// The API host of instances that do not name their own.
    pub(super) api_url: String,
    /// How long GREEN-API holds a poll: 5 to 60.
    #[schemars(range(min = 5, max = 60))]
    pub(super) receive_timeout_seconds: u64,
    /// How long past that an answer may take before the connection is given up.
    #[schemars(range(min = 1, max = 300))]
    pub(super) receive_grace_seconds: u64,
    /// How long a connection may take.
    #[schemars(range(min = 1, max = 60))]
    pub(super) connect_timeout_seconds: u64,
    /// How many connections are opened in a second, over all instances; the others wait for their turn, in order.
    #[schemars(range(min = 1, max = 100_000))]
    pub(super) connections_per_second_max: u32,
    /// How long a delete may take.
    #[schemars(range(min = 1, max = 300))]
    pub(super) delete_timeout_seconds: u64,
    /// The largest answer that is read; a longer one is dead-lettered, cut.
    #[schemars(range(min = 65_536, max = 268_435_456))]
    pub(super) response_bytes_max: usize,
    /// The first wait after a failure; it doubles, with jitter.
    #[schemars(range(min = 1, max = 60_000))]
    pub(super) retry_min_ms: u64,
    /// The longest wait after failures.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub(super) retry_max_ms: u64,
    /// The wait between tries while an instance is misconfigured.
    #[schemars(range(min = 1, max = 86_400))]
    pub(super) misconfigured_retry_seconds: u64,
    /// Whether the next receive may begin while a delete is still on its way: nearly twice the events a second where the
    /// way to GREEN-API is long.
    pub(super) overlap_delete: bool,
    /// How often each instance's state and queue length are asked; 0 = never.
    #[schemars(range(min = 0, max = 86_400))]
    pub(super) watch_interval_seconds: u64,
    /// From which age of a queue's head on it is a warning.
    #[schemars(range(min = 1, max = 86_398))]
    pub(super) loss_warn_after_seconds: u64,
    /// From which age of a queue's head on it is an alarm; GREEN-API forgets after 86400.
    #[schemars(range(min = 2, max = 86_399))]
    pub(super) loss_alarm_after_seconds: u64,
    pub(super) instances: Vec<Instance>,
}

impl Default for GreenApi {
    fn default() -> Self {
        Self {
            api_url: "https://api.green-api.com".to_owned(),
            receive_timeout_seconds: 20,
            receive_grace_seconds: 15,
            connect_timeout_seconds: 10,
            connections_per_second_max: 500,
            delete_timeout_seconds: 30,
            response_bytes_max: 8 * 1024 * 1024,
            retry_min_ms: 500,
            retry_max_ms: 30_000,
            misconfigured_retry_seconds: 60,
            overlap_delete: false,
            watch_interval_seconds: 300,
            loss_warn_after_seconds: 6 * 60 * 60,
            loss_alarm_after_seconds: 18 * 60 * 60,
            instances: Vec::new(),
        }
    }
}

/// `[[green_api.instances]]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Instance {
    /// `idInstance` from the console.
    pub(super) id: Option<u64>,
    /// `apiTokenInstance` from the console.
    #[schemars(with = "Option<String>")]
    pub(super) token: Option<SecretString>,
    /// A file holding the token, instead of `token`.
    pub(super) token_file: Option<PathBuf>,
    /// This instance's own API host.
    pub(super) api_url: Option<String>,
    /// This instance's own poll time.
    #[schemars(range(min = 5, max = 60))]
    pub(super) receive_timeout_seconds: Option<u64>,
    /// How events come in: poll or webhook.
    #[serde(deserialize_with = "word")]
    pub(super) receive: Receive,
    /// Its webhookUrlToken, with `receive = "webhook"`; without one that of `[webhook]` is expected.
    #[schemars(with = "Option<String>")]
    pub(super) webhook_token: Option<SecretString>,
    /// A file holding that token, instead of `webhook_token`.
    pub(super) webhook_token_file: Option<PathBuf>,
}

/// How an instance's events come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Receive {
    /// By receiveNotification.
    #[default]
    Poll,
    /// GREEN-API calls us: see `[webhook]`.
    Webhook,
}

/// `[events]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Events {
    /// What happens to a typeWebhook or typeMessage this version does not know: publish, drop or dead_letter.
    #[serde(deserialize_with = "word")]
    pub(super) unknown: UnknownPolicy,
    /// Events that are deleted unseen, by name: GREEN-API's `typeWebhook`, ChatApp's `meta.type`.
    #[serde(deserialize_with = "list")]
    pub(super) drop: Vec<String>,
    /// Whether the body travels along as `raw`.
    pub(super) include_raw: bool,
}

impl Default for Events {
    fn default() -> Self {
        Self { unknown: UnknownPolicy::default(), drop: Vec::new(), include_raw: true }
    }
}

/// `events.unknown`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPolicy {
    /// As `unknown` or `unsupported`, with `raw`.
    #[default]
    Publish,
    /// Deleted unseen, and counted.
    Drop,
    /// To the dead-letter topic.
    DeadLetter,
}

/// `[calls]`
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Calls {
    /// Which call events are published: none, ringing, outcome or all (seed 004, ways 1 to 4).
    #[serde(deserialize_with = "word")]
    pub(super) publish: CallPolicy,
    /// Whether GREEN-API is asked for the name of who calls: `call.caller_name`.
    pub(super) caller_lookup: bool,
    /// The language of `call.summary`, the line about a call for the people in the chat; without one it is absent.
    #[serde(deserialize_with = "optional_word")]
    pub(super) language: Option<Language>,
}

/// `calls.language`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Russian (seed 004).
    Ru,
    /// English.
    En,
}

/// `calls.publish`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallPolicy {
    /// No call at all.
    None,
    /// Only that it rings.
    Ringing,
    /// Only how it ended.
    Outcome,
    /// Both.
    #[default]
    All,
}

/// One of an enum's words. Asked by way of a string, so that it is serde that says which words there are: the `config`
/// crate's own message for an enum only speaks of "variant constructors".
fn word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    let word = String::deserialize(deserializer)?;
    T::deserialize(IntoDeserializer::<D::Error>::into_deserializer(word))
}

fn optional_word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    word(deserializer).map(Some)
}

/// A list, or from the environment one string with commas.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct ListVisitor;

    impl<'de> serde::de::Visitor<'de> for ListVisitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of words")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
            let mut words = Vec::new();
            while let Some(word) = seq.next_element()? {
                words.push(word);
            }
            Ok(words)
        }
    }

    deserializer.deserialize_any(ListVisitor)
}
