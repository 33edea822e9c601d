//! One channel: its counters, and what `/status` shows of it.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use prometheus::{IntCounter, IntGauge};
use serde::Serialize;
use serde_with::skip_serializing_none;
use tokio::time::Instant;

use super::super::metrics::Metrics;
use super::super::words::{LastError, LastEvent};
use super::metrics::ChatAppMetrics;
use crate::core::policy::DropReason;
use crate::core::prepared::Prepared;
use crate::core::publish::PublishError;
use crate::core::settled::Outcome;
use crate::core::witness::Witness;
use chatbridge_event::event::{DeadLetterReason, Event, Gap, GapReason};

/// What a channel is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelState {
    /// Not subscribed: no connection, or its turn has not come.
    Waiting,
    /// Events are pushed to us.
    Subscribed,
    /// The subscription is refused; tried again.
    Refused,
}

/// What `/status` shows of a channel.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub struct ChannelView {
    /// Its short name, as in the metrics' label.
    pub channel: String,
    /// What it is doing.
    pub state: ChannelState,
    /// Since when.
    pub since: Timestamp,
    /// The latest event.
    pub last_event: Option<LastEvent>,
    /// Events that Kafka has of it, by this process.
    pub published: u64,
    /// Stretches that may be missing, since this process began.
    pub gaps: u64,
    /// The latest of them.
    pub last_gap: Option<GapView>,
    /// Whether messages of a gap are still to be fetched.
    pub backfill_pending: bool,
    /// Messages that were fetched because their push had been missed.
    pub backfilled: u64,
    /// Messages that were never pushed though the channel was subscribed.
    pub reconciled: u64,
    /// The latest failure; it stays visible after things went well again, with its time.
    pub last_error: Option<LastError>,
}

/// A stretch that may be missing.
#[derive(Debug, Clone, Serialize)]
pub struct GapView {
    /// Heard until then.
    pub from: Timestamp,
    /// Heard again from then on.
    pub to: Timestamp,
    /// Why.
    pub reason: GapReason,
}

/// The telemetry of one channel.
pub struct ChannelTelemetry {
    label: String,
    all: Arc<Metrics>,
    metrics: Arc<ChatAppMetrics>,
    repeats_suppressed: IntCounter,
    backfilled: IntCounter,
    reconciled: IntCounter,
    inner: Mutex<Inner>,
}

struct Inner {
    state: ChannelState,
    since: Timestamp,
    last_event: Option<LastEvent>,
    published: u64,
    gaps: u64,
    last_gap: Option<GapView>,
    backfill_pending: bool,
    last_error: Option<LastError>,
    /// How many events wait for Kafka, and since when the oldest does.
    in_hand: Option<(Instant, usize)>,
}

impl ChannelTelemetry {
    pub(super) fn new(label: &str, all: Arc<Metrics>, metrics: Arc<ChatAppMetrics>) -> Self {
        let inner = Inner {
            state: ChannelState::Waiting,
            since: Timestamp::now(),
            last_event: None,
            published: 0,
            gaps: 0,
            last_gap: None,
            backfill_pending: false,
            last_error: None,
            in_hand: None,
        };
        Self {
            label: label.to_owned(),
            repeats_suppressed: metrics.repeats_suppressed.with_label_values(&[label]),
            backfilled: metrics.backfilled.with_label_values(&[label]),
            reconciled: metrics.reconciled.with_label_values(&[label]),
            all,
            metrics,
            inner: Mutex::new(inner),
        }
    }

    /// It is to be subscribed, but is not yet.
    pub(super) fn expected(&self) {
        self.subscribed_gauge().set(0);
        self.set_pending(false);
    }

    /// Its state changed.
    pub fn is(&self, state: ChannelState, at: Timestamp) {
        self.subscribed_gauge().set(i64::from(state == ChannelState::Subscribed));
        let mut inner = self.inner.lock();
        if inner.state != state {
            (inner.state, inner.since) = (state, at);
        }
    }

    /// Something went wrong; `class` is a short fixed word.
    pub fn failed(&self, class: &str, message: &str) {
        let error = LastError { class: class.to_owned(), message: message.to_owned(), at: Timestamp::now() };
        self.inner.lock().last_error = Some(error);
    }

    /// It has a gap that consumers are told of.
    pub fn gap(&self, gap: &Gap) {
        self.metrics.gaps.with_label_values(&[&self.label, gap.reason.as_str()]).inc();
        let mut inner = self.inner.lock();
        inner.gaps += 1;
        inner.last_gap = Some(GapView { from: gap.from, to: gap.to, reason: gap.reason });
    }

    /// Whether messages of a gap are still to be fetched.
    pub fn set_pending(&self, pending: bool) {
        self.metrics.backfill_pending.with_label_values(&[&self.label]).set(i64::from(pending));
        self.inner.lock().backfill_pending = pending;
    }

    /// A back-fill did not get everything.
    pub fn backfill_failed(&self, why: &str) {
        self.metrics.backfill_failures.with_label_values(&[&self.label]).inc();
        self.failed("backfill", why);
    }

    /// An event was received.
    pub fn received(&self, event: &Event, at: Timestamp) {
        let last = LastEvent { kind: event.kind.name(), received_at: at, time: event.time };
        self.inner.lock().last_event = Some(last);
    }

    /// An event came before and is not published again.
    pub fn repeat_suppressed(&self) {
        self.repeats_suppressed.inc();
    }

    /// A message of a gap was fetched, and was new.
    pub fn backfilled(&self) {
        self.backfilled.inc();
    }

    /// A message was found that was never pushed.
    pub fn reconciled(&self) {
        self.reconciled.inc();
    }

    /// How long its oldest waiting event has waited for Kafka.
    #[must_use]
    pub fn waiting_for_kafka(&self) -> Option<Duration> {
        self.inner.lock().in_hand.map(|(since, _)| since.elapsed())
    }

    /// The current state.
    #[must_use]
    pub fn view(&self) -> ChannelView {
        let inner = self.inner.lock();
        ChannelView {
            channel: self.label.clone(),
            state: inner.state,
            since: inner.since,
            last_event: inner.last_event.clone(),
            published: inner.published,
            gaps: inner.gaps,
            last_gap: inner.last_gap.clone(),
            backfill_pending: inner.backfill_pending,
            backfilled: self.backfilled.get(),
            reconciled: self.reconciled.get(),
            last_error: inner.last_error.clone(),
        }
    }

    fn subscribed_gauge(&self) -> IntGauge {
        self.metrics.subscribed.with_label_values(&[&self.label])
    }
}

impl Witness for Arc<ChannelTelemetry> {
    type InFlight = InFlight;

    fn in_flight(&self) -> InFlight {
        self.all.in_flight.inc();
        let mut inner = self.inner.lock();
        let (_, in_hand) = inner.in_hand.get_or_insert_with(|| (Instant::now(), 0));
        *in_hand += 1;
        InFlight(Arc::clone(self))
    }

    fn published(&self, event: &Event, took: Duration) {
        self.metrics.published.with_label_values(&[self.label.as_str(), event.kind.name()]).inc();
        self.all.receive_to_ack.observe(took.as_secs_f64());
        if let Some(time) = event.time {
            self.all.event_age.observe(Timestamp::now().duration_since(time).as_secs_f64().max(0.0));
        }
        self.inner.lock().published += 1;
    }

    fn dead_lettered(&self, reason: DeadLetterReason) {
        self.metrics.dead_letters.with_label_values(&[self.label.as_str(), reason.as_str()]).inc();
    }

    fn dropped(&self, reason: DropReason) {
        self.metrics.dropped.with_label_values(&[self.label.as_str(), reason.as_str()]).inc();
    }

    fn publish_failed(&self, failure: &PublishError) {
        self.all.publish_errors.with_label_values(&[failure.class()]).inc();
        self.failed("kafka", &failure.to_string());
    }

    fn parked(&self, detail: &str) {
        self.failed("parked", detail);
    }

    fn settled(&self, _: &Prepared, _: Option<&Arc<str>>, _: &Outcome, _: Duration) {}
}

/// A delivery in flight; counted until it is dropped.
pub struct InFlight(Arc<ChannelTelemetry>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.all.in_flight.dec();
        let mut inner = self.0.inner.lock();
        // Whoever is still waiting began later; when exactly does not matter so much.
        inner.in_hand =
            inner.in_hand.filter(|(_, in_hand)| *in_hand > 1).map(|(_, in_hand)| (Instant::now(), in_hand - 1));
    }
}
