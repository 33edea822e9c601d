//! The composition root: builds the parts, joins them, and lets them end in the right order. It alone knows everybody.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Client;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::admin::{self, Shown};
use crate::bridge::Bridge;
use crate::config::{Config, Instance};
use crate::green_api::{InstanceClient, http_client, is_loopback};
use crate::kafka_watch::KafkaWatch;
use crate::policy::Policy;
use crate::publish::kafka::{KafkaPublisher, ProducerError, librdkafka_features, librdkafka_version};
use crate::readiness::Readiness;
use crate::record::{RecordFactory, ValueForm};
use crate::schema_registry::SchemaRegistry;
use crate::source::caller::{CallerCache, CallerLookup};
use crate::source::queue::{Pacing, Poller};
use crate::source::watch;
use crate::supervisor::supervise;
use crate::systemd;
use crate::telemetry::InstanceTelemetry;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::StatusBoard;

mod framing;

/// How often an operator is reminded of a schema registry that stays away.
const REMINDER: Duration = Duration::from_secs(60);
/// The part of the grace period that belongs to the flush.
const FLUSH_MIN: Duration = Duration::from_millis(500);
/// What the admin server's clients get at the end for what they are reading.
const LAST_SCRAPE_MAX: Duration = Duration::from_millis(500);

/// Why the daemon did not start (exit code 1: try again).
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// librdkafka refused the configuration.
    #[error(transparent)]
    Kafka(#[from] ProducerError),
    /// TLS towards GREEN-API or a schema registry cannot be set up.
    #[error("failed to make the HTTP client (are the system's root certificates installed?): {0}")]
    Http(#[source] reqwest::Error),
}

/// Runs the bridge until `stop`, then drains it. The admin server answers on `admin_listener` throughout.
///
/// # Errors
/// Where a part cannot be built. Once running nothing ends it but `stop`: a broker or an instance that is away is
/// waited for.
pub async fn run(config: Config, admin_listener: TcpListener, stop: CancellationToken) -> Result<(), StartError> {
    let publisher = Arc::new(KafkaPublisher::new(&config.kafka)?);
    let clients = instance_clients(&config).map_err(StartError::Http)?;
    let registry = framing::registry(&config).map_err(StartError::Http)?;

    let metrics = Arc::new(Metrics::new());
    let board = Arc::new(StatusBoard::default());
    let readiness = Readiness::default();
    let health = publisher.health();
    let all_found = readiness.latch();
    let background = TaskTracker::new();
    let background_stop = CancellationToken::new();
    let kafka = KafkaWatch::new(Arc::clone(&publisher), &config, Arc::clone(&board), Arc::clone(&metrics));
    let shown = Shown {
        metrics: Arc::clone(&metrics),
        board: Arc::clone(&board),
        readiness: readiness.clone(),
        kafka: health,
        schema_registry: registry.as_ref().map(SchemaRegistry::health),
        silence_max: config.silence_max(),
        started: Instant::now(),
    };
    background.spawn(admin::serve(admin_listener, shown, background_stop.clone()));
    background.spawn(systemd::watchdog(Arc::clone(&board), config.silence_max(), background_stop.clone()));

    let telemetry: Vec<Arc<InstanceTelemetry>> = config
        .instances
        .iter()
        .map(|instance| Arc::new(InstanceTelemetry::new(&metrics, board.add(instance.id))))
        .collect();
    metrics.build_info(env!("CARGO_PKG_VERSION"), &librdkafka_version());
    for instance in config.instances.iter().filter(|i| i.api_url.scheme() == "http" && !is_loopback(&i.api_url)) {
        warn!(instance = %instance.id, "api_url is http, so the token travels unencrypted: use https");
    }
    info!(
        version = env!("CARGO_PKG_VERSION"), librdkafka = librdkafka_version(), features = librdkafka_features(),
        instances = clients.len(), topic = %config.kafka.topic, "started"
    );
    systemd::ready(if registry.is_some() { "waiting for Kafka and the schema registry" } else { "waiting for Kafka" });

    let form = framing::value_form(&config, registry.as_ref());
    let found = async { tokio::join!(kafka.found(), form) };
    if let Some(((), form)) = stop.run_until_cancelled(found).await {
        drop(all_found);
        systemd::status("delivering");
        info!("Kafka is there; polling begins");
        let mut pollers = start_pollers(&config, form, &publisher, &clients, &telemetry, &stop);
        if let Some(interval) = config.green_api.watch_interval {
            let watched = clients.into_iter().zip(telemetry).collect();
            background.spawn(watch::watch(watched, interval, stop.clone()));
        }
        stop.run_until_cancelled(kafka.watch()).await;
        readiness.stopping();
        systemd::stopping();
        drain(&mut pollers, &config, &publisher).await;
    }
    readiness.stopping();
    systemd::stopping();
    // Last, so that a final scrape sees the end; but nobody who reads slowly holds the process.
    background_stop.cancel();
    background.close();
    if tokio::time::timeout(LAST_SCRAPE_MAX, background.wait()).await.is_err() {
        info!("a client of the admin server was still reading");
    }
    info!("stopped");
    Ok(())
}

fn instance_clients(config: &Config) -> Result<Vec<Arc<InstanceClient>>, reqwest::Error> {
    let proxied = http_client(&config.green_api, false)?;
    let direct = http_client(&config.green_api, true)?;
    let http = |instance: &Instance| -> Client {
        // No proxy leads to this machine's own loopback address.
        if is_loopback(&instance.api_url) { direct.clone() } else { proxied.clone() }
    };
    Ok(config
        .instances
        .iter()
        .map(|instance| Arc::new(InstanceClient::new(http(instance), &config.green_api, instance)))
        .collect())
}

/// The form of values this configuration wants; with a schema registry, once that has given its ids.
///
/// # Errors
/// Where TLS towards the registry cannot be set up.
pub async fn value_form(config: &Config) -> Result<ValueForm, reqwest::Error> {
    let registry = framing::registry(config)?;
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
    }
}

/// What decides as this configuration wants.
#[must_use]
pub fn policy(config: &Config) -> Policy {
    Policy::new(config.events.clone(), config.calls.clone())
}

/// One supervised poller per instance.
fn start_pollers(
    config: &Config,
    form: ValueForm,
    publisher: &Arc<KafkaPublisher>,
    clients: &[Arc<InstanceClient>],
    telemetry: &[Arc<InstanceTelemetry>],
    stop: &CancellationToken,
) -> tokio::task::JoinSet<()> {
    let bridge = Arc::new(Bridge::new(Arc::clone(publisher), records(config, form), policy(config)));
    let callers = config.calls.caller_lookup.then(CallerCache::default);
    let mut pollers = tokio::task::JoinSet::new();
    for ((instance, client), telemetry) in config.instances.iter().zip(clients).zip(telemetry) {
        let pacing = Pacing {
            receive_timeout: instance.receive_timeout,
            retry_min: config.green_api.retry_min,
            retry_max: config.green_api.retry_max,
            misconfigured_retry: config.green_api.misconfigured_retry,
        };
        let caller_names =
            callers.clone().map(|callers| CallerLookup::new(Arc::clone(client), callers, Arc::clone(telemetry)));
        let poller = Poller::new(Arc::clone(client), Arc::clone(&bridge), pacing, Arc::clone(telemetry));
        let poller = Arc::new(poller.with_caller_names(caller_names));
        let stopped = stop.clone();
        pollers.spawn(supervise(Arc::clone(telemetry), stop.clone(), move || {
            let (poller, stopped) = (Arc::clone(&poller), stopped.clone());
            async move { poller.run(stopped).await }
        }));
    }
    pollers
}

/// Lets what is in hand come to its end, within the grace period.
async fn drain(pollers: &mut tokio::task::JoinSet<()>, config: &Config, publisher: &Arc<KafkaPublisher>) {
    let deadline = Instant::now() + config.shutdown_timeout.saturating_sub(FLUSH_MIN + LAST_SCRAPE_MAX);
    let all_ended = async { while pollers.join_next().await.is_some() {} };
    if tokio::time::timeout_at(deadline, all_ended).await.is_err() {
        warn!(
            still_busy = pollers.len(),
            timeout_seconds = config.shutdown_timeout.as_secs(),
            "the grace period is over; what is in hand was not deleted and comes again after the next start"
        );
        pollers.shutdown().await;
    }
    Arc::clone(publisher).flush(deadline.saturating_duration_since(Instant::now()).max(FLUSH_MIN)).await;
}
