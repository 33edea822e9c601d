//! The delivery loop between two faulty sides, on a controlled clock and with seeded random numbers.
//!
//! A history is one run of the real [`Poller`](crate::green_api::poll::poller::Poller) and the real [`Bridge`] between
//! an upstream and a broker in memory. These do anything that upstream's documents leave open, and anything that can go
//! wrong on a network. The processes are stopped and killed between any two awaits. Everything random comes from one
//! seed: the conditions, the events, each fault, the jitter. There is one thread, virtual time, and no dependence on
//! the order of a hash map. So the same seed always gives the same history.
//!
//! | module | holds |
//! | --- | --- |
//! | `conditions` | the conditions of one history: the open questions answered, odds, outages |
//! | `bodies` | what is queued, and what the judge expects of it |
//! | `world` | what a history shares; the queues (those of [`chatbridge_lab::green_api`]) |
//! | `upstream`, `broker` | the two faulty sides |
//! | `lives` | processes: started, stopped, killed |
//! | `judge`, `record` | the promise in detail; what a record has to be |
//! | `story` | what happened |
//!
//! Both sides behave worse than the real ones. A record may be appended a minute after its producer was told that it
//! was not. The answer to a delete may be wrong. A request takes effect even if its process has died.
//!
//! `cargo test --lib simulation` runs the histories of `make test`. `CHATBRIDGE_SIMULATION_SEED=7` runs one of them and
//! prints its story. `make soak` runs a million events.

mod bodies;
mod broker;
mod conditions;
mod judge;
mod lives;
mod record;
mod story;
mod upstream;
mod world;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio_util::sync::CancellationToken;

use crate::core::bridge::Bridge;
use crate::watch::telemetry::InstanceTelemetry;
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::status::StatusBoard;
use broker::Broker;
use chatbridge_event::record::RecordFactory;
use conditions::{Conditions, Rival, up_to};
use judge::Figures;
use lives::Place;
use story::{Happening, Story};
use world::{Shared, World};

/// A poller that is asked to stop while there are no faults has stopped within this time.
const STOP_MAX: Duration = Duration::from_secs(5 * 60);
/// Late records have arrived by then.
const LATE_MAX: Duration = Duration::from_secs(2 * 60);
/// How often the end is checked for.
const LOOK_AGAIN: Duration = Duration::from_secs(20);
/// After all faults have ended, every pending retry happens within this time …
const RECOVERY_MAX: Duration = Duration::from_secs(5 * 60);
/// … and each event takes no more round trips than this.
const ROUND_TRIPS_MAX: u32 = 12;

/// A bug planted on purpose, to see that it is caught.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plant {
    /// None.
    Nothing,
    /// "Delivered" is reported when the record leaves, not when the broker has acknowledged it.
    DeletesBeforeAck,
    /// Each instance has two pollers.
    TwoPollers,
    /// What was published last is forgotten after each notification.
    ForgetsLast,
}

/// The result of one history.
struct History {
    conditions: Conditions,
    story: Story,
    figures: Figures,
    breaches: Vec<String>,
    lasted: Duration,
}

/// Runs the history of `seed`.
fn run(seed: u64, plant: Plant) -> History {
    // The jitter of the waits comes from this thread's random numbers, and a history has only one thread.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs nothing here");
    runtime.block_on(history(Rng::with_seed(seed), plant))
}

async fn history(mut dice: Rng, plant: Plant) -> History {
    let shared = Shared::new(dice.fork());
    let conditions = shared.lock().conditions.clone();
    let (calm, finish) = (CancellationToken::new(), CancellationToken::new());
    let broker = Broker::new(shared.clone(), plant == Plant::DeletesBeforeAck);
    let bridge = Arc::new(Bridge::new(broker, RecordFactory::default(), conditions.policy()));
    let (metrics, board) = (Arc::new(Metrics::new()), StatusBoard::default());
    let mut queueing = Vec::new();
    let mut pollers = Vec::new();
    for instance in 0..conditions.instances {
        let made = bodies::bodies(World::id(instance).get(), &conditions, &mut dice);
        let mut moments: Vec<Duration> = made.iter().map(|_| up_to(&mut dice, conditions.arrival)).collect();
        moments.sort_unstable();
        queueing.push(tokio::spawn(queue(shared.clone(), instance, moments.into_iter().zip(made).collect())));
        let telemetry = Arc::new(InstanceTelemetry::new(&metrics, board.add(World::id(instance))));
        for _ in 0..if plant == Plant::TwoPollers { 2 } else { 1 } {
            pollers.push(tokio::spawn(lives::live(Place {
                shared: shared.clone(),
                instance,
                bridge: Arc::clone(&bridge),
                telemetry: Arc::clone(&telemetry),
                plant,
                calm: calm.clone(),
                finish: finish.clone(),
            })));
        }
        if conditions.rival != Rival::None {
            tokio::spawn(rival(shared.clone(), instance));
        }
    }
    let all_settled = async {
        for queueing in queueing {
            queueing.await.expect("it does not panic");
        }
        while shared.lock().depth() > 0 {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    tokio::pin!(all_settled);
    let in_time = tokio::time::timeout(conditions.faults_end, all_settled.as_mut()).await.is_ok();
    shared.lock().calm_down();
    calm.cancel();
    if !in_time {
        let events = u32::try_from(shared.lock().depth()).expect("few");
        let per_event = conditions.latency_max * ROUND_TRIPS_MAX + conditions.redelivery_pause() * 2;
        // The judge sees what is left.
        drop(tokio::time::timeout(RECOVERY_MAX + per_event * events, all_settled).await);
    }
    tokio::time::sleep(LATE_MAX).await;
    finish.cancel();
    for poller in pollers {
        poller.await.expect("it does not panic");
    }
    let mut world = shared.lock();
    world.depth();
    world.judge.end();
    let (story, breaches) = (std::mem::take(&mut world.story), std::mem::take(&mut world.judge.breaches));
    History { conditions, story, figures: world.judge.figures, breaches, lasted: world.now() }
}

async fn queue(shared: Shared, instance: usize, events: Vec<(Duration, bodies::Made)>) {
    for (at, made) in events {
        let wait = at.saturating_sub(shared.lock().now());
        tokio::time::sleep(wait).await;
        shared.lock().enqueue(instance, made);
    }
}

/// Another reader of the instance.
async fn rival(shared: Shared, instance: usize) {
    loop {
        let wait = {
            let mut world = shared.lock();
            up_to(&mut world.dice, Duration::from_secs(60))
        };
        tokio::time::sleep(wait).await;
        if shared.lock().calm {
            return;
        }
        let receipt = shared.lock().rival_receives(instance);
        if let Some(receipt) = receipt {
            shared.travel().await;
            shared.lock().rival_deletes(instance, receipt);
        }
    }
}

impl World {
    fn calm_down(&mut self) {
        self.calm = true;
        let now = self.now();
        self.story.tell(now, 0, Happening::Calm);
    }
}
