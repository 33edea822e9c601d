//! From poll to webhook and back while events come, in the order of docs/webhook.md; the simulator is GREEN-API.

use std::fs;

use chatbridge_lab::green_api::generator::Generator;

use crate::support::bridge::Bridge;
use crate::webhook::webhook_address;
use crate::wire::{FIRST, Scene};

const SECRET: &str = "canary0webhook0token";
const EVENTS: u32 = 20;

#[test]
fn a_switch_to_webhook_and_back_loses_nothing_and_publishes_nothing_twice() {
    let scene = Scene::new(&format!("[webhook]\nlisten = \"127.0.0.1:0\"\ntoken = \"{SECRET}\"\n"));
    let config = fs::read_to_string(scene.home.config()).expect("readable");
    let first = format!("id = {FIRST}\n");
    let receive = |bridge: &mut Bridge, how: &str, phase: &str| {
        let config = config.replace(&first, &format!("{first}receive = \"{how}\"\n"));
        fs::write(scene.home.config(), config).expect("writable");
        bridge.signal("HUP");
        bridge.wait(phase, |bridge| (bridge.status()["instances"][0]["phase"] == phase).then_some(()));
    };
    let mut generator = Generator::new(FIRST, 3);
    let mut queue = || {
        for _ in 0..EVENTS {
            scene.simulator.enqueue(FIRST, generator.body()).expect("room");
        }
    };
    let deleted = |bridge: &mut Bridge, count: u32| {
        bridge.wait("what was queued", |bridge| {
            (bridge.metric("chatbridge_notifications_deleted_total", "") >= f64::from(count)).then_some(())
        });
    };

    queue();
    let mut bridge = Bridge::start(&scene.home, &[]);
    let address = webhook_address(&mut bridge);
    // In the middle of the work.
    deleted(&mut bridge, EVENTS / 4);
    receive(&mut bridge, "webhook", "listening");
    queue();
    let waiting = scene.simulator.depth(FIRST).expect("an instance");
    assert!(waiting >= EVENTS as usize, "nobody takes anything: {waiting}");
    scene.simulator.push_to(FIRST, format!("http://{address}/green-api/{FIRST}"), SECRET).expect("an instance");
    deleted(&mut bridge, 2 * EVENTS);
    queue();
    deleted(&mut bridge, 3 * EVENTS);

    scene.simulator.push_to(FIRST, "", "").expect("an instance");
    queue();
    receive(&mut bridge, "poll", "polling");
    scene.emptied(&bridge);
    deleted(&mut bridge, 4 * EVENTS);
    let count = |metric: &str, labels: &str| bridge.metric(metric, labels);
    assert_eq!(count("chatbridge_events_published_total", ""), f64::from(4 * EVENTS), "{}", bridge.log());
    let pushed = count("chatbridge_webhook_requests_total", "acknowledged");
    assert!(pushed >= f64::from(2 * EVENTS) && pushed < f64::from(3 * EVENTS), "some came by either way: {pushed}");
    assert!(bridge.terminate().success());
}
