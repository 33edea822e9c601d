//! The families that have a series for each instance.

use std::collections::{HashMap, HashSet};

use prometheus::core::{Collector as _, MetricVec, MetricVecBuilder};
use prometheus::{IntCounterVec, IntGaugeVec};

use super::Registrar;

/// Counted as things happen.
pub(in crate::watch::telemetry) struct InstanceFamilies {
    pub(in crate::watch::telemetry) received: IntCounterVec,
    pub(in crate::watch::telemetry) published: IntCounterVec,
    pub(in crate::watch::telemetry) deleted: IntCounterVec,
    pub(in crate::watch::telemetry) repeats_suppressed: IntCounterVec,
    pub(in crate::watch::telemetry) dead_letters: IntCounterVec,
    pub(in crate::watch::telemetry) dropped: IntCounterVec,
    pub(in crate::watch::telemetry) source_errors: IntCounterVec,
    pub(in crate::watch::telemetry) caller_lookups: IntCounterVec,
    pub(in crate::watch::telemetry) foreign_instance: IntCounterVec,
    pub(in crate::watch::telemetry) rival_suspected: IntCounterVec,
    pub(in crate::watch::telemetry) poller_restarts: IntCounterVec,
    pub(in crate::watch::telemetry) instance_up: IntGaugeVec,
}

impl InstanceFamilies {
    pub(super) fn new(r: &Registrar) -> Self {
        let instance = &["instance"];
        Self {
            received: r.counters(
                "notifications_received_total",
                "Notifications handed out or pushed by GREEN-API",
                instance,
            ),
            published: r.counters("events_published_total", "Events acknowledged by Kafka", &["instance", "kind"]),
            deleted: r.counters(
                "notifications_deleted_total",
                "Notifications GREEN-API may forget: deleted from its queue, or answered with 200",
                instance,
            ),
            repeats_suppressed: r.counters(
                "repeats_suppressed_total",
                "Redeliveries recognised and not published again",
                instance,
            ),
            dead_letters: r.counters(
                "dead_letters_total",
                "Dead letters acknowledged by Kafka",
                &["instance", "reason"],
            ),
            dropped: r.counters(
                "events_dropped_total",
                "Events deleted unpublished because the configuration says so",
                &["instance", "reason"],
            ),
            source_errors: r.counters(
                "source_errors_total",
                "Receives and deletes that failed",
                &["instance", "class"],
            ),
            caller_lookups: r.counters(
                "caller_lookups_total",
                "Callers whose name was wanted, by what came of it",
                &["instance", "outcome"],
            ),
            foreign_instance: r.counters(
                "foreign_instance_total",
                "Notifications that name another instance than the polled one",
                instance,
            ),
            rival_suspected: r.counters(
                "rival_suspected_total",
                "Times another consumer of the instance was suspected",
                instance,
            ),
            poller_restarts: r.counters("poller_restarts_total", "Pollers started again after a panic", instance),
            instance_up: r.gauges("instance_up", "Whether the instance's last request succeeded", instance),
        }
    }

    /// Removes every series of these instances.
    pub(super) fn forget(&self, gone: &HashSet<String>) {
        for family in [
            &self.received,
            &self.published,
            &self.deleted,
            &self.repeats_suppressed,
            &self.dead_letters,
            &self.dropped,
            &self.source_errors,
            &self.caller_lookups,
            &self.foreign_instance,
            &self.rival_suspected,
            &self.poller_restarts,
        ] {
            forget_in(family, gone);
        }
        forget_in(&self.instance_up, gone);
    }
}

/// Taken from the status board at each scrape.
pub(in crate::watch::telemetry) struct BoardFamilies {
    pub(in crate::watch::telemetry) instance_state: IntGaugeVec,
    pub(in crate::watch::telemetry) instance_phase: IntGaugeVec,
    pub(in crate::watch::telemetry) head_age: IntGaugeVec,
    pub(in crate::watch::telemetry) until_loss: IntGaugeVec,
    pub(in crate::watch::telemetry) loss_level: IntGaugeVec,
    pub(in crate::watch::telemetry) queue_depth: IntGaugeVec,
}

impl BoardFamilies {
    pub(super) fn new(r: &Registrar) -> Self {
        let instance = &["instance"];
        Self {
            instance_state: r.gauges("instance_state", "1 for the state the instance is in", &["instance", "state"]),
            instance_phase: r.gauges(
                "instance_phase",
                "1 for what the instance's poller is doing",
                &["instance", "phase"],
            ),
            head_age: r.gauges(
                "head_age_seconds",
                "Age of the latest head of the queue; 0 once an answer has shown the queue to be empty",
                instance,
            ),
            until_loss: r.gauges(
                "seconds_until_loss",
                "Until GREEN-API's 24 hours take what is at the head of the queue",
                instance,
            ),
            loss_level: r.gauges(
                "loss_level",
                "How close the head is to being forgotten: 0 well, 1 warn (loss_warn_after_seconds), 2 alarm",
                instance,
            ),
            queue_depth: r.gauges("queue_depth", "Notifications waiting at GREEN-API, as it said lately", instance),
        }
    }
}

/// Removes the series of some instances, whatever their other labels.
fn forget_in<B: MetricVecBuilder>(family: &MetricVec<B>, gone: &HashSet<String>) {
    for series in family.collect().iter().flat_map(|family| family.get_metric()) {
        let labels: HashMap<&str, &str> = series.get_label().iter().map(|pair| (pair.name(), pair.value())).collect();
        if labels.get("instance").is_some_and(|instance| gone.contains(*instance)) {
            // Gone already is as good.
            let _ = family.remove(&labels);
        }
    }
}
