//! The clock that matters, by the real binary: old events at the head of a queue that cannot be drained.

use chatbridge_lab::green_api::generator::Generator;
use chatbridge_lab::green_api::{Fault, FaultKind, Method};
use jiff::Timestamp;

use crate::support::bridge::Bridge;
use crate::wire::{FIRST, Scene};

const SECOND: u64 = FIRST + 1;
const HOUR: i64 = 60 * 60;

/// Queues an event that happened so long ago, and with it an instance that cannot be drained.
fn stuck(scene: &Scene, instance: u64, hours: i64) {
    let happened = Timestamp::now().as_second() - hours * HOUR;
    let body = Generator::new(instance, 3).body_at(u64::try_from(happened).expect("after 1970"));
    scene.simulator.enqueue(instance, body).expect("room");
    let stays =
        FaultKind::Status { code: 400, body: "custom webhook url is set".to_owned(), retry_after_seconds: None };
    scene.simulator.add_fault(Fault::new(Method::Delete, stays).on(instance));
}

#[test]
fn old_heads_are_warned_of_and_alarmed_about_once_and_their_end_is_told() {
    let scene = Scene::new("");
    stuck(&scene, FIRST, 7);
    stuck(&scene, SECOND, 19);
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait("both words", |bridge| {
        let log = bridge.log();
        (log.contains("have waited long") && log.contains("about to forget")).then_some(())
    });
    let status = bridge.status();
    for (index, instance, level, number, hours) in [(0, FIRST, "warn", 1.0, 7), (1, SECOND, "alarm", 2.0, 19)] {
        let view = &status["instances"][index];
        assert_eq!(view["loss_level"], level, "{view}");
        let age = view["head_age_seconds"].as_i64().expect("an age");
        assert!((hours * HOUR..hours * HOUR + 120).contains(&age), "{view}");
        assert_eq!(view["seconds_until_loss"].as_i64(), Some(24 * HOUR - age), "{view}");
        assert_eq!(bridge.metric("chatbridge_loss_level", &instance.to_string()), number);
    }
    bridge.wait("a count", |bridge| {
        let status = bridge.status();
        (status["instances"][1]["queue_depth"] == 1 && status["instances"][1]["drain_forecast"] == "stalled")
            .then_some(())
    });

    scene.simulator.clear_faults();
    scene.emptied(&bridge);
    bridge
        .wait("the good news", |bridge| (bridge.log().matches("close to being forgotten").count() == 2).then_some(()));
    let log = bridge.log();
    let told = |words: &str| log.lines().filter(|line| line.contains(words)).collect::<Vec<_>>();
    let (warned, alarmed) = (told("have waited long"), told("about to forget"));
    assert_eq!((warned.len(), alarmed.len()), (1, 1), "{log}");
    assert!(warned[0].contains(&FIRST.to_string()) && warned[0].contains("\"WARN\""), "{}", warned[0]);
    assert!(alarmed[0].contains(&SECOND.to_string()) && alarmed[0].contains("\"ERROR\""), "{}", alarmed[0]);
    let status = bridge.status();
    assert_eq!(status["instances"][0]["loss_level"], "ok", "{status}");
    assert_eq!(bridge.metric("chatbridge_loss_level", ""), 0.0);
    assert!(bridge.terminate().success());
}

#[test]
fn a_count_that_can_no_longer_be_asked_is_no_longer_shown() {
    let scene = Scene::new("");
    let mut bridge = Bridge::start(&scene.home, &[]);
    let shown = |bridge: &Bridge| bridge.get("/metrics").1.contains("chatbridge_queue_depth{");
    bridge.wait("a count", |bridge| shown(bridge).then_some(()));
    scene.simulator.add_fault(Fault::status(Method::Count, 500, ""));
    bridge.wait("its end", |bridge| (!shown(bridge)).then_some(()));
    let view = &bridge.status()["instances"][0];
    assert!(view["queue_depth"].is_null() && view["drain_forecast"].is_null(), "{view}");
    assert!(bridge.terminate().success());
}
