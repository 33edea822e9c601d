//! ChatApp's events between a real Pusher server and a real Kafka, `kill -9` for the server and for the bridge, and REST
//! behind it: what is pushed, what is fetched, and what nobody can have.
//!
//! soketi is the server and Pusher's own SDK publishes to it; the simulated ChatApp beside it gives tokens, channels,
//! signatures and the message lists, and its journal says what there was. Each event is in the archive before it is
//! pushed, as at the service. Times are counted in events, so one seed strikes at the same ones.

use std::fs;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chatbridge_lab::chatapp::generator::Generator;
use chatbridge_lab::chatapp::{ChatAppSimulator, ChatAppSimulatorConfig, Event, Login, PusherApp};
use fastrand::Rng;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::support::bridge::{Bridge, Home};
use crate::support::broker::Broker;
use crate::support::chatapp::{Judgement, Told, judge};
use crate::support::http::ask;
use crate::support::needs::or_skip;
use crate::support::record::read;
use crate::support::soketi::{Application, KEY, SECRET, Soketi};

/// Waits between connections grow up to a minute, and a gap is fetched after that.
const PATIENCE: Duration = Duration::from_secs(240);
const POLL: Duration = Duration::from_millis(100);
/// Between two looks for what is not accounted for.
const LOOK_AGAIN: Duration = Duration::from_secs(3);
/// soketi's limit of a batch.
const BATCH_MAX: usize = 10;
/// How far a gap reaches back. An event is in the journal before it is pushed, which takes a moment.
const OVERLAP_SECONDS: u32 = 5;
const CHANNELS: usize = 4;

/// How much, how fast, how often.
struct Run {
    events: usize,
    events_per_second: u32,
    /// Of the server, and of the bridge.
    kills: usize,
    seed: u64,
}

#[test]
#[ignore = "starts a real Kafka and soketi"]
fn chatapp_is_in_kafka_or_told_though_server_and_bridge_are_killed() {
    let run = Run { events: 2_000, events_per_second: 45, kills: 2, seed: 11 };
    run.run();
}

/// `make soak`.
#[test]
#[ignore = "starts a real Kafka and soketi; six minutes"]
fn soak_chatapp_with_server_and_bridge_killed_five_times_each() {
    let run = Run { events: 20_000, events_per_second: 60, kills: 5, seed: 1 };
    run.run();
}

/// What is done once so many events were published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    KillServer,
    StartServer,
    KillBridge,
    StartBridge,
    /// What was received stays on disk, and is there when the bridge is killed.
    FreezeKafka,
    ThawKafka,
    /// What was sent before the server is killed is read long after.
    FreezeBridge,
    ThawBridge,
}

impl Run {
    /// Who is killed when, in the order of the events: each kill in a stretch of its own.
    fn plan(&self, dice: &mut Rng) -> Vec<(usize, Act)> {
        let mut victims = [vec![Act::KillServer; self.kills], vec![Act::KillBridge; self.kills]].concat();
        dice.shuffle(&mut victims);
        let stretch = self.events / victims.len();
        let (mut servers, mut bridges) = (0, 0);
        let mut plan = Vec::new();
        for (turn, victim) in victims.into_iter().enumerate() {
            let begin = turn * stretch;
            let kill = begin + dice.usize(stretch * 3 / 10..stretch / 2);
            let back = kill + dice.usize(1..=stretch / 8);
            let late = kill + stretch * 9 / 20;
            // Every second one with something else in its way.
            let count = if victim == Act::KillServer { &mut servers } else { &mut bridges };
            *count += 1;
            match (victim, *count % 2 == 0) {
                (Act::KillServer, false) => plan.extend([(kill, Act::KillServer), (back, Act::StartServer)]),
                (Act::KillServer, true) => {
                    plan.extend([(kill, Act::FreezeBridge), (kill + 1, Act::KillServer)]);
                    plan.extend([(back + 1, Act::StartServer), (late, Act::ThawBridge)]);
                }
                (_, false) => plan.extend([(kill, Act::KillBridge), (back, Act::StartBridge)]),
                (_, true) => {
                    plan.extend([(begin, Act::FreezeKafka), (kill, Act::KillBridge)]);
                    plan.extend([(back, Act::StartBridge), (back, Act::ThawKafka)]);
                }
            }
        }
        plan
    }

    fn run(&self) {
        let Some(mut scene) = Scene::new() else { return };
        let begun = Instant::now();
        let mut dice = Rng::with_seed(self.seed);
        let plan = self.plan(&mut dice);
        let mut running = Some(scene.start());
        scene.wait(running.as_ref(), "every channel", |status| subscribed(status) == CHANNELS);
        let mut load = scene.load(self);
        for (position, act) in &plan {
            load.wait_for(*position);
            match act {
                Act::KillServer => scene.soketi.kill(),
                Act::StartServer => scene.soketi.restart(json!({})),
                Act::KillBridge => running.take().into_iter().for_each(Bridge::kill),
                Act::StartBridge => running = Some(scene.start()),
                Act::FreezeKafka => scene.broker.pause(),
                Act::ThawKafka => scene.broker.resume(),
                Act::FreezeBridge => running.iter().for_each(|bridge| bridge.signal("STOP")),
                Act::ThawBridge => running.iter().for_each(|bridge| bridge.signal("CONT")),
            }
        }
        let pushes = load.ended();
        let Some(judgement) = scene.judged(running.as_ref()) else { return };
        let Judgement { published, messages, delivered, pushed, fetched, in_gaps, gaps, repeated, .. } = &judgement;
        let kills = plan.iter().filter(|(_, act)| matches!(act, Act::KillServer | Act::KillBridge)).count();
        eprintln!(
            "ChatApp, soketi and Kafka: {} events, {published} items ({messages} messages), delivered {delivered} \
             (pushed {pushed}, fetched {fetched}), in gaps {in_gaps}, gaps told {gaps}, lost {}, repeated {repeated}, \
             out of order {}, wrong key {}, kills {kills}, {:.0} s; pushed to nobody {}, slowest push {:.1?}",
            pushes.events,
            judgement.lost.len(),
            judgement.out_of_order,
            judgement.wrong_key,
            begun.elapsed().as_secs_f64(),
            pushes.failed,
            pushes.slowest,
        );
        assert_eq!(judgement.lost, Vec::<String>::new(), "seed {}, {plan:?}", self.seed);
        let Judgement { out_of_order, repeated_under_another_id, wrong_key, .. } = judgement;
        assert_eq!((out_of_order, repeated_under_another_id, wrong_key), (0, 0, 0));
        assert!(pushes.events >= self.events && kills == 2 * self.kills);
        // Each way was gone, or the run has shown nothing.
        assert!(*pushed > 0 && *fetched > 0 && *in_gaps > 0 && *gaps >= CHANNELS && pushes.failed > 0);
        assert!(running.expect("it was started last").terminate().success());
    }
}

struct Scene {
    simulator: ChatAppSimulator,
    soketi: Soketi,
    application: Application,
    broker: Broker,
    home: Home,
    config: ChatAppSimulatorConfig,
    _runtime: Runtime,
}

impl Scene {
    fn new() -> Option<Self> {
        let broker = or_skip(Broker::start_with(&[("auto.create.topics.enable", "true")]))?;
        let soketi = or_skip(Soketi::start(json!({})))?;
        let application = or_skip(Application::start(soketi.port(), SECRET, None))?;
        let runtime = Runtime::new().expect("a runtime");
        let app = PusherApp { key: KEY.to_owned(), secret: SECRET.to_owned(), ..PusherApp::default() };
        let config = ChatAppSimulatorConfig { app, ..ChatAppSimulatorConfig::default() };
        let simulator = runtime.block_on(ChatAppSimulator::start(config.clone())).expect("free ports");
        let home = Home::new("http://127.0.0.1:9", &[], &broker.bootstrap(), "");
        let Login { email, password, app_id } = Login::default();
        let mut text = fs::read_to_string(home.config()).expect("written");
        text.push_str(&format!(
            "[chatapp]\napi_url = \"{}\"\nsocket_url = \"ws://127.0.0.1:{}\"\napp_key = \"{KEY}\"\nemail = \"{email}\"\n\
             password = \"{password}\"\napp_id = \"{app_id}\"\nstate_dir = \"{}\"\nrequests_per_second_max = 50\n\
             gap_overlap_seconds = {OVERLAP_SECONDS}\n",
            simulator.api_url(),
            soketi.port(),
            home.config().with_file_name("state").display()
        ));
        fs::write(home.config(), text).expect("writable");
        Some(Self { simulator, soketi, application, broker, home, config, _runtime: runtime })
    }

    fn start(&self) -> Bridge {
        Bridge::start(&self.home, &[])
    }

    fn wait(&self, bridge: Option<&Bridge>, what: &str, is_so: impl Fn(&serde_json::Value) -> bool) {
        let bridge = bridge.expect("it runs");
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&bridge.status()["chatapp"]) {
            assert!(Instant::now() < deadline, "no {what}: {}; log:\n{}", bridge.status(), bridge.log());
            thread::sleep(POLL);
        }
    }

    /// Publishes in batches, on a thread of its own.
    fn load(&self, run: &Run) -> Load {
        let (simulator, url) = (self.simulator.clone(), self.application.publish_url());
        let mut generator = Generator::new(&self.config, run.seed).with_unique_items();
        let mut dice = Rng::with_seed(run.seed + 1);
        let (events, pace) = (run.events, Duration::from_secs(1) / run.events_per_second);
        let (tell, told) = channel();
        let publish = move || {
            let mut pushes = Pushes::default();
            let begun = Instant::now();
            while pushes.events < events {
                let batch: Vec<Event> = generator.by_ref().take(dice.usize(1..=BATCH_MAX)).collect();
                for event in &batch {
                    simulator.publish(event);
                }
                pushes.push(&url, &batch);
                // Nobody waits for the last of them.
                let _ = tell.send(pushes.events);
                let due = begun + pace * u32::try_from(pushes.events).expect("a small number");
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            pushes
        };
        Load { told, published: 0, thread: thread::spawn(publish) }
    }

    /// What became of everything, once nothing is on its way any more; `None` where nobody can read it.
    fn judged(&self, bridge: Option<&Bridge>) -> Option<Judgement> {
        let deadline = Instant::now() + PATIENCE / 4;
        loop {
            self.wait(bridge, "rest", |status| {
                let channels = status["channels"].as_array().map_or(&[][..], Vec::as_slice);
                let is_fetched = channels.iter().all(|channel| channel["backfill_pending"] == false);
                subscribed(status) == CHANNELS && is_fetched && status["spool"]["frames"] == 0
            });
            assert_eq!(self.simulator.journal_left_out(), 0, "the journal is whole");
            let records = read(&self.broker.bootstrap(), "chat-events")?;
            let told = records.into_iter().map(|record| {
                let value = serde_json::from_slice(&record.value).expect("JSON");
                Told { key: record.key, value }
            });
            let judgement = judge(&self.simulator.journal(), &told.collect::<Vec<_>>());
            if judgement.lost.is_empty() || Instant::now() > deadline {
                return Some(judgement);
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}

fn subscribed(status: &serde_json::Value) -> usize {
    let channels = status["channels"].as_array().map_or(&[][..], Vec::as_slice);
    channels.iter().filter(|channel| channel["state"] == "subscribed").count()
}

/// What was pushed so far.
#[derive(Debug, Default)]
struct Pushes {
    events: usize,
    /// Events of batches that the server did not take.
    failed: usize,
    slowest: Duration,
}

impl Pushes {
    fn push(&mut self, url: &str, batch: &[Event]) {
        let (address, path) = url.trim_start_matches("http://").split_once('/').expect("a path");
        let body: Vec<_> = batch
            .iter()
            .map(|Event { channel, name, body }| json!({"channel": channel, "name": name, "data": body}))
            .collect();
        let begun = Instant::now();
        let (status, _) = ask(address, "POST", &format!("/{path}"), &json!(body).to_string()).expect("it answers");
        self.slowest = self.slowest.max(begun.elapsed());
        self.events += batch.len();
        if status != 200 {
            self.failed += batch.len();
        }
    }
}

/// Events on their way, and how many there were.
struct Load {
    told: Receiver<usize>,
    published: usize,
    thread: JoinHandle<Pushes>,
}

impl Load {
    /// Returns when so many events were published.
    fn wait_for(&mut self, position: usize) {
        while self.published < position {
            self.published = self.told.recv().expect("the load goes on");
        }
    }

    fn ended(self) -> Pushes {
        self.thread.join().expect("the load does not panic")
    }
}
