//! A simulated ChatApp with a real Pusher server in front, and a home for the bridge that is to hear it.
//!
//! soketi is the server and Pusher's own SDK publishes to it; the simulated ChatApp beside it gives tokens, channels,
//! signatures and the message lists, and its journal says what there was. Each event is in the archive before it is
//! pushed, as at the service.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use chatbridge_lab::chatapp::generator::Generator;
use chatbridge_lab::chatapp::{ChatAppSimulator, ChatAppSimulatorConfig, Event, Login, PusherApp};
use fastrand::Rng;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::bridge::{Bridge, Home};
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
/// One of those that events are generated for.
const CHANNEL: &str = "private-v1.licenses.1229.messengers.telegram";
pub(crate) const CHANNELS: usize = 4;

pub(crate) struct Scene {
    pub(crate) simulator: ChatAppSimulator,
    pub(crate) soketi: Soketi,
    pub(crate) home: Home,
    application: Application,
    config: ChatAppSimulatorConfig,
    brokers: String,
    topic: String,
    _runtime: Runtime,
}

impl Scene {
    /// The bridge publishes to `topic` of `brokers`, and what is odd to `<topic>-dlq`. `None` where the machine has no
    /// node.
    pub(crate) fn new(brokers: &str, topic: &str) -> Option<Self> {
        let soketi = or_skip(Soketi::start(json!({"eventLimits.maxPayloadInKb": 64 * 1024})))?;
        let application = or_skip(Application::start(soketi.port(), SECRET, None))?;
        let runtime = Runtime::new().expect("a runtime");
        let app = PusherApp { key: KEY.to_owned(), secret: SECRET.to_owned(), ..PusherApp::default() };
        let config = ChatAppSimulatorConfig { app, ..ChatAppSimulatorConfig::default() };
        let simulator = runtime.block_on(ChatAppSimulator::start(config.clone())).expect("free ports");
        let home = Home::new("http://127.0.0.1:9", &[], brokers, "");
        let Login { email, password, app_id } = Login::default();
        let mut text = fs::read_to_string(home.config()).expect("written");
        text = text.replacen(
            "[kafka]\n",
            &format!("[kafka]\ntopic = \"{topic}\"\ndead_letter_topic = \"{topic}-dlq\"\n"),
            1,
        );
        text.push_str(&format!(
            "[chatapp]\napi_url = \"{}\"\nsocket_url = \"ws://127.0.0.1:{}\"\napp_key = \"{KEY}\"\nemail = \"{email}\"\n\
             password = \"{password}\"\napp_id = \"{app_id}\"\nstate_dir = \"{}\"\nrequests_per_second_max = 50\n\
             gap_overlap_seconds = {OVERLAP_SECONDS}\n",
            simulator.api_url(),
            soketi.port(),
            state_of(&home).display()
        ));
        fs::write(home.config(), text).expect("writable");
        let (brokers, topic) = (brokers.to_owned(), topic.to_owned());
        Some(Self { simulator, soketi, home, application, config, brokers, topic, _runtime: runtime })
    }

    /// The folder of what outlives the bridge.
    pub(crate) fn state(&self) -> PathBuf {
        state_of(&self.home)
    }

    /// Returns when `/status` shows of ChatApp what is waited for.
    pub(crate) fn wait(&self, bridge: Option<&Bridge>, what: &str, is_so: impl Fn(&Value) -> bool) {
        let bridge = bridge.expect("it runs");
        let deadline = Instant::now() + PATIENCE;
        while !is_so(&bridge.status()["chatapp"]) {
            assert!(Instant::now() < deadline, "no {what}: {}; log:\n{}", bridge.status(), bridge.log());
            thread::sleep(POLL);
        }
    }

    /// Returns when every channel is subscribed.
    pub(crate) fn wait_until_live(&self, bridge: Option<&Bridge>) {
        self.wait(bridge, "every channel", |status| subscribed(status) == CHANNELS);
    }

    /// Publishes in batches, on a thread of its own: `events_max`, or until it is stopped.
    pub(crate) fn load(&self, seed: u64, events_max: usize, events_per_second: u32) -> Load {
        let (simulator, url) = (self.simulator.clone(), self.application.publish_url());
        let mut generator = Generator::new(&self.config, seed).with_unique_items();
        let mut dice = Rng::with_seed(seed + 1);
        let pace = Duration::from_secs(1) / events_per_second;
        let (tell, told) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stop);
        let publish = move || {
            let mut pushes = Pushes::default();
            let begun = Instant::now();
            while pushes.events < events_max && !is_stopped.load(Ordering::Relaxed) {
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
        Load { told, published: 0, stop, thread: Some(thread::spawn(publish)) }
    }

    /// Publishes a body without anybody's knowing.
    pub(crate) fn push(&self, body: &str) {
        let event = Event { channel: CHANNEL.to_owned(), name: "unheard".to_owned(), body: body.to_owned() };
        let mut pushes = Pushes::default();
        pushes.push(&self.application.publish_url(), &[event]);
        assert_eq!(pushes.failed, 0, "the Pusher server takes {} bytes", body.len());
    }

    /// How many records and dead letters hold each of the words that begin so and end with the next hyphen; `None`
    /// where nobody can read them.
    pub(crate) fn words(&self, beginning: &str) -> Option<HashMap<String, usize>> {
        let mut found = HashMap::new();
        for topic in [self.topic.clone(), format!("{}-dlq", self.topic)] {
            for record in read(&self.brokers, &topic)? {
                let text = String::from_utf8_lossy(&record.value);
                let word = text.find(beginning).map(|at| &text[at..]).and_then(|rest| {
                    let end = beginning.len() + rest[beginning.len()..].find('-')?;
                    Some(rest[..=end].to_owned())
                });
                word.into_iter().for_each(|word| *found.entry(word).or_default() += 1);
            }
        }
        Some(found)
    }

    /// Returns when every channel is subscribed, nothing is left to be fetched, and everything has left the disk.
    pub(crate) fn wait_until_settled(&self, bridge: Option<&Bridge>) {
        self.wait(bridge, "rest", |status| {
            let channels = status["channels"].as_array().map_or(&[][..], Vec::as_slice);
            let is_fetched = channels.iter().all(|channel| channel["backfill_pending"] == false);
            subscribed(status) == CHANNELS && is_fetched && status["spool"]["frames"] == 0
        });
    }

    /// What became of everything, once nothing is on its way any more; `None` where nobody can read it.
    pub(crate) fn judged(&self, bridge: Option<&Bridge>) -> Option<Judgement> {
        let deadline = Instant::now() + PATIENCE / 4;
        loop {
            self.wait_until_settled(bridge);
            assert_eq!(self.simulator.journal_left_out(), 0, "the journal is whole");
            let records = read(&self.brokers, &self.topic)?;
            let told = records.into_iter().map(|record| {
                // What is nested too deep to be read here is none of the generator's.
                let value = serde_json::from_slice(&record.value).unwrap_or_default();
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

fn state_of(home: &Home) -> PathBuf {
    home.config().with_file_name("state")
}

fn subscribed(status: &Value) -> usize {
    let channels = status["channels"].as_array().map_or(&[][..], Vec::as_slice);
    channels.iter().filter(|channel| channel["state"] == "subscribed").count()
}

/// What was pushed so far.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    pub(crate) events: usize,
    /// Events of batches that the server did not take.
    pub(crate) failed: usize,
    pub(crate) slowest: Duration,
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

/// Events on their way, and how many there were. Ends when dropped.
pub(crate) struct Load {
    told: Receiver<usize>,
    published: usize,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Pushes>>,
}

impl Load {
    /// Returns when so many events were published.
    pub(crate) fn wait_for(&mut self, position: usize) {
        while self.published < position {
            self.published = self.told.recv_timeout(PATIENCE).expect("the load goes on");
        }
    }

    /// Returns when so many more were.
    pub(crate) fn wait_for_further(&mut self, events: usize) {
        self.published = self.told.try_iter().last().unwrap_or(self.published);
        self.wait_for(self.published + events);
    }

    /// Waits for the last of them.
    pub(crate) fn ended(mut self) -> Pushes {
        self.thread.take().expect("it is joined once").join().expect("the load does not panic")
    }

    /// Publishes no more.
    pub(crate) fn stopped(self) -> Pushes {
        self.stop.store(true, Ordering::Relaxed);
        self.ended()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Before who is published to goes. While a failed row unwinds, nothing it says is news.
        drop(self.thread.take().map(JoinHandle::join));
    }
}
