//! One bad instance never slows another: 200 instances, 20 of them broken in ten ways, and the other 180 as quick as if
//! those were not there.

use std::collections::HashMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use chatbridge_lab::green_api::generator::Generator;
use chatbridge_lab::green_api::{
    Fault, FaultKind, JournalEvent, Method, SimulatedInstance, Simulator, SimulatorConfig,
};
use tokio::runtime::Runtime;

use crate::support::bridge::{Bridge, Home};
use crate::support::broker::Broker;
use crate::support::judge::{Topic, judge};
use crate::support::needs::or_skip;

const HEALTHY: u64 = 180;
const BROKEN: u64 = 20;
/// A shard host is not next door, and without this the figures would be those of the loopback interface.
const ROUND_TRIP: Duration = Duration::from_millis(20);
const EVENTS_PER_RUN: usize = 1000;
const EVENT_EVERY: Duration = Duration::from_millis(8);
/// So much slower may the healthy ones be.
const RATIO_MAX: f64 = 1.10;
/// Two runs one after the other differ by what else this machine does. More follow until that has evened out, and the
/// run in the middle counts: what the broken ones cost they cost in every run, a busy moment hits one or the other.
const PAIRS_MIN: usize = 2;
const PAIRS_MAX: usize = 6;
const PATIENCE: Duration = Duration::from_secs(180);

/// Ten ways to be broken, for as long as the test runs.
fn ways_to_be_broken(instance: u64) -> [Fault; 10] {
    let hang = FaultKind::Hang { duration_ms: 3_600_000 };
    let without_receipt = FaultKind::RawBody { body: "{\"body\": ".to_owned() };
    [
        Fault::unauthorized(),
        Fault::not_found(),
        Fault::quota_exceeded(Method::Any),
        Fault::webhook_url_is_set(),
        Fault::bad_gateway(Method::Any),
        Fault::too_many_requests(Method::Any, None),
        Fault::reset_before(Method::Any),
        Fault::new(Method::Any, hang),
        Fault::new(Method::Receive, without_receipt),
        Fault::result_false(),
    ]
    .map(|fault| fault.on(instance))
}

/// Milliseconds from an event's joining the queue to its deletion, sorted.
struct Waits(Vec<u64>);

impl Waits {
    fn percentile(&self, percent: usize) -> u64 {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {} ms, p99 {} ms of {}", self.percentile(50), self.percentile(99), self.0.len())
    }
}

/// The 99th percentile of each run, sorted.
fn p99_ms(runs: &[Waits]) -> Vec<u64> {
    let mut each: Vec<u64> = runs.iter().map(|run| run.percentile(99)).collect();
    each.sort_unstable();
    each
}

struct Scene {
    runtime: Runtime,
    simulator: Simulator,
    healthy: Vec<Generator>,
    healthy_ids: Vec<u64>,
}

impl Scene {
    /// Starts a bridge, queues events for the healthy instances evenly over time, and says how long each waited.
    fn run(&mut self, home: &Home) -> Waits {
        let mut bridge = Bridge::start(
            home,
            &[
                // As in production: the files of other tests ask for quicker retries, which here would be the load.
                ("CHATBRIDGE__GREEN_API__RETRY_MIN_MS", "500"),
                ("CHATBRIDGE__GREEN_API__RETRY_MAX_MS", "30000"),
                ("CHATBRIDGE__GREEN_API__MISCONFIGURED_RETRY_SECONDS", "60"),
                ("CHATBRIDGE__GREEN_API__WATCH_INTERVAL_SECONDS", "60"),
            ],
        );
        bridge.wait_until_ready();
        let polling = self.simulator.polls_waiting(self.healthy_ids.len());
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, polling).await }).expect("all of them poll");
        // The first event of an instance opens a connection for its delete; that is not what is compared.
        self.load(&mut bridge, self.healthy_ids.len());
        let begun_after = self.simulator.journal().last().map_or(0, |entry| entry.sequence);
        self.load(&mut bridge, EVENTS_PER_RUN);
        assert!(bridge.terminate().success());

        let mut queued = HashMap::new();
        let mut waits = Waits(Vec::new());
        for entry in self.simulator.journal_after(begun_after) {
            match entry.what {
                JournalEvent::Enqueued { entry: id, .. } => _ = queued.insert((entry.instance, id), entry.at_ms),
                JournalEvent::Deleted { entry: id, .. } => {
                    waits.0.extend(queued.remove(&(entry.instance, id)).map(|at_ms| entry.at_ms - at_ms));
                }
                _ => {}
            }
        }
        assert_eq!(waits.0.len(), EVENTS_PER_RUN);
        waits.0.sort_unstable();
        waits
    }

    /// Queues `events`, one instance after the other, and waits until they are gone.
    fn load(&mut self, bridge: &mut Bridge, events: usize) {
        let begun = Instant::now();
        for n in 0..events {
            let turn = n % self.healthy_ids.len();
            self.simulator.enqueue(self.healthy_ids[turn], self.healthy[turn].body()).expect("room");
            thread::sleep((EVENT_EVERY * n as u32).saturating_sub(begun.elapsed()));
        }
        let emptied = || self.healthy_ids.iter().all(|id| self.simulator.depth(*id) == Ok(0));
        bridge.wait("the healthy queues' end", |_| emptied().then_some(()));
    }
}

#[test]
#[ignore = "starts a real Kafka"]
fn twenty_broken_instances_do_not_slow_the_other_hundred_and_eighty() {
    let Some(broker) = or_skip(Broker::start_with(&[("auto.create.topics.enable", "true")])) else { return };
    let runtime = Runtime::new().expect("a runtime");
    let simulated: Vec<SimulatedInstance> = (0..HEALTHY + BROKEN)
        .map(|n| SimulatedInstance::new(1_101_000_001 + n, format!("{:032x}", fastrand::u128(..))))
        .collect();
    let config = SimulatorConfig { instances: simulated.clone(), latency: ROUND_TRIP, ..SimulatorConfig::default() };
    let simulator = runtime.block_on(Simulator::start(config)).expect("a free port");
    let instances: Vec<(u64, String)> = simulated.iter().map(|i| (i.id, i.token.clone())).collect();
    let home = |instances| Home::new(simulator.url(), instances, &broker.bootstrap(), "shutdown_timeout_seconds = 3");
    let (healthy, broken) = instances.split_at(HEALTHY as usize);
    let (without, with) = (home(healthy), home(&instances));
    for (n, (id, _)) in broken.iter().enumerate() {
        simulator.add_fault(ways_to_be_broken(*id)[n % 10].clone());
        // Something lies in each queue: for some of them that is what is broken.
        simulator.enqueue(*id, Generator::new(*id, 7).body()).expect("room");
    }

    let healthy_ids: Vec<u64> = healthy.iter().map(|(id, _)| *id).collect();
    let healthy = healthy_ids.iter().map(|id| Generator::new(*id, 7).with_chats(40).with_unique_ids()).collect();
    let mut scene = Scene { runtime, simulator, healthy, healthy_ids };
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let (mut ratio, mut is_noise) = (f64::INFINITY, false);
    for pair in 1..=PAIRS_MAX {
        let (one, other) = (scene.run(&without), scene.run(&with));
        eprint!("180 instances alone: {one}; beside 20 broken ones: {other}; ");
        alone.push(one);
        beside.push(other);
        let (alone_ms, beside_ms) = (p99_ms(&alone), p99_ms(&beside));
        ratio = beside_ms[pair / 2] as f64 / alone_ms[pair / 2] as f64;
        // On a machine that makes such a difference with nobody broken, this proves nothing and disproves nothing.
        is_noise = beside_ms[pair / 2] <= alone_ms[pair - 1];
        eprintln!("p99 ratio {ratio:.3} of {pair} runs each");
        if ratio <= RATIO_MAX && pair >= PAIRS_MIN {
            break;
        }
    }
    assert!(ratio <= RATIO_MAX || is_noise, "the broken ones slow the others: {ratio:.3}");

    let Some(topic) = Topic::read(&broker.bootstrap(), "chat-events") else { return };
    let verdict = judge(&scene.simulator, &topic);
    // The broken ones' own events lie in their queues still, but for those whose deletes were refused.
    assert!(
        verdict.lost <= BROKEN && verdict.out_of_order + verdict.wrong_key + verdict.unexpected == 0,
        "{verdict:?}"
    );
}
