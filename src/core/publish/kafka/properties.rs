//! Turns `[kafka]` into librdkafka's properties, and reports what librdkafka finds wrong with them.

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::producer::FutureProducer;
use secrecy::ExposeSecret;

use super::Context;
use crate::config::{Kafka, Problem, canonical};

/// librdkafka would accept this configuration and then wait for a token for ever, without an error.
const NO_TOKENS: &str = "OAUTHBEARER needs tokens, which chatbridge does not fetch (its librdkafka is built without \
                         libcurl): use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, or a client certificate";

/// Apply unless the operator sets the property, under any of its names. Properties that the delivery guarantee depends
/// on cannot be set at all.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", "chatbridge"),
    ("acks", "all"),
    ("enable.idempotence", "true"),
    // Retry for ever: the record in hand is the only copy in memory, and the queue upstream is the buffer. The default
    // of 300 s loses data in a long outage.
    ("message.timeout.ms", "0"),
    ("partitioner", "murmur2_random"),
    // One notification is in flight per instance, so there is nothing to linger for.
    ("linger.ms", "0"),
    ("compression.type", "lz4"),
    // The broker sets the limit, not the bridge: only the broker knows how much a topic accepts.
    ("message.max.bytes", "33554432"),
    ("socket.keepalive.enable", "true"),
    ("reconnect.backoff.max.ms", "2000"),
];

/// librdkafka's version.
#[must_use]
pub fn librdkafka_version() -> String {
    rdkafka::util::get_rdkafka_version().1
}

/// What librdkafka was built with: `ssl`, `sasl_scram`, `zstd` … Without this, a missing feature would only show when a
/// customer's broker needs it.
#[must_use]
pub fn librdkafka_features() -> String {
    ClientConfig::new().create_native_config().and_then(|native| native.get("builtin.features")).unwrap_or_default()
}

/// Everything librdkafka finds wrong with the configuration, without connecting anywhere.
#[must_use]
pub fn problems(kafka: &Kafka) -> Vec<Problem> {
    let mut problems: Vec<Problem> = kafka
        .properties
        .iter()
        .filter_map(|(name, value)| {
            let mut alone = ClientConfig::new();
            alone.set(name, value.expose_secret());
            let error = alone.create_native_config().err()?;
            Some(Problem::new(format!("kafka.properties.{name}"), plain(&error, value.expose_secret())))
        })
        .collect();
    let wants_tokens = kafka.properties.iter().find(|(name, value)| wants_tokens(name, value.expose_secret()));
    if let Some((name, _)) = wants_tokens
        && !kafka.properties.contains_key("enable.sasl.oauthbearer.unsecure.jwt")
    {
        problems.push(Problem::new(format!("kafka.properties.{name}"), NO_TOKENS));
    }
    if problems.is_empty() {
        // Each property is valid by itself. Check that they fit together, without brokers, so that nothing connects.
        let mut config = client_config(kafka);
        config.remove("bootstrap.servers");
        if let Err(error) = config.create_with_context::<_, FutureProducer<Context>>(Context::default()) {
            problems.push(Problem::new("kafka", plain(&error, "")));
        }
    }
    problems
}

fn wants_tokens(name: &str, value: &str) -> bool {
    canonical(name) == "sasl.mechanisms" && value.eq_ignore_ascii_case("OAUTHBEARER")
}

/// librdkafka's own message, without the value, which may be a password.
pub(crate) fn plain(error: &KafkaError, value: &str) -> String {
    let without =
        |text: &str, value: &str| if value.is_empty() { text.to_owned() } else { text.replace(value, "<value>") };
    match error {
        KafkaError::ClientConfig(_, description, _, own) => without(&without(description, own), value),
        KafkaError::ClientCreation(description) => without(description, value),
        other => without(&other.to_string(), value),
    }
}

/// The configuration of every producer of the bridge.
pub(crate) fn client_config(kafka: &Kafka) -> ClientConfig {
    let properties = kafka.client_properties(DEFAULTS, &[("bootstrap.servers", &kafka.brokers)]);
    let mut config = ClientConfig::from_iter(properties);
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}
