//! The promise of a push: 200 only with Kafka's word, and one word for one event, however often it is sent.

use serde_json::value::RawValue;
use tokio::task::JoinHandle;

use super::*;
use crate::core::bridge::Bridge;
use crate::core::policy::Policy;
use crate::core::publish::{Delivered, PublishError, memory};
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::status::{InstanceStatus, StatusBoard};
use crate::watch::telemetry::words::Phase;
use chatbridge_event::event::{Body, InstanceId};
use chatbridge_event::record::{Record, RecordFactory};

const PATIENCE: Duration = Duration::from_secs(60);
const CALLS_MAX: usize = 3;

/// A Kafka that takes a record when the test opens it, and panics where that is planned.
struct GatedPublisher {
    open: Semaphore,
    taken: std::sync::Mutex<Vec<String>>,
    panics: bool,
}

impl Default for GatedPublisher {
    fn default() -> Self {
        Self { open: Semaphore::new(0), taken: std::sync::Mutex::default(), panics: false }
    }
}

impl GatedPublisher {
    fn taken(&self) -> Vec<String> {
        self.taken.lock().expect("whole").clone()
    }
}

impl Publisher for GatedPublisher {
    async fn publish(&self, record: &Record) -> Result<Delivered, PublishError> {
        assert!(!self.panics, "planned");
        self.open.acquire().await.expect("never closed").forget();
        self.taken.lock().expect("whole").push(record.key.clone());
        Ok(memory::acknowledgement())
    }
}

struct Scene {
    kafka: Arc<GatedPublisher>,
    intake: Arc<Intake<Arc<GatedPublisher>>>,
    status: Arc<InstanceStatus>,
    turn: Turn,
}

fn scene_with(kafka: GatedPublisher, turn: Turn) -> Scene {
    let kafka = Arc::new(kafka);
    let bridge = Arc::new(Bridge::new(Arc::clone(&kafka), RecordFactory::default(), Policy::default()));
    let status = StatusBoard::default().add(InstanceId::new(1));
    let telemetry = Arc::new(InstanceTelemetry::new(&Arc::new(Metrics::new()), Arc::clone(&status)));
    let intake = Intake::new(Carrier::new(bridge, telemetry), Arc::clone(&turn), CALLS_MAX, PATIENCE);
    Scene { kafka, intake: Arc::new(intake), status, turn }
}

fn scene() -> Scene {
    scene_with(GatedPublisher::default(), Turn::default())
}

/// An event of its own chat: its key tells which it is.
fn event(chat: u32) -> Notification {
    let text = format!(r#"{{"typeWebhook":"incomingCall","from":"{chat}@c.us","status":"offer"}}"#);
    let body = Body::Json(RawValue::from_string(text).expect("JSON"));
    Notification { instance: InstanceId::new(1), receipt_id: None, body }
}

impl Scene {
    fn call(&self, chat: u32) -> JoinHandle<Result<Acknowledged, NotNow>> {
        let intake = Arc::clone(&self.intake);
        tokio::spawn(async move { intake.take(event(chat)).await })
    }

    /// Kafka takes so many records more.
    fn open(&self, records: usize) {
        self.kafka.open.add_permits(records);
    }

    fn acknowledged(&self) -> u64 {
        self.status.view().deleted
    }
}

async fn answer(call: JoinHandle<Result<Acknowledged, NotNow>>) -> Result<(), NotNow> {
    call.await.expect("no panic").map(|Acknowledged(())| ())
}

/// Every task runs until it waits for something.
async fn settle_down() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn there_is_no_200_before_kafka_has_it() {
    let scene = scene();
    let call = scene.call(1);
    tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
    assert!(!call.is_finished());
    assert_eq!(scene.acknowledged(), 0);
    scene.open(1);
    assert_eq!(answer(call).await, Ok(()));
    assert_eq!((scene.kafka.taken(), scene.acknowledged()), (vec!["1@c.us".to_owned()], 1));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_joins_the_one_that_is_being_published() {
    let scene = scene();
    let (first, repeat) = (scene.call(1), scene.call(1));
    settle_down().await;
    scene.open(5);
    assert_eq!((answer(first).await, answer(repeat).await), (Ok(()), Ok(())));
    assert_eq!(scene.kafka.taken(), ["1@c.us"]);
}

#[tokio::test(start_paused = true)]
async fn who_tires_is_told_to_come_again_and_finds_it_done() {
    let scene = scene();
    let began = Instant::now();
    assert_eq!(answer(scene.call(1)).await, Err(NotNow::Late));
    assert_eq!(began.elapsed(), PATIENCE);
    // The sender's pause of a minute, in which Kafka comes back.
    tokio::time::sleep(Duration::from_secs(30)).await;
    scene.open(5);
    settle_down().await;
    assert_eq!((scene.acknowledged(), scene.status.view().phase), (0, Phase::Listening), "nobody has heard of it yet");
    assert_eq!(answer(scene.call(1)).await, Ok(()));
    assert_eq!(scene.acknowledged(), 1);
    assert_eq!(scene.kafka.taken(), ["1@c.us"], "it was on its way all the time");
    assert_eq!(answer(scene.call(2)).await, Ok(()));
    assert_eq!(scene.kafka.taken(), ["1@c.us", "2@c.us"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_takes_nothing_back_and_breaks_nothing() {
    let scene = scene();
    let (in_hand, waiting) = (scene.call(1), scene.call(2));
    settle_down().await;
    in_hand.abort();
    waiting.abort();
    settle_down().await;
    scene.open(5);
    settle_down().await;
    // What was in hand is delivered; what only waited was never taken.
    assert_eq!(scene.kafka.taken(), ["1@c.us"]);
    assert_eq!(answer(scene.call(1)).await, Ok(()));
    assert_eq!(answer(scene.call(2)).await, Ok(()));
    assert_eq!(scene.kafka.taken(), ["1@c.us", "2@c.us"]);
}

#[tokio::test(start_paused = true)]
async fn calls_take_their_turn_and_too_many_are_turned_away_at_once() {
    let scene = scene();
    let mut calls = Vec::new();
    for chat in 1..=CALLS_MAX {
        calls.push(scene.call(u32::try_from(chat).expect("few")));
        settle_down().await;
    }
    let began = Instant::now();
    assert_eq!(answer(scene.call(9)).await, Err(NotNow::Crowded));
    assert!(began.elapsed() < Duration::from_secs(1));
    scene.open(9);
    for call in calls {
        assert_eq!(answer(call).await, Ok(()));
    }
    assert_eq!(scene.kafka.taken(), ["1@c.us", "2@c.us", "3@c.us"]);
    assert_eq!(answer(scene.call(9)).await, Ok(()), "there is room again");
}

#[tokio::test(start_paused = true)]
async fn while_another_has_the_turn_nothing_is_taken() {
    let turn = Turn::default();
    let scene = scene_with(GatedPublisher::default(), Arc::clone(&turn));
    scene.open(5);
    let poller = turn.lock_owned().await;
    let call = scene.call(1);
    settle_down().await;
    assert_eq!(scene.kafka.taken(), Vec::<String>::new());
    drop(poller);
    assert_eq!(answer(call).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn what_a_poller_settled_last_is_acknowledged_and_not_published_again() {
    let turn = Turn::default();
    let first = scene_with(GatedPublisher::default(), Arc::clone(&turn));
    first.open(1);
    assert_eq!(answer(first.call(1)).await, Ok(()));
    let second = scene_with(GatedPublisher::default(), turn);
    assert_eq!(answer(second.call(1)).await, Ok(()));
    assert_eq!(second.kafka.taken(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_end_lets_what_is_in_hand_finish_and_turns_the_rest_away() {
    let scene = scene();
    let ending = Ending::default();
    let (intake, asked) = (Arc::clone(&scene.intake), ending.clone());
    let running = tokio::spawn(async move { intake.run(asked).await });
    settle_down().await;
    assert_eq!(scene.status.view().phase, Phase::Listening);
    let (in_hand, waiting) = (scene.call(1), scene.call(2));
    settle_down().await;
    ending.retire.cancel();
    assert_eq!(answer(waiting).await, Err(NotNow::Stopping));
    settle_down().await;
    assert!(!running.is_finished(), "it waits for what is in hand");
    scene.open(5);
    assert_eq!(answer(in_hand).await, Ok(()));
    running.await.expect("no panic");
    assert_eq!(answer(scene.call(3)).await, Err(NotNow::Stopping));
    assert_eq!(scene.kafka.taken(), ["1@c.us"]);
    assert!(scene.turn.try_lock().is_ok(), "the next one may have its turn");
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_503_and_the_next_call_is_taken() {
    let turn = Turn::default();
    let planned = GatedPublisher { panics: true, ..GatedPublisher::default() };
    let first = scene_with(planned, Arc::clone(&turn));
    assert_eq!(answer(first.call(1)).await, Err(NotNow::Panicked));
    let second = scene_with(GatedPublisher::default(), turn);
    second.open(1);
    assert_eq!(answer(second.call(1)).await, Ok(()));
    assert_eq!(second.kafka.taken(), ["1@c.us"]);
}

#[tokio::test(start_paused = true)]
async fn it_listens_when_the_one_before_has_come_to_its_end() {
    let turn = Turn::default();
    let scene = scene_with(GatedPublisher::default(), Arc::clone(&turn));
    let poller = turn.lock_owned().await;
    let intake = Arc::clone(&scene.intake);
    tokio::spawn(async move { intake.run(Ending::default()).await });
    settle_down().await;
    assert_ne!(scene.status.view().phase, Phase::Listening);
    drop(poller);
    settle_down().await;
    assert_eq!(scene.status.view().phase, Phase::Listening);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_followed_by_another_does_not_say_it_has_stopped() {
    let old = scene();
    let ending = Ending::default();
    let (intake, asked) = (Arc::clone(&old.intake), ending.clone());
    let running = tokio::spawn(async move { intake.run(asked).await });
    settle_down().await;
    ending.retire.cancel();
    // A new token: the same instance, and its new intake was quicker.
    old.intake.telemetry().listening();
    running.await.expect("no panic");
    assert_eq!(old.status.view().phase, Phase::Listening);

    let last = scene();
    let ending = Ending::default();
    ending.stop.cancel();
    last.intake.run(ending).await;
    assert_eq!(last.status.view().phase, Phase::Stopped);
}
