use std::collections::VecDeque;

use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::config::{CallPolicy, Calls, Events};
use crate::core::bridge::Bridge;
use crate::core::policy::Policy;
use crate::core::publish::PublishError;
use crate::core::publish::memory::MemoryPublisher;
use crate::core::settled::Settled;
use crate::green_api::poll::poller::Poller;
use crate::green_api::poll::weather::Pacing;
use crate::green_api::queue::{Deletion, NotificationQueue, QueueError, Receipt, Received};
use crate::watch::telemetry::InstanceTelemetry;
use crate::watch::telemetry::status::StatusBoard;
use crate::watch::telemetry::words::Phase;
use chatbridge_event::event::{Body, DeadLetterReason, Notification};
use chatbridge_event::record::RecordFactory;

const TEXT: &str = r#"{"typeWebhook":"incomingMessageReceived","timestamp":1760000000,
    "senderData":{"chatId":"79001234567@c.us","senderName":"Somebody"},
    "messageData":{"typeMessage":"textMessage","textMessageData":{"textMessage":"SECRET"}}}"#;
const CALL: &str = r#"{"typeWebhook":"incomingCall","from":"79001234567@c.us"}"#;

fn notification(body: &str) -> Notification {
    let body = Body::Json(RawValue::from_string(body.to_owned()).expect("JSON"));
    Notification { instance: InstanceId::new(1), receipt_id: None, body }
}

/// Hands out and answers as planned; then its poll hangs.
struct Planned {
    receives: Mutex<VecDeque<Result<&'static str, QueueError>>>,
    deletes: Mutex<VecDeque<Result<Deletion, QueueError>>>,
}

impl NotificationQueue for Planned {
    async fn receive(&self) -> Result<Option<Received>, QueueError> {
        let next = self.receives.lock().pop_front();
        let Some(answer) = next else { return std::future::pending().await };
        answer.map(|body| {
            Some(Received { receipt: Receipt::new("7").expect("digits"), notification: notification(body) })
        })
    }

    async fn delete(&self, _receipt: Receipt, _proof: &Settled) -> Result<Deletion, QueueError> {
        self.deletes.lock().pop_front().unwrap_or(Ok(Deletion::Deleted))
    }
}

struct Scene {
    publisher: Arc<MemoryPublisher>,
    bridge: Arc<Bridge<Arc<MemoryPublisher>>>,
    telemetry: Arc<InstanceTelemetry>,
    metrics: Arc<Metrics>,
    spans: mpsc::Receiver<Span>,
}

impl Scene {
    fn new(spans_max: usize, percent: u8) -> Self {
        let sampling = Sampling::percent(percent);
        let metrics = Arc::new(Metrics::new());
        let (queue, spans) = SpanQueue::new(spans_max, sampling, Arc::clone(&metrics));
        let status = StatusBoard::default().add(InstanceId::new(1));
        let telemetry = Arc::new(InstanceTelemetry::new(&metrics, status).with_spans(Some(queue)));
        let publisher = Arc::new(MemoryPublisher::default());
        let records = RecordFactory { traceparent: Some(sampling), ..RecordFactory::default() };
        let calls = Calls { publish: CallPolicy::None, ..Calls::default() };
        let bridge = Bridge::new(Arc::clone(&publisher), records, Policy::new(Events::default(), calls));
        Self { publisher, bridge: Arc::new(bridge), telemetry, metrics, spans }
    }

    async fn polled(
        &mut self,
        receives: impl IntoIterator<Item = Result<&'static str, QueueError>>,
        deletes: impl IntoIterator<Item = Result<Deletion, QueueError>>,
    ) -> Vec<Span> {
        let receives = Mutex::new(receives.into_iter().collect());
        let queue = Planned { receives, deletes: Mutex::new(deletes.into_iter().collect()) };
        let second = Duration::from_secs(1);
        let pacing = Pacing {
            receive_timeout: second,
            retry_min: second,
            retry_max: second,
            misconfigured_retry: second,
            overlap_delete: false,
        };
        let poller = Poller::new(queue, Arc::clone(&self.bridge), pacing, Arc::clone(&self.telemetry));
        let run = async { poller.run(CancellationToken::new(), &mut None).await };
        assert!(tokio::time::timeout(Duration::from_secs(3600), run).await.is_err(), "it waits in a poll");
        self.told()
    }

    fn told(&mut self) -> Vec<Span> {
        std::iter::from_fn(|| self.spans.try_recv().ok()).collect()
    }

    fn header(&self, record: usize) -> String {
        let headers = &self.publisher.records()[record].headers;
        let of = |wanted| headers.iter().find(|(name, _)| *name == wanted).expect("there").1.clone();
        assert_eq!(of("traceparent"), of("ce_traceparent"));
        of("traceparent")
    }
}

fn steps(spans: &[Span]) -> Vec<(Step, &str)> {
    spans.iter().map(|span| (span.step, attribute(span, "chatbridge.outcome").unwrap_or_default())).collect()
}

fn attribute<'s>(span: &'s Span, wanted: &str) -> Option<&'s str> {
    span.attributes.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str())
}

#[tokio::test(start_paused = true)]
async fn a_notification_has_three_spans_in_the_trace_its_record_names() {
    let mut scene = Scene::new(100, 100);
    let spans = scene.polled([Ok(TEXT)], []).await;
    assert_eq!(steps(&spans), [(Step::Receive, ""), (Step::Publish, "published"), (Step::Delete, "deleted")]);
    let [receive, publish, delete] = &spans[..] else { unreachable!("three") };
    assert_eq!((receive.parent, publish.parent, delete.parent), (None, Some(receive.id), Some(receive.id)));
    assert!(spans.iter().all(|span| span.event == receive.event && span.start <= span.end && span.error.is_none()));
    assert!(receive.end <= publish.start && publish.end <= delete.start, "one after the other: {spans:#?}");
    let trace = receive.event.to_string().replace('-', "");
    assert_eq!(scene.header(0), format!("00-{trace}-{}-01", publish.id));
    assert_eq!(publish.topic.as_deref(), Some("chat-events"));
    assert_eq!(attribute(publish, "messaging.destination.partition.id"), Some("0"));
    let shown = format!("{spans:?}");
    for private in ["79001234567", "Somebody", "SECRET"] {
        assert!(!shown.contains(private), "{private} is in {shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_out_again_stays_in_its_trace() {
    let away = || QueueError::Unreachable { class: "connection", detail: String::new() };
    let mut scene = Scene::new(100, 100);
    // A receive that fails has no event, and so no span.
    let receives = [Err(away()), Ok(TEXT), Ok(TEXT), Err(away()), Ok(TEXT)];
    let spans = scene.polled(receives, [Ok(Deletion::Unclear), Err(away())]).await;
    let expected = [
        (Step::Receive, ""),
        (Step::Publish, "published"),
        (Step::Delete, "unclear"),
        (Step::Receive, ""),
        (Step::Delete, "connection"),
        (Step::Receive, ""),
        (Step::Delete, "deleted"),
    ];
    assert_eq!(steps(&spans), expected);
    let parents: Vec<Option<SpanId>> = spans.iter().map(|span| span.parent).collect();
    let [first, second, third] = [spans[0].id, spans[3].id, spans[5].id];
    assert_eq!(parents, [None, Some(first), Some(first), None, Some(second), None, Some(third)]);
    assert!(spans.iter().all(|span| span.event == spans[0].event));
    let ids: std::collections::HashSet<SpanId> = spans.iter().map(|span| span.id).collect();
    assert_eq!(ids.len(), spans.len(), "no id twice");
    let errors: Vec<_> = spans.iter().filter_map(|span| span.error).collect();
    assert_eq!(errors, ["unclear", "connection"]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_is_a_publish_with_an_error_and_a_drop_is_none() {
    let mut scene = Scene::new(100, 100);
    scene.publisher.fail_next([PublishError::Refused("planned".to_owned())]);
    let spans = scene.polled([Ok(TEXT), Ok(CALL)], []).await;
    let expected = [
        (Step::Receive, ""),
        (Step::Publish, "dead_lettered"),
        (Step::Delete, "deleted"),
        (Step::Receive, ""),
        (Step::Delete, "deleted"),
    ];
    assert_eq!(steps(&spans), expected);
    assert_eq!(spans[1].error, Some(DeadLetterReason::Refused.as_str()));
    assert_eq!(spans[1].topic.as_deref(), Some("chat-events-dlq"));
    assert!(scene.header(0).contains(&spans[1].id.to_string()), "{}", scene.header(0));
    assert_ne!(spans[0].event, spans[3].event);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_sampled_has_a_header_that_says_so_and_no_spans() {
    let mut scene = Scene::new(100, 0);
    assert_eq!(scene.polled([Ok(TEXT)], []).await, []);
    assert!(scene.header(0).ends_with("-00"), "{}", scene.header(0));
    assert_eq!(scene.metrics.spans_dropped_so_far(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_room_spans_are_counted_and_delivery_goes_on() {
    let mut scene = Scene::new(1, 100);
    let spans = scene.polled([Ok(TEXT), Ok(CALL), Ok(TEXT)], []).await;
    assert_eq!(steps(&spans), [(Step::Receive, "")]);
    assert_eq!(scene.metrics.spans_dropped_so_far(), 7);
    assert_eq!(scene.publisher.records().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_receives_two_at_once_gives_each_its_own_parent() {
    let mut scene = Scene::new(100, 100);
    let at = |second| Timestamp::from_second(second).expect("a time");
    let prepared = [(TEXT, 1), (r#"{"typeWebhook":"deviceInfo"}"#, 2)]
        .map(|(body, second)| scene.bridge.prepare(notification(body), at(second)));
    prepared.iter().for_each(|prepared| scene.telemetry.received(prepared));
    for prepared in &prepared {
        let _settled = scene.bridge.deliver(prepared, &*scene.telemetry).await;
    }
    let spans = scene.told();
    assert_eq!(spans.len(), 4);
    for (receive, publish) in [(0, 2), (1, 3)] {
        assert_eq!(spans[publish].parent, Some(spans[receive].id));
        assert_eq!(spans[publish].event, spans[receive].event);
        assert_eq!(spans[receive].start, spans[receive].end, "nobody polled");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_poller_that_died_before_its_delete_the_next_polls_failure_is_no_delete() {
    let mut scene = Scene::new(100, 100);
    let prepared = scene.bridge.prepare(notification(TEXT), Timestamp::now());
    scene.telemetry.received(&prepared);
    let _settled = scene.bridge.deliver(&prepared, &*scene.telemetry).await;
    scene.telemetry.polling();
    scene.telemetry.source_failed("rate_limited", "429", Phase::BackingOff);
    assert_eq!(steps(&scene.told()), [(Step::Receive, ""), (Step::Publish, "published")]);
}
