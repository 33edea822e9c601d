//! Somebody else reads the instance as well: seen by the real binary, told once, counted and shown.

use std::fs::{self, DirEntry};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use chatbridge_lab::green_api::{Fault, JournalEntry, JournalEvent};

use crate::support::bridge::Bridge;
use crate::wire::{FIRST, Scene, TOKEN};

fn assert_suspected(bridge: &mut Bridge) {
    bridge.wait("the suspicion", |bridge| {
        (bridge.metric("chatbridge_rival_suspected_total", &FIRST.to_string()) >= 1.0).then_some(())
    });
    let log = bridge.log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("someone else is reading this instance")).collect();
    assert_eq!(told.len(), 1, "{log}");
    for word in [&FIRST.to_string(), "\"WARN\"", "second chatbridge", "chat-bot SDK"] {
        assert!(told[0].contains(word), "{word}: {}", told[0]);
    }
    let instances = &bridge.status()["instances"];
    assert!(instances[0]["rival_suspected_at"].is_string(), "{instances}");
    assert!(instances[1]["rival_suspected_at"].is_null(), "{instances}");
}

#[test]
fn notifications_that_vanish_between_receive_and_delete_are_noticed() {
    let scene = Scene::new("");
    scene.simulator.add_fault(Fault::stolen().on(FIRST).times(5));
    scene.queue(FIRST, 10);
    let mut bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);
    assert_suspected(&mut bridge);
    assert!(bridge.terminate().success());
}

/// The body of an answer to a call of the instance, as any other client would get it.
fn call(scene: &Scene, verb: &str, method: &str, argument: &str) -> String {
    let mut stream = TcpStream::connect(scene.simulator.url().trim_start_matches("http://")).expect("it listens");
    write!(stream, "{verb} /waInstance{FIRST}/{method}/{TOKEN}{argument} HTTP/1.0\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.split_once("\r\n\r\n").expect("an HTTP answer").1.to_owned()
}

/// Another consumer, doing what every consumer does.
fn takes_everything(scene: &Scene) {
    while scene.simulator.depth(FIRST).expect("an instance") > 0 {
        let received: serde_json::Value =
            serde_json::from_str(&call(scene, "GET", "receiveNotification", "")).expect("JSON");
        let deleted = call(scene, "DELETE", "deleteNotification", &format!("/{}", received["receiptId"]));
        assert!(deleted.contains("true"), "{deleted}");
    }
}

/// Returns when the last thread of the process stands still: the signal alone only asks for it.
fn freeze(bridge: &mut Bridge) {
    bridge.signal("STOP");
    let stands_still = |task: DirEntry| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // "pid (name) T …"; a thread that has ended meanwhile does nothing either.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
    };
    bridge.wait("standstill", |bridge| {
        let mut tasks = fs::read_dir(format!("/proc/{}/task", bridge.pid())).expect("our child");
        tasks.all(|task| task.is_ok_and(stands_still)).then_some(())
    });
}

#[test]
fn a_second_reader_shows_in_refused_deletes_and_receipts_that_jump() {
    let scene = Scene::new("");
    // Long enough to know that this instance counts by one.
    scene.queue(FIRST, 30);
    let mut bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);
    for _ in 0..4 {
        // The poll that waits takes the next event; then the bridge stands still and the other one is faster.
        scene.runtime.block_on(scene.simulator.polls_waiting(2));
        freeze(&mut bridge);
        let before = scene.simulator.journal().last().map_or(0, |entry| entry.sequence);
        scene.queue(FIRST, 4);
        // Its poll first: handed out again behind the other one's back, the event would have another receipt.
        let handed_out =
            |entry: &JournalEntry| entry.sequence > before && matches!(entry.what, JournalEvent::HandedOut { .. });
        scene.runtime.block_on(scene.simulator.journalled(handed_out));
        takes_everything(&scene);
        bridge.signal("CONT");
        scene.queue(FIRST, 1);
        scene.emptied(&bridge);
    }
    assert_suspected(&mut bridge);
    assert!(bridge.terminate().success());
}
