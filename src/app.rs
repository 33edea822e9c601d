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
use crate::green_api::{InstanceClient, http_client};
use crate::policy::Policy;
use crate::publish::kafka::{KafkaPublisher, librdkafka_features, librdkafka_version};
use crate::readiness::Readiness;
use crate::record::RecordFactory;
use crate::source::caller::{CallerCache, CallerLookup};
use crate::source::queue::{Pacing, Poller};
use crate::source::watch;
use crate::supervisor::supervise;
use crate::systemd;
use crate::telemetry::InstanceTelemetry;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::StatusBoard;

/// How often the brokers are asked while they are away.
const KAFKA_PROBE: Duration = Duration::from_secs(2);
/// How often an operator is reminded of a broker that stays away.
const KAFKA_REMINDER: Duration = Duration::from_secs(60);
/// The part of the grace period that belongs to the flush.
const FLUSH_MIN: Duration = Duration::from_millis(500);

/// Why the daemon did not start (exit code 1: try again).
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// librdkafka refused the configuration.
    #[error("failed to make the Kafka producer: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// TLS towards GREEN-API cannot be set up.
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

    let metrics = Arc::new(Metrics::new());
    let board = Arc::new(StatusBoard::default());
    let readiness = Readiness::default();
    let health = publisher.health();
    let kafka_found = readiness.latch();
    let background = TaskTracker::new();
    let background_stop = CancellationToken::new();
    let shown = Shown {
        metrics: Arc::clone(&metrics),
        board: Arc::clone(&board),
        readiness: readiness.clone(),
        kafka: health,
        started: Instant::now(),
    };
    background.spawn(admin::serve(admin_listener, shown, background_stop.clone()));
    background.spawn(systemd::watchdog(background_stop.clone()));

    let telemetry: Vec<Arc<InstanceTelemetry>> = config
        .instances
        .iter()
        .map(|instance| Arc::new(InstanceTelemetry::new(&metrics, board.add(instance.id))))
        .collect();
    info!(
        version = env!("CARGO_PKG_VERSION"), librdkafka = librdkafka_version(), features = librdkafka_features(),
        instances = clients.len(), topic = %config.kafka.topic, "started"
    );
    systemd::ready("waiting for Kafka");

    let found = find_kafka(&publisher, &config, &metrics);
    if stop.run_until_cancelled(found).await.is_some() {
        drop(kafka_found);
        systemd::status("delivering");
        info!("Kafka is there; polling begins");
        background.spawn(watch_kafka(Arc::clone(&publisher), config.clone(), metrics, background_stop.clone()));
        let pollers = start_pollers(&config, &publisher, &clients, &telemetry, &stop);
        if let Some(interval) = config.green_api.watch_interval {
            let watched = clients.into_iter().zip(telemetry).collect();
            background.spawn(watch::watch(watched, interval, stop.clone()));
        }
        stop.cancelled().await;
        readiness.stopping();
        systemd::stopping();
        drain(pollers, &config, publisher).await;
    }
    // Last, so that a final scrape sees the end.
    background_stop.cancel();
    background.close();
    background.wait().await;
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

fn is_loopback(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// What makes the records this configuration wants.
#[must_use]
pub fn records(config: &Config) -> RecordFactory {
    RecordFactory {
        topic: Arc::clone(&config.kafka.topic),
        routing: config.routing.clone(),
        dead_letter_topic: Arc::clone(&config.kafka.dead_letter_topic),
        include_raw: config.events.include_raw,
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
    publisher: &Arc<KafkaPublisher>,
    clients: &[Arc<InstanceClient>],
    telemetry: &[Arc<InstanceTelemetry>],
    stop: &CancellationToken,
) -> tokio::task::JoinSet<()> {
    let bridge = Arc::new(Bridge::new(Arc::clone(publisher), records(config), policy(config)));
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

/// Waits for the brokers and every topic, telling about it once a minute. Nothing is received before: it could only be
/// held in memory.
async fn find_kafka(publisher: &KafkaPublisher, config: &Config, metrics: &Metrics) {
    let mut told_at: Option<Instant> = None;
    loop {
        let asked_at = Instant::now();
        let found = async {
            for topic in config.topics() {
                publisher.find_topic(topic).await?;
            }
            Ok::<(), String>(())
        };
        let Err(reason) = found.await else {
            metrics.kafka_up(true);
            return;
        };
        if told_at.is_none_or(|at| at.elapsed() >= KAFKA_REMINDER) {
            told_at = Some(Instant::now());
            warn!(
                brokers = config.kafka.brokers,
                reason, "Kafka cannot be used yet; nothing is received from GREEN-API until it can"
            );
        }
        tokio::time::sleep_until(asked_at + KAFKA_PROBE).await;
    }
}

/// Tells when the brokers go and come, once a minute while they stay away, and asks for them meanwhile: without
/// traffic librdkafka does not say that they are back.
async fn watch_kafka(publisher: Arc<KafkaPublisher>, config: Config, metrics: Arc<Metrics>, stop: CancellationToken) {
    let health = publisher.health();
    let watching = async {
        let mut told_at: Option<Instant> = None;
        loop {
            tokio::time::sleep(KAFKA_PROBE).await;
            let Some((since, reason)) = health.trouble() else {
                metrics.kafka_up(true);
                if told_at.take().is_some() {
                    info!("Kafka is back");
                }
                continue;
            };
            metrics.kafka_up(false);
            if told_at.is_none_or(|at| at.elapsed() >= KAFKA_REMINDER) {
                told_at = Some(Instant::now());
                warn!(
                    away_seconds = since.elapsed().as_secs(),
                    reason, "Kafka is away; notifications stay in GREEN-API's queues, which keep them for 24 hours"
                );
            }
            // The outcome shows in `health`.
            drop(publisher.find_topic(Arc::clone(&config.kafka.topic)).await);
        }
    };
    stop.run_until_cancelled(watching).await;
}

/// Lets what is in hand come to its end, within the grace period.
async fn drain(mut pollers: tokio::task::JoinSet<()>, config: &Config, publisher: Arc<KafkaPublisher>) {
    let deadline = Instant::now() + config.shutdown_timeout.saturating_sub(FLUSH_MIN);
    let all_ended = async { while pollers.join_next().await.is_some() {} };
    if tokio::time::timeout_at(deadline, all_ended).await.is_err() {
        warn!(
            still_busy = pollers.len(),
            timeout_seconds = config.shutdown_timeout.as_secs(),
            "the grace period is over; what is in hand was not deleted and comes again after the next start"
        );
        pollers.shutdown().await;
    }
    drop(pollers);
    publisher.close(deadline.saturating_duration_since(Instant::now()).max(FLUSH_MIN)).await;
}
