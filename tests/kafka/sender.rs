//! A sender that is neither ours nor Rust's: Python's `requests` does what GREEN-API's push technology is documented to
//! do, while the broker goes away and comes back.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use chatbridge_lab::green_api::generator::Generator;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::judge::{Topic, judge_bodies};
use crate::support::needs::or_skip;
use crate::support::python::consumer;
use crate::support::way::Way;

const EVENTS_PER_INSTANCE: usize = 500;
const AWAY: Duration = Duration::from_secs(10);
/// So long may pass without anything being acknowledged.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
#[ignore = "starts a real Kafka"]
fn a_python_sender_loses_nothing_through_a_restart_of_the_broker() {
    let Some(mut scene) = Scene::by(Way::Push, 3) else { return };
    let Some(mut sender) = or_skip(consumer("send_pushes.py")) else { return };
    let bodies: Vec<(u64, String)> = scene
        .ids
        .iter()
        .flat_map(|id| Generator::new(*id, 5).take(EVENTS_PER_INSTANCE).map(|body| (*id, body)))
        .collect();
    // A thirtieth of GREEN-API's 180 s and 60 s, and of the 60 s that the bridge waits for Kafka by default.
    let mut bridge = Bridge::start(&scene.home, &[("CHATBRIDGE__WEBHOOK__ANSWER_TIMEOUT_SECONDS", "2")]);
    bridge.wait_until_ready();
    let mut sender = sender
        .args([scene.webhook.token(), "--answer-seconds", "6", "--pause-seconds", "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python runs");
    let mut events = sender.stdin.take().expect("piped");
    for (id, body) in &bodies {
        writeln!(events, "{}", json!({"url": scene.webhook.url(*id), "body": body})).expect("it reads");
    }
    drop(events);
    let attempts: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (said, noted) = (BufReader::new(sender.stdout.take().expect("piped")), Arc::clone(&attempts));
    let listener = thread::spawn(move || {
        for line in said.lines() {
            let attempt = serde_json::from_str(&line.expect("readable")).expect("a JSON line");
            noted.lock().expect("no panic holds it").push(attempt);
        }
    });
    let acknowledged = |attempts: &[Value]| attempts.iter().filter(|attempt| attempt["status"] == 200).count();
    bridge.wait("acknowledgements", |_| (acknowledged(&attempts.lock().expect("whole")) >= 300).then_some(()));
    scene.broker.stop();
    let away_since_ms = Timestamp::now().as_millisecond();
    thread::sleep(AWAY);
    let back_ms = Timestamp::now().as_millisecond();
    scene.broker.start_again();
    let (mut deadline, mut most) = (Instant::now() + PATIENCE, 0);
    while !listener.is_finished() {
        let now = acknowledged(&attempts.lock().expect("whole"));
        if now > most {
            (deadline, most) = (Instant::now() + PATIENCE, now);
        }
        assert!(Instant::now() < deadline, "the sender does not get rid of everything; log:\n{}", bridge.log());
        thread::sleep(Duration::from_millis(50));
    }
    listener.join().expect("it does not panic");
    assert!(sender.wait().expect("our child").success());
    assert!(bridge.terminate().success());

    let Some(topic) = Topic::read(&scene.broker.bootstrap(), "chat-events") else { return };
    let verdict = judge_bodies(&bodies, &topic);
    let attempts = attempts.lock().expect("no panic holds it");
    let statuses: BTreeSet<String> = attempts.iter().map(|attempt| attempt["status"].to_string()).collect();
    eprintln!("a sender of Python's, broker away {AWAY:?}: {verdict:?}; {} attempts: {statuses:?}", attempts.len());
    assert!(verdict.promise_held(), "{verdict:?}");
    assert_eq!(verdict.repeated, 0, "what it had to send again was recognised");
    assert_eq!(acknowledged(&attempts), bodies.len());
    // What was taken before the stop may still be answered, and Python notes it when it gets to it: on a busy machine
    // not at once. It calls again and again all the time, so whatever is wrong shows in the second half as well.
    let second_half = (away_since_ms + back_ms) / 2..back_ms;
    let while_away = attempts.iter().filter(|attempt| {
        attempt["status"] == 200 && second_half.contains(&attempt["at_ms"].as_i64().expect("a time"))
    });
    assert_eq!(while_away.count(), 0, "nothing is acknowledged while there is no broker");
    assert!(attempts.iter().any(|attempt| attempt["status"] == 503), "it was told to come again: {statuses:?}");
}
