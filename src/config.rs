//! Text and environment in, a valid [`Config`] out, or every problem at once.
//!
//! One file a section. In each stand, one after the other: the type that the rest of the program uses and that can only
//! be valid; the text form, which mirrors the section of `config.toml` key for key, with the defaults; the checks that
//! lead from the text form to the type; and what of it is compared when the configuration is read again. Nothing
//! outside here ever sees a half-checked value. Secrets are [`SecretString`]s from the first moment and cannot be
//! printed.
//!
//! ```text
//! config ─► the sections ─► text, secrets ─► problem
//!        └► source                             file and environment, read key by key
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;

use fingerprint::Compared as _;
use problem::Checks;
use text::{Within, text_form};

mod admin;
mod calls;
mod chatapp;
mod create_topics;
mod events;
mod fingerprint;
mod green_api;
mod kafka;
mod problem;
mod routing;
mod schema_registry;
mod secrets;
mod source;
mod text;
mod tracing;
mod webhook;

pub use admin::Admin;
pub use calls::{CallPolicy, Calls, Language};
pub use chatapp::{ChatApp, Login};
pub use create_topics::CreateTopics;
pub use events::{Events, UnknownPolicy};
pub use fingerprint::Fingerprint;
pub use green_api::{GreenApi, Instance, Receive};
pub use kafka::{CloudEventsMode, Kafka, broker_list, canonical};
pub use problem::{ConfigError, Problem};
pub use routing::Routing;
pub use schema_registry::{Credentials, SchemaRegistry};
pub use secrets::{FileFault, SECRET_FILE_BYTES_MAX, SecretFault, read_regular_file, secret_of};
pub use tracing::{Otlp, Tracing};
pub use webhook::{TlsFiles, Webhook, bare_token};

/// Read where neither `--config` nor `CHATBRIDGE_CONFIG` names another, and only if it is there.
pub const DEFAULT_FILE: &str = "config.toml";

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
    /// Topics of their own for some kinds; every other kind goes to [`Kafka::topic`].
    pub routing: Routing,
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
        let instances = self.instances.iter().flat_map(Instance::secrets);
        let services = self.schema_registry.secrets().chain(self.tracing.secrets()).chain(self.chatapp.secrets());
        instances.chain(self.kafka.passwords()).chain(services)
    }

    /// Longer than any poller is silent of its own accord, whatever configuration comes next.
    #[must_use]
    pub fn silence_max(&self) -> Duration {
        self.green_api.silence_max(self.instances.len())
    }
}

text_form! {
    /// The whole file.
    #[schemars(rename = "File")]
    struct Text;

    /// How long a stop may take: notifications in hand are published and deleted, then the process ends.
    shutdown_timeout_seconds: Within<u64, 1, 3600> = 25,
    /// How often to look whether this file, or a file it names, has changed, and to live by it if so; 0: only on SIGHUP.
    config_check_seconds: Within<u64, 0, 86_400> = 0,
    kafka: kafka::Text,
    schema_registry: schema_registry::Text,
    admin: admin::Text,
    green_api: green_api::Text,
    /// Where this section is there, instances may have `receive = "webhook"`.
    webhook: Option<webhook::Text>,
    /// ChatApp's events.
    chatapp: Option<chatapp::Text>,
    events: Events,
    calls: Calls,
    tracing: tracing::Text,
    /// Topics of their own for some kinds; every other kind goes to `kafka.topic`.
    routing: routing::Text,
}

/// The JSON Schema of the file, for editors.
#[must_use]
pub fn schema(generator: schemars::SchemaGenerator) -> schemars::Schema {
    generator.into_root_schema_for::<Text>()
}

/// Reads `file` (or [`DEFAULT_FILE`]) and the `CHATBRIDGE__…` variables of `environment`, the latter winning.
///
/// # Errors
/// Every problem at once, each with its key.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let path = file.unwrap_or(Path::new(DEFAULT_FILE));
    let (text, mut problems) = source::read(path, file.is_some(), environment);
    let mut further = Vec::new();
    let config = text.and_then(|text| check(text, &mut Checks::new(&mut further)));
    further.retain(|problem| !problems.iter().any(|told| is_cause(&told.key, &problem.key)));
    problems.extend(further);
    match config {
        Some(config) if problems.is_empty() => Ok(config),
        _ => Err(ConfigError { origin: format!("{} and the environment", path.display()), problems }),
    }
}

/// Where there is a complaint, the result must not be used.
fn check(text: Text, checks: &mut Checks<'_>) -> Option<Config> {
    let kafka = kafka::check(text.kafka, checks);
    let schema_registry = schema_registry::check(text.schema_registry, kafka.cloudevents_mode, checks);
    let admin = admin::check(text.admin, checks);
    if !text.green_api.has_instances() && text.chatapp.is_none() {
        let missing = "name at least one, with its id and token (or have a [chatapp] section)";
        checks.complain("green_api.instances", missing);
    }
    let (webhook, webhook_token) = text.webhook.map(|text| webhook::check(text, checks)).unzip();
    let has_webhook = webhook.is_some();
    let (green_api, instances) = green_api::check(text.green_api, webhook_token, checks);
    let chatapp = text.chatapp.and_then(|text| chatapp::check(text, has_webhook, checks));
    let events = events::check(text.events, checks);
    let tracing = tracing::check(text.tracing, checks);
    let routing = routing::check(text.routing, &kafka.dead_letter_topic, checks);
    Some(Config {
        shutdown_timeout: text.shutdown_timeout_seconds.seconds(),
        config_check: text.config_check_seconds.seconds_or_never(),
        kafka,
        schema_registry,
        admin: admin?,
        green_api,
        instances,
        webhook: webhook.flatten(),
        chatapp,
        events,
        calls: text.calls,
        tracing,
        routing,
    })
}

/// Whether what is wrong with `told` is why something seems to be wrong with `key`: what cannot be read is not there
/// for those who look at values.
fn is_cause(told: &str, key: &str) -> bool {
    let is_within =
        !told.is_empty() && key.strip_prefix(told).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
    let mut consequences =
        [chatapp::CONSEQUENCES, create_topics::CONSEQUENCES, green_api::CONSEQUENCES, webhook::CONSEQUENCES]
            .into_iter()
            .flatten();
    is_within || consequences.any(|(cause, end)| *cause == told && key.ends_with(end))
}

impl Config {
    /// Of all of it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let sections = self.sections().map(|(_, section)| section);
        sections.into_iter().chain(self.instances.iter().map(Instance::fingerprint)).collect::<Vec<_>>().fingerprint()
    }

    /// The parts of `new` that only a restart brings to life; instances are not among them.
    #[must_use]
    pub fn needs_restart_for(&self, new: &Self) -> Vec<&'static str> {
        let changed = self.sections().into_iter().zip(new.sections()).filter(|((_, old), (_, new))| old != new);
        changed.map(|((name, _), _)| name).collect()
    }

    /// Everything but the instances, by the names an operator knows.
    fn sections(&self) -> [(&'static str, Fingerprint); 12] {
        [
            ("shutdown_timeout_seconds", self.shutdown_timeout.fingerprint()),
            ("config_check_seconds", self.config_check.fingerprint()),
            ("kafka", self.kafka.fingerprint()),
            ("schema_registry", self.schema_registry.fingerprint()),
            ("admin", self.admin.fingerprint()),
            ("green_api", self.green_api.fingerprint()),
            ("webhook", self.webhook.fingerprint()),
            ("chatapp", self.chatapp.fingerprint()),
            ("events", self.events.fingerprint()),
            ("calls", self.calls.fingerprint()),
            ("tracing", self.tracing.fingerprint()),
            ("routing", self.routing.fingerprint()),
        ]
    }
}

#[cfg(test)]
mod tests;
