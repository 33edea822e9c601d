//! Another configuration while the bridge runs: by SIGHUP, or noticed.

use std::fs;

use chatbridge_lab::green_api::SimulatedInstance;

use crate::support::bridge::Bridge;
use crate::wire::{FIRST, Scene, TOKEN};

const SECOND: u64 = FIRST + 1;
const THIRD: u64 = FIRST + 2;

/// Writes the configuration anew, `from` replaced by `to`.
fn rewrite(scene: &Scene, from: &str, to: &str) {
    let text = fs::read_to_string(scene.home.config()).expect("it is there");
    assert!(text.contains(from), "{text}");
    fs::write(scene.home.config(), text.replacen(from, to, 1)).expect("writable");
}

fn of(instance: u64) -> String {
    format!("[[green_api.instances]]\nid = {instance}\ntoken = \"{TOKEN}\"\n")
}

fn label(instance: u64) -> String {
    format!("instance=\"{instance}\"")
}

fn wait_for_generation(bridge: &mut Bridge, generation: f64) {
    bridge.wait("the next configuration", |bridge| {
        (bridge.metric("chatbridge_config_generation", "") == generation).then_some(())
    });
}

#[test]
fn instances_come_and_go_and_get_new_tokens() {
    let scene = Scene::new("");
    scene.simulator.add_instance(SimulatedInstance::new(THIRD, TOKEN)).expect("room");
    rewrite(&scene, "misconfigured_retry_seconds = 1", "misconfigured_retry_seconds = 3600");
    let wrong = of(SECOND).replace(TOKEN, "dd3ad");
    rewrite(&scene, &of(SECOND), &wrong);
    for instance in [FIRST, SECOND, THIRD] {
        scene.queue(instance, 5);
    }
    let mut bridge = Bridge::start(&scene.home, &[]);
    let deleted = |bridge: &Bridge, id| bridge.metric("chatbridge_notifications_deleted_total", &label(id));
    bridge.wait("the first queue's end", |bridge| (deleted(bridge, FIRST) == 5.0).then_some(()));
    bridge.wait("a word about the token", |bridge| bridge.log().contains("unauthorized").then_some(()));

    rewrite(&scene, &wrong, &format!("{}{}", of(SECOND), of(THIRD)));
    bridge.signal("HUP");
    scene.emptied(&bridge);
    bridge.wait("the deletions", |bridge| (deleted(bridge, SECOND) + deleted(bridge, THIRD) == 10.0).then_some(()));
    let changes = format!("1 added: {THIRD}; 0 removed; 1 changed: {SECOND}; 1 untouched");
    assert!(bridge.log().contains(&changes), "{}", bridge.log());
    assert_eq!(bridge.metric("chatbridge_config_generation", ""), 2.0);

    rewrite(&scene, &of(FIRST), "");
    bridge.signal("HUP");
    wait_for_generation(&mut bridge, 3.0);
    bridge.wait("the first one's end", |bridge| {
        (bridge.status()["instances"].as_array().map(Vec::len) == Some(2)).then_some(())
    });
    assert!(!bridge.get("/metrics").1.contains(&label(FIRST)), "{}", bridge.get("/metrics").1);
    scene.queue(FIRST, 1);
    scene.queue(THIRD, 1);
    bridge.wait("the third one's event", |bridge| (deleted(bridge, THIRD) == 6.0).then_some(()));
    assert_eq!(scene.simulator.depth(FIRST), Ok(1), "nobody polls it any more");
    assert!(bridge.terminate().success());
}

#[test]
fn a_configuration_with_problems_is_refused_whole() {
    let scene = Scene::new("");
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    let good = fs::read_to_string(scene.home.config()).expect("it is there");
    rewrite(&scene, &of(SECOND), "");
    rewrite(&scene, "retry_min_ms = 50", "retry_min_ms = 'soon'\nnonsense = 1");
    bridge.signal("HUP");
    bridge.wait("a word about it", |bridge| bridge.log().contains("is refused as a whole").then_some(()));
    let refused = bridge.status()["config"]["refused"].to_string();
    for part in ["green_api.retry_min_ms", "nonsense"] {
        assert!(bridge.log().contains(part) && refused.contains(part), "{part}: {refused}\n{}", bridge.log());
    }
    assert_eq!(bridge.metric("chatbridge_config_last_reload_successful", ""), 0.0);
    assert_eq!(bridge.metric("chatbridge_config_generation", ""), 1.0);
    scene.queue(SECOND, 3);
    scene.emptied(&bridge);

    fs::write(scene.home.config(), good.replace("[kafka]", "[kafka]\ntopic = 'other'")).expect("writable");
    bridge.signal("HUP");
    wait_for_generation(&mut bridge, 2.0);
    assert_eq!(bridge.metric("chatbridge_config_last_reload_successful", ""), 1.0);
    let config = bridge.status()["config"].clone();
    assert_eq!(config["needs_restart_for"], serde_json::json!(["kafka"]), "{config}");
    assert!(config.get("refused").is_none(), "{config}");
    assert!(bridge.log().contains("take effect at the next restart"), "{}", bridge.log());
    assert_eq!(bridge.metric("chatbridge_config_needs_restart", ""), 1.0);
    assert!(bridge.terminate().success());
}

#[test]
fn a_new_token_in_its_file_is_noticed_without_a_signal() {
    let scene = Scene::new("config_check_seconds = 1");
    let token_file = scene.home.config().with_file_name("token");
    fs::write(&token_file, "dd3ad\n").expect("writable");
    rewrite(&scene, &format!("token = \"{TOKEN}\""), &format!("token_file = \"{}\"", token_file.display()));
    scene.queue(FIRST, 2);
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait("a word about the token", |bridge| bridge.log().contains("unauthorized").then_some(()));
    fs::write(&token_file, TOKEN).expect("writable");
    scene.emptied(&bridge);
    wait_for_generation(&mut bridge, 2.0);
    assert!(bridge.terminate().success());
}

#[test]
fn whoever_takes_over_waits_until_what_is_in_hand_is_in_kafka_and_deleted() {
    let scene = Scene::new("");
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    scene.brokers.broker_down(1).expect("a broker");
    scene.queue(FIRST, 3);
    bridge.wait("one in hand", |bridge| (bridge.metric("chatbridge_in_flight", "") == 1.0).then_some(()));
    rewrite(&scene, &of(FIRST), &format!("{}receive_timeout_seconds = 7\n", of(FIRST)));
    bridge.signal("HUP");
    wait_for_generation(&mut bridge, 2.0);
    scene.brokers.broker_up(1).expect("a broker");
    scene.emptied(&bridge);
    let deleted = |bridge: &Bridge| bridge.metric("chatbridge_notifications_deleted_total", &label(FIRST));
    bridge.wait("the deletions", |bridge| (deleted(bridge) == 3.0).then_some(()));
    assert_eq!(bridge.metric("chatbridge_events_published_total", &label(FIRST)), 3.0, "each once");
    assert_eq!(bridge.metric("chatbridge_notifications_received_total", &label(FIRST)), 3.0);
    assert!(bridge.terminate().success());
}
