//! All metrics, registered once, as typed handles.

use std::collections::HashSet;
use std::sync::Mutex;

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use jiff::Timestamp;

use crate::inbound::calls::CallTelemetry;
use crate::inbound::listener::{self, ListenerTelemetry};
use chatbridge_event::event::InstanceId;

mod families;
mod instance;

use families::{BoardFamilies, InstanceFamilies};
pub(super) use instance::InstanceMetrics;

/// From a fast local acknowledgement to a broker that was away for minutes.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// From immediate to GREEN-API's 24 hours.
const AGES_SECONDS: &[f64] =
    &[0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 64_800.0, 86_400.0];

/// The process's metrics.
pub struct Metrics {
    pub(super) registry: Registry,
    pub(super) in_flight: IntGauge,
    pub(super) receive_to_ack: Histogram,
    pub(super) event_age: Histogram,
    pub(super) delete: Histogram,
    pub(super) publish_errors: IntCounterVec,
    webhook_ack: Histogram,
    webhook_connections: IntGauge,
    webhook_requests: IntCounterVec,
    admin_connections: IntGauge,
    admin_refused: IntCounterVec,
    files_exhausted: IntGauge,
    build_info: IntGaugeVec,
    kafka_up: IntGauge,
    instances: InstanceFamilies,
    pub(super) board: BoardFamilies,
    /// Held while rendering: two scrapes at once must not empty the phases under each other.
    pub(super) rendering: Mutex<()>,
    spans_exported: IntCounter,
    spans_dropped: IntCounterVec,
    config_generation: IntGauge,
    config_needs_restart: IntGauge,
    config_reloaded: IntGauge,
    config_reloaded_at: IntGauge,
}

/// Registers metrics with the common prefix.
pub(super) struct Registrar {
    registry: Registry,
}

impl Registrar {
    fn add<C: Collector + Clone + 'static>(&self, metric: prometheus::Result<C>) -> C {
        let metric = metric.expect("names and labels are literals of this file");
        self.registry.register(Box::new(metric.clone())).expect("no name is used twice in this file");
        metric
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(opts(name, help), labels))
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(opts(name, help), labels))
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::with_opts(opts(name, help)))
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::with_opts(opts(name, help)))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        let opts = HistogramOpts { common_opts: opts(name, help), buckets: buckets.to_vec() };
        self.add(Histogram::with_opts(opts))
    }
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(format!("chatbridge_{name}"), help)
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers all metrics in a new registry.
    #[must_use]
    pub fn new() -> Self {
        let r = Registrar { registry: Registry::new() };
        let metrics = Self {
            in_flight: r.gauge("in_flight", "Notifications received and not yet settled"),
            receive_to_ack: r.histogram(
                "receive_to_ack_seconds",
                "From holding a notification to the broker's acknowledgement",
                SECONDS,
            ),
            event_age: r.histogram(
                "event_age_seconds",
                "From the event's own time to the broker's acknowledgement",
                AGES_SECONDS,
            ),
            delete: r.histogram("delete_seconds", "How long GREEN-API took to delete a notification", SECONDS),
            publish_errors: r.counters("publish_errors_total", "Publishes that did not succeed", &["class"]),
            webhook_ack: r.histogram(
                "webhook_ack_seconds",
                "From a webhook call's head to its 200, Kafka's acknowledgement included",
                SECONDS,
            ),
            webhook_connections: r.gauge("webhook_connections", "Open connections to the webhook's listener"),
            webhook_requests: r.counters(
                "webhook_requests_total",
                "Webhook calls, by how they were answered",
                &["answer"],
            ),
            admin_connections: r.gauge("admin_connections", "Open connections to the admin listener"),
            admin_refused: r.counters(
                "admin_refused_total",
                "Connections and requests that the admin listener refused",
                &["reason"],
            ),
            files_exhausted: r
                .gauge("file_descriptors_exhausted", "Whether file descriptors have run out within the last minute"),
            kafka_up: r.gauge("kafka_up", "Whether Kafka takes records: reachable, and no record waits for long"),
            instances: InstanceFamilies::new(&r),
            board: BoardFamilies::new(&r),
            rendering: Mutex::default(),
            spans_exported: r.counter("spans_exported_total", "Spans the OpenTelemetry collector has taken"),
            spans_dropped: r.counters("spans_dropped_total", "Spans that never reached the collector", &["reason"]),
            config_needs_restart: r.gauge(
                "config_needs_restart",
                "Whether parts of the configuration were changed that wait for a restart",
            ),
            config_generation: r.gauge("config_generation", "Which configuration is live: 1 is that of the start"),
            config_reloaded: r
                .gauge("config_last_reload_successful", "Whether the configuration last read was not refused"),
            config_reloaded_at: r.gauge(
                "config_last_reload_success_timestamp_seconds",
                "When the configuration that is live was read, as UNIX time",
            ),
            build_info: r.gauges("build_info", "Always 1; what is running", &["version", "librdkafka"]),
            registry: r.registry.clone(),
        };
        // The process's own metrics (memory, CPU, descriptors). Without /proc they are absent.
        let process = prometheus::process_collector::ProcessCollector::for_self();
        r.registry.register(Box::new(process)).expect("no name is used twice");
        metrics
    }

    /// Registers further metrics beside these.
    pub(super) fn registrar(&self) -> Registrar {
        Registrar { registry: self.registry.clone() }
    }

    /// The version that is running.
    pub fn build_info(&self, version: &str, librdkafka: &str) {
        self.build_info.with_label_values(&[version, librdkafka]).set(1);
    }

    /// Configuration number `generation` is live now, perhaps except for parts that need a restart.
    pub fn config_live(&self, generation: u64, at: Timestamp, needs_restart: bool) {
        self.config_needs_restart.set(i64::from(needs_restart));
        self.config_generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.config_reloaded.set(1);
        self.config_reloaded_at.set(at.as_second());
    }

    /// Counts the admin server's connections.
    #[must_use]
    pub fn admin_listener(&self) -> ListenerTelemetry {
        ListenerTelemetry::new(listener::ADMIN, &self.admin_connections, &self.admin_refused)
    }

    /// Counts the webhook's connections and calls.
    #[must_use]
    pub fn webhook_calls(&self) -> CallTelemetry {
        let listener = ListenerTelemetry::new(listener::WEBHOOK, &self.webhook_connections, &self.webhook_requests);
        CallTelemetry::new(self.webhook_requests.clone(), self.webhook_ack.clone(), listener)
    }

    /// 1 while file descriptors have run out.
    #[must_use]
    pub fn files_exhausted(&self) -> IntGauge {
        self.files_exhausted.clone()
    }

    /// A configuration was refused; the previous one stays live.
    pub fn config_refused(&self) {
        self.config_reloaded.set(0);
    }

    /// Removes all series of instances that are no longer polled. Series that are made from the board disappear by
    /// themselves.
    pub fn forget(&self, gone: &HashSet<InstanceId>) {
        self.instances.forget(&gone.iter().map(ToString::to_string).collect());
    }

    /// A collector took this many spans.
    pub fn spans_exported(&self, spans: usize) {
        self.spans_exported.inc_by(spans as u64);
    }

    /// This many spans will never reach the collector.
    pub fn spans_dropped(&self, reason: &'static str, spans: usize) {
        self.spans_dropped.with_label_values(&[reason]).inc_by(spans as u64);
    }

    /// How many spans were lost so far.
    #[must_use]
    pub fn spans_dropped_so_far(&self) -> u64 {
        let of = |reason| self.spans_dropped.with_label_values(&[reason]).get();
        of("queue_full") + of("export_failed")
    }

    /// Whether Kafka takes records.
    pub fn kafka_up(&self, up: bool) {
        self.kafka_up.set(i64::from(up));
    }
}
