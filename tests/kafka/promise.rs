//! The promise under normal life, crashes and outages: one contract, whichever way events come in.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use chatbridge_lab::green_api::{JournalEvent, PushFailure};

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::broker::Broker;
use crate::support::java::java_partitions;
use crate::support::judge::{Topic, judge};
use crate::support::needs::or_skip;
use crate::support::record::{Record, read};
use crate::support::way::Way;

const TOPIC: &str = "chat-events";
const DEAD_LETTERS: &str = "chat-events-dlq";
/// By then a bridge has seen that there is no broker, however busy the machine.
const AWAY_MAX: Duration = Duration::from_secs(120);

/// Each contract is a test either way.
macro_rules! both_ways {
    ($($contract:ident)*) => {
        mod by_poll {
            $(#[test]
            #[ignore = "starts a real Kafka"]
            fn $contract() {
                super::$contract(super::Way::Poll);
            })*
        }
        mod by_push {
            $(#[test]
            #[ignore = "starts a real Kafka"]
            fn $contract() {
                super::$contract(super::Way::Push);
            })*
        }
    };
}

both_ways! {
    every_event_arrives_in_order_on_the_partition_java_would_choose
    killed_at_random_moments_under_load_it_loses_nothing
    a_stopped_broker_costs_nothing_but_time
    a_stop_under_load_leaves_nothing_half_done
    without_a_broker_it_starts_waits_and_says_so_and_a_stop_still_works
    odd_events_are_carried_and_never_stop_the_queue
}

fn every_event_arrives_in_order_on_the_partition_java_would_choose(way: Way) {
    let Some(scene) = Scene::by(way, 4) else { return };
    scene.queue(250);
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    scene.wait_until_emptied(&bridge);
    // The queue is empty a moment before the answer to the last delete has come.
    bridge.wait("the last answer", |bridge| {
        (bridge.metric("chatbridge_notifications_deleted_total", "") == 1000.0).then_some(())
    });
    let published = bridge.metric("chatbridge_events_published_total", "");
    assert!(bridge.terminate().success());

    let Some(topic) = Topic::read(&scene.broker.bootstrap(), TOPIC) else { return };
    let verdict = judge(&scene.simulator, &topic);
    eprintln!("end to end ({way:?}): {verdict:?}");
    assert!(verdict.promise_held(), "{verdict:?}");
    assert_eq!((verdict.queued, verdict.repeated), (1000, 0));
    assert_eq!(published, 1000.0);

    let partitions = topic.partitions();
    let used: std::collections::BTreeSet<i64> = partitions.values().copied().collect();
    assert!(used.len() >= 10, "12 partitions share the chats: {used:?}");
    let keys: Vec<&String> = partitions.keys().collect();
    let java = java_partitions(&scene.broker.bootstrap(), "written-by-java", &keys).expect("the Java producer works");
    for (key, partition) in java {
        assert_eq!(partitions[&key], i64::from(partition), "{key}");
    }
    eprintln!("murmur2: {} keys on the partitions the Java client chooses", partitions.len());
}

fn killed_at_random_moments_under_load_it_loses_nothing(way: Way) {
    let Some(scene) = Scene::by(way, 10) else { return };
    let load = scene.load(200);
    let begun = Instant::now();
    let mut kills = 0;
    while kills < 5 || begun.elapsed() < Duration::from_secs(20) {
        let mut bridge = Bridge::start(&scene.home, &[]);
        let before = scene.deleted();
        bridge.wait("a delete", |_| (scene.deleted() > before).then_some(()));
        // The moment is the point: anywhere in the cycle of any instance.
        thread::sleep(Duration::from_millis(fastrand::u64(0..1500)));
        bridge.kill();
        kills += 1;
    }
    drop(load);
    let bridge = Bridge::start(&scene.home, &[]);
    scene.wait_until_emptied(&bridge);
    assert!(bridge.terminate().success());

    let Some(topic) = Topic::read(&scene.broker.bootstrap(), TOPIC) else { return };
    let verdict = judge(&scene.simulator, &topic);
    eprintln!(
        "kill -9, {kills} times ({way:?}): queued {}, delivered {}, lost {}, repeated {}, out of order {}, still queued {}",
        verdict.queued,
        verdict.published,
        verdict.lost,
        verdict.repeated,
        verdict.out_of_order,
        scene.simulator.total_depth()
    );
    assert!(verdict.promise_held(), "{verdict:?}");
    assert!(verdict.repeated <= kills * 10, "at most one repeat per kill and instance: {verdict:?}");
}

fn a_stopped_broker_costs_nothing_but_time(way: Way) {
    let Some(mut scene) = Scene::by(way, 10) else { return };
    let away = Duration::from_secs(if way == Way::Poll { 20 } else { 12 });
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    let load = scene.load(200);
    bridge.wait("deliveries", |_| (scene.deleted() > 500).then_some(()));
    let before_kib = rss_kib(bridge.pid());
    scene.broker.stop();
    let mut most_kib = before_kib;
    let stopped_at = Instant::now();
    // As long as it has to be, and until it shows: a busy machine may need longer for that.
    let (mut held_since, mut is_told) = (None, false);
    while stopped_at.elapsed() < away || ((held_since.is_none() || !is_told) && stopped_at.elapsed() < AWAY_MAX) {
        if held_since.is_none() && bridge.metric("chatbridge_in_flight", "") == 10.0 {
            held_since = Some(Instant::now());
        }
        is_told = is_told || bridge.log().contains("Kafka is away");
        most_kib = most_kib.max(rss_kib(bridge.pid()));
        thread::sleep(Duration::from_millis(200));
    }
    let held_seconds = held_since.expect("each instance holds its one notification").elapsed().as_secs();
    let status = bridge.status();
    let receives = scene.count(|what| matches!(what, JournalEvent::HandedOut { .. } | JournalEvent::Pushed { .. }));
    assert_eq!(bridge.get("/livez").0, 200, "a broker that is away is no reason to be restarted");
    assert_eq!(status["kafka"]["usable"], false, "{status}");
    let head_age_seconds = status["instances"][0]["head_age_seconds"].as_u64().expect("a number");
    assert!(head_age_seconds + 1 >= held_seconds, "held for {held_seconds} s: {status}");
    assert_eq!(bridge.metric("chatbridge_in_flight", ""), 10.0, "and no other");
    let (told, minutes) = (bridge.log().matches("Kafka is away").count(), stopped_at.elapsed().as_secs() / 60);
    assert!((1..=1 + minutes as usize).contains(&told), "told once a minute, {told} times in {minutes} min");
    scene.broker.start_again();
    let back_at = Instant::now();
    drop(load);
    scene.wait_until_emptied(&bridge);
    let drained = back_at.elapsed();
    bridge.wait("the good news", |bridge| bridge.log().contains("Kafka takes records again").then_some(()));
    assert!(bridge.terminate().success());

    let Some(topic) = Topic::read(&scene.broker.bootstrap(), TOPIC) else { return };
    let verdict = judge(&scene.simulator, &topic);
    eprintln!(
        "broker away {away:?} ({way:?}): {verdict:?}; memory {before_kib} KiB before, at most {most_kib} KiB during; \
         {receives} receives until then; backlog gone {drained:.1?} after the broker was back"
    );
    assert!(verdict.promise_held(), "{verdict:?}");
    assert!(most_kib < before_kib + 8 * 1024, "memory stays flat: {before_kib} to {most_kib} KiB");
}

fn a_stop_under_load_leaves_nothing_half_done(way: Way) {
    let Some(scene) = Scene::by(way, 10) else { return };
    let load = scene.load(300);
    let mut quickest = Duration::MAX;
    for _ in 0..3 {
        let mut bridge = Bridge::start(&scene.home, &[]);
        let before = scene.deleted();
        bridge.wait("deliveries", |_| (scene.deleted() > before + 200).then_some(()));
        let begun = Instant::now();
        let status = bridge.terminate();
        quickest = quickest.min(begun.elapsed());
        assert!(status.success(), "{status}");
    }
    drop(load);
    // Of three: what a stop waits for in vain it waits for each time, and a busy machine is not busy for ever.
    assert!(quickest < Duration::from_secs(5), "{quickest:?}");
    let bridge = Bridge::start(&scene.home, &[]);
    scene.wait_until_emptied(&bridge);
    assert!(bridge.terminate().success());
    let Some(topic) = Topic::read(&scene.broker.bootstrap(), TOPIC) else { return };
    let verdict = judge(&scene.simulator, &topic);
    eprintln!("SIGTERM, 4 times ({way:?}): {verdict:?}");
    assert!(verdict.promise_held(), "{verdict:?}");
    assert_eq!(verdict.repeated, 0, "what was in hand was published and deleted");
}

fn without_a_broker_it_starts_waits_and_says_so_and_a_stop_still_works(way: Way) {
    let Some(mut scene) = Scene::by(way, 1) else { return };
    scene.broker.stop();
    scene.queue(5);
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait("a word about it", |bridge| bridge.log().contains("Kafka cannot be used yet").then_some(()));
    assert_eq!(bridge.get("/readyz").0, 503);
    assert_eq!(bridge.get("/livez").0, 200);
    let begun = Instant::now();
    assert!(bridge.terminate().success());
    // Whoever waits in vain waits for the 20 s that a stop may take here.
    assert!(begun.elapsed() < Duration::from_secs(17), "{:?}", begun.elapsed());

    let begun = Instant::now();
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait("a word about it", |bridge| bridge.log().contains("Kafka cannot be used yet").then_some(()));
    match way {
        Way::Poll => {
            let received = scene.count(|what| matches!(what, JournalEvent::HandedOut { .. }));
            assert_eq!(received, 0, "nothing is received meanwhile");
        }
        Way::Push => {
            let told =
                |what: &JournalEvent| matches!(what, JournalEvent::PushFailed { why: PushFailure::Status(503), .. });
            bridge.wait("a call that is told to come again", |_| (scene.count(told) > 0).then_some(()));
        }
    }
    assert_eq!(scene.deleted(), 0, "and nothing is forgotten");
    scene.broker.start_again();
    bridge.wait_until_ready();
    scene.wait_until_emptied(&bridge);
    let (told, minutes) = (bridge.log().matches("Kafka cannot be used yet").count(), begun.elapsed().as_secs() / 60);
    assert!((1..=1 + minutes as usize).contains(&told), "told once a minute, {told} times in {minutes} min");
    assert!(bridge.terminate().success());
}

fn odd_events_are_carried_and_never_stop_the_queue(way: Way) {
    let Some(scene) = Scene::by(way, 1) else { return };
    let id = scene.ids[0];
    let text = |name: &str, text: String| {
        format!(
            r#"{{"typeWebhook":"incomingMessageReceived","idMessage":"{name}","senderData":{{"chatId":"79995550001@c.us"}},
            "messageData":{{"typeMessage":"textMessage","textMessageData":{{"textMessage":"{text}"}}}}}}"#
        )
    };
    let thumbnail = "A".repeat(2_000_000);
    for body in [
        text("first", "plain".to_owned()),
        text("half a character", r"\ud83d".to_owned()),
        format!(r#"{{"typeWebhook":"new","chatId":"1","deep":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000)),
        text("two megabytes of text", fastrand_text(2_000_000)),
        format!(
            r#"{{"typeWebhook":"incomingMessageReceived","idMessage":"two megabytes of picture","messageData":{{"typeMessage":"imageMessage","fileMessageData":{{"caption":"kept","jpegThumbnail":"{thumbnail}"}}}}}}"#
        ),
        "{\"broken\": ".to_owned(),
        "null".to_owned(),
        text("last", "plain".to_owned()),
    ] {
        scene.simulator.enqueue(id, body).expect("room");
    }
    scene.simulator.enqueue(id, b"{\"not\": \"utf-8 \xff\"}".to_vec()).expect("room");
    let bridge = Bridge::start(&scene.home, &[("CHATBRIDGE__KAFKA__PROPERTIES__COMPRESSION_TYPE", "none")]);
    scene.wait_until_emptied(&bridge);
    let log = bridge.log();
    assert!(bridge.terminate().success());

    let Some(letters) = Topic::read(&scene.broker.bootstrap(), DEAD_LETTERS) else { return };
    let reasons: Vec<&str> = letters.records.iter().filter_map(|r| r["headers"]["reason"].as_str()).collect();
    let mut sorted = reasons.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, ["no_body", "not_json", "not_utf8", "too_large"], "{log}");
    let too_large = &letters.records[reasons.iter().position(|reason| *reason == "too_large").expect("it is there")];
    assert_eq!(too_large["key"], "79995550001@c.us");
    assert_eq!(too_large["headers"]["truncated_from_bytes"].as_str().map(|n| n.len()), Some(7), "{too_large:.300}");

    // The lone surrogate cannot be read by serde_json's Value; kcat and Python can.
    let mut reader = or_skip(crate::support::python::consumer("read_topic.py")).expect("it was there a moment ago");
    let out = reader.args([&scene.broker.bootstrap(), TOPIC]).output().expect("python runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let lines = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(lines.lines().count(), 5, "{lines:.2000}");
    let reduced = lines.lines().find(|line| line.contains("two megabytes of picture")).expect("it is there");
    assert!(reduced.contains(r#""reduced": true"#) && reduced.contains("kept") && reduced.len() < 5_000);
    assert!(lines.lines().any(|line| line.contains(r"\ud83d")), "half a character travels in raw");
}

/// Every fixture, received both ways: the same records under the same ids.
#[test]
#[ignore = "starts a real Kafka"]
fn an_event_has_the_same_id_key_and_value_whichever_way_it_came() {
    let [polled, pushed] = Way::BOTH.map(|way| {
        let scene = Scene::by(way, 1)?;
        let queued = scene.queue_fixtures();
        let bridge = Bridge::start(&scene.home, &[]);
        scene.wait_until_emptied(&bridge);
        assert!(bridge.terminate().success());
        let mut records = read(&scene.broker.bootstrap(), TOPIC)?;
        assert_eq!(records.len(), queued, "{way:?}");
        records.sort_by(|one, other| one.header("ce_id").cmp(other.header("ce_id")));
        Some(records)
    });
    let (Some(polled), Some(pushed)) = (polled, pushed) else { return };
    let value = |record: &Record| String::from_utf8_lossy(&record.value).into_owned();
    for (polled, pushed) in polled.iter().zip(&pushed) {
        assert_eq!(polled.header("ce_id"), pushed.header("ce_id"), "{} and {}", value(polled), value(pushed));
        assert_eq!(polled.key, pushed.key, "{}", value(polled));
        assert_eq!(value(polled), value(pushed));
        assert_eq!(polled.header("ce_type"), pushed.header("ce_type"));
        assert_eq!(polled.header("ce_source"), pushed.header("ce_source"));
    }
    eprintln!("polled and pushed: {} events, equal in id, key and value", polled.len());
}

/// Resident memory.
pub(crate) fn rss_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process has a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Text that does not compress, so that its size is what the broker sees.
fn fastrand_text(length: usize) -> String {
    (0..length).map(|_| fastrand::alphanumeric()).collect()
}

#[test]
#[ignore = "starts a real Kafka"]
fn the_demo_runs_on_a_real_broker_too() {
    let Some(broker) = or_skip(Broker::start_with(&[("auto.create.topics.enable", "true")])) else { return };
    let out = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
        .args([
            "demo",
            "--json",
            "--instances",
            "20",
            "--events",
            "500",
            "--rate",
            "0",
            "--brokers",
            &broker.bootstrap(),
        ])
        .output()
        .expect("the binary runs");
    let summary = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{summary} {}", String::from_utf8_lossy(&out.stderr));
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("one JSON object");
    eprintln!("demo on a real broker: {summary}");
    assert_eq!((&summary["published"], &summary["lost"], &summary["repeated"]), (&500.into(), &0.into(), &0.into()));
}
