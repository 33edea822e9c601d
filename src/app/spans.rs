//! Where spans are sent, if anywhere.

use std::sync::Arc;

use tracing::info;

use crate::config::Tracing;
use crate::http::is_loopback;
use crate::watch::otlp::{self, Exporting, OtlpError};
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::spans::SpanQueue;

/// The queue of spans and their exporter, if there is a collector.
pub(super) fn export(tracing: &Tracing, metrics: &Arc<Metrics>) -> Result<Option<(SpanQueue, Exporting)>, OtlpError> {
    let Some(otlp) = &tracing.otlp else { return Ok(None) };
    let (queue, spans) = SpanQueue::new(otlp.queue_spans_max, tracing.sampling, Arc::clone(metrics));
    let exporting = otlp::start(otlp, is_loopback(&otlp.endpoint), spans, Arc::clone(metrics))?;
    info!(endpoint = %otlp.endpoint, "spans are exported");
    Ok(Some((queue, exporting)))
}
