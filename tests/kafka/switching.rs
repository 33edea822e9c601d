//! From polling to the webhook and back under load, by the steps the documentation gives, in either order.

use std::thread;
use std::time::Duration;

use chatbridge_lab::green_api::JournalEvent;

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::judge::{Topic, judge};
use crate::support::way::Way;

/// Which of the two steps comes first.
#[derive(Clone, Copy, Debug)]
enum First {
    /// `setSettings` with another `webhookUrl`.
    Settings,
    /// Another `receive`, and SIGHUP.
    Reload,
}

#[test]
#[ignore = "starts a real Kafka"]
fn switching_to_and_fro_under_load_neither_loses_nor_repeats() {
    const INSTANCES: u64 = 6;
    // The listener has to be there from the start: sections other than the instances' wait for a restart.
    let Some(scene) = Scene::by(Way::Push, INSTANCES) else { return };
    set_settings(&scene, Way::Poll);
    Way::Poll.write(&scene.home);
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    let load = scene.load(150);
    let mut seen = flowing(&scene, &mut bridge, Way::Poll, 0);
    // Once wherever the moment finds it, once with an event of every instance in hand.
    for (round, (in_hand, first, way)) in [false, true]
        .into_iter()
        .flat_map(|in_hand| [First::Settings, First::Reload].map(|first| (in_hand, first)))
        .flat_map(|(in_hand, first)| [Way::Push, Way::Poll].map(|way| (in_hand, first, way)))
        .enumerate()
    {
        if in_hand {
            scene.broker.pause();
            bridge.wait("one in hand each", |bridge| {
                (bridge.metric("chatbridge_in_flight", "") == INSTANCES as f64).then_some(())
            });
        }
        let generation = round as f64 + 2.0;
        let between = Duration::from_millis(fastrand::u64(0..800));
        match first {
            First::Settings => {
                set_settings(&scene, way);
                thread::sleep(between);
                reload(&scene, &mut bridge, way, generation);
            }
            First::Reload => {
                reload(&scene, &mut bridge, way, generation);
                thread::sleep(between);
                set_settings(&scene, way);
            }
        }
        if in_hand {
            scene.broker.resume();
        }
        seen = flowing(&scene, &mut bridge, way, seen);
    }
    drop(load);
    scene.wait_until_emptied(&bridge);
    let recognised = bridge.metric("chatbridge_repeats_suppressed_total", "");
    assert!(bridge.terminate().success());

    let Some(topic) = Topic::read(&scene.broker.bootstrap(), "chat-events") else { return };
    let verdict = judge(&scene.simulator, &topic);
    eprintln!("8 switches under load: {verdict:?}; {recognised} events came both ways and were recognised");
    assert!(verdict.promise_held(), "{verdict:?}");
    assert_eq!(verdict.repeated, 0, "{verdict:?}");
    assert!(recognised > 0.0, "what was in hand at a switch came again the other way");
}

fn set_settings(scene: &Scene, way: Way) {
    for id in &scene.ids {
        let set = match way {
            Way::Poll => scene.simulator.set_webhook_url(*id, ""),
            Way::Push => scene.simulator.push_to(*id, scene.webhook.url(*id), scene.webhook.token()),
        };
        set.expect("a known instance");
    }
}

fn reload(scene: &Scene, bridge: &mut Bridge, way: Way, generation: f64) {
    way.write(&scene.home);
    bridge.signal("HUP");
    bridge.wait("the next configuration", |bridge| {
        (bridge.metric("chatbridge_config_generation", "") == generation).then_some(())
    });
}

/// Waits until events of every instance left its queue this way, after the entry `seen` of the journal; gives the last.
fn flowing(scene: &Scene, bridge: &mut Bridge, way: Way, seen: u64) -> u64 {
    let left = |what: &JournalEvent| match way {
        Way::Poll => matches!(what, JournalEvent::Deleted { .. }),
        Way::Push => matches!(what, JournalEvent::Acknowledged { .. }),
    };
    bridge.wait("events of every instance", |_| {
        let journal = scene.simulator.journal_after(seen);
        let of = |id: &u64| journal.iter().filter(|entry| entry.instance == *id && left(&entry.what)).count();
        scene.ids.iter().all(|id| of(id) > 10).then(|| journal.last().map_or(seen, |entry| entry.sequence))
    })
}
