//! The arithmetic of an outage: what ten minutes without a broker cost in memory, and how soon the backlog is gone.

use std::thread;
use std::time::{Duration, Instant};

use chatbridge_lab::green_api::JournalEvent;

use crate::promise::rss_kib;
use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::judge::{Topic, judge};

const OUTAGE: Duration = Duration::from_secs(600);
/// Events a second, over ten instances: a busy day.
const RATE: u32 = 50;
const EASE: Duration = Duration::from_secs(30);
/// What ten held records and some thousand lines of librdkafka's retries may cost at most.
const GROWTH_KIB_MAX: u64 = 16 * 1024;

/// The length of the outage is the point, so `make test` leaves it out; `make soak` runs it.
#[test]
#[ignore = "takes a quarter of an hour and a real Kafka"]
fn soak_ten_minute_outage() {
    let Some(mut scene) = Scene::new(10, &[]) else { return };
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    let load = scene.load(RATE);
    bridge.wait("deliveries", |_| (scene.deleted() > 500).then_some(()));

    // As fast as it can: a backlog of its own, before anything is wrong.
    let speed_before = drain_speed(&scene, 2_000);
    thread::sleep(EASE);
    let before_kib = rss_kib(bridge.pid());

    scene.broker.stop();
    let (away_since, mut most_kib, mut told) = (Instant::now(), before_kib, Instant::now());
    let handed_out = || scene.count(|what| matches!(what, JournalEvent::HandedOut { .. }));
    thread::sleep(Duration::from_secs(2));
    let held = handed_out();
    while away_since.elapsed() < OUTAGE {
        most_kib = most_kib.max(rss_kib(bridge.pid()));
        thread::sleep(Duration::from_secs(1));
        if told.elapsed() > Duration::from_secs(60) {
            told = Instant::now();
            let minutes = away_since.elapsed().as_secs() / 60;
            eprintln!("  {minutes} min away: {} queued, {most_kib} KiB at most", scene.simulator.total_depth());
        }
    }
    let backlog = scene.simulator.total_depth();
    assert!(handed_out() <= held + 10, "nothing is received meanwhile but what is in hand");
    assert_eq!(bridge.status()["kafka"]["usable"], false);

    scene.broker.start_again();
    let back = Instant::now();
    bridge.wait("the first acknowledgement", |_| (scene.simulator.total_depth() < backlog).then_some(()));
    let (resumed, deleted) = (Instant::now(), scene.deleted());
    let waited = back.elapsed();
    // Load goes on, so the drain has to outrun it.
    while scene.simulator.total_depth() > 100 {
        most_kib = most_kib.max(rss_kib(bridge.pid()));
        assert!(back.elapsed() < OUTAGE, "{} left", scene.simulator.total_depth());
        thread::sleep(Duration::from_millis(100));
    }
    let drained = resumed.elapsed();
    let speed_after = (scene.deleted() - deleted) as f64 / drained.as_secs_f64();
    thread::sleep(EASE);
    let after_kib = rss_kib(bridge.pid());
    drop(load);
    scene.wait_until_emptied(&bridge);
    assert!(bridge.terminate().success());

    let Some(topic) = Topic::read(&scene.broker.bootstrap(), "chat-events") else { return };
    let verdict = judge(&scene.simulator, &topic);
    eprintln!(
        "broker away {} s with {RATE} events/s flowing: {verdict:?}\n\
         memory: {before_kib} KiB before, {most_kib} KiB at most, {after_kib} KiB after\n\
         backlog of {backlog}: first acknowledgement {waited:.1?} after the broker was back, gone {drained:.1?} later, \
         {speed_after:.0} events/s (before the outage: {speed_before:.0} events/s)",
        OUTAGE.as_secs()
    );
    assert!(verdict.promise_held() && verdict.repeated == 0, "{verdict:?}");
    assert!(most_kib < before_kib + GROWTH_KIB_MAX, "memory stays flat: {before_kib} to {most_kib} KiB");
    assert!(speed_after > speed_before / 2.0, "it drains as fast as ever: {speed_after:.0} and {speed_before:.0}/s");
}

/// How fast a backlog goes, in events a second.
fn drain_speed(scene: &Scene, events: usize) -> f64 {
    let (begun, before) = (Instant::now(), scene.deleted());
    scene.queue_more(events / scene.ids.len());
    while scene.simulator.total_depth() > 100 {
        assert!(begun.elapsed() < Duration::from_secs(120), "it does not drain");
        thread::sleep(Duration::from_millis(20));
    }
    (scene.deleted() - before) as f64 / begun.elapsed().as_secs_f64()
}
