//! The real binary between a simulated ChatApp and librdkafka's mock cluster: what is pushed, called and fetched,
//! through every way of being cut off.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chatbridge::config::{CloudEventsMode, Kafka};
use chatbridge::core::consume::TopicReader;
use chatbridge_lab::chatapp::generator::{Generator, Wrapping};
use chatbridge_lab::chatapp::{Act, ChatAppSimulator, ChatAppSimulatorConfig, Event, Login};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::bridge::{Bridge, Home};
use crate::support::chatapp::{Judgement, Told, judge, numbers, published};
use crate::webhook::webhook_address;

const TELEGRAM: &str = "private-v1.licenses.1229.messengers.telegram";
const COMPANY: &str = "private-v1.companies.2224";
pub(crate) const CALLBACK: &str = "canary0callback0secret";

pub(crate) struct Scene {
    runtime: Runtime,
    pub(crate) simulator: ChatAppSimulator,
    pub(crate) brokers: MockCluster<'static, DefaultProducerContext>,
    pub(crate) home: Home,
    config: ChatAppSimulatorConfig,
}

impl Scene {
    /// `more` goes into `[chatapp]`.
    pub(crate) fn new(more: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let config = ChatAppSimulatorConfig::default();
        let simulator = runtime.block_on(ChatAppSimulator::start(config.clone())).expect("free ports");
        let brokers = MockCluster::new(1).expect("brokers");
        for topic in ["chat-events", "chat-events-dlq"] {
            brokers.create_topic(topic, 4, 1).expect("a topic");
        }
        let Login { email, password, app_id } = Login::default();
        let home = Home::new("http://127.0.0.1:9", &[], &brokers.bootstrap_servers(), "");
        let mut text = std::fs::read_to_string(home.config()).expect("written");
        text.push_str(&format!(
            "[webhook]\nlisten = \"127.0.0.1:0\"\n[chatapp]\napi_url = \"{}\"\nsocket_url = \"{}\"\nemail = \"{email}\"\n\
             password = \"{password}\"\napp_id = \"{app_id}\"\nstate_dir = \"{}\"\nrequests_per_second_max = 50\n\
             callback_secret = \"{CALLBACK}\"\n{more}\n",
            simulator.api_url(),
            simulator.socket_url(),
            Self::state(&home).display()
        ));
        std::fs::write(home.config(), text).expect("writable");
        Self { runtime, simulator, brokers, home, config }
    }

    pub(crate) fn state(home: &Home) -> PathBuf {
        home.config().with_file_name("state")
    }

    pub(crate) fn generator(&self) -> Generator {
        Generator::new(&self.config, 7).with_unique_items()
    }

    /// Starts the bridge, returns when every channel is subscribed.
    pub(crate) fn start(&self) -> Bridge {
        self.started(Bridge::start(&self.home, &[]))
    }

    /// The same with a bridge that was started another way.
    pub(crate) fn started(&self, mut bridge: Bridge) -> Bridge {
        bridge.wait_until_ready();
        self.all_subscribed(&mut bridge);
        bridge
    }

    pub(crate) fn all_subscribed(&self, bridge: &mut Bridge) {
        bridge.wait("all channels", |bridge| {
            (bridge.metric("chatbridge_chatapp_channel_subscribed", "") == 4.0).then_some(())
        });
    }

    pub(crate) fn publish(&self, generator: &mut Generator, events: usize) {
        for event in generator.by_ref().take(events) {
            self.simulator.publish(&event);
        }
    }

    /// Returns when nothing waits on disk and nothing is to be fetched.
    pub(crate) fn drained(&self, bridge: &mut Bridge) {
        bridge.wait("an empty spool", |bridge| {
            let status = bridge.status();
            let channels = status["chatapp"]["channels"].as_array()?;
            let is_idle = channels.iter().all(|channel| channel["backfill_pending"] == false);
            (is_idle && status["chatapp"]["spool"]["frames"] == 0).then_some(())
        });
    }

    /// Returns when everything that was pushed so far has reached the bridge and Kafka.
    pub(crate) fn caught_up(&self, bridge: &mut Bridge) {
        let wanted = published(&self.simulator.journal());
        bridge.wait("every item", |_| (numbers(&self.topic()).len() >= wanted).then_some(()));
        self.drained(bridge);
    }

    pub(crate) fn topic(&self) -> Vec<Told> {
        let kafka = Kafka {
            brokers: self.brokers.bootstrap_servers(),
            topic: "chat-events".into(),
            dead_letter_topic: "none".into(),
            cloudevents_mode: CloudEventsMode::Binary,
            create_topics: None,
            properties: Default::default(),
        };
        self.runtime.block_on(async {
            let reader = TopicReader::open(&kafka, Arc::from("chat-events")).await.expect("a topic");
            let mut records = reader.to_the_end();
            let mut told = Vec::new();
            while let Some(record) = records.recv().await {
                let record = record.expect("readable");
                told.push(Told { key: record.key, value: serde_json::from_slice(&record.value).expect("JSON") });
            }
            told
        })
    }

    /// Returns when nothing is missing of which nobody was told, and nothing is on its way.
    pub(crate) fn accounted_for(&self, bridge: &mut Bridge) {
        bridge.wait("every item, or its gap", |_| {
            judge(&self.simulator.journal(), &self.topic()).lost.is_empty().then_some(())
        });
        self.drained(bridge);
    }

    pub(crate) fn judged(&self) -> Judgement {
        assert_eq!(self.simulator.journal_left_out(), 0, "the journal is whole");
        let judgement = judge(&self.simulator.journal(), &self.topic());
        assert_eq!(judgement.lost, Vec::<String>::new(), "{judgement:?}");
        let Judgement { out_of_order, repeated_under_another_id, wrong_key, .. } = judgement;
        assert_eq!((out_of_order, repeated_under_another_id, wrong_key), (0, 0, 0), "{judgement:?}");
        judgement
    }
}

fn post(address: &str, path: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer: {answer:?}")), answer)
}

#[test]
fn everything_that_is_pushed_is_in_kafka_once_in_order_and_gone_from_the_disk() {
    let scene = Scene::new("");
    let mut bridge = scene.start();
    scene.publish(&mut scene.generator(), 600);
    scene.caught_up(&mut bridge);
    let judgement = scene.judged();
    assert_eq!((judgement.repeated, judgement.gaps, judgement.fetched), (0, 0, 0), "{judgement:?}");
    assert!(judgement.published >= 600 && bridge.metric("chatbridge_chatapp_wrapped_bodies_total", "") > 0.0);
    assert_eq!(bridge.metric("chatbridge_chatapp_connected", ""), 1.0);
    assert_eq!(
        bridge.metric("chatbridge_chatapp_events_published_total", ""),
        judgement.published as f64,
        "each channel tells what is its own"
    );
    assert_eq!(bridge.metric("chatbridge_chatapp_events_published_total", "channel=\"other\""), 0.0);
    assert!(bridge.metric("chatbridge_chatapp_token_expiry_timestamp_seconds", "access") > 1e9);
    let status = bridge.status();
    assert_eq!(status["chatapp"]["channels"][0]["state"], "subscribed", "{status}");
    assert_eq!(status["chatapp"]["spool"]["condition"], "well", "{status}");
    assert!(bridge.terminate().success());
}

#[test]
fn what_is_missed_while_the_server_is_away_is_fetched_or_told() {
    let scene = Scene::new("gap_overlap_seconds = 1\n");
    let mut bridge = scene.start();
    let mut generator = scene.generator();
    scene.publish(&mut generator, 100);
    scene.caught_up(&mut bridge);
    scene.simulator.act(&Act::Restart { downtime_ms: 1500, killed: true });
    scene.publish(&mut generator, 100);
    scene.all_subscribed(&mut bridge);
    bridge.wait("a gap of each channel", |bridge| {
        (bridge.metric("chatbridge_chatapp_gaps_total", "reason=\"disconnected\"") >= 4.0).then_some(())
    });
    scene.publish(&mut generator, 100);
    scene.accounted_for(&mut bridge);
    let judgement = scene.judged();
    assert!(judgement.fetched > 0 && judgement.in_gaps > 0 && judgement.gaps >= 4, "{judgement:?}");
    assert!(bridge.metric("chatbridge_chatapp_backfilled_total", "") > 0.0);
    assert!(bridge.metric("chatbridge_chatapp_disconnects_total", "") >= 1.0);
    assert!(bridge.terminate().success());
}

#[test]
fn what_was_received_outlives_a_kill_and_what_came_meanwhile_is_fetched_or_told() {
    let scene = Scene::new("gap_overlap_seconds = 5\n");
    let mut generator = scene.generator();
    for _ in 0..4 {
        let mut bridge = scene.start();
        scene.publish(&mut generator, 150);
        bridge.wait("some of it", |bridge| {
            (bridge.metric("chatbridge_chatapp_frames_total", "push") > 0.0).then_some(())
        });
        // In the middle of it: some of it is in Kafka, some on disk, some on the way.
        bridge.kill();
        scene.publish(&mut generator, 50);
    }
    let mut bridge = scene.start();
    bridge.wait("the last gap", |bridge| {
        (bridge.metric("chatbridge_chatapp_gaps_total", "reason=\"not_running\"") >= 4.0).then_some(())
    });
    scene.accounted_for(&mut bridge);
    let judgement = scene.judged();
    eprintln!("killed four times: {judgement:?}");
    assert!(judgement.fetched > 0 && judgement.in_gaps > 0, "{judgement:?}");
    assert!(bridge.terminate().success());
}

#[test]
fn a_stop_and_a_start_repeat_nothing() {
    let scene = Scene::new("gap_overlap_seconds = 5\n");
    let mut generator = scene.generator().wrapped(Wrapping::Always);
    for _ in 0..3 {
        let mut bridge = scene.start();
        scene.publish(&mut generator, 60);
        scene.caught_up(&mut bridge);
        assert!(bridge.terminate().success());
    }
    let judgement = scene.judged();
    assert_eq!((judgement.repeated, judgement.delivered), (0, judgement.published), "{judgement:?}");
    assert_eq!(judgement.gaps, 8, "four channels, two starts after the first");
}

#[test]
fn a_subscription_that_ended_without_a_word_is_noticed_and_made_good() {
    let scene = Scene::new("gap_overlap_seconds = 1\nreconcile_seconds = 1\n");
    let mut bridge = scene.start();
    let mut generator = scene.generator();
    scene.publish(&mut generator, 40);
    scene.caught_up(&mut bridge);
    scene.simulator.act(&Act::UnsubscribeSilently);
    // ChatApp tells whole seconds: later than everything that was pushed, beyond doubt.
    let later = jiff::Timestamp::now().as_second() as u64 + 2;
    for _ in 0..40 {
        scene.simulator.publish(&generator.event_at(later));
    }
    bridge.wait("the gap", |bridge| {
        (bridge.metric("chatbridge_chatapp_gaps_total", "reason=\"silence\"") >= 1.0).then_some(())
    });
    assert!(bridge.metric("chatbridge_chatapp_reconciled_total", "") >= 1.0);
    assert!(bridge.terminate().success());
}

#[test]
fn chatapp_may_call_whoever_knows_the_secret_and_gets_its_200_from_the_disk() {
    let scene = Scene::new("");
    let mut bridge = scene.start();
    let address = webhook_address(&mut bridge);
    let path = format!("/chatapp/{CALLBACK}");
    let event =
        scene.generator().find(|event| event.channel == TELEGRAM && event.name == "message").expect("a message");
    let body: Value = serde_json::from_str(&event.body).expect("JSON");
    let body = body.get("payload").unwrap_or(&body).to_string();
    assert_eq!(post(&address, &path, b"").0, 200, "how ChatApp tries the address");
    assert_eq!(post(&address, "/chatapp/canary0callback0secreT", body.as_bytes()).0, 404);
    assert_eq!(post(&address, &path, body.as_bytes()).0, 200);
    assert_eq!(post(&address, &path, body.as_bytes()).0, 200, "a repeat is taken, too");
    bridge.wait("the record", |_| (scene.topic().len() == 1).then_some(()));
    scene.drained(&mut bridge);
    assert_eq!(scene.topic().len(), 1, "and is published once");
    assert_eq!(bridge.metric("chatbridge_chatapp_frames_total", "road=\"callback\""), 2.0);
    assert!(!bridge.log().contains("canary0callback"), "{}", bridge.log());
    assert!(bridge.terminate().success());
}

/// What happens to one thing, one after the other: some of it equal to the letter, and all of it at the same time.
struct Story {
    channel: String,
    event: &'static str,
    items: Vec<Value>,
}

impl Story {
    /// One of each sort, each about another chat.
    fn all() -> Vec<Self> {
        let now = jiff::Timestamp::now().as_second();
        let chat = |id: &str| json!({"id": id, "type": "private"});
        let tag = |verb| json!({"type": verb, "tag": {"id": 29, "name": "VIP"}, "chat": chat("t1")});
        let employee = |state: &str| json!({"type": state, "employee": {"id": 5}});
        let message = |id: &str, said: Value| json!({"id": 1, "time": now, "message": said, "chat": chat(id)});
        let text = |said: &str| message("t2", json!({"text": said, "caption": "", "file": null}));
        let file = |link: &str| {
            let file = json!({"link": format!("https://files.example.invalid/{link}"), "name": "offer.pdf"});
            message("t3", json!({"text": "", "caption": "our offer", "file": file}))
        };
        let reaction = |action: &str| {
            let author = json!({"id": 7, "name": "Ira"});
            json!({"id": 1, "reaction": "x", "time": now, "action": action, "chat": chat("t4"), "fromUser": author})
        };
        let told = |event, items| Self { channel: TELEGRAM.to_owned(), event, items };
        let on_and_off = ["online", "offline"].repeat(5).into_iter().map(employee).collect();
        vec![
            told("chatTag", ["add", "destroy", "add"].map(tag).to_vec()),
            told("message", ["one", "two", "one"].map(text).to_vec()),
            told("message", ["1", "2", "1"].map(file).to_vec()),
            told("messageReaction", ["react", "unreact", "react"].map(reaction).to_vec()),
            Self { channel: COMPANY.to_owned(), event: "employeeStatus", items: on_and_off },
        ]
    }

    fn publish(&self, simulator: &ChatAppSimulator) {
        for item in &self.items {
            let mut meta = match self.channel == TELEGRAM {
                true => json!({"licenseId": 1229, "messengerType": "telegram"}),
                false => json!({"companyId": 2224}),
            };
            meta["type"] = json!(self.event);
            let body = json!({"payload": {"data": [item], "meta": meta}}).to_string();
            simulator.publish(&Event { channel: self.channel.clone(), name: self.event.to_owned(), body });
        }
    }

    /// What consumers have of it: each id once, in the order in which they see it first.
    fn seen(&self, topic: &[Told]) -> Vec<Value> {
        let mut ids = Vec::new();
        let mut seen = Vec::new();
        for Told { value, .. } in topic {
            let item = &value["raw"]["data"][0];
            let is_its = value["raw"]["meta"]["type"] == self.event && item["chat"] == self.items[0]["chat"];
            if is_its && !ids.contains(&value["id"]) {
                ids.push(value["id"].clone());
                seen.push(item.clone());
            }
        }
        seen
    }
}

#[test]
fn what_comes_back_is_published_each_time_in_order() {
    let scene = Scene::new("");
    let mut bridge = scene.start();
    let stories = Story::all();
    stories.iter().for_each(|story| story.publish(&scene.simulator));
    let count: usize = stories.iter().map(|story| story.items.len()).sum();
    bridge.wait("all that was pushed", |bridge| {
        (bridge.metric("chatbridge_chatapp_events_published_total", "") >= count as f64).then_some(())
    });
    scene.drained(&mut bridge);
    let topic = scene.topic();
    for story in &stories {
        assert_eq!(story.seen(&topic), story.items, "{}", story.event);
    }
    assert_eq!(topic.len(), count, "each once");
    assert!(bridge.terminate().success());
}

#[test]
fn a_kill_between_kafkas_word_and_the_disks_changes_no_id() {
    let scene = Scene::new("gap_overlap_seconds = 5\n");
    let mut bridge = scene.start();
    let stories = Story::all();
    // Kafka has a record long before it says so.
    scene.brokers.broker_round_trip_time(1, Duration::from_millis(250)).expect("a broker");
    stories.iter().for_each(|story| story.publish(&scene.simulator));
    let count: usize = stories.iter().map(|story| story.items.len()).sum();
    bridge.wait("all that was pushed", |bridge| {
        (bridge.metric("chatbridge_chatapp_frames_total", "push") >= count as f64).then_some(())
    });
    for turn in 1..=8 {
        bridge.wait("a record on its way", |bridge| (bridge.metric("chatbridge_in_flight", "") > 0.0).then_some(()));
        // Kafka is asked for this and that before it is given anything, each for a quarter of a second.
        std::thread::sleep(Duration::from_millis(turn * 200));
        bridge.kill();
        bridge = Bridge::start(&scene.home, &[]);
    }
    scene.brokers.broker_round_trip_time(1, Duration::ZERO).expect("a broker");
    bridge.wait_until_ready();
    scene.all_subscribed(&mut bridge);
    scene.drained(&mut bridge);
    let topic = scene.topic();
    for story in &stories {
        assert_eq!(story.seen(&topic), story.items, "{}", story.event);
    }
    let repeats = topic.iter().filter(|told| told.value["kind"] != "gap").count() - count;
    eprintln!("killed eight times: {repeats} repeats");
    assert!(repeats > 0, "it was killed at the right moment");
    assert!(bridge.terminate().success());
}
