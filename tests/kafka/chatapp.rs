//! ChatApp's events between a real Pusher server and a real Kafka, `kill -9` for the server and for the bridge, and
//! REST behind it: what is pushed, what is fetched, and what nobody can have.
//!
//! Times are counted in events, so one seed strikes at the same ones.

use std::time::Instant;

use fastrand::Rng;
use serde_json::json;

use self::scene::{CHANNELS, Scene};
use crate::support::bridge::Bridge;
use crate::support::broker::Broker;
use crate::support::chatapp::Judgement;
use crate::support::needs::or_skip;

mod chaos;
pub(crate) mod scene;

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
        let Some(broker) = or_skip(Broker::start_with(&[("auto.create.topics.enable", "true")])) else { return };
        let Some(mut scene) = Scene::new(&broker.bootstrap(), "chat-events") else { return };
        let begun = Instant::now();
        let mut dice = Rng::with_seed(self.seed);
        let plan = self.plan(&mut dice);
        let start = |scene: &Scene| Bridge::start(&scene.home, &[]);
        let mut running = Some(start(&scene));
        scene.wait_until_live(running.as_ref());
        let mut load = scene.load(self.seed, self.events, self.events_per_second);
        for (position, act) in &plan {
            load.wait_for(*position);
            match act {
                Act::KillServer => scene.soketi.kill(),
                Act::StartServer => scene.soketi.restart(json!({})),
                Act::KillBridge => running.take().into_iter().for_each(Bridge::kill),
                Act::StartBridge => running = Some(start(&scene)),
                Act::FreezeKafka => broker.pause(),
                Act::ThawKafka => broker.resume(),
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
