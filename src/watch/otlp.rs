//! Sends spans to an OpenTelemetry collector over OTLP/HTTP: in batches, from a bounded queue, in a task of its own.
//!
//! Nothing waits for it. If the collector is away or slow, spans are dropped and counted, with a log line once a
//! minute.
//!
//! The message and its sending are `opentelemetry-otlp`'s. The queue and the batches are not the SDK's, which uses a
//! thread of its own and reports dropped spans only at the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, SpanId, TraceId};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::EnvResourceDetector;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use secrecy::ExposeSecret;
use tokio::sync::Mutex;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Otlp;
use crate::http;
use crate::reminder::Reminder;
use crate::supervisor::keep_running;
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::spans::{Span, Step};

/// Spans in one request; about 200 kB.
const BATCH_SPANS_MAX: usize = 512;
/// How often lost spans are logged again.
const REMINDER: Duration = Duration::from_secs(60);
/// The most time for sending what is left at the end, if the grace period allows it.
const FLUSH_MAX: Duration = Duration::from_secs(5);

/// Why the exporter could not be started.
#[derive(Debug, thiserror::Error)]
pub enum OtlpError {
    /// TLS for the collector cannot be set up.
    #[error("failed to make the HTTP client of tracing.otlp_endpoint: {0}")]
    Http(#[source] reqwest::Error),
    /// The exporter refuses its settings. The configuration was checked, so the cause is in the environment.
    #[error("the exporter of spans refuses its settings ({0}): look at the OTEL_EXPORTER_OTLP_ variables")]
    Refused(String),
}

/// The running exporter.
pub struct Exporting {
    end: CancellationToken,
    task: JoinHandle<()>,
}

/// Exports the spans that come out of `spans`. `direct` ignores any proxy that the environment names.
///
/// # Errors
/// If the exporter cannot be set up. A collector that is away is no error.
pub fn start(otlp: &Otlp, direct: bool, spans: Receiver<Span>, metrics: Arc<Metrics>) -> Result<Exporting, OtlpError> {
    let exporter = exporter(otlp, direct)?;
    let end = CancellationToken::new();
    let export = Export {
        exporter,
        endpoint: otlp.endpoint.to_string(),
        metrics,
        reminder: Reminder::every(REMINDER),
        dropped_told: 0,
    };
    let (work, interval, ending) = (Arc::new(Mutex::new((export, spans))), otlp.export_interval, end.clone());
    let task = tokio::spawn(async move {
        keep_running("the export of spans", ending.clone(), || {
            let (work, ending) = (Arc::clone(&work), ending.clone());
            async move {
                let mut work = work.lock().await;
                let (export, spans) = &mut *work;
                export.run(spans, interval, ending).await;
            }
        })
        .await;
    });
    Ok(Exporting { end, task })
}

impl Exporting {
    /// Stops it after sending what is left, as far as that is possible `within` this time.
    pub async fn flush(mut self, within: Duration) {
        self.end.cancel();
        if tokio::time::timeout(within.min(FLUSH_MAX), &mut self.task).await.is_err() {
            self.task.abort();
            info!("the collector had not taken every span before the end");
        }
    }
}

fn exporter(otlp: &Otlp, direct: bool) -> Result<SpanExporter, OtlpError> {
    let http = http::client(direct).timeout(otlp.timeout).build().map_err(OtlpError::Http)?;
    let headers: HashMap<String, String> =
        otlp.headers.iter().map(|(name, value)| (name.clone(), value.expose_secret().to_owned())).collect();
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(http)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", otlp.endpoint.as_str().trim_end_matches('/')))
        .with_headers(headers)
        .with_timeout(otlp.timeout)
        .build()
        .map_err(|error| OtlpError::Refused(error.to_string()))?;
    // OTEL_RESOURCE_ATTRIBUTES says where this process runs: deployment.environment.name and so on.
    let resource = Resource::builder_empty()
        .with_service_name("chatbridge")
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detector(Box::new(EnvResourceDetector::new()))
        .build();
    exporter.set_resource(&resource);
    Ok(exporter)
}

struct Export {
    exporter: SpanExporter,
    endpoint: String,
    metrics: Arc<Metrics>,
    reminder: Reminder,
    dropped_told: u64,
}

impl Export {
    async fn run(&mut self, spans: &mut Receiver<Span>, interval: Duration, end: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH_SPANS_MAX);
        while !end.is_cancelled() {
            let due = Instant::now() + interval;
            let filled = async { while batch.len() < BATCH_SPANS_MAX && receive(spans, &mut batch).await {} };
            tokio::select! {
                biased;
                () = end.cancelled() => break,
                () = filled => {}
                () = tokio::time::sleep_until(due) => {}
            }
            self.send(&mut batch).await;
        }
        spans.close();
        loop {
            while batch.len() < BATCH_SPANS_MAX
                && let Ok(span) = spans.try_recv()
            {
                batch.push(span);
            }
            // Stopping waits for a collector that takes spans, but not for one that does not.
            if batch.is_empty() || !self.send(&mut batch).await {
                return;
            }
        }
    }

    /// Whether the collector took them.
    async fn send(&mut self, batch: &mut Vec<Span>) -> bool {
        let exported = batch.len();
        if exported > 0 {
            let spans = batch.drain(..).map(span_data).collect();
            match self.exporter.export(spans).await {
                Ok(()) => self.metrics.spans_exported(exported),
                Err(error) => {
                    self.metrics.spans_dropped("export_failed", exported);
                    self.tell(&error.to_string());
                    return false;
                }
            }
        }
        self.tell("it takes them more slowly than they come: raise tracing.otlp_queue_spans_max, or sample fewer");
        true
    }

    /// Logs, at most once a minute, how many spans were lost and why.
    fn tell(&mut self, reason: &str) {
        let dropped = self.metrics.spans_dropped_so_far();
        if dropped > self.dropped_told && self.reminder.is_due() {
            warn!(
                endpoint = self.endpoint,
                spans = dropped - self.dropped_told,
                reason,
                "spans are lost, as the collector does not take them; delivery goes on as ever"
            );
            self.dropped_told = dropped;
        }
    }
}

/// False when there are no more.
async fn receive(spans: &mut Receiver<Span>, batch: &mut Vec<Span>) -> bool {
    spans.recv_many(batch, BATCH_SPANS_MAX - batch.len()).await > 0
}

fn span_data(span: Span) -> SpanData {
    let trace = TraceId::from_bytes(span.event.bytes());
    let id = SpanId::from_bytes(span.id.bytes());
    let (kind, what) = match span.step {
        Step::Receive => (SpanKind::Client, "notification"),
        Step::Publish => (SpanKind::Producer, span.topic.as_deref().unwrap_or_default()),
        Step::Delete => (SpanKind::Client, "notification"),
    };
    SpanData {
        span_context: SpanContext::new(trace, id, TraceFlags::SAMPLED, false, TraceState::NONE),
        parent_span_id: span.parent.map_or(SpanId::INVALID, |parent| SpanId::from_bytes(parent.bytes())),
        parent_span_is_remote: false,
        span_kind: kind,
        name: format!("{} {what}", span.step.as_str()).into(),
        start_time: span.start.into(),
        end_time: span.end.into(),
        attributes: span.attributes.into_iter().map(|(name, value)| KeyValue::new(name, value)).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: span.error.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder("chatbridge").build(),
    }
}
