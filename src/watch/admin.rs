//! The admin server: /metrics, /livez, /readyz, /status, and a page for people that shows what /status says.
//!
//! Everybody who uses an accepted host name (`host`) may read. No request changes anything, and no answer shows a
//! token, a phone number or a text. `/livez` says that the process runs and that no poller is stuck. It does not check
//! Kafka, because a restart does not repair a broker. `/readyz` says that this process has started and is not stopping;
//! one dead instance does not fail it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use serde_with::skip_serializing_none;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::core::publish::kafka::Health;
use crate::core::schema_registry;
use crate::inbound::descriptors::{Descriptors, DescriptorsView};
use crate::inbound::listener::ListenerTelemetry;
use crate::inbound::server::HttpServer;
use crate::redact::Redactor;
use crate::watch::kafka_watch::{self, KafkaStatus};
use crate::watch::readiness::Readiness;
use crate::watch::telemetry::chatapp_view::{ChatAppShown, ChatAppView};
use crate::watch::telemetry::config::{ConfigView, LiveConfig};
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::scrape;
use crate::watch::telemetry::status::{InstanceView, StatusBoard};

mod host;
mod page;

use host::Hosts;

/// What a browser may do with an answer: only use the page's own script and style sheet, and nothing for other sites.
const PROTECTION: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

/// What the admin server shows.
#[derive(Clone)]
pub struct Shown {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// The status of the instances.
    pub board: Arc<StatusBoard>,
    /// Whether the process is ready.
    pub readiness: Readiness,
    /// The health of the brokers.
    pub kafka: Arc<Health>,
    /// Present only when ChatApp is configured.
    pub chatapp: Option<Arc<dyn ChatAppShown>>,
    /// The health of the schema registry, if there is one.
    pub schema_registry: Option<Arc<schema_registry::Health>>,
    /// Which configuration is live.
    pub config: Arc<LiveConfig>,
    /// Knows what must not be shown.
    pub redactor: Redactor,
    /// Whether there are free file descriptors.
    pub descriptors: Arc<Descriptors>,
    /// Longer than a healthy poller can go without a step.
    pub silence_max: Duration,
    /// When the process started.
    pub started: Instant,
}

#[derive(Serialize)]
struct Status {
    #[serde(flatten)]
    process: ProcessView,
    instances: Vec<InstanceView>,
}

/// What there is to say of the process.
#[derive(Serialize)]
struct ProcessView {
    version: &'static str,
    uptime_seconds: u64,
    ready: bool,
    config: ConfigView,
    file_descriptors: DescriptorsView,
    kafka: KafkaStatus,
    schema_registry: Option<SchemaRegistryStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    chatapp: Option<ChatAppView>,
}

#[skip_serializing_none]
#[derive(Serialize)]
struct SchemaRegistryStatus {
    registered: bool,
    last_error: Option<String>,
}

impl Shown {
    fn process(&self) -> ProcessView {
        let trouble = self.schema_registry.as_ref().map(|registry| registry.trouble());
        ProcessView {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.started.elapsed().as_secs(),
            ready: self.readiness.is_ready(),
            config: self.config.view(),
            file_descriptors: self.descriptors.view(),
            kafka: kafka_watch::status(&self.kafka, &self.board),
            schema_registry: trouble
                .map(|trouble| SchemaRegistryStatus { registered: trouble.is_none(), last_error: trouble }),
            chatapp: self.chatapp.as_ref().map(|chatapp| chatapp.view()),
        }
    }
}

/// Serves until `stop`; `allowed_hosts` are accepted host names besides those that always are.
pub async fn serve(server: HttpServer, shown: Shown, allowed_hosts: Vec<String>, stop: CancellationToken) {
    let named = Arc::new(Named { hosts: Hosts::new(allowed_hosts), telemetry: Arc::clone(&server.telemetry) });
    let router = Router::new()
        .route("/metrics", get(metrics))
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/status", get(status))
        .with_state(shown.clone())
        .merge(page::router(shown, stop.clone()))
        .layer(from_fn_with_state(named, only_by_our_names))
        .layer(map_response(protect));
    server.serve(router, stop).await;
}

/// The accepted host names, and where other names are reported.
struct Named {
    hosts: Hosts,
    telemetry: Arc<ListenerTelemetry>,
}

/// A request without a host does not come from a browser.
async fn only_by_our_names(State(named): State<Arc<Named>>, request: Request, next: Next) -> Response {
    let lines = request.headers().get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("not readable."));
    let foreign = request.uri().host().into_iter().chain(lines).find(|host| !named.hosts.admit(host));
    let Some(foreign) = foreign else { return next.run(request).await };
    named.telemetry.foreign_host(foreign);
    let answer = "the admin listener is not called by this name: call it by its address, or add the name to \
                  admin.allowed_hosts in the configuration and restart\n";
    (StatusCode::MISDIRECTED_REQUEST, answer).into_response()
}

async fn protect(mut response: Response) -> Response {
    for (name, value) in PROTECTION {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn metrics(State(shown): State<Shown>) -> Response {
    if let Some(chatapp) = &shown.chatapp {
        chatapp.refresh();
    }
    match scrape::render(&shown.metrics, &shown.board) {
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

async fn status(State(shown): State<Shown>) -> Response {
    let instances = shown.board.instances().iter().map(|status| status.view()).collect();
    match shown.redactor.json(&Status { process: shown.process(), instances }) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
