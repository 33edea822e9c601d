//! What leaves the disk is in Kafka, in order, once.

use std::sync::Mutex;

use super::*;
use crate::policy::Policy;
use crate::publish::{Delivered, PublishError, memory};
use crate::telemetry::metrics::Metrics;
use chatbridge_event::record::{Record, RecordFactory};
use chatbridge_pusher::Reconnect;

const CHANNEL: &str = "private-v1.licenses.1229.messengers.telegram";

/// A Kafka that takes a record of each key when the test lets it.
#[derive(Default)]
struct Gated {
    /// Keys that nothing is taken of.
    shut: Mutex<HashSet<String>>,
    opened: tokio::sync::Notify,
    taken: Mutex<Vec<(String, i64)>>,
    /// Panics before it takes this one, once.
    panics_at: Mutex<Option<i64>>,
}

impl Publisher for Gated {
    async fn publish(&self, record: &Record) -> Result<Delivered, PublishError> {
        loop {
            let opened = self.opened.notified();
            if !self.shut.lock().expect("whole").contains(&record.key) {
                break;
            }
            opened.await;
        }
        let value: serde_json::Value = serde_json::from_slice(&record.value).expect("JSON");
        let number = value["raw"]["data"][0]["id"].as_i64().unwrap_or(-1);
        let panics = self.panics_at.lock().expect("whole").take_if(|at| *at == number).is_some();
        assert!(!panics, "planned");
        self.taken.lock().expect("whole").push((record.key.clone(), number));
        Ok(memory::acknowledgement())
    }
}

struct Scene {
    dir: std::path::PathBuf,
    spool: Spool,
    kafka: Arc<Gated>,
    telemetry: Arc<ChatAppTelemetry>,
    stop: CancellationToken,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Scene {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("chatbridge-drain-{}-{:x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir_all(&dir).expect("the temporary directory takes folders");
        let spool = Spool::open(&dir.join("spool"), 1024 * 1024).expect("a spool");
        let telemetry = Arc::new(ChatAppTelemetry::new(Arc::new(Metrics::new())));
        telemetry.expect(&Channel::from_name(CHANNEL).expect("a channel"));
        Self { dir, spool, kafka: Arc::default(), telemetry, stop: CancellationToken::new() }
    }

    fn start(&self) -> tokio::task::JoinHandle<()> {
        let bridge = Bridge::new(Arc::clone(&self.kafka), RecordFactory::default(), Policy::default());
        let telemetry = Arc::clone(&self.telemetry);
        let ledger = Arc::new(Ledger::new(Duration::ZERO, Reconnect::default(), Arc::clone(&telemetry)));
        let drain = Drain { spool: self.spool.clone(), bridge: Arc::new(bridge), ledger, telemetry };
        let stop = self.stop.clone();
        tokio::spawn(async move { drain.run(stop).await })
    }

    /// A frame with these messages, as (id, chat).
    async fn lies(&self, road: Road, items: &[(i64, &str)]) {
        let items: Vec<String> =
            items.iter().map(|(id, chat)| format!(r#"{{"id":{id},"chat":{{"id":"{chat}"}}}}"#)).collect();
        let body = format!(
            r#"{{"data":[{}],"meta":{{"type":"message","licenseId":1229,"messengerType":"telegram"}}}}"#,
            items.join(",")
        );
        let channel = Some(CHANNEL.to_owned());
        let frame = Frame { road, channel, event: None, received_at: Timestamp::now(), body: body.into_bytes() };
        self.spool.append(&frame).await.expect("open");
    }

    async fn until(&self, frames: u64, taken: usize) {
        let done = async {
            while self.spool.depth().frames != frames || self.taken().len() != taken {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), done).await;
        assert!(waited.is_ok(), "{:?}, {:?}", self.spool.depth(), self.taken());
    }

    fn taken(&self) -> Vec<(String, i64)> {
        self.kafka.taken.lock().expect("whole").clone()
    }

    fn of(&self, chat: &str) -> Vec<i64> {
        self.taken().into_iter().filter(|(key, _)| key == chat).map(|(_, id)| id).collect()
    }

    fn shut(&self, chat: &str) {
        self.kafka.shut.lock().expect("whole").insert(chat.to_owned());
    }

    fn open(&self) {
        self.kafka.shut.lock().expect("whole").clear();
        self.kafka.opened.notify_waiters();
    }
}

#[tokio::test]
async fn a_frame_leaves_the_disk_with_its_last_item_and_no_chat_waits_for_another() {
    let scene = Scene::new();
    scene.shut("a");
    scene.lies(Road::Push, &[(1, "a"), (2, "b")]).await;
    scene.lies(Road::Push, &[(3, "b")]).await;
    scene.lies(Road::Push, &[(4, "a")]).await;
    let running = scene.start();
    scene.until(2, 2).await;
    assert_eq!(scene.of("b"), [2, 3]);
    scene.open();
    scene.until(0, 4).await;
    assert_eq!(scene.of("a"), [1, 4], "in the order of the disk");
    scene.stop.cancel();
    running.await.expect("an orderly end");
}

#[tokio::test]
async fn what_was_published_comes_by_no_other_road_again() {
    let scene = Scene::new();
    scene.lies(Road::Push, &[(1, "a")]).await;
    let running = scene.start();
    scene.until(0, 1).await;
    scene.shut("a");
    scene.lies(Road::Callback, &[(1, "a"), (2, "a")]).await;
    // On its way already, and not yet known to be published.
    scene.lies(Road::Backfill, &[(2, "a"), (3, "a")]).await;
    scene.until(2, 1).await;
    scene.open();
    scene.until(0, 3).await;
    assert_eq!(scene.of("a"), [1, 2, 3]);
    let view = scene.telemetry.channels()[0].1.view();
    assert_eq!((view.published, view.backfilled, view.reconciled), (3, 1, 0));
    scene.stop.cancel();
    running.await.expect("an orderly end");
}

#[tokio::test]
async fn whoever_is_cut_off_finds_on_disk_what_was_not_delivered() {
    let scene = Scene::new();
    scene.shut("a");
    scene.lies(Road::Push, &[(1, "b"), (2, "a")]).await;
    let running = scene.start();
    scene.until(1, 1).await;
    running.abort();
    assert!(running.await.expect_err("cut off").is_cancelled());
    scene.open();
    let again = scene.start();
    scene.until(0, 3).await;
    assert_eq!((scene.of("a"), scene.of("b")), (vec![2], vec![1, 1]), "at least once");
    scene.stop.cancel();
    again.await.expect("an orderly end");
}

#[tokio::test]
async fn a_panic_ends_it_and_the_frame_stays() {
    let scene = Scene::new();
    *scene.kafka.panics_at.lock().expect("whole") = Some(1);
    scene.lies(Road::Push, &[(1, "a")]).await;
    assert!(scene.start().await.expect_err("planned").is_panic());
    assert_eq!(scene.spool.depth().frames, 1);
    let again = scene.start();
    scene.until(0, 1).await;
    scene.stop.cancel();
    again.await.expect("an orderly end");
}

#[tokio::test]
async fn a_stop_waits_for_what_is_in_hand_and_takes_nothing_more() {
    let scene = Scene::new();
    scene.shut("a");
    scene.lies(Road::Push, &[(1, "a")]).await;
    let running = scene.start();
    while scene.telemetry.channels()[0].1.waiting_for_kafka().is_none() {
        tokio::task::yield_now().await;
    }
    scene.stop.cancel();
    scene.lies(Road::Push, &[(2, "b")]).await;
    scene.open();
    running.await.expect("an orderly end");
    assert_eq!((scene.of("a"), scene.of("b")), (vec![1], vec![]));
    assert_eq!(scene.spool.depth().frames, 1);
}
