//! The composition root: builds the parts, joins them, and lets them end in the right order. It alone knows everybody.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::core::policy::Policy;
use crate::core::publish::kafka::ProducerError;
use crate::inbound::tls::TlsError;
use crate::redact::Redactor;
use crate::watch::otlp::OtlpError;
use chatbridge_event::record::{RecordFactory, ValueForm};

mod background;
mod build;
mod chatapp;
mod clients;
mod daemon;
mod fleet;
mod framing;
mod listeners;
pub mod reload;
mod spans;
pub mod webhook;

use daemon::Daemon;
use reload::Reloads;

pub use chatapp::ChatAppError;
pub use clients::{InstanceClients, chatapp_api};
pub use framing::registry;

/// How often an operator is reminded of a schema registry that stays away.
const REMINDER: Duration = Duration::from_secs(60);
/// What `systemctl status` shows.
const WAITING: &str = "waiting for Kafka, and the schema registry where there is one";
const DELIVERING: &str = "delivering";

/// Why the daemon did not start, or ended without being asked to (exit code 1: start it again).
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// librdkafka refused the configuration.
    #[error(transparent)]
    Kafka(#[from] ProducerError),
    /// The webhook's certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// TLS towards GREEN-API or a schema registry cannot be set up.
    #[error("failed to make the HTTP client (are the system's root certificates installed?): {0}")]
    Http(#[source] reqwest::Error),
    /// ChatApp cannot be received.
    #[error(transparent)]
    ChatApp(#[from] ChatAppError),
    /// Spans cannot be exported.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// A part that cannot be started again in this process has come to its end.
    #[error("{0} came to its end, and only a new process has another: start the bridge again, and report the log")]
    Broken(&'static str),
}

/// Where the daemon is called.
pub struct Listeners {
    /// By who watches it.
    pub admin: TcpListener,
    /// By GREEN-API and ChatApp; present only when [`Config::webhook`] is.
    pub webhook: Option<TcpListener>,
}

/// Runs the bridge until `stop`, then drains it. The admin server answers throughout. Configurations that `reloads`
/// gives replace the one before, as far as they can without a restart.
///
/// # Errors
/// Where a part cannot be built, or a part that cannot be started again has come to its end. A broker or an instance
/// that is away ends nothing: it is waited for.
pub async fn run(
    config: Config,
    listeners: Listeners,
    reloads: Option<Reloads>,
    redactor: Redactor,
    stop: CancellationToken,
) -> Result<(), RunError> {
    let mut daemon = Daemon::build(config, listeners, reloads, redactor, stop).await?;
    if let Some(bridge) = daemon.wait_for_kafka().await {
        daemon.receive(bridge);
        daemon.until_stopped().await;
    }
    daemon.drain().await
}

/// The form of values this configuration wants; with a schema registry, once that has given its ids.
///
/// # Errors
/// Where TLS towards the registry cannot be set up.
pub async fn value_form(config: &Config, redactor: &Redactor) -> Result<ValueForm, reqwest::Error> {
    let registry = framing::registry(config, redactor)?;
    Ok(framing::value_form(config, registry.as_ref()).await)
}

/// What makes the records this configuration wants, their values in `form`.
#[must_use]
pub fn records(config: &Config, form: ValueForm) -> RecordFactory {
    RecordFactory {
        topic: Arc::clone(&config.kafka.topic),
        routing: config.routing.clone(),
        dead_letter_topic: Arc::clone(&config.kafka.dead_letter_topic),
        include_raw: config.events.include_raw,
        form,
        traceparent: config.tracing.traceparent.then_some(config.tracing.sampling),
    }
}

/// What decides as this configuration wants.
#[must_use]
pub fn policy(config: &Config) -> Policy {
    Policy::new(config.events.clone(), config.calls.clone())
}
