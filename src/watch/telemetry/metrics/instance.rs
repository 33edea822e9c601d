//! One instance's share of the metrics.

use std::sync::Arc;

use prometheus::{IntCounter, IntCounterVec, IntGauge};

use super::Metrics;
use chatbridge_event::event::InstanceId;

/// One instance's metrics, looked up once.
pub(in crate::watch::telemetry) struct InstanceMetrics {
    pub(in crate::watch::telemetry) all: Arc<Metrics>,
    label: String,
    pub(in crate::watch::telemetry) received: IntCounter,
    pub(in crate::watch::telemetry) deleted: IntCounter,
    pub(in crate::watch::telemetry) repeats_suppressed: IntCounter,
    pub(in crate::watch::telemetry) foreign_instance: IntCounter,
    pub(in crate::watch::telemetry) rival_suspected: IntCounter,
    pub(in crate::watch::telemetry) poller_restarts: IntCounter,
    pub(in crate::watch::telemetry) up: IntGauge,
}

impl InstanceMetrics {
    pub(in crate::watch::telemetry) fn new(metrics: &Arc<Metrics>, instance: InstanceId) -> Self {
        let label = instance.to_string();
        let of = |family: &IntCounterVec| family.with_label_values(&[&label]);
        Self {
            received: of(&metrics.instances.received),
            deleted: of(&metrics.instances.deleted),
            repeats_suppressed: of(&metrics.instances.repeats_suppressed),
            foreign_instance: of(&metrics.instances.foreign_instance),
            rival_suspected: of(&metrics.instances.rival_suspected),
            poller_restarts: of(&metrics.instances.poller_restarts),
            up: metrics.instances.instance_up.with_label_values(&[&label]),
            all: Arc::clone(metrics),
            label,
        }
    }

    pub(in crate::watch::telemetry) fn published(&self, kind: &str) {
        self.all.instances.published.with_label_values(&[self.label.as_str(), kind]).inc();
    }

    pub(in crate::watch::telemetry) fn dead_lettered(&self, reason: &str) {
        self.all.instances.dead_letters.with_label_values(&[self.label.as_str(), reason]).inc();
    }

    pub(in crate::watch::telemetry) fn dropped(&self, reason: &str) {
        self.all.instances.dropped.with_label_values(&[self.label.as_str(), reason]).inc();
    }

    pub(in crate::watch::telemetry) fn caller_looked_up(&self, outcome: &str) {
        self.all.instances.caller_lookups.with_label_values(&[self.label.as_str(), outcome]).inc();
    }

    pub(in crate::watch::telemetry) fn source_error(&self, class: &str) {
        self.all.instances.source_errors.with_label_values(&[self.label.as_str(), class]).inc();
    }
}
