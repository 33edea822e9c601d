//! Closed connections are no trouble, and trouble that comes and goes is told once.

use std::io;

use tracing::subscriber::DefaultGuard;

use super::*;

/// What is logged on this thread.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl io::Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        locked(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Logged {
    fn begin() -> (Self, DefaultGuard) {
        let logged = Self::default();
        let writer = logged.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).with_ansi(false).finish();
        // Somebody else has to be interested as well: a place that another test's thread reaches first, where nobody
        // listens, would otherwise be switched off for all.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::fmt().with_writer(io::sink).finish());
        (logged, tracing::subscriber::set_default(subscriber))
    }

    /// The lines that hold `words`.
    fn lines(&self, words: &str) -> Vec<String> {
        let text = String::from_utf8_lossy(&locked(&self.0)).into_owned();
        text.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
    }
}

fn closed() -> QueueError {
    QueueError::Closed { detail: "planned".to_owned() }
}

fn limited() -> QueueError {
    QueueError::RateLimited { retry_after: None }
}

#[tokio::test(start_paused = true)]
async fn a_receive_on_a_closed_connection_is_made_again_at_once_and_only_so_often_in_a_row() {
    let (logged, _guard) = Logged::begin();
    let answers = (0..50).flat_map(|n| [Err(closed()), Ok(Some(n))]);
    let first = run(PlannedQueue::new(answers, []));
    first.to_the_end().await;
    assert_eq!(first.published().len(), 50);
    assert!(first.queue.pauses().iter().all(|pause| *pause == 0));
    assert_eq!(logged.lines("WARN"), [""; 0]);
    assert!(first.status.view().last_error.is_none(), "no trouble");

    let answers = [Err(closed()), Err(closed()), Err(closed()), Ok(Some(1))];
    let second = run(PlannedQueue::new(answers, []));
    second.to_the_end().await;
    let told = logged.lines("WARN");
    assert!(told.len() == 1 && told[0].contains("api_url") && told[0].contains("planned"), "{told:?}");
    let asked = locked(&second.queue.asked);
    assert_eq!(asked[2].0 - asked[0].0, Duration::ZERO, "at once: both kept-alive connections may have been closed");
    assert!(asked[3].0 - asked[2].0 > Duration::ZERO, "then with a pause");
}

#[tokio::test(start_paused = true)]
async fn a_delete_on_a_closed_connection_is_left_to_the_next_receive() {
    let (logged, _guard) = Logged::begin();
    // The first was deleted though its answer was lost, the third was not.
    let receives = [Ok(Some(1)), Ok(Some(2)), Ok(Some(3)), Ok(Some(3)), Ok(Some(4))];
    let deletes = [Err(closed()), Ok(Deletion::Deleted), Err(closed()), Ok(Deletion::Deleted)];
    let run = run(PlannedQueue::new(receives, deletes));
    run.to_the_end().await;
    let story = run.queue.story();
    assert!(story.chunks(2).all(|pair| pair[0] == "receive"), "no delete is made twice: {story:?}");
    assert_eq!(run.published().len(), 4, "each once");
    assert!(run.queue.pauses().iter().all(|pause| *pause == 0));
    assert_eq!(logged.lines("WARN"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn refusals_that_come_and_go_are_one_line_at_the_beginning_and_one_at_the_end() {
    let (logged, _guard) = Logged::begin();
    let queue = PlannedQueue::starting_now();
    let refused = (0..60).flat_map(|n| [Ok(Some(n)), Err(limited())]);
    locked(&queue.receives).extend(refused.map(|answer| (Duration::from_millis(2), answer)));
    locked(&queue.receives).extend([(RECEIVE_TIMEOUT, Ok(None)), (RECEIVE_TIMEOUT, Ok(None))]);
    let run = run(Arc::new(queue));
    run.to_the_end().await;
    assert_eq!(run.published().len(), 60);
    let (begun, ended) = (logged.lines("WARN"), logged.lines("answers again"));
    assert!(begun.len() == 1 && begun[0].contains("slows down by itself"), "{begun:?}");
    assert!(ended.len() == 1 && ended[0].contains("failures=60"), "{ended:?}");
    let seconds = ended[0].split("lasted_seconds=").nth(1).and_then(|rest| rest.split(' ').next());
    assert!(seconds.and_then(|seconds| seconds.parse().ok()).is_some_and(|lasted: u64| lasted > 60), "{ended:?}");
}

/// As many requests a second as GREEN-API allows.
const PER_SECOND_MAX: usize = 100;

/// Always has a notification, and refuses what is more than allowed.
struct Limited {
    asked: Mutex<VecDeque<Instant>>,
    refused: Mutex<u32>,
    handed_out: Mutex<u64>,
}

impl NotificationQueue for Limited {
    async fn receive(&self) -> Result<Option<Received>, QueueError> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let (mut asked, now) = (locked(&self.asked), Instant::now());
        asked.retain(|at| now - *at < Duration::from_secs(1));
        if asked.len() >= PER_SECOND_MAX {
            *locked(&self.refused) += 1;
            return Err(limited());
        }
        asked.push_back(now);
        *locked(&self.handed_out) += 1;
        let text = format!(r#"{{"typeWebhook":"incomingCall","from":"7900@c.us","n":{}}}"#, locked(&self.handed_out));
        let body = Body::Json(RawValue::from_string(text).expect("JSON"));
        let notification = Notification { instance: InstanceId::new(1), receipt_id: None, body };
        Ok(Some(Received { receipt: Receipt::new("7").expect("digits"), notification }))
    }

    async fn delete(&self, _receipt: Receipt, _proof: &Settled) -> Result<Deletion, QueueError> {
        Ok(Deletion::Deleted)
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_that_is_drained_too_fast_is_drained_at_a_pace_then() {
    let queue = Limited { asked: Mutex::default(), refused: Mutex::new(0), handed_out: Mutex::new(0) };
    let queue = Arc::new(queue);
    let publisher = Arc::new(MemoryPublisher::default());
    let bridge = Arc::new(Bridge::new(Arc::clone(&publisher), RecordFactory::default(), Policy::default()));
    let status = StatusBoard::default().add(InstanceId::new(1));
    let telemetry = InstanceTelemetry::new(&Arc::new(Metrics::new()), status);
    let pacing = Pacing {
        receive_timeout: RECEIVE_TIMEOUT,
        retry_min: Duration::from_millis(500),
        retry_max: Duration::from_secs(30),
        misconfigured_retry: Duration::from_secs(60),
        overlap_delete: false,
    };
    let poller = Poller::new(Arc::clone(&queue), bridge, pacing, Arc::new(telemetry));
    let ending = CancellationToken::new();
    let while_draining = Duration::from_secs(100);
    drop(tokio::time::timeout(while_draining, poller.run(ending, &mut None)).await);
    let (refused, handed_out) = (*locked(&queue.refused), *locked(&queue.handed_out));
    // A refusal each half minute shows whether more is allowed again; without a pace there were some seventy.
    assert!((2..=6).contains(&refused), "{refused} refusals in 100 s");
    assert!(handed_out > 5_000, "{handed_out} in 100 s, of 10000 that are allowed");
}
