//! What a run against a real Kafka needs: the broker, a simulated GREEN-API, a home for the bridge.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chatbridge_lab::green_api::generator::Generator;
use chatbridge_lab::green_api::{JournalEvent, PushConfig, SimulatedInstance, Simulator, SimulatorConfig};
use tokio::runtime::Runtime;

use crate::support::bridge::{Bridge, Home};
use crate::support::broker::Broker;
use crate::support::needs::{or_skip, tests_path};
use crate::support::way::{Way, Webhook};

/// So long may pass without anything happening …
const PATIENCE: Duration = Duration::from_secs(120);
/// … and so long for each event that waits, beside that. Even the slowest machine is far quicker.
const PATIENCE_EACH: Duration = Duration::from_millis(500);
/// GREEN-API's 60 s before it pushes the same event again, scaled.
const PUSH_PAUSE: Duration = Duration::from_millis(200);

/// Everything a run needs: a broker with both topics, a simulator, a bridge's home.
pub(crate) struct Scene {
    pub(crate) runtime: Runtime,
    pub(crate) simulator: Simulator,
    pub(crate) broker: Broker,
    pub(crate) home: Home,
    pub(crate) ids: Vec<u64>,
    /// Listened at where instances are received by webhook.
    pub(crate) webhook: Webhook,
    token: String,
}

impl Scene {
    /// Of instances that are polled.
    pub(crate) fn new(instances: u64, broker_properties: &[(&str, &str)]) -> Option<Self> {
        // With 12 partitions each, as the broker makes topics by default.
        let properties = [&[("auto.create.topics.enable", "true")], broker_properties].concat();
        Some(Self::around(or_skip(Broker::start_with(&properties))?, instances))
    }

    /// Of instances that are received this way.
    pub(crate) fn by(way: Way, instances: u64) -> Option<Self> {
        let broker = or_skip(Broker::start_with(&[("auto.create.topics.enable", "true")]))?;
        Some(Self::around_by(way, broker, instances))
    }

    /// Around a broker that makes topics by itself.
    pub(crate) fn around(broker: Broker, instances: u64) -> Self {
        Self::around_by(Way::Poll, broker, instances)
    }

    fn around_by(way: Way, broker: Broker, instances: u64) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let webhook = Webhook::new();
        let simulated: Vec<SimulatedInstance> = (0..instances)
            .map(|n| SimulatedInstance::new(1_101_000_001 + n, format!("{:032x}", fastrand::u128(..))))
            .map(|instance| match way {
                Way::Poll => instance,
                Way::Push => {
                    let url = webhook.url(instance.id);
                    instance.pushing_to(url, webhook.token())
                }
            })
            .collect();
        let config = SimulatorConfig {
            instances: simulated.clone(),
            push: PushConfig { pause: PUSH_PAUSE, events_per_second_max: 100_000, ..PushConfig::default() },
            // The speed of this machine is not the point; the limit of 100 a second would only slow the test.
            requests_per_second_max: 100_000,
            other_requests_per_second_max: 100_000,
            ..SimulatorConfig::default()
        };
        let simulator = runtime.block_on(Simulator::start(config)).expect("a free port");
        let instances: Vec<(u64, String)> = simulated.iter().map(|i| (i.id, i.token.clone())).collect();
        let section = if way == Way::Push { webhook.section() } else { String::new() };
        let more = format!("shutdown_timeout_seconds = 20\n{section}");
        let home = Home::new(simulator.url(), &instances, &broker.bootstrap(), &more);
        way.write(&home);
        let ids = instances.iter().map(|(id, _)| *id).collect();
        let token = simulated[0].token.clone();
        Self { runtime, simulator, broker, home, ids, webhook, token }
    }

    /// The token of the first instance.
    pub(crate) fn token(&self) -> String {
        self.token.clone()
    }

    /// Queues `events` for each instance at once.
    pub(crate) fn queue(&self, events: usize) {
        for id in &self.ids {
            let mut generator = Generator::new(*id, 7).with_chats(40);
            for _ in 0..events {
                self.simulator.enqueue(*id, generator.body()).expect("room");
            }
        }
    }

    /// Queues `events` for each instance that nobody else queues.
    pub(crate) fn queue_more(&self, events: usize) {
        for id in &self.ids {
            let mut generator = Generator::new(*id, 8).with_chats(40).starting_at(1_000_000);
            for _ in 0..events {
                self.simulator.enqueue(*id, generator.body()).expect("room");
            }
        }
    }

    /// Queues the body of every fixture for the first instance, and says how many there are.
    pub(crate) fn queue_fixtures(&self) -> usize {
        let bodies = fixture_bodies();
        for body in &bodies {
            self.simulator.enqueue(self.ids[0], body.clone()).expect("room");
        }
        bodies.len()
    }

    /// Queues events at `rate` a second over all instances until the load is dropped.
    pub(crate) fn load(&self, rate: u32) -> Load {
        let (simulator, ids) = (self.simulator.clone(), self.ids.clone());
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut generators: Vec<Generator> = ids.iter().map(|id| Generator::new(*id, 7).with_chats(40)).collect();
            let mut turns = (0..ids.len()).cycle();
            while !stopped.load(Ordering::Relaxed) {
                let turn = turns.next().expect("instances");
                simulator.enqueue(ids[turn], generators[turn].body()).expect("room");
                thread::sleep(Duration::from_secs(1) / rate);
            }
        });
        Load { stop, thread: Some(thread) }
    }

    pub(crate) fn wait_until_emptied(&self, bridge: &Bridge) {
        wait_until_emptied(&self.runtime, &self.simulator, || bridge.log());
    }

    pub(crate) fn count(&self, wanted: impl Fn(&JournalEvent) -> bool) -> usize {
        self.simulator.journal().iter().filter(|entry| wanted(&entry.what)).count()
    }

    /// Events that left their queue: deleted, or pushed and answered with 200.
    pub(crate) fn deleted(&self) -> usize {
        self.count(|what| matches!(what, JournalEvent::Deleted { .. } | JournalEvent::Acknowledged { .. }))
    }
}

/// Waits until every queue is empty; fails when none gets shorter any more, or hardly.
pub(crate) fn wait_until_emptied(runtime: &Runtime, simulator: &Simulator, log: impl Fn() -> String) {
    let mut left = simulator.total_depth();
    let deadline = Instant::now() + PATIENCE + PATIENCE_EACH * u32::try_from(left).expect("a small number");
    loop {
        let emptied = async { tokio::time::timeout(PATIENCE, simulator.emptied()).await };
        if runtime.block_on(emptied).is_ok() {
            return;
        }
        let now = simulator.total_depth();
        assert!(
            now < left && Instant::now() < deadline,
            "{now} left, and no or few fewer for {PATIENCE:?}; log:\n{}",
            log()
        );
        left = now;
    }
}

/// Stops when dropped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the load does not panic");
        }
    }
}

/// Every body in `tests/fixtures`.
fn fixture_bodies() -> Vec<String> {
    let entries = fs::read_dir(tests_path("fixtures")).expect("tests/fixtures is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("readable").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).expect("readable")).collect()
}
