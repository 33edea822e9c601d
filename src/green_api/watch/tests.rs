//! What the slow look makes of an instance that pushes, on a clock of its own.

use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::watch::channel;

use super::*;
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::status::{InstanceView, StatusBoard};
use crate::watch::telemetry::words::Phase;

const INTERVAL: Duration = Duration::from_secs(300);

/// An instance with so many notifications waiting.
struct Account(AtomicI64);

impl Watched for Account {
    async fn state(&self) -> Option<&'static str> {
        Some("authorized")
    }

    async fn queue_depth(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|depth| *depth >= 0)
    }
}

/// When each of its like was looked at.
struct Timed(Arc<std::sync::Mutex<Vec<Instant>>>);

impl Watched for Timed {
    async fn state(&self) -> Option<&'static str> {
        self.0.lock().expect("nobody panics").push(Instant::now());
        None
    }

    async fn queue_depth(&self) -> Option<i64> {
        None
    }
}

struct Scene {
    account: Arc<Account>,
    telemetry: Arc<InstanceTelemetry>,
    metrics: Arc<Metrics>,
    board: StatusBoard,
}

impl Scene {
    fn new(waiting: i64) -> Self {
        let (metrics, board) = (Arc::new(Metrics::new()), StatusBoard::default());
        let telemetry = Arc::new(InstanceTelemetry::new(&metrics, board.add(InstanceId::new(1))));
        let account = Arc::new(Account(AtomicI64::new(waiting)));
        let (members, instances) = channel(vec![(Arc::clone(&account), Arc::clone(&telemetry))]);
        tokio::spawn(async move {
            let _members = members;
            watch(instances, INTERVAL, CancellationToken::new()).await;
        });
        Self { account, telemetry, metrics, board }
    }

    /// Until just after so many more looks.
    async fn looks(&self, looks: u32) -> InstanceView {
        tokio::time::sleep(INTERVAL * looks).await;
        self.board.instances()[0].view()
    }

    fn waiting(&self, waiting: i64) {
        self.account.0.store(waiting, Ordering::Relaxed);
    }

    fn counted(&self) -> String {
        let text =
            String::from_utf8(crate::watch::telemetry::scrape::render(&self.metrics, &self.board).expect("rendered"))
                .expect("text");
        let errors = text.lines().find(|line| line.starts_with("chatbridge_source_errors_total"));
        errors.unwrap_or_default().to_owned()
    }
}

async fn just_after_the_first_look() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_while_nobody_calls_is_told_until_a_call_comes() {
    let scene = Scene::new(3);
    scene.telemetry.listening();
    just_after_the_first_look().await;
    assert!(scene.board.instances()[0].view().last_error.is_none());
    let view = scene.looks(1).await;
    let error = view.last_error.expect("an error");
    assert_eq!((error.class.as_str(), view.phase), ("not_called", Phase::Listening));
    for word in ["webhookUrl", "firewall", "reverse proxy", "certificate"] {
        assert!(error.message.contains(word), "{}", error.message);
    }
    assert_eq!(scene.counted(), "chatbridge_source_errors_total{class=\"not_called\",instance=\"1\"} 1");
    assert!(scene.board.instances()[0].cause().advice().contains("webhookUrl"));
    scene.telemetry.called();
    scene.telemetry.acknowledged();
    scene.looks(1).await;
    assert!(scene.counted().ends_with(" 1"), "a call came in between");
    assert!(!scene.board.instances()[0].cause().advice().contains("webhookUrl"));
}

#[tokio::test(start_paused = true)]
async fn an_empty_queue_takes_the_fear_back() {
    let scene = Scene::new(3);
    scene.telemetry.listening();
    just_after_the_first_look().await;
    scene.looks(1).await;
    assert!(scene.board.instances()[0].cause().advice().contains("webhookUrl"));
    scene.waiting(0);
    scene.looks(2).await;
    assert_eq!(scene.board.instances()[0].view().head_age_seconds, 0);
    assert!(!scene.board.instances()[0].cause().advice().contains("webhookUrl"));
    assert!(scene.counted().ends_with(" 1"), "{}", scene.counted());
}

#[tokio::test(start_paused = true)]
async fn who_is_polled_or_has_not_begun_or_does_not_say_is_no_silence() {
    let polled = Scene::new(3);
    polled.telemetry.polling();
    just_after_the_first_look().await;
    assert!(polled.looks(5).await.last_error.is_none());
    let starting = Scene::new(3);
    assert!(starting.looks(5).await.last_error.is_none());
    let unsaid = Scene::new(-1);
    unsaid.telemetry.listening();
    assert!(unsaid.looks(5).await.last_error.is_none());
}

#[tokio::test(start_paused = true)]
async fn many_instances_are_looked_at_one_after_the_other_and_all_within_the_interval() {
    let interval = Duration::from_secs(30);
    let (metrics, board) = (Arc::new(Metrics::new()), StatusBoard::default());
    let looked_at = Arc::new(std::sync::Mutex::new(Vec::new()));
    let members = (1..=3_000).map(|id| {
        let telemetry = InstanceTelemetry::new(&metrics, board.add(InstanceId::new(id)));
        (Arc::new(Timed(Arc::clone(&looked_at))), Arc::new(telemetry))
    });
    let (_members, instances) = channel(members.collect());
    let begun = Instant::now();
    let _ = tokio::time::timeout(interval, watch(instances, interval, CancellationToken::new())).await;
    let looked_at = looked_at.lock().expect("nobody panics");
    assert_eq!(looked_at.len(), 3_000);
    for (number, at) in looked_at.iter().enumerate() {
        let due = interval.mul_f64(number as f64 / 3_000.0);
        assert!((*at - begun).abs_diff(due) < Duration::from_millis(5), "{number}: {:?} for {due:?}", *at - begun);
    }
    assert_eq!(gap(interval, 3), GAP_MAX, "few are looked at soon");
}
