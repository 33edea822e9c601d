//! The admin server: /metrics, /livez, /readyz, /status.
//!
//! `/livez` says that the process runs and that no poller is stuck. It never asks Kafka: a restart heals no broker.
//! `/readyz` is about this process having started and not stopping; one dead instance does not fail it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use serde_with::skip_serializing_none;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::kafka_watch::{self, KafkaStatus};
use crate::publish::kafka::Health;
use crate::readiness::Readiness;
use crate::schema_registry;
use crate::telemetry::config::{ConfigView, LiveConfig};
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::{InstanceView, StatusBoard};

/// What the admin server shows.
#[derive(Clone)]
pub struct Shown {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The instances.
    pub board: Arc<StatusBoard>,
    /// Whether the process is ready.
    pub readiness: Readiness,
    /// How the brokers are.
    pub kafka: Arc<Health>,
    /// How the schema registry is, where there is one.
    pub schema_registry: Option<Arc<schema_registry::Health>>,
    /// Which configuration is live.
    pub config: Arc<LiveConfig>,
    /// Longer than any poller is silent of its own accord.
    pub silence_max: Duration,
    /// Since when the process runs.
    pub started: Instant,
}

#[derive(Serialize)]
struct Status {
    version: &'static str,
    uptime_seconds: u64,
    ready: bool,
    config: ConfigView,
    kafka: KafkaStatus,
    schema_registry: Option<SchemaRegistryStatus>,
    instances: Vec<InstanceView>,
}

#[skip_serializing_none]
#[derive(Serialize)]
struct SchemaRegistryStatus {
    registered: bool,
    last_error: Option<String>,
}

/// Serves on `listener` until `stop`.
pub async fn serve(listener: TcpListener, shown: Shown, stop: CancellationToken) {
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .with_state(shown);
    if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned()).await {
        warn!(%error, "the admin server ended: metrics and probes are gone until the next start");
    }
}

async fn metrics(State(shown): State<Shown>) -> Response {
    match shown.metrics.render(&shown.board) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn livez(State(shown): State<Shown>) -> (StatusCode, String) {
    match shown.board.stalled(shown.silence_max) {
        None => (StatusCode::OK, "alive\n".to_owned()),
        Some(instance) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the poller of instance {instance} is stuck; a restart mends it\n"),
        ),
    }
}

async fn readyz(State(shown): State<Shown>) -> (StatusCode, &'static str) {
    if shown.readiness.is_ready() {
        (StatusCode::OK, "ready\n")
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "not ready: starting, waiting for Kafka or the schema registry, or stopping; see /status\n",
        )
    }
}

async fn status(State(shown): State<Shown>) -> Json<Status> {
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: shown.started.elapsed().as_secs(),
        ready: shown.readiness.is_ready(),
        config: shown.config.view(),
        kafka: kafka_watch::status(&shown.kafka, &shown.board),
        schema_registry: shown
            .schema_registry
            .map(|registry| registry.trouble())
            .map(|trouble| SchemaRegistryStatus { registered: trouble.is_none(), last_error: trouble }),
        instances: shown.board.instances().iter().map(|status| status.view()).collect(),
    })
}
