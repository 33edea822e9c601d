//! The real binary on a disk of 2 MiB: filled by the spool, filled by others, and the spool's file taken away.

use std::time::Duration;

use crate::chatapp_bridge::Scene;
use crate::support::bridge::{BINARY, Bridge};
use crate::support::chatapp::Judgement;
use crate::support::needs::or_skip;
use crate::support::small_disk::SmallDisk;

const MEBIBYTES: u32 = 2;
const BATCH: usize = 50;
/// What the bridge takes to Kafka at a time: a kill may repeat as many.
const IN_HAND_MAX: usize = 512;

struct Stage {
    scene: Scene,
    disk: SmallDisk,
    generator: chatbridge_lab::chatapp::generator::Generator,
}

impl Stage {
    fn new() -> Option<Self> {
        let scene = Scene::new("gap_overlap_seconds = 5\n");
        let disk = or_skip(SmallDisk::mount(&Scene::state(&scene.home), MEBIBYTES))?;
        let generator = scene.generator();
        Some(Self { scene, disk, generator })
    }

    fn launch(&self) -> Bridge {
        Bridge::start_by(self.disk.command(BINARY), &self.scene.home, &[])
    }

    fn start(&self) -> Bridge {
        self.scene.started(self.launch())
    }

    fn start_without_kafka(&self) -> Bridge {
        subscribed(&self.scene, self.launch())
    }

    fn publish(&mut self, messages: usize) {
        for event in self.generator.by_ref().filter(|event| event.name == "message").take(messages) {
            self.scene.simulator.publish(&event);
        }
    }

    /// Kafka is away, and messages come until no more is taken.
    fn fill(&mut self, bridge: &mut Bridge) -> f64 {
        self.scene.brokers.broker_down(1).expect("it is up");
        while bridge.status()["chatapp"]["spool"]["condition"] == "well" {
            self.publish(BATCH);
            std::thread::sleep(Duration::from_millis(20));
        }
        let status = bridge.status();
        assert_eq!(status["chatapp"]["spool"]["condition"], "full", "{status}");
        assert_eq!(bridge.metric("chatbridge_chatapp_spool_takes_frames", ""), 0.0);
        bridge.metric("chatbridge_chatapp_spool_frames", "")
    }

    /// Kafka is back: everything leaves, and what comes now comes through.
    fn recover(&mut self, bridge: &mut Bridge) -> Judgement {
        self.scene.brokers.broker_up(1).expect("it is down");
        self.scene.accounted_for(bridge);
        self.publish(BATCH);
        self.scene.accounted_for(bridge);
        bridge.wait("a spool that takes frames", |bridge| {
            (bridge.status()["chatapp"]["spool"]["condition"] == "well").then_some(())
        });
        let judgement = self.scene.judged();
        eprintln!("{judgement:?}");
        judgement
    }
}

/// It is ready when Kafka is back.
fn subscribed(scene: &Scene, mut bridge: Bridge) -> Bridge {
    scene.all_subscribed(&mut bridge);
    bridge
}

#[test]
fn a_disk_that_the_spool_filled_is_empty_again_when_kafka_is_back() {
    let Some(mut stage) = Stage::new() else { return };
    let mut bridge = stage.start();
    for _ in 0..2 {
        let frames = stage.fill(&mut bridge);
        assert!(frames > 200.0, "{frames} frames");
        assert_eq!(stage.recover(&mut bridge).repeated, 0);
    }
    assert!(bridge.terminate().success());
}

#[test]
fn a_bridge_that_is_stopped_or_killed_on_a_full_disk_starts_on_it_and_empties_it() {
    let Some(mut stage) = Stage::new() else { return };
    let mut bridge = stage.start();
    stage.fill(&mut bridge);
    bridge.kill();
    let mut bridge = stage.start_without_kafka();
    assert!(bridge.metric("chatbridge_chatapp_spool_frames", "") > 200.0);
    assert!(stage.recover(&mut bridge).repeated <= IN_HAND_MAX);
    stage.fill(&mut bridge);
    // Kafka is away, and what was read cannot be written: the stop takes as long as it may.
    bridge.signal("TERM");
    bridge.ended();
    let mut bridge = stage.start_without_kafka();
    assert!(stage.recover(&mut bridge).repeated <= IN_HAND_MAX);
    assert!(bridge.terminate().success());
}

#[test]
fn what_lies_on_a_disk_that_others_filled_leaves_it_before_and_after_a_kill() {
    let Some(mut stage) = Stage::new() else { return };
    let mut bridge = stage.start();
    stage.scene.brokers.broker_down(1).expect("it is up");
    stage.publish(300);
    bridge.wait("something on disk", |bridge| {
        (bridge.metric("chatbridge_chatapp_spool_frames", "") > 200.0).then_some(())
    });
    stage.disk.fill();
    bridge.wait("a disk without room", |bridge| {
        (bridge.status()["chatapp"]["spool"]["condition"] != "well").then_some(())
    });
    bridge.kill();
    let mut bridge = stage.start_without_kafka();
    stage.scene.brokers.broker_up(1).expect("it is down");
    bridge.wait("an empty spool", |bridge| (bridge.metric("chatbridge_chatapp_spool_frames", "") == 0.0).then_some(()));
    stage.disk.free();
    stage.scene.accounted_for(&mut bridge);
    stage.publish(BATCH);
    stage.scene.accounted_for(&mut bridge);
    assert!(stage.scene.judged().repeated <= IN_HAND_MAX);
    assert!(bridge.terminate().success());
}

#[test]
fn a_spool_whose_file_is_deleted_is_put_back_and_outlives_a_kill() {
    let stage = Scene::new("gap_overlap_seconds = 5\n");
    let mut generator = stage.generator();
    let file = Scene::state(&stage.home).join("spool.redb");
    let mut bridge = stage.start();
    stage.brokers.broker_down(1).expect("it is up");
    stage.publish(&mut generator, 200);
    bridge.wait("something on disk", |bridge| {
        (bridge.metric("chatbridge_chatapp_spool_frames", "") > 100.0).then_some(())
    });
    std::fs::remove_file(&file).expect("there");
    bridge.wait("the file", |_| file.exists().then_some(()));
    stage.publish(&mut generator, BATCH);
    bridge.wait("a word of it", |bridge| bridge.log().contains("was taken away").then_some(()));
    bridge.kill();
    let mut bridge = subscribed(&stage, Bridge::start(&stage.home, &[]));
    assert!(bridge.metric("chatbridge_chatapp_spool_frames", "") > 100.0);
    stage.brokers.broker_up(1).expect("it is down");
    stage.accounted_for(&mut bridge);
    stage.judged();
    assert!(bridge.terminate().success());
}
