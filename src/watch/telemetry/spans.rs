//! The spans of an event: receive, publish and delete, made from what its instance's telemetry reports.
//!
//! ```text
//! receive                       from the start of the poll; for a webhook call it has no length
//! ├─ publish                    named by the record's `traceparent`; until Kafka's acknowledgement
//! │  └─ (whatever consumers do)
//! └─ delete                     one for each try
//! ```
//!
//! The delivery path knows nothing of spans. An event that is received again belongs to the same trace, with a
//! `receive` span of its own. A span holds instance, kind, event id, topic, partition and outcome, and nothing about
//! people or what they write.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::mpsc;

use super::metrics::Metrics;
use crate::core::prepared::Prepared;
use crate::core::settled::Outcome;
use chatbridge_event::event::{EventId, InstanceId};
use chatbridge_event::trace::{Sampling, SpanId};

/// The step that a span describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A notification was received.
    Receive,
    /// It was published to Kafka.
    Publish,
    /// It was deleted upstream, or that was tried.
    Delete,
}

impl Step {
    /// The span's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Publish => "publish",
            Self::Delete => "delete",
        }
    }
}

/// One step of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The event, which determines the trace.
    pub event: EventId,
    /// Its id.
    pub id: SpanId,
    /// The parent span.
    pub parent: Option<SpanId>,
    /// The step.
    pub step: Step,
    /// The topic, for a publish.
    pub topic: Option<Arc<str>>,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Attributes, named as in OpenTelemetry's semantic conventions or starting with `chatbridge.`.
    pub attributes: Vec<(&'static str, String)>,
    /// The error type, a fixed word.
    pub error: Option<&'static str>,
}

/// The queue to the exporter. Nothing waits for it: a span that finds no room is counted and dropped.
#[derive(Clone)]
pub struct SpanQueue {
    sender: mpsc::Sender<Span>,
    sampling: Sampling,
    metrics: Arc<Metrics>,
}

impl SpanQueue {
    /// A queue for this many spans of the traces that `sampling` includes, and its receiver.
    #[must_use]
    pub fn new(spans_max: usize, sampling: Sampling, metrics: Arc<Metrics>) -> (Self, mpsc::Receiver<Span>) {
        let (sender, receiver) = mpsc::channel(spans_max);
        (Self { sender, sampling, metrics }, receiver)
    }

    fn offer(&self, span: Span) {
        if self.sender.try_send(span).is_err() {
            self.metrics.spans_dropped("queue_full", 1);
        }
    }
}

/// Makes one instance's spans.
pub(super) struct InstanceSpans {
    queue: SpanQueue,
    instance: InstanceId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    polled_at: Option<Timestamp>,
    in_hand: Option<InHand>,
}

/// What was received last, for its delete. Only a poller deletes, and it has one notification in flight.
struct InHand {
    event: EventId,
    receive: SpanId,
    /// The time from which only the delete was left to do.
    settled_at: Option<Timestamp>,
}

impl InstanceSpans {
    pub(super) fn new(queue: SpanQueue, instance: InstanceId) -> Self {
        Self { queue, instance, state: Mutex::default() }
    }

    pub(super) fn polling(&self) {
        *self.state() = State { polled_at: Some(Timestamp::now()), in_hand: None };
    }

    pub(super) fn received(&self, prepared: &Prepared) {
        let mut state = self.state();
        let polled_at = state.polled_at.take();
        state.in_hand = None;
        if !self.queue.sampling.includes(prepared.id()) {
            return;
        }
        let id = receive_span(prepared);
        state.in_hand = Some(InHand { event: prepared.id(), receive: id, settled_at: None });
        drop(state);
        let end = prepared.first_seen();
        let start = polled_at.filter(|at| *at <= end).unwrap_or(end);
        let mut attributes = self.attributes(Step::Receive, "receive", prepared.id());
        attributes.push(("chatbridge.kind", kind(prepared).to_owned()));
        attributes.extend(prepared.event_time().map(|time| ("chatbridge.event_time", time.to_string())));
        let event = prepared.id();
        let span =
            Span { event, id, parent: None, step: Step::Receive, topic: None, start, end, attributes, error: None };
        self.queue.offer(span);
    }

    /// What was received was published to `topic`, or dropped. The stored state is not used: if a source receives
    /// several notifications at once, none may get another's parent.
    pub(super) fn settled(&self, prepared: &Prepared, topic: Option<&Arc<str>>, outcome: &Outcome, took: Duration) {
        let event = prepared.id();
        if !self.queue.sampling.includes(event) {
            return;
        }
        let end = Timestamp::now();
        if let Some(in_hand) = self.state().in_hand.as_mut().filter(|in_hand| in_hand.event == event) {
            in_hand.settled_at = Some(end);
        }
        let (word, delivered, error) = match outcome {
            Outcome::Published(delivered) => ("published", delivered, None),
            Outcome::DeadLettered(delivered, reason) => ("dead_lettered", delivered, Some(reason.as_str())),
            // Nothing was published.
            Outcome::Dropped(_) => return,
        };
        let mut attributes = self.attributes(Step::Publish, "send", event);
        attributes.extend(topic.map(|topic| ("messaging.destination.name", topic.to_string())));
        attributes.push(("messaging.destination.partition.id", delivered.partition().to_string()));
        attributes.push(("chatbridge.kind", kind(prepared).to_owned()));
        attributes.push(("chatbridge.outcome", word.to_owned()));
        self.queue.offer(Span {
            event,
            id: SpanId::publish(event),
            parent: Some(receive_span(prepared)),
            step: Step::Publish,
            topic: topic.cloned(),
            start: end.checked_sub(took).unwrap_or(end),
            end,
            attributes,
            error,
        });
    }

    /// What was received is in Kafka already and only has to be deleted.
    pub(super) fn repeat_suppressed(&self) {
        if let Some(in_hand) = &mut self.state().in_hand {
            in_hand.settled_at = Some(Timestamp::now());
        }
    }

    /// A delete has ended. If there was no notification to delete, something else ended.
    pub(super) fn delete_ended(&self, outcome: &'static str, is_error: bool) {
        let Some(InHand { event, receive, settled_at: Some(start) }) = self.state().in_hand.take() else { return };
        let mut attributes = self.attributes(Step::Delete, "settle", event);
        attributes.push(("chatbridge.outcome", outcome.to_owned()));
        self.queue.offer(Span {
            event,
            id: SpanId::of_step(event, Step::Delete.as_str(), start),
            parent: Some(receive),
            step: Step::Delete,
            topic: None,
            start,
            end: Timestamp::now().max(start),
            attributes,
            error: is_error.then_some(outcome),
        });
    }

    fn attributes(&self, step: Step, kind_of_operation: &str, event: EventId) -> Vec<(&'static str, String)> {
        let system = if step == Step::Publish { "kafka" } else { "green_api" };
        vec![
            ("messaging.system", system.to_owned()),
            ("messaging.operation.name", step.as_str().to_owned()),
            ("messaging.operation.type", kind_of_operation.to_owned()),
            ("messaging.message.id", event.to_string()),
            ("chatbridge.instance", self.instance.to_string()),
        ]
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// Each receive has a span of its own, identified by the notification as it was received.
fn receive_span(prepared: &Prepared) -> SpanId {
    SpanId::of_step(prepared.id(), Step::Receive.as_str(), prepared.first_seen())
}

fn kind(prepared: &Prepared) -> &'static str {
    prepared.event().map_or("dead_letter", |event| event.kind.name())
}

#[cfg(test)]
mod tests;
