//! What a row plays on: its own GREEN-API, its own topics, its own bridge, and the Kafka it asked for.

use std::collections::{BTreeSet, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use chatbridge_lab::green_api::{
    Fault, JournalEntry, JournalEvent, PushConfig, SimulatedInstance, Simulator, SimulatorConfig,
};
use jiff::Timestamp;
use serde_json::Value;

use super::ground::Ground;
use super::load::Load;
use super::odd::Odd;
use super::row::{Hit, Pace, Place, Row};
use crate::scene::wait_until_emptied;
use crate::support::bridge::{Bridge, Home};
use crate::support::record::Record;
use crate::support::siege::Siege;
use crate::support::toxiproxy::Toxiproxy;
use crate::support::way::{Way, Webhook, url_at};

/// Whatever has to happen happens within this, or a row says what did not.
pub(super) const PATIENCE: Duration = Duration::from_secs(180);
/// So much longer for each event that goes meanwhile: on a busy machine it takes as long as the backlog gets less.
const PATIENCE_EACH: Duration = Duration::from_millis(500);
pub(super) const POLL: Duration = Duration::from_millis(100);
pub(crate) const INSTANCES: u64 = 6;
/// Events a second, over all instances.
const RATE: u32 = 48;
/// Instances' ids begin here; rows that run side by side have others, so that no log line belongs to two.
const FIRST_ID: u64 = 1_101_000_001;

/// One row, running.
pub(crate) struct Stage<'a> {
    pub(crate) pace: Pace,
    pub(crate) way: Way,
    pub(crate) ground: Ground<'a>,
    pub(crate) simulator: Simulator,
    pub(crate) ids: Vec<u64>,
    /// Those of the API and of the webhook.
    pub(crate) tokens: Vec<String>,
    pub(crate) topic: String,
    pub(crate) dead_letters: String,
    pub(crate) home: Home,
    pub(crate) bridge: Option<Bridge>,
    pub(crate) load: Option<Load>,
    /// Events out of the ordinary that were queued.
    pub(crate) odd: Vec<Odd>,
    /// Receipts that another reader deleted.
    pub(crate) taken: HashSet<(u64, u64)>,
    /// Connections to the bridge that say nothing.
    pub(crate) siege: Option<Siege>,
    /// A broker that has to be started again.
    pub(crate) killed: Option<i32>,
    /// What lay in a topic before it was deleted.
    pub(crate) kept: Vec<Record>,
    /// Everything every bridge of this row logged and showed.
    pub(crate) shown: Shown,
    /// UNIX time, by the same clock as the journal and the broker.
    pub(crate) struck_ms: i64,
    pub(crate) ended_ms: i64,
    /// When the strike was done, and when its end was begun.
    pub(crate) holding_ms: i64,
    pub(crate) ending_ms: i64,
    /// Whether records carry the time at which the broker took them.
    pub(crate) has_broker_clock: bool,
    environment: Vec<(String, String)>,
    ulimits: &'static [&'static str],
    pub(super) hit: Hit,
    webhook: Webhook,
    /// Where GREEN-API calls, which is before a proxy, if there is one.
    called_at: String,
}

/// What an operator could see.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) log: String,
    pub(crate) metrics: String,
    pub(crate) status: String,
    /// Of the first instance, while the fault lasted.
    pub(crate) phases: BTreeSet<String>,
    /// `/status` said that Kafka is not usable.
    pub(crate) kafka_unusable: bool,
    /// `/metrics` said so.
    pub(crate) kafka_down: bool,
}

impl<'a> Stage<'a> {
    /// Everything but the bridge. `place` keeps rows apart that run side by side.
    pub(crate) fn new(
        row: &Row,
        way: Way,
        pace: Pace,
        place: u64,
        mut ground: Ground<'a>,
        toxiproxy: Option<&Toxiproxy>,
    ) -> Self {
        let (topic, dead_letters) = (format!("row-{place}"), format!("row-{place}-dlq"));
        let runtime = ground.runtime();
        let mut before_it = |address: &str| {
            let toxiproxy = toxiproxy.expect("rows that need it are left out without it");
            ground.through(toxiproxy, &topic, address)
        };
        let webhook = Webhook::new();
        let called_at = match way {
            Way::Push if row.through_proxy => before_it(webhook.address()),
            _ => webhook.address().to_owned(),
        };
        let simulated: Vec<SimulatedInstance> = (0..INSTANCES)
            .map(|n| SimulatedInstance::new(FIRST_ID + 1000 * place + n, format!("{:032x}", fastrand::u128(..))))
            .map(|instance| match way {
                Way::Poll => instance,
                Way::Push => {
                    let url = url_at(&called_at, instance.id);
                    instance.pushing_to(url, webhook.token())
                }
            })
            .collect();
        let config = SimulatorConfig {
            instances: simulated.clone(),
            requests_per_second_max: 100_000,
            other_requests_per_second_max: 100_000,
            push: push_config(pace, row),
            ..SimulatorConfig::default()
        };
        let simulator = runtime.block_on(Simulator::start(config)).expect("a free port");
        let api_url = match way {
            Way::Poll if row.through_proxy => {
                format!("http://{}", before_it(simulator.url().trim_start_matches("http://")))
            }
            _ => simulator.url().to_owned(),
        };
        ground.make_topic(&topic, &row.topic);
        ground.make_topic(&dead_letters, &[]);
        let instances: Vec<(u64, String)> = simulated.iter().map(|i| (i.id, i.token.clone())).collect();
        ground.allow(&[&topic, &dead_letters]);
        let section = if way == Way::Push { webhook.section() } else { String::new() };
        let more = format!("shutdown_timeout_seconds = 20\n{section}");
        let home = Home::new(&api_url, &instances, &ground.bootstrap(), &more);
        way.write(&home);
        let mut environment: Vec<(String, String)> = [
            ("RUST_LOG", "trace"),
            ("CHATBRIDGE__KAFKA__TOPIC", topic.as_str()),
            ("CHATBRIDGE__KAFKA__DEAD_LETTER_TOPIC", dead_letters.as_str()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        environment.extend(ground.environment().into_iter().map(|(name, value)| (name.to_owned(), value)));
        let more: &[(&str, &str)] = match (pace, way) {
            (Pace::Test, _) => &row.hurry,
            // What Home shortens, as it is by default.
            (Pace::Table, Way::Poll) => &[
                ("CHATBRIDGE__GREEN_API__RECEIVE_TIMEOUT_SECONDS", "20"),
                ("CHATBRIDGE__GREEN_API__RETRY_MIN_MS", "500"),
                ("CHATBRIDGE__GREEN_API__RETRY_MAX_MS", "30000"),
                ("CHATBRIDGE__GREEN_API__MISCONFIGURED_RETRY_SECONDS", "60"),
            ],
            // As everything of a push, a sixth.
            (Pace::Table, Way::Push) => &[("CHATBRIDGE__WEBHOOK__ANSWER_TIMEOUT_SECONDS", "10")],
        };
        environment.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        environment.extend(row.environment.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        // A section of the environment's makes a listener, on the port that it has by default.
        environment.retain(|(name, _)| way == Way::Push || !name.starts_with("CHATBRIDGE__WEBHOOK__"));
        let tokens = instances.iter().map(|(_, token)| token.as_str()).chain([webhook.token()]);
        Self {
            pace,
            way,
            ground,
            simulator,
            ids: instances.iter().map(|(id, _)| *id).collect(),
            tokens: tokens.map(str::to_owned).collect(),
            topic,
            dead_letters,
            home,
            bridge: None,
            load: None,
            odd: Vec::new(),
            taken: HashSet::new(),
            siege: None,
            killed: None,
            kept: Vec::new(),
            shown: Shown::default(),
            struck_ms: 0,
            ended_ms: 0,
            holding_ms: 0,
            ending_ms: 0,
            has_broker_clock: row.place != Place::Mock
                && !row.topic.iter().any(|(name, _)| *name == "message.timestamp.type"),
            environment,
            ulimits: row.ulimits,
            hit: row.hit,
            webhook,
            called_at,
        }
    }

    /// The whole row, up to a bridge that has stopped and an empty queue.
    pub(crate) fn play(&mut self, row: &Row) {
        if let Some(before) = &row.before {
            before();
        }
        self.start_bridge();
        self.bridge().wait_until_ready();
        self.load = Some(Load::start(&self.simulator, &self.ids, RATE));
        self.wait_for_deletes_queued_after(0, &self.ids.clone());

        self.struck_ms = now_ms();
        (row.strike)(self);
        self.holding_ms = now_ms();
        self.hold(row);
        self.ending_ms = now_ms();
        match &row.end {
            Some(end) => {
                end(self);
                self.ended_ms = now_ms();
            }
            None => self.ended_ms = self.struck_ms,
        }

        self.wait_for_deletes_queued_after(self.ended_ms, &self.hit_ids());
        self.load = None;
        self.wait_until_emptied();
        self.look();
        if self.shown.kafka_unusable {
            let usable = |bridge: &Bridge| (bridge.status()["kafka"]["usable"] == true).then_some(());
            self.bridge().wait("Kafka in use again", usable);
            // Told only where the bad news was: a moment's trouble is none.
            let told = |bridge: &Bridge, words: &str| bridge.log().contains(words);
            let bad = |bridge: &Bridge| ["Kafka is away", "does not take records"].iter().any(|w| told(bridge, w));
            let good = |bridge: &Bridge| told(bridge, "Kafka takes records again");
            self.bridge().wait("the good news", |bridge| (!bad(bridge) || good(bridge)).then_some(()));
        }
        self.stop_bridge();
        if let Some(after) = &row.after {
            after(self);
        }
    }

    /// The instances the fault hits.
    pub(crate) fn hit_ids(&self) -> Vec<u64> {
        match self.hit {
            Hit::First => vec![self.ids[0]],
            Hit::All => self.ids.clone(),
        }
    }

    /// On the first instance, until the simulator's faults are cleared.
    pub(crate) fn misbehave(&self, faults: Vec<Fault>) {
        for fault in faults {
            self.simulator.add_fault(fault.on(self.ids[0]));
        }
    }

    /// On the first instance, behind what it has.
    pub(crate) fn queue(&mut self, odd: Odd) {
        self.queue_for(0, odd);
    }

    /// On this one.
    pub(crate) fn queue_for(&mut self, instance: usize, odd: Odd) {
        self.simulator.enqueue(self.ids[instance], odd.body.clone()).expect("room");
        self.odd.push(odd);
    }

    pub(crate) fn bridge(&mut self) -> &mut Bridge {
        self.bridge.as_mut().expect("a bridge runs")
    }

    /// What it shows is kept before it goes.
    pub(crate) fn start_bridge(&mut self) {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.bridge = Some(match self.ulimits {
            [] => Bridge::start(&self.home, &environment),
            ulimits => Bridge::start_under(&self.home, ulimits, &environment),
        });
    }

    /// Returns when each instance has delivered something that was queued from now on.
    pub(crate) fn everybody_goes_on(&mut self) {
        self.wait_for_deletes_queued_after(now_ms(), &self.ids.clone());
    }

    /// Where the webhook listens.
    pub(crate) fn webhook_address(&self) -> &str {
        self.webhook.address()
    }

    /// Another environment for a bridge that is started again.
    pub(crate) fn restart_with(&mut self, name: &str, value: &str) {
        self.stop_bridge();
        self.environment.push((name.to_owned(), value.to_owned()));
        self.start_bridge();
        self.bridge().wait_until_ready();
    }

    /// The first instance's `webhookUrlToken` in its settings: the right one, unless there is another.
    pub(crate) fn set_webhook_token(&self, another: Option<&str>) {
        let token = another.unwrap_or(self.webhook.token());
        let url = url_at(&self.called_at, self.ids[0]);
        self.simulator.push_to(self.ids[0], url, token).expect("a known instance");
    }

    /// SIGTERM; it has to end well, and in time.
    pub(crate) fn stop_bridge(&mut self) {
        let ended = self.bridge.take().expect("a bridge runs").terminate();
        let log = self.home.log_text();
        // Whether it was in time, it says itself: from here it takes as long as this machine lets it.
        let in_time = !log.contains("the grace period is over");
        self.shown.log.push_str(&log);
        assert!(ended.success() && in_time, "{ended}; log:\n{}", self.visible_log());
    }

    /// SIGKILL.
    pub(crate) fn kill_bridge(&mut self) {
        self.look();
        self.bridge.take().expect("a bridge runs").kill();
        self.shown.log.push_str(&self.home.log_text());
    }

    /// The admin server's pages, kept.
    pub(super) fn look(&mut self) {
        let Some(bridge) = &self.bridge else { return };
        let (metrics, status) = (bridge.get("/metrics").1, bridge.get("/status").1);
        let seen: Value = serde_json::from_str(&status).expect("/status is JSON");
        if now_ms() > self.struck_ms && self.struck_ms > 0 {
            let phase = seen["instances"][0]["phase"].as_str().unwrap_or_default();
            self.shown.phases.insert(phase.to_owned());
            self.shown.kafka_unusable |= seen["kafka"]["usable"] == false;
            self.shown.kafka_down |= metrics.contains("\nchatbridge_kafka_up 0\n");
        }
        self.shown.metrics = metrics;
        self.shown.status.push_str(&status);
        assert_eq!(bridge.get("/livez").0, 200, "no fault is a reason to be restarted");
    }

    /// Until an event of each of `ids` that was queued after `after_ms` has left its queue.
    fn wait_for_deletes_queued_after(&mut self, after_ms: i64, ids: &[u64]) {
        let mut missing: HashSet<u64> = ids.iter().copied().collect();
        let mut fresh = HashSet::new();
        let mut seen = 0;
        // Before it comes what was queued while the fault lasted.
        let mut deadline = Instant::now() + PATIENCE;
        while !missing.is_empty() {
            for entry in self.simulator.journal_after(seen) {
                seen = entry.sequence;
                match entry.what {
                    JournalEvent::Enqueued { entry: event, .. } if unix_ms(&entry) > after_ms => {
                        fresh.insert((entry.instance, event));
                    }
                    JournalEvent::Deleted { entry: event, .. } | JournalEvent::Acknowledged { entry: event }
                        if missing.contains(&entry.instance) =>
                    {
                        deadline += PATIENCE_EACH;
                        if fresh.contains(&(entry.instance, event)) {
                            missing.remove(&entry.instance);
                        }
                    }
                    _ => {}
                }
            }
            assert!(Instant::now() < deadline, "{missing:?} do not recover; log:\n{}", self.visible_log());
            self.look();
            thread::sleep(POLL);
        }
    }

    pub(crate) fn wait_until_emptied(&self) {
        wait_until_emptied(self.ground.runtime(), &self.simulator, || self.visible_log());
    }

    /// The log without what only `RUST_LOG=trace` shows.
    pub(crate) fn visible_log(&self) -> String {
        let current = self.bridge.as_ref().map(Bridge::log).unwrap_or_default();
        let lines = self.shown.log.lines().chain(current.lines());
        lines.filter(|line| is_above_debug(line)).collect::<Vec<_>>().join("\n")
    }

    /// The value of a metric, over all its labels that contain `labels`, as last seen.
    pub(crate) fn metric(&self, name: &str, labels: &str) -> f64 {
        let lines = self.shown.metrics.lines();
        let found = lines.filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        found.filter(|line| line.contains(labels)).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    pub(crate) fn said(&self, words: &str) -> usize {
        self.shown.log.lines().filter(|line| is_above_debug(line) && line.contains(words)).count()
    }
}

/// GREEN-API pauses for 60 s and waits for 180 s.
fn push_config(pace: Pace, row: &Row) -> PushConfig {
    let defaults = PushConfig { events_per_second_max: 1_000, ..PushConfig::default() };
    match pace {
        Pace::Test => PushConfig {
            pause: Duration::from_millis(200),
            answer_max: row.tires_after.map_or(defaults.answer_max, |[test, _]| test),
            ..defaults
        },
        Pace::Table => PushConfig {
            pause: defaults.pause / 6,
            answer_max: row.tires_after.map_or(defaults.answer_max / 6, |[_, table]| table),
            ..defaults
        },
    }
}

pub(crate) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

pub(crate) fn unix_ms(entry: &JournalEntry) -> i64 {
    i64::try_from(entry.unix_ms).expect("a time of this age")
}

/// Whether an operator sees this line at the usual level.
pub(crate) fn is_above_debug(line: &str) -> bool {
    let line: Option<Value> = serde_json::from_str(line).ok();
    // What is no JSON did not come through the log: it counts.
    line.is_none_or(|line| !matches!(line["level"].as_str(), Some("TRACE" | "DEBUG")))
}
