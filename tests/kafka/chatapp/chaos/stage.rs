//! What it happens to: a simulated ChatApp with its Pusher server, a real Kafka, a bridge with a disk and a time of day
//! of its own, which somebody starts again whenever it ends.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use chatbridge_lab::chatapp::{ChatAppSimulator, ChatAppSimulatorConfig, Login};
use jiff::Timestamp;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::plan::Act;
use crate::faults::clock::Clock;
use crate::support::bridge::{BINARY, Bridge, Home};
use crate::support::broker::Broker;
use crate::support::needs::or_skip;
use crate::support::small_disk::SmallDisk;

/// There may be no login for a quarter of an hour after several.
const PATIENCE: Duration = Duration::from_secs(20 * 60);
const POLL: Duration = Duration::from_millis(50);
/// What whoever looks after the bridge waits before it is started again.
const RESTART: Duration = Duration::from_millis(500);
/// Far more than what waits for Kafka as long as that is away.
const DISK_MEBIBYTES: u32 = 64;
/// How far a gap reaches back.
pub(super) const OVERLAP_SECONDS: i64 = 5;
/// Those that events are generated for.
pub(super) const CHANNELS: usize = 4;

/// A time in which the bridge could not hear, whatever the Pusher server thinks; in UNIX milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deaf {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

pub(super) struct Stage {
    pub(super) simulator: ChatAppSimulator,
    pub(super) config: ChatAppSimulatorConfig,
    pub(super) broker: Broker,
    clock: Clock,
    disk: Option<SmallDisk>,
    home: Home,
    bridge: Option<Bridge>,
    is_wanted: bool,
    start_at: Instant,
    deaf_since: Option<i64>,
    full_since: Option<i64>,
    pub(super) deaf: Vec<Deaf>,
    /// When the time of day was set, and to what.
    pub(super) offsets: Vec<(i64, i64)>,
    /// Everything every bridge logged.
    pub(super) log: String,
    pub(super) starts: u32,
    /// How bridges ended that nobody had told to.
    pub(super) unasked_ends: Vec<String>,
    _runtime: Runtime,
}

pub(super) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

impl Stage {
    /// Everything but the bridge; `None` where the machine has no Kafka.
    pub(super) fn new(seed: u64) -> Option<Self> {
        let broker = or_skip(Broker::start_with(&[("auto.create.topics.enable", "true")]))?;
        let runtime = Runtime::new().expect("a runtime");
        let config = ChatAppSimulatorConfig { seed, logins_per_day_max: 10_000, ..ChatAppSimulatorConfig::default() };
        let simulator = runtime.block_on(ChatAppSimulator::start(config.clone())).expect("free ports");
        let home = Home::new("http://127.0.0.1:9", &[], &broker.bootstrap(), "shutdown_timeout_seconds = 5");
        let state = home.config().with_file_name("state");
        let disk = or_skip(SmallDisk::mount(&state, DISK_MEBIBYTES));
        let Login { email, password, app_id } = Login::default();
        let mut text = fs::read_to_string(home.config()).expect("written");
        text.push_str(&format!(
            "[chatapp]\napi_url = \"{}\"\nsocket_url = \"{}\"\napp_key = \"{}\"\nemail = \"{email}\"\n\
             password = \"{password}\"\napp_id = \"{app_id}\"\nstate_dir = \"{}\"\nrequests_per_second_max = 50\n\
             gap_overlap_seconds = {OVERLAP_SECONDS}\nreconcile_seconds = 4\n",
            simulator.api_url(),
            simulator.socket_url(),
            config.app.key,
            state.display()
        ));
        fs::write(home.config(), text).expect("writable");
        let clock = Clock::new();
        clock.make();
        Some(Self {
            simulator,
            config,
            broker,
            clock,
            disk,
            home,
            bridge: None,
            is_wanted: true,
            start_at: Instant::now(),
            deaf_since: None,
            full_since: None,
            deaf: Vec::new(),
            offsets: Vec::new(),
            log: String::new(),
            starts: 0,
            unasked_ends: Vec::new(),
            _runtime: runtime,
        })
    }

    pub(super) fn has_disk(&self) -> bool {
        self.disk.is_some()
    }

    /// Does it, and returns soon.
    pub(super) fn act(&mut self, act: &Act) {
        match act {
            Act::Pusher(act) => {
                if let chatbridge_lab::chatapp::Act::Silence { duration_ms } = act {
                    let now = now_ms();
                    self.deaf
                        .push(Deaf { from_ms: now, to_ms: now + i64::try_from(*duration_ms).expect("a short time") });
                }
                self.simulator.act(act);
            }
            Act::Rest(fault) => self.simulator.add_fault(fault.clone()).expect("it can happen"),
            Act::KillBridge => {
                self.is_wanted = false;
                if let Some(bridge) = self.bridge.take() {
                    bridge.kill();
                    self.keep_log();
                }
            }
            Act::StopBridge => self.stop_bridge(),
            Act::StartBridge => {
                self.is_wanted = true;
                self.start_at = Instant::now();
            }
            Act::FreezeBridge => {
                self.deaf_since = Some(now_ms());
                self.bridge.iter().for_each(|bridge| bridge.signal("STOP"));
            }
            Act::ThawBridge => {
                self.bridge.iter().for_each(|bridge| bridge.signal("CONT"));
                Self::hears_again(&mut self.deaf_since, &mut self.deaf);
            }
            Act::FreezeKafka => self.broker.pause(),
            Act::ThawKafka => self.broker.resume(),
            Act::KillKafka => self.broker.kill(),
            Act::StartKafka => self.broker.start_again(),
            Act::SetClock(seconds) => {
                self.offsets.push((now_ms(), *seconds));
                self.clock.set(*seconds);
            }
            Act::FillDisk => {
                self.full_since = Some(now_ms());
                self.disk.iter().for_each(SmallDisk::fill);
            }
            Act::FreeDisk => {
                self.disk.iter().for_each(SmallDisk::free);
                Self::hears_again(&mut self.full_since, &mut self.deaf);
            }
        }
        self.look_after_bridge();
    }

    fn hears_again(since: &mut Option<i64>, deaf: &mut Vec<Deaf>) {
        deaf.extend(since.take().map(|from_ms| Deaf { from_ms, to_ms: now_ms() }));
    }

    /// As a service manager does: starts what has ended, and is wanted.
    pub(super) fn look_after_bridge(&mut self) {
        if let Some(ended) = self.bridge.as_mut().and_then(Bridge::has_ended) {
            self.bridge = None;
            self.keep_log();
            self.unasked_ends.push(format!("{ended} at {}", now_ms()));
            self.start_at = Instant::now() + RESTART;
        }
        if self.is_wanted && self.bridge.is_none() && Instant::now() >= self.start_at {
            let command = self.disk.as_ref().map_or_else(|| Command::new(BINARY), |disk| disk.command(BINARY));
            let environment = self.clock.environment();
            let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, &**value)).collect();
            self.bridge = Some(Bridge::launch(command, &self.home, &environment));
            self.starts += 1;
        }
    }

    fn stop_bridge(&mut self) {
        self.is_wanted = false;
        if let Some(bridge) = self.bridge.take() {
            let ended = bridge.terminate();
            self.keep_log();
            if !ended.success() {
                self.unasked_ends.push(format!("{ended} after SIGTERM at {}", now_ms()));
            }
        }
    }

    fn keep_log(&mut self) {
        self.log.push_str(&self.home.log_text());
    }

    /// Nothing is wrong any more. The bridge is started anew, as an operator would, so that no wait is left from
    /// before.
    pub(super) fn mend(&mut self) {
        self.simulator.clear_faults();
        for act in [Act::ThawBridge, Act::FreeDisk, Act::SetClock(0), Act::StopBridge, Act::StartBridge] {
            self.act(&act);
        }
    }

    /// Returns when every channel is subscribed, nothing is left to be fetched, and everything has left the disk.
    pub(super) fn wait_until_settled(&mut self) {
        let bridge = self.bridge.as_mut().expect("it was started");
        bridge.wait_for_admin();
        let deadline = Instant::now() + PATIENCE;
        while !is_settled(&bridge.status()["chatapp"]) {
            assert!(Instant::now() < deadline, "no rest: {}; log:\n{}", bridge.status(), bridge.log());
            thread::sleep(POLL);
        }
    }

    /// It has to end well.
    pub(super) fn end(&mut self) {
        self.stop_bridge();
        self.clock.remove();
    }
}

fn is_settled(status: &Value) -> bool {
    let channels = status["channels"].as_array().map_or(&[][..], Vec::as_slice);
    let subscribed = channels.iter().filter(|channel| channel["state"] == "subscribed").count();
    let is_fetched = channels.iter().all(|channel| channel["backfill_pending"] == false);
    subscribed == CHANNELS && is_fetched && status["spool"]["frames"] == 0
}
