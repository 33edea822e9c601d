//! What an operator can see: metrics for machines, the status board for people.
//!
//! Other modules report what happened in their own terms (`received`, `published`, `deleted` …). Only this module
//! decides how that is counted and shown. Labels are bounded: instance, kind, reason, class. No chat, no phone number,
//! no text.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use crate::core::policy::DropReason;
use crate::core::prepared::Prepared;
use crate::core::publish::PublishError;
use crate::core::settled::Outcome;
use crate::core::witness::Witness;
use chatbridge_event::event::{DeadLetterReason, Event, Instance, InstanceId, Kind};

pub mod chatapp;
pub mod chatapp_view;
pub mod config;
pub mod loss_radar;
pub mod loss_watch;
pub mod metrics;
pub mod scrape;
pub mod spans;
pub mod status;
pub mod words;

use metrics::{InstanceMetrics, Metrics};
use parking_lot::Mutex;
use spans::{InstanceSpans, SpanQueue};
use status::InstanceStatus;
use words::{NOT_CALLED, NOT_CALLED_ADVICE, PANIC, Phase, RIVAL_ADVICE};

/// Everything that one instance's poller reports.
pub struct InstanceTelemetry {
    instance: InstanceId,
    metrics: InstanceMetrics,
    status: Arc<InstanceStatus>,
    foreign_instance_told: AtomicBool,
    spans: Option<InstanceSpans>,
    /// Present only when webhook calls are listened to.
    calls: Mutex<Option<u64>>,
}

impl InstanceTelemetry {
    /// Telemetry of `instance`, counted in `metrics`, shown through `status`.
    #[must_use]
    pub fn new(metrics: &Arc<Metrics>, status: Arc<InstanceStatus>) -> Self {
        let instance = status.instance();
        let metrics = InstanceMetrics::new(metrics, instance);
        let (foreign_instance_told, calls) = (AtomicBool::new(false), Mutex::default());
        Self { instance, metrics, status, foreign_instance_told, spans: None, calls }
    }

    /// Makes spans of what is reported, too.
    #[must_use]
    pub fn with_spans(self, queue: Option<SpanQueue>) -> Self {
        let spans = queue.map(|queue| InstanceSpans::new(queue, self.instance));
        Self { spans, ..self }
    }

    /// The instance.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.instance
    }

    /// A poll begins.
    pub fn polling(&self) {
        self.status.set_phase(Phase::Polling);
        self.span(InstanceSpans::polling);
    }

    /// GREEN-API's calls are listened to.
    pub fn listening(&self) {
        self.with_calls(|calls| {
            calls.get_or_insert(0);
        });
        self.status.listening();
        self.metrics.up.set(1);
    }

    /// A webhook call has come, whatever its outcome.
    pub fn called(&self) {
        self.with_calls(|calls| *calls.get_or_insert(0) += 1);
    }

    /// How many webhook calls have come; `None` if none are listened to.
    #[must_use]
    pub fn calls(&self) -> Option<u64> {
        self.with_calls(|calls| *calls)
    }

    fn with_calls<T>(&self, look: impl FnOnce(&mut Option<u64>) -> T) -> T {
        look(&mut self.calls.lock())
    }

    /// Notifications wait at GREEN-API, but it does not call.
    pub fn not_called(&self) {
        self.metrics.source_error(NOT_CALLED);
        self.metrics.up.set(0);
        let message = format!("notifications wait at GREEN-API, which does not call: {NOT_CALLED_ADVICE}");
        self.status.failed(NOT_CALLED, &message);
    }

    /// Nothing is left that a call would have to bring.
    pub fn nothing_to_call_for(&self) {
        if self.status.nothing_to_call_for() {
            self.metrics.up.set(1);
        }
    }

    /// A webhook call was answered with 200: GREEN-API deletes what it brought.
    pub fn acknowledged(&self) {
        self.metrics.deleted.inc();
        self.metrics.up.set(1);
        self.status.acknowledged();
    }

    /// A webhook call was not answered with 200: GREEN-API sends the same again.
    pub fn not_acknowledged(&self) {
        self.metrics.source_error("not_acknowledged");
        self.metrics.up.set(0);
    }

    /// A poll found nothing.
    pub fn queue_empty(&self) {
        self.status.queue_empty();
        self.metrics.up.set(1);
    }

    /// A notification was received.
    pub fn received(&self, prepared: &Prepared) {
        self.metrics.received.inc();
        self.metrics.up.set(1);
        let kind = prepared.event().map_or("dead_letter", |event| event.kind.name());
        self.status.received(kind, prepared.event_time());
        self.span(|spans| spans.received(prepared));
    }

    /// The name of a caller was looked up.
    pub fn caller_looked_up(&self, outcome: &'static str) {
        self.metrics.caller_looked_up(outcome);
    }

    /// The notification was deleted from the queue.
    pub fn deleted(&self, took: Duration) {
        self.metrics.deleted.inc();
        self.metrics.all.delete.observe(took.as_secs_f64());
        self.status.deleted();
        self.span(|spans| spans.delete_ended("deleted", false));
    }

    /// The notification was already gone when we deleted it.
    pub fn already_gone(&self) {
        self.metrics.source_error("already_gone");
        self.status.deleted();
        self.span(|spans| spans.delete_ended("already_gone", false));
    }

    /// An answer came that says nothing about the queue. This is normal unless it lasts.
    pub fn no_answer(&self, class: &'static str) {
        self.metrics.source_error(class);
    }

    /// A connection was closed before an answer came. The request is repeated at once, so this is no trouble yet.
    pub fn connection_closed(&self) {
        const CLASS: &str = "closed";
        self.metrics.source_error(CLASS);
        self.span(|spans| spans.delete_ended(CLASS, true));
    }

    /// The answer to a delete does not say whether it worked.
    pub fn delete_unclear(&self) {
        self.metrics.source_error("delete_unclear");
        self.span(|spans| spans.delete_ended("unclear", true));
    }

    /// The notification that was settled last came again and was not published again.
    pub fn repeat_suppressed(&self) {
        self.metrics.repeats_suppressed.inc();
        self.span(InstanceSpans::repeat_suppressed);
    }

    /// Receiving or deleting failed; the instance is now in this phase.
    pub fn source_failed(&self, class: &'static str, detail: &str, phase: Phase) {
        self.metrics.source_error(class);
        self.span(|spans| spans.delete_ended(class, true));
        self.metrics.up.set(0);
        self.status.failed(class, detail);
        self.status.set_phase(phase);
    }

    /// A body named another instance. True the first time.
    pub fn foreign_instance(&self) -> bool {
        self.metrics.foreign_instance.inc();
        !self.foreign_instance_told.swap(true, Ordering::Relaxed)
    }

    /// Another consumer probably reads the same queue.
    pub fn rival_suspected(&self) {
        self.metrics.rival_suspected.inc();
        self.status.rival_suspected(&format!("someone else is reading this instance; {RIVAL_ADVICE}"));
    }

    /// The poller panicked and is started again.
    pub fn poller_panicked(&self) {
        self.metrics.poller_restarts.inc();
        self.metrics.up.set(0);
        self.status.failed(PANIC, "the poller panicked and is started again: please report the log line");
    }

    /// The instance's state, as asked for or as reported by an event.
    pub fn state_seen(&self, state: &str) {
        self.status.set_state(state);
    }

    /// How many notifications wait at GREEN-API.
    pub fn queue_depth(&self, depth: i64) {
        self.status.set_queue_depth(depth);
    }

    /// The poller has ended.
    pub fn stopped(&self) {
        self.metrics.up.set(0);
        self.status.set_phase(Phase::Stopped);
    }

    fn span(&self, happened: impl FnOnce(&InstanceSpans)) {
        if let Some(spans) = &self.spans {
            happened(spans);
        }
    }
}

impl Witness for InstanceTelemetry {
    type InFlight = InFlight;

    fn in_flight(&self) -> InFlight {
        self.metrics.all.in_flight.inc();
        self.status.set_in_hand(true);
        InFlight { metrics: Arc::clone(&self.metrics.all), status: Arc::clone(&self.status) }
    }

    fn published(&self, event: &Event, took: Duration) {
        self.metrics.published(event.kind.name());
        self.metrics.all.receive_to_ack.observe(took.as_secs_f64());
        if let Some(time) = event.time {
            let age = Timestamp::now().duration_since(time).as_secs_f64();
            self.metrics.all.event_age.observe(age.max(0.0));
        }
        if let Kind::InstanceState(Instance { state: Some(state), .. }) = &event.kind {
            self.state_seen(state.as_str());
        }
    }

    fn settled(&self, prepared: &Prepared, topic: Option<&Arc<str>>, outcome: &Outcome, took: Duration) {
        self.span(|spans| spans.settled(prepared, topic, outcome, took));
    }

    fn dead_lettered(&self, reason: DeadLetterReason) {
        self.metrics.dead_lettered(reason.as_str());
    }

    fn dropped(&self, reason: DropReason) {
        self.metrics.dropped(reason.as_str());
    }

    fn publish_failed(&self, failure: &PublishError) {
        self.metrics.all.publish_errors.with_label_values(&[failure.class()]).inc();
        self.status.failed("kafka", &failure.to_string());
    }

    fn parked(&self, detail: &str) {
        self.status.failed("parked", detail);
        self.status.set_phase(Phase::Parked);
    }
}

/// A delivery in flight; counted until it is dropped.
pub struct InFlight {
    metrics: Arc<Metrics>,
    status: Arc<InstanceStatus>,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        self.status.set_in_hand(false);
    }
}
