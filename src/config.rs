//! Text and environment in, a valid [`Config`] out, or every problem at once.
//!
//! Two shapes: `file` mirrors `config.toml` key for key, this module holds what can only be valid. Nothing outside
//! here ever sees a half-checked value. Secrets are [`SecretString`]s from the first moment and cannot be printed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use chatbridge_event::event::InstanceId;

mod admin;
mod brokers;
mod chatapp;
mod create_topics;
mod difference;
mod file;
mod load;
mod properties;
mod schema_registry;
mod secrets;
mod tracing;
mod validate;
mod webhook;

pub use admin::Admin;
pub use brokers::broker_list;
pub use chatapp::{ChatApp, Login};
pub use create_topics::CreateTopics;
pub use difference::Fingerprint;
pub use file::{CallPolicy, CloudEventsMode, Language, UnknownPolicy};
pub use load::{DEFAULT_FILE, load};
pub use properties::canonical;
pub use secrets::{FileFault, SECRET_FILE_BYTES_MAX, SecretFault, read_regular_file, secret_of};
pub use tracing::{Otlp, Tracing};
pub use webhook::{TlsFiles, Webhook, bare_token};

/// The longest poll that GREEN-API holds (reference §2.1).
const RECEIVE_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// The JSON Schema of the file, for editors.
#[must_use]
pub fn schema(generator: schemars::SchemaGenerator) -> schemars::Schema {
    generator.into_root_schema_for::<file::File>()
}

/// Everything the daemon needs to know, valid throughout.
#[derive(Debug, Clone)]
pub struct Config {
    /// How long a stop may take before it becomes an abort.
    pub shutdown_timeout: Duration,
    /// How often to look whether the configuration has changed; `None`: only when told to.
    pub config_check: Option<Duration>,
    /// Where records go.
    pub kafka: Kafka,
    /// Where the schema of events is registered, if anywhere.
    pub schema_registry: Option<SchemaRegistry>,
    /// The admin server.
    pub admin: Admin,
    /// How GREEN-API is asked.
    pub green_api: GreenApi,
    /// Which instances there are, no id twice; at least one where there is no ChatApp.
    pub instances: Vec<Instance>,
    /// Where GREEN-API's push calls come in, if anywhere; always there where an instance's `receive` wants it.
    pub webhook: Option<Webhook>,
    /// Who the bridge is at ChatApp, if anybody.
    pub chatapp: Option<ChatApp>,
    /// What happens to events.
    pub events: Events,
    /// What happens to calls.
    pub calls: Calls,
    /// What is told of each event's way.
    pub tracing: Tracing,
    /// Topics of their own for some kinds, by the kind's word; every other kind goes to [`Kafka::topic`].
    pub routing: BTreeMap<&'static str, Arc<str>>,
}

impl Config {
    /// Every topic that events may go to, each once.
    #[must_use]
    pub fn event_topics(&self) -> Vec<Arc<str>> {
        let mut topics = vec![Arc::clone(&self.kafka.topic)];
        for topic in self.routing.values() {
            if !topics.contains(topic) {
                topics.push(Arc::clone(topic));
            }
        }
        topics
    }

    /// Every topic that records may go to, dead letters included, each once.
    #[must_use]
    pub fn topics(&self) -> Vec<Arc<str>> {
        let mut topics = self.event_topics();
        topics.push(Arc::clone(&self.kafka.dead_letter_topic));
        topics
    }

    /// Everything that nobody may read who sees what the bridge says.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let kafka = self.kafka.properties.iter().filter(|(name, _)| is_secret_property(name)).map(|(_, value)| value);
        let registry = self.schema_registry.iter().flat_map(|registry| registry.credentials.secret());
        let otlp = self.tracing.otlp.iter().flat_map(|otlp| otlp.headers.values());
        let chatapp = self.chatapp.iter().flat_map(ChatApp::secrets);
        self.instances.iter().flat_map(Instance::secrets).chain(kafka).chain(registry).chain(otlp).chain(chatapp)
    }

    /// Longer than any poller is silent of its own accord: the longest poll that another configuration could ask for and
    /// every wait there is, one after the other, the turns of all instances' connections among them (a receive's and a
    /// delete's), and as much again as the waits that GREEN-API may ask for (a minute at most) and a busy machine.
    #[must_use]
    pub fn silence_max(&self) -> Duration {
        let api = &self.green_api;
        let answered = RECEIVE_TIMEOUT_MAX + api.receive_grace + api.connect_timeout + api.delete_timeout;
        let turns = api.connect_interval * (2 * self.instances.len() as u32);
        answered + turns + api.retry_max + api.misconfigured_retry + Duration::from_secs(120)
    }
}

/// Whether the value of this librdkafka property is a secret: passwords, keys, what logs in at an OAuth server. The others
/// are words such as `SASL_SSL`, which a text may well hold.
fn is_secret_property(name: &str) -> bool {
    ["password", "secret", "key.pem", "oauthbearer.config", "assertion"].iter().any(|part| name.contains(part))
}

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

/// Where the schema of events is registered.
#[derive(Debug, Clone)]
pub struct SchemaRegistry {
    /// The root of Confluent's API.
    pub url: Url,
    /// Whether to register the schema, or only to find it there.
    pub register: bool,
    /// Who asks.
    pub credentials: Credentials,
    /// How long a request may take.
    pub request_timeout: Duration,
}

/// What an HTTP service wants to see.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nothing.
    None,
    /// Basic authentication.
    Basic {
        /// Whose password it is.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// A bearer token.
    Bearer(SecretString),
}

impl Credentials {
    fn secret(&self) -> Option<&SecretString> {
        match self {
            Self::None => None,
            Self::Basic { password: secret, .. } | Self::Bearer(secret) => Some(secret),
        }
    }
}

/// How GREEN-API is asked.
#[derive(Debug, Clone)]
pub struct GreenApi {
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// From one new connection to the next, over all instances.
    pub connect_interval: Duration,
    /// How long a delete may take.
    pub delete_timeout: Duration,
    /// How long past `receive_timeout` an answer may take.
    pub receive_grace: Duration,
    /// The largest answer that is read.
    pub response_bytes_max: usize,
    /// The first wait after a failure.
    pub retry_min: Duration,
    /// The longest wait after a failure.
    pub retry_max: Duration,
    /// The wait while an instance is misconfigured: an operator has to act first.
    pub misconfigured_retry: Duration,
    /// Whether the next receive may begin while a delete is still on its way.
    pub overlap_delete: bool,
    /// How often each instance's state and queue length are asked; `None`: never.
    pub watch_interval: Option<Duration>,
    /// From which age of a queue's head on it is a warning.
    pub loss_warn_after: Duration,
    /// From which age of a queue's head on it is an alarm: later than the warning, earlier than GREEN-API's 24 hours.
    pub loss_alarm_after: Duration,
}

/// One instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its `idInstance`.
    pub id: InstanceId,
    /// Its `apiTokenInstance`.
    pub token: SecretString,
    /// Its API host, with a path prefix where it has one.
    pub api_url: Url,
    /// How long a poll is held.
    pub receive_timeout: Duration,
    /// How its events come in.
    pub receive: Receive,
}

impl Instance {
    fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let webhook_token = match &self.receive {
            Receive::Poll => None,
            Receive::Webhook { token } => Some(token),
        };
        std::iter::once(&self.token).chain(webhook_token)
    }
}

/// How an instance's events come in. GREEN-API does one or the other, never both (reference §7).
#[derive(Debug, Clone)]
pub enum Receive {
    /// Its queue is polled.
    Poll,
    /// GREEN-API calls the webhook.
    Webhook {
        /// What it proves itself with: its webhookUrlToken, bare.
        token: SecretString,
    },
}

/// What happens to events.
#[derive(Debug, Clone)]
pub struct Events {
    /// Types nobody knows.
    pub unknown: UnknownPolicy,
    /// Events that are deleted unseen, by their `typeWebhook` or ChatApp's `meta.type`.
    pub drop: Vec<String>,
    /// Whether the body travels along as `raw`.
    pub include_raw: bool,
}

/// What happens to calls.
#[derive(Debug, Clone, Default)]
pub struct Calls {
    /// Which call events are published.
    pub publish: CallPolicy,
    /// Whether GREEN-API is asked for the caller's name.
    pub caller_lookup: bool,
    /// The language of the line about a call for the people in the chat; `None`: no such line.
    pub language: Option<Language>,
}

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, as a path through the file.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.key, self.message) }
    }
}

/// All that is wrong with the configuration: fix the file, then start again (exit code 64).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// Where the configuration was read from.
    pub origin: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "{count} problem{} in {}:", if count == 1 { "" } else { "s" }, self.origin)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

#[cfg(test)]
mod tests;
