//! The line and its weather, on a clock held by the test.

use std::collections::VecDeque;

use super::*;
use crate::core::policy::Policy;
use crate::core::publish::PublishError;
use crate::core::publish::memory::MemoryPublisher;
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::status::{InstanceStatus, StatusBoard};
use chatbridge_event::event::{Body, DeadLetterReason, InstanceId, Notification};
use chatbridge_event::record::RecordFactory;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

mod episodes;
mod overlap;

const RECEIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long a receive takes, and what it brings.
type PlannedReceive = (Duration, Result<Option<u64>, QueueError>);

/// A queue that answers as planned: each step once, then an endless long poll.
#[derive(Default)]
struct PlannedQueue {
    receives: Mutex<VecDeque<PlannedReceive>>,
    deletes: Mutex<VecDeque<Result<Deletion, QueueError>>>,
    /// What was asked, and when.
    asked: Mutex<Vec<(Instant, String)>>,
    began: i64,
    delete_takes: Duration,
    /// Receipts count the receives, lost ones included, as upstream's seem to.
    counts_receives: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> parking_lot::MutexGuard<'_, T> {
    mutex.lock()
}

impl PlannedQueue {
    fn new(
        receives: impl IntoIterator<Item = Result<Option<u64>, QueueError>>,
        deletes: impl IntoIterator<Item = Result<Deletion, QueueError>>,
    ) -> Arc<Self> {
        let queue = Self::starting_now();
        locked(&queue.receives).extend(receives.into_iter().map(|answer| (Duration::ZERO, answer)));
        locked(&queue.deletes).extend(deletes);
        Arc::new(queue)
    }

    fn starting_now() -> Self {
        Self { began: Timestamp::now().as_second(), ..Self::default() }
    }

    fn counting_receipts(self) -> Self {
        Self { counts_receives: true, ..self }
    }

    fn note(&self, what: String) {
        locked(&self.asked).push((Instant::now(), what));
    }

    /// Seconds between the receives, rounded down.
    fn pauses(&self) -> Vec<u64> {
        let asked = locked(&self.asked);
        asked.windows(2).map(|pair| (pair[1].0 - pair[0].0).as_secs()).collect()
    }

    fn story(&self) -> Vec<String> {
        locked(&self.asked).iter().map(|(_, what)| what.clone()).collect()
    }
}

/// Stands for an answer that cannot be read …
const GARBAGE: u64 = 666;
/// … and this for another.
const MORE_GARBAGE: u64 = 667;
/// Events from here on happened an hour ago.
const OLD: u64 = 1_000;

/// Event `n` is handed out with receipt `100 + hand-out`.
impl NotificationQueue for PlannedQueue {
    async fn receive(&self) -> Result<Option<Received>, QueueError> {
        self.note("receive".to_owned());
        let planned = locked(&self.receives).pop_front();
        let Some((takes, answer)) = planned else { return std::future::pending().await };
        tokio::time::sleep(takes).await;
        let number = answer?;
        Ok(number.map(|number| {
            let asked = locked(&self.asked);
            let receives = asked.iter().filter(|(_, what)| what == "receive").count();
            let receipt = format!("{}", 100 + if self.counts_receives { receives } else { asked.len() });
            drop(asked);
            // One moment for the whole test: a redelivery is the same to the last byte.
            let time = self.began - if number >= OLD { 3600 } else { 0 };
            let text =
                format!(r#"{{"typeWebhook":"incomingCall","from":"7900@c.us","n":{number},"timestamp":{time}}}"#);
            let body = match number {
                GARBAGE | MORE_GARBAGE => Body::Undecodable {
                    bytes: format!("{{{receipt}{}", number - GARBAGE).into_bytes(),
                    reason: DeadLetterReason::NotJson,
                    error: String::new(),
                    receipt_at: 1..1 + receipt.len(),
                },
                _ => Body::Json(RawValue::from_string(text).expect("JSON")),
            };
            Received {
                receipt: Receipt::new(&receipt).expect("digits"),
                notification: Notification { instance: InstanceId::new(1), receipt_id: None, body },
            }
        }))
    }

    async fn delete(&self, receipt: Receipt, _proof: &Settled) -> Result<Deletion, QueueError> {
        self.note(format!("delete {}", receipt.as_str()));
        tokio::time::sleep(self.delete_takes).await;
        locked(&self.deletes).pop_front().unwrap_or(Ok(Deletion::Deleted))
    }
}

struct Run {
    queue: Arc<PlannedQueue>,
    publisher: Arc<MemoryPublisher>,
    stop: CancellationToken,
    status: Arc<InstanceStatus>,
    poller: Arc<Poller<Arc<PlannedQueue>, Arc<MemoryPublisher>>>,
}

fn run(queue: Arc<PlannedQueue>) -> Run {
    run_as(queue, false)
}

fn run_as(queue: Arc<PlannedQueue>, overlap_delete: bool) -> Run {
    let publisher = Arc::new(MemoryPublisher::default());
    let bridge = Arc::new(Bridge::new(Arc::clone(&publisher), RecordFactory::default(), Policy::default()));
    let status = StatusBoard::default().add(InstanceId::new(1));
    let telemetry = InstanceTelemetry::new(&Arc::new(Metrics::new()), Arc::clone(&status));
    let pacing = Pacing {
        receive_timeout: RECEIVE_TIMEOUT,
        retry_min: Duration::from_millis(500),
        retry_max: Duration::from_secs(30),
        misconfigured_retry: Duration::from_secs(60),
        overlap_delete,
    };
    let poller = Arc::new(Poller::new(Arc::clone(&queue), bridge, pacing, Arc::new(telemetry)));
    Run { queue, publisher, stop: CancellationToken::new(), status, poller }
}

impl Run {
    /// Until the plan is used up and the poller hangs in its last poll; the clock jumps as far as that takes.
    async fn to_the_end(&self) {
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, self.polled()).await.is_err(), "it waits in a poll");
    }

    /// As after a start: nothing is remembered.
    async fn polled(&self) {
        self.poller.run(self.stop.clone(), &mut None).await;
    }

    fn published(&self) -> Vec<String> {
        self.publisher.records().iter().map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect()
    }
}

fn unreachable() -> QueueError {
    QueueError::Unreachable { class: "connection", detail: "planned".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn receive_deliver_delete_in_this_order_and_with_the_receipt_just_handed_out() {
    let run = run(PlannedQueue::new([Ok(Some(1)), Ok(Some(2))], []));
    run.to_the_end().await;
    assert_eq!(run.queue.story(), ["receive", "delete 101", "receive", "delete 103", "receive"]);
    assert_eq!(run.published().len(), 2);
    assert!(run.queue.pauses().iter().all(|pause| *pause == 0), "a full queue is drained without a wait");
}

#[tokio::test(start_paused = true)]
async fn the_same_head_after_an_unclear_delete_is_deleted_again_and_not_published_again() {
    for unclear in [Ok(Deletion::Unclear), Ok(Deletion::AlreadyGone), Err(unreachable())] {
        let run = run(PlannedQueue::new([Ok(Some(1)), Ok(Some(1)), Ok(Some(2)), Ok(Some(1))], [unclear.clone()]));
        run.to_the_end().await;
        assert_eq!(run.queue.story()[..4], ["receive", "delete 101", "receive", "delete 103"], "{unclear:?}");
        // 1, then 2, then 1 once more: it was not the last one published.
        assert_eq!(run.published().len(), 3, "{unclear:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_poller_that_takes_over_knows_what_was_settled_last() {
    let first = run(PlannedQueue::new([Ok(Some(1))], [Err(unreachable())]));
    let mut last = None;
    let hour = Duration::from_secs(3600);
    drop(tokio::time::timeout(hour, first.poller.run(first.stop.clone(), &mut last)).await);
    let second = run(PlannedQueue::new([Ok(Some(1)), Ok(Some(2))], []));
    drop(tokio::time::timeout(hour, second.poller.run(second.stop.clone(), &mut last)).await);
    assert_eq!(second.queue.story()[..4], ["receive", "delete 101", "receive", "delete 103"]);
    assert_eq!((first.published().len(), second.published().len()), (1, 1), "1 is only deleted by the second");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_back_for_ever_is_no_hot_loop() {
    let receives = std::iter::repeat_n(Ok(Some(1)), 40);
    for (answer, most) in [
        (Ok(Deletion::AlreadyGone), 60),
        (Ok(Deletion::Unclear), 60),
        (Err(unreachable()), 60),
        // Deleted each time: ten a second, for what is identical by nature and not one notification that stays.
        (Ok(Deletion::Deleted), 80),
    ] {
        let run = run(PlannedQueue::new(receives.clone(), std::iter::repeat_n(answer.clone(), 40)));
        let hung = run.polled();
        drop(tokio::time::timeout(Duration::from_secs(3), hung).await);
        let asked = locked(&run.queue.asked).len();
        assert!(asked < most, "{answer:?}: {asked} requests in three seconds");
        assert_eq!(run.published().len(), 1, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn deletes_that_fail_are_tried_ever_more_rarely_though_receives_succeed() {
    let run = run(PlannedQueue::new(
        std::iter::repeat_n(Ok(Some(1)), 200),
        std::iter::repeat_n(Err(QueueError::Unreachable { class: "server_error", detail: String::new() }), 200),
    ));
    let hung = run.polled();
    drop(tokio::time::timeout(Duration::from_secs(300), hung).await);
    let asked = locked(&run.queue.asked).len();
    // Full jitter: half of 30 s on average, some more at the beginning; without a memory it would be all 400.
    assert!((20..150).contains(&asked), "{asked} requests in five minutes");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_is_asked_for_once_more_before_it_is_buried() {
    let queue = PlannedQueue::new([Ok(Some(GARBAGE)), Ok(Some(1)), Ok(Some(GARBAGE)), Ok(Some(GARBAGE))], []);
    let run = run(queue);
    run.to_the_end().await;
    let topics: Vec<String> = run.publisher.records().iter().map(|record| record.topic.to_string()).collect();
    assert_eq!(topics, ["chat-events", "chat-events-dlq"], "cut on its way once, and once truly broken");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_buried_though_other_such_answers_come_between() {
    // One in turn with the other, as an upstream does that hands out the next one; then what is left.
    let handed_out = [GARBAGE, MORE_GARBAGE, GARBAGE, MORE_GARBAGE, MORE_GARBAGE];
    let run = run(PlannedQueue::new(handed_out.map(|number| Ok(Some(number))), []));
    run.to_the_end().await;
    assert_eq!(run.published().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_cut_of_another_notification_is_asked_for_once_more_too() {
    // Cut, whole; and so again: short cuts of different notifications are the same bytes.
    let queue = PlannedQueue::new([GARBAGE, 1, GARBAGE, 2].map(|number| Ok(Some(number))), []);
    let run = run(queue);
    run.to_the_end().await;
    let topics: Vec<String> = run.publisher.records().iter().map(|record| record.topic.to_string()).collect();
    assert_eq!(topics, ["chat-events", "chat-events"], "nothing is buried");
}

#[tokio::test(start_paused = true)]
async fn what_was_buried_excuses_no_other_of_the_same_look() {
    let run = run(PlannedQueue::new([GARBAGE, GARBAGE, GARBAGE, 1].map(|number| Ok(Some(number))), []));
    run.to_the_end().await;
    assert_eq!(run.published().len(), 2);
    let deletes = run.queue.story().iter().filter(|asked| asked.starts_with("delete")).count();
    assert_eq!(deletes, 2, "the third was asked for once more, and came whole");
}

#[tokio::test(start_paused = true)]
async fn answers_without_meaning_are_no_proof_of_an_empty_queue() {
    let silent = QueueError::NoAnswer { detail: "HTTP 504".to_owned() };
    let queue = PlannedQueue::starting_now();
    locked(&queue.receives).extend(std::iter::repeat_n((RECEIVE_TIMEOUT, Err(silent)), 100));
    let run = run(Arc::new(queue));
    let polling = run.polled();
    tokio::pin!(polling);
    drop(tokio::time::timeout(Duration::from_secs(290), &mut polling).await);
    assert!(run.status.view().last_error.is_none(), "ordinary for a while");
    drop(tokio::time::timeout(Duration::from_secs(60), &mut polling).await);
    assert_eq!(run.status.view().last_error.expect("told").class, "no_answer");
}

#[tokio::test(start_paused = true)]
async fn the_age_of_a_backlog_is_shown_between_its_events_too() {
    let queue = PlannedQueue::starting_now();
    let answer = |number| (Duration::from_millis(50), Ok(number));
    locked(&queue.receives).extend([answer(Some(OLD)), answer(Some(OLD + 1)), answer(None)]);
    let run = run(Arc::new(queue));
    let polling = run.polled();
    tokio::pin!(polling);
    drop(tokio::time::timeout(Duration::from_millis(75), &mut polling).await);
    assert_eq!(run.published().len(), 1);
    assert!(run.status.view().head_age_seconds > 3_000, "deleted, but what is behind it may be as old");
    drop(tokio::time::timeout(Duration::from_secs(60), &mut polling).await);
    assert_eq!(run.status.view().head_age_seconds, 0, "the queue was shown to be empty");
}

#[tokio::test(start_paused = true)]
async fn an_empty_answer_that_comes_too_soon_is_followed_by_a_wait_and_a_real_poll_is_not() {
    let queue = PlannedQueue::new([Ok(None), Ok(None)], []);
    locked(&queue.receives).extend([(RECEIVE_TIMEOUT, Ok(None)), (RECEIVE_TIMEOUT, Ok(None))]);
    let run = run(queue);
    run.to_the_end().await;
    assert_eq!(run.queue.pauses(), [1, 1, 20, 20]);
}

#[tokio::test(start_paused = true)]
async fn each_class_of_failure_has_its_wait() {
    let misconfigured = QueueError::Misconfigured { class: "unauthorized", fix: "", detail: String::new() };
    let waiting = QueueError::Waiting { class: "starting", fix: "", detail: String::new() };
    let limited = |seconds: Option<u64>| QueueError::RateLimited { retry_after: seconds.map(Duration::from_secs) };
    for (failure, least, most) in [
        (unreachable(), 0, 4),
        (misconfigured, 60, 60),
        (waiting, 5, 60),
        (limited(None), 1, 5),
        (limited(Some(7)), 7, 11),
        // Nobody makes us sleep for a day.
        (limited(Some(86_400)), 60, 64),
    ] {
        let run = run(PlannedQueue::new(std::iter::repeat_n(Err(failure.clone()), 4), []));
        run.to_the_end().await;
        let pauses = run.queue.pauses();
        assert_eq!(pauses.len(), 4);
        assert!(pauses.iter().all(|pause| (least..=most).contains(pause)), "{failure:?}: {pauses:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_an_idle_poll_and_a_wait_at_once() {
    for receives in [vec![], vec![Err(QueueError::Misconfigured { class: "x", fix: "", detail: String::new() })]] {
        let run = run(PlannedQueue::new(receives, []));
        let started = Instant::now();
        let stop = run.stop.clone();
        tokio::join!(run.polled(), async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            stop.cancel();
        });
        assert_eq!(started.elapsed(), Duration::from_secs(3));
    }
}

#[tokio::test(start_paused = true)]
async fn who_retires_lets_the_poll_come_to_its_end_and_delivers_what_it_brings() {
    let queue = PlannedQueue::starting_now();
    locked(&queue.receives).push_back((Duration::from_secs(10), Ok(Some(1))));
    let run = run(Arc::new(queue));
    let (ending, started) = (Ending::from(run.stop.clone()), Instant::now());
    let mut last = None;
    tokio::join!(run.poller.run(ending.clone(), &mut last), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        ending.retire.cancel();
    });
    assert_eq!(run.queue.story(), ["receive", "delete 101"], "nobody else could have known of this event");
    assert_eq!((run.published().len(), started.elapsed()), (1, Duration::from_secs(10)));
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_the_notification_in_hand_be_published_and_deleted() {
    let run = run(PlannedQueue::new([Ok(Some(1)), Ok(Some(2))], []));
    // Kafka is away for a while, and the stop comes meanwhile.
    run.publisher.fail_next(std::iter::repeat_n(PublishError::Unavailable("planned".to_owned()), 20));
    let stop = run.stop.clone();
    tokio::join!(run.polled(), async {
        tokio::time::sleep(Duration::from_millis(10)).await;
        stop.cancel();
    });
    assert_eq!(run.queue.story(), ["receive", "delete 101"]);
    assert_eq!(run.published().len(), 1);
}

/// Knows everybody, after a while.
struct SlowNames;

impl CallerNames for SlowNames {
    async fn name_of(&self, _caller: &chatbridge_event::event::ChatId) -> Option<String> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Some("Anna".to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_is_named_between_receiving_and_delivering_and_a_repeat_is_still_known_as_one() {
    let run = run(PlannedQueue::new([Ok(Some(1)), Ok(Some(1))], [Ok(Deletion::Unclear)]));
    let Run { queue, publisher, stop, poller, .. } = run;
    let poller = Arc::into_inner(poller).expect("the only one").with_caller_names(SlowNames);
    let hour = Duration::from_secs(3600);
    assert!(tokio::time::timeout(hour, poller.run(stop, &mut None)).await.is_err(), "it waits in a poll");
    assert_eq!(publisher.records().len(), 1, "the second is a repeat, and nobody was asked for it");
    assert!(String::from_utf8_lossy(&publisher.records()[0].value).contains(r#""caller_name":"Anna""#));
    assert_eq!(queue.story(), ["receive", "delete 101", "receive", "delete 103", "receive"]);
}

#[tokio::test(start_paused = true)]
async fn hand_outs_that_were_lost_on_their_way_to_us_are_no_rival() {
    let lost = || Err(QueueError::NoAnswer { detail: "HTTP 504".to_owned() });
    // The first thirty show that receipts count by one; then every second hand-out is lost to a proxy.
    let counting = (0..30).map(|n| Ok(Some(n)));
    let losing = (30..60).flat_map(|n| [Ok(Some(n)), lost()]);
    let queue = PlannedQueue::starting_now().counting_receipts();
    locked(&queue.receives).extend(counting.chain(losing).map(|answer| (Duration::ZERO, answer)));
    let run = run(Arc::new(queue));
    run.to_the_end().await;
    assert!(run.status.view().last_error.is_none(), "{:?}", run.status.view().last_error);
}
