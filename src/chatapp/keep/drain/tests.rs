//! What leaves the disk is in Kafka, in order, once.

use std::sync::Mutex;

use super::*;
use crate::chatapp::hear::intake::Intake;
use crate::chatapp::mend::backfill::Sink as _;
use crate::core::policy::Policy;
use crate::core::publish::{Delivered, PublishError, memory};
use crate::watch::telemetry::metrics::Metrics;
use chatbridge_base::clock::Clock;
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
    /// The id and the item of each, in the order in which they were taken.
    records: Mutex<Vec<(String, serde_json::Value)>>,
    /// Takes this one, by its place among all, and says nothing of it ever.
    is_silent_at: Mutex<Option<usize>>,
    /// Panics before it takes this one, so often.
    panics_at: Mutex<Option<(i64, u32)>>,
    letters: Mutex<Vec<Record>>,
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
        if &*record.topic == "chat-events-dlq" {
            self.letters.lock().expect("whole").push(record.clone());
            return Ok(memory::acknowledgement());
        }
        let value: serde_json::Value = serde_json::from_slice(&record.value).expect("JSON");
        let number = value["raw"]["data"][0]["id"].as_i64().unwrap_or(-1);
        let panics = {
            let mut planned = self.panics_at.lock().expect("whole");
            let is_planned = planned.as_mut().filter(|(at, left)| *at == number && *left > 0);
            is_planned.map(|(_, left)| *left -= 1).is_some()
        };
        assert!(!panics, "planned");
        self.taken.lock().expect("whole").push((record.key.clone(), number));
        let id = value["id"].as_str().expect("an id").to_owned();
        let count = {
            let mut records = self.records.lock().expect("whole");
            records.push((id, value["raw"]["data"][0].clone()));
            records.len()
        };
        if self.is_silent_at.lock().expect("whole").take_if(|at| *at == count).is_some() {
            pending::<()>().await;
        }
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
        let ledger = Arc::new(Ledger::new(Clock::of_this_machine(), Reconnect::default(), Arc::clone(&telemetry)));
        // Opened anew, as the next process does.
        let suspects = Arc::new(Suspects::open(&self.dir.join("suspect"), |frame| self.spool.holds(frame)));
        let drain = Drain { spool: self.spool.clone(), suspects, bridge: Arc::new(bridge), ledger, telemetry };
        let stop = self.stop.clone();
        tokio::spawn(async move { drain.run(stop).await })
    }

    /// A frame with these messages, as (id, chat).
    async fn lies(&self, road: Road, items: &[(i64, &str)]) {
        let items: Vec<String> =
            items.iter().map(|(id, chat)| format!(r#"{{"id":{id},"chat":{{"id":"{chat}"}}}}"#)).collect();
        self.lies_as(road, "message", &items).await;
    }

    /// A frame with these items. All frames were received at the same time.
    async fn lies_as(&self, road: Road, event: &str, items: &[String]) {
        let items = items.join(",");
        let meta = r#""licenseId":1229,"messengerType":"telegram""#;
        let body = format!(r#"{{"data":[{items}],"meta":{{"type":"{event}",{meta}}}}}"#).into_bytes();
        let (channel, received_at) = (Some(CHANNEL.to_owned()), Timestamp::UNIX_EPOCH);
        let frame = Frame { road, channel, event: None, received_at, asked_behind: None, body };
        self.spool.append(&frame).await.expect("open");
    }

    /// Runs until this many records were taken, is cut off there before the last is acknowledged, and so on until all
    /// of `count` are. The ids and items of what was published, without repeats, which have the same id.
    async fn cut_off_at_every_record(&self, count: usize) -> Vec<(String, serde_json::Value)> {
        let mut taken = 0;
        for _ in 0..count {
            // What was not acknowledged comes again, and the one behind it is the next to be cut off.
            taken += if taken == 0 { 1 } else { 2 };
            *self.kafka.is_silent_at.lock().expect("whole") = Some(taken);
            let running = self.start();
            self.until(|scene| scene.kafka.is_silent_at.lock().expect("whole").is_none()).await;
            running.abort();
            assert!(running.await.expect_err("cut off").is_cancelled());
        }
        let running = self.start();
        self.until(|scene| scene.spool.depth().frames == 0).await;
        self.stop.cancel();
        running.await.expect("an orderly end");
        let mut published: Vec<(String, serde_json::Value)> = Vec::new();
        for (id, item) in self.kafka.records.lock().expect("whole").iter() {
            match published.iter().find(|(known, _)| known == id) {
                Some((_, known)) => assert_eq!(known, item, "the same id, the same event"),
                None => published.push((id.clone(), item.clone())),
            }
        }
        published
    }

    async fn until(&self, is_so: impl Fn(&Self) -> bool) {
        let done = async {
            while !is_so(self) {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), done).await;
        assert!(waited.is_ok(), "{:?}, {:?}", self.spool.depth(), self.taken());
    }

    /// Until so many frames lie there and so many records were taken.
    async fn level(&self, frames: u64, taken: usize) {
        self.until(|scene| scene.spool.depth().frames == frames && scene.taken().len() == taken).await;
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
    scene.level(2, 2).await;
    assert_eq!(scene.of("b"), [2, 3]);
    scene.open();
    scene.level(0, 4).await;
    assert_eq!(scene.of("a"), [1, 4], "in the order of the disk");
    scene.stop.cancel();
    running.await.expect("an orderly end");
}

#[tokio::test]
async fn what_was_published_comes_by_no_other_road_again() {
    let scene = Scene::new();
    scene.lies(Road::Push, &[(1, "a")]).await;
    let running = scene.start();
    scene.level(0, 1).await;
    scene.shut("a");
    scene.lies(Road::Callback, &[(1, "a"), (2, "a")]).await;
    // On its way already, and not yet known to be published.
    scene.lies(Road::Backfill, &[(2, "a"), (3, "a")]).await;
    scene.level(2, 1).await;
    scene.open();
    scene.level(0, 3).await;
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
    scene.level(1, 1).await;
    running.abort();
    assert!(running.await.expect_err("cut off").is_cancelled());
    scene.open();
    let again = scene.start();
    scene.level(0, 3).await;
    assert_eq!((scene.of("a"), scene.of("b")), (vec![2], vec![1, 1]), "at least once");
    scene.stop.cancel();
    again.await.expect("an orderly end");
}

#[tokio::test]
async fn a_panic_ends_it_and_the_frame_stays() {
    let scene = Scene::new();
    *scene.kafka.panics_at.lock().expect("whole") = Some((1, 1));
    scene.lies(Road::Push, &[(1, "a")]).await;
    assert!(scene.start().await.expect_err("planned").is_panic());
    assert_eq!(scene.spool.depth().frames, 1);
    let again = scene.start();
    scene.level(0, 1).await;
    scene.stop.cancel();
    again.await.expect("an orderly end");
}

#[tokio::test]
async fn a_frame_that_ends_it_three_times_in_a_row_goes_to_the_dead_letters_whole_and_the_rest_goes_on() {
    let scene = Scene::new();
    *scene.kafka.panics_at.lock().expect("whole") = Some((2, u32::MAX));
    scene.lies(Road::Push, &[(1, "a")]).await;
    scene.lies(Road::Push, &[(2, "b"), (3, "b")]).await;
    scene.lies(Road::Push, &[(4, "c")]).await;
    for _ in 0..LIVES_MAX {
        assert!(scene.start().await.expect_err("planned").is_panic());
        assert!(scene.spool.depth().frames > 0);
    }
    let again = scene.start();
    scene.until(|scene| scene.spool.depth().frames == 0).await;
    scene.stop.cancel();
    again.await.expect("an orderly end");
    assert_eq!((scene.of("b"), scene.of("c").last()), (vec![], Some(&4)));
    let letters = scene.kafka.letters.lock().expect("whole");
    let [letter] = &letters[..] else { panic!("{} letters", letters.len()) };
    assert!(letter.value.starts_with(br#"{"data":[{"id":2,"#), "whole");
    assert!(letter.headers.iter().any(|(_, value)| value == "crashed"), "{:?}", letter.headers);
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

/// More than is on the way at a time.
const MANY: i64 = 3_000;

#[tokio::test]
async fn a_frame_with_more_than_there_is_room_for_is_taken_apart_as_kafka_takes_it_in_its_order() {
    let scene = Scene::new();
    scene.shut("a");
    let items: Vec<(i64, &str)> = (1..=MANY).map(|id| (id, if id % 7 == 0 { "b" } else { "a" })).collect();
    scene.lies(Road::Push, &items).await;
    scene.lies(Road::Push, &[(MANY + 1, "b"), (MANY + 2, "a")]).await;
    let running = scene.start();
    scene.until(|scene| scene.of("b").len() > 100).await;
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert!(scene.of("b").len() < (MANY / 7) as usize, "the rest of the frame waits for room");
    scene.open();
    scene.level(0, MANY as usize + 2).await;
    assert!(scene.of("a").is_sorted() && scene.of("b").is_sorted());
    scene.stop.cancel();
    running.await.expect("an orderly end");
}

#[tokio::test]
async fn a_frame_that_was_cut_off_half_way_is_delivered_whole_with_the_same_ids() {
    let scene = Scene::new();
    let items: Vec<(i64, &str)> = (1..=MANY).map(|id| (id, "a")).collect();
    scene.lies(Road::Push, &items).await;
    *scene.kafka.is_silent_at.lock().expect("whole") = Some(MANY as usize / 2);
    let running = scene.start();
    scene.until(|scene| scene.kafka.is_silent_at.lock().expect("whole").is_none()).await;
    running.abort();
    assert!(running.await.expect_err("cut off").is_cancelled());
    assert_eq!(scene.spool.depth().frames, 1);
    let again = scene.start();
    scene.level(0, MANY as usize / 2 + MANY as usize).await;
    let ids: HashSet<String> = scene.kafka.records.lock().expect("whole").iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(ids.len(), MANY as usize);
    scene.stop.cancel();
    again.await.expect("an orderly end");
}

/// What happens one after the other to one thing, some of it equal to the letter, and all of it at the same time.
fn what_comes_back() -> Vec<(&'static str, Vec<String>)> {
    let tag = |verb: &str| format!(r#"{{"type":"{verb}","tag":{{"id":29}},"chat":{{"id":"a"}}}}"#);
    let employee = |turn: usize| format!(r#"{{"type":"{}","employee":{{"id":5}}}}"#, ["online", "offline"][turn % 2]);
    let said = |text: &str| format!(r#"{{"id":1,"time":5,"message":{{"text":"{text}"}},"chat":{{"id":"a"}}}}"#);
    let reaction = |action: &str| {
        let author = r#""fromUser":{"id":7},"chat":{"id":"a"}"#;
        format!(r#"{{"id":1,"reaction":"x","time":5,"action":"{action}",{author}}}"#)
    };
    let file = |link: &str| {
        let file = format!(r#"{{"link":"https://files.example.invalid/{link}","name":"offer.pdf"}}"#);
        format!(r#"{{"id":1,"time":5,"message":{{"caption":"x","file":{file}}},"chat":{{"id":"a"}}}}"#)
    };
    let status = |state: &str| format!(r#"{{"id":1,"type":"{state}","time":5,"chat":{{"id":"a"}}}}"#);
    vec![
        ("chatTag", ["add", "destroy", "add"].map(tag).to_vec()),
        ("employeeStatus", (0..10).map(employee).collect()),
        ("message", ["one", "two", "one"].map(said).to_vec()),
        ("message", ["1", "2", "1"].map(file).to_vec()),
        ("messageReaction", ["react", "unreact", "react"].map(reaction).to_vec()),
        ("messageStatus", ["failed", "sent", "failed"].map(status).to_vec()),
    ]
}

#[tokio::test]
async fn what_comes_back_is_published_each_time_in_order_and_a_crash_changes_no_id() {
    for (event, items) in what_comes_back() {
        for together in [false, true] {
            let scene = Scene::new();
            match together {
                true => scene.lies_as(Road::Push, event, &items).await,
                false => {
                    for item in &items {
                        scene.lies_as(Road::Push, event, std::slice::from_ref(item)).await;
                    }
                }
            }
            let published = if together {
                let running = scene.start();
                scene.level(0, items.len()).await;
                running.abort();
                scene.kafka.records.lock().expect("whole").clone()
            } else {
                scene.cut_off_at_every_record(items.len()).await
            };
            let ids: HashSet<&String> = published.iter().map(|(id, _)| id).collect();
            assert_eq!(ids.len(), items.len(), "{event}: each has an id of its own");
            let told: Vec<String> = published.iter().map(|(_, item)| item.to_string()).collect();
            let as_value = |item: &String| serde_json::from_str::<serde_json::Value>(item).expect("JSON").to_string();
            assert_eq!(told, items.iter().map(as_value).collect::<Vec<_>>(), "{event}: in order");
        }
    }
}

#[tokio::test]
async fn what_one_road_brought_in_any_order_of_forms_the_other_brings_for_nothing() {
    for (event, items) in what_comes_back() {
        if !event.starts_with("message") {
            continue;
        }
        let scene = Scene::new();
        for road in [Road::Push, Road::Callback, Road::Push] {
            let last = items.len() - 1;
            let items = if road == Road::Push { &items[..] } else { &items[..last] };
            for item in items {
                scene.lies_as(road, event, std::slice::from_ref(item)).await;
            }
        }
        let running = scene.start();
        scene.until(|scene| scene.spool.depth().frames == 0).await;
        // The third time all but the first form are returns, as far as anybody can tell: the first is the last
        // published.
        assert_eq!(scene.taken().len(), 2 * items.len() - 1, "{event}");
        scene.stop.cancel();
        running.await.expect("an orderly end");
    }
}

#[tokio::test]
async fn a_repeat_is_not_written_down_before_what_it_repeats_is_in_kafka() {
    let scene = Scene::new();
    scene.shut("a");
    scene.lies(Road::Push, &[(1, "a")]).await;
    scene.lies(Road::Callback, &[(1, "a")]).await;
    scene.lies(Road::Push, &[(2, "b")]).await;
    let running = scene.start();
    scene.level(2, 1).await;
    running.abort();
    assert!(running.await.expect_err("cut off").is_cancelled());
    scene.open();
    let again = scene.start();
    scene.level(0, 2).await;
    assert_eq!(scene.of("a"), [1]);
    scene.stop.cancel();
    again.await.expect("an orderly end");
}

#[tokio::test]
async fn a_frame_that_waits_for_one_chat_is_not_taken_for_news_of_another_after_a_crash() {
    let scene = Scene::new();
    let said = |chat: &str, text: &str| format!(r#"{{"id":1,"message":{{"text":"{text}"}},"chat":{{"id":"{chat}"}}}}"#);
    scene.shut("a");
    scene.lies_as(Road::Push, "message", &[said("a", "x"), said("b", "old")]).await;
    scene.lies_as(Road::Push, "message", &[said("b", "new")]).await;
    let running = scene.start();
    scene.level(1, 2).await;
    running.abort();
    assert!(running.await.expect_err("cut off").is_cancelled());
    scene.open();
    let again = scene.start();
    scene.level(0, 3).await;
    let told: Vec<String> = scene
        .kafka
        .records
        .lock()
        .expect("whole")
        .iter()
        .map(|(_, item)| item["message"]["text"].to_string())
        .collect();
    assert_eq!(told, [r#""old""#, r#""new""#, r#""x""#], "the old one does not come back behind the new one");
    scene.stop.cancel();
    again.await.expect("an orderly end");
}

#[tokio::test]
async fn what_was_fetched_is_news_where_it_is_not_the_last_form_and_younger_than_that() {
    let scene = Scene::new();
    let channel = Channel::from_name(CHANNEL).expect("a channel");
    let fetching = Intake::new(scene.spool.clone(), Arc::clone(&scene.telemetry)).fetching(channel, Road::Backfill);
    let item = |text: &str| format!(r#"{{"id":1,"message":{{"text":"{text}"}}}}"#);
    let pushed = |text: &str| [format!(r#"{{"chat":{{"id":"a"}},{}"#, &item(text)[1..])];
    let listed = |text: &str| vec![serde_json::value::RawValue::from_string(item(text)).expect("JSON")];
    let running = scene.start();
    for (count, text) in [(1, "one"), (2, "two")] {
        scene.lies_as(Road::Push, "message", &pushed(text)).await;
        scene.level(0, count).await;
    }
    assert!(fetching.take("a", listed("two"), fetching.moment()).await);
    assert_eq!(scene.spool.depth().frames, 0, "what consumers have needs no place on disk");
    assert!(fetching.take("a", listed("one"), fetching.moment()).await);
    scene.level(0, 3).await;

    let before = fetching.moment();
    scene.lies_as(Road::Push, "message", &pushed("three")).await;
    scene.level(0, 4).await;
    assert!(fetching.take("a", listed("one"), before).await);
    assert_eq!((scene.spool.depth().frames, scene.taken().len()), (0, 4), "that page is older than the edit");

    scene.shut("a");
    scene.lies_as(Road::Push, "message", &pushed("four")).await;
    assert!(fetching.take("a", listed("three"), fetching.moment()).await);
    scene.level(2, 4).await;
    scene.open();
    scene.level(0, 6).await;
    let said = |(_, item): &(String, serde_json::Value)| item["message"]["text"].as_str().expect("words").to_owned();
    let told: Vec<String> = scene.kafka.records.lock().expect("whole").iter().map(said).collect();
    assert_eq!(told, ["one", "two", "one", "three", "four", "three"]);
    scene.stop.cancel();
    running.await.expect("an orderly end");
}
