//! `tail` over what the real bridge put into librdkafka's mock cluster: all of it, what comes, and every way to end.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::time::Duration;

use chatbridge_lab::green_api::generator::Generator;
use rdkafka::config::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use serde_json::Value;

use crate::commands::chatbridge;
use crate::support::bridge::Bridge;
use crate::wire::{FIRST, Scene};

fn tail(scene: &Scene, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chatbridge"));
    command.arg("tail").arg("--config").arg(scene.home.config()).args(arguments);
    // The mock cluster answers a fetch only when this time is over.
    command.env("CHATBRIDGE__KAFKA__PROPERTIES__FETCH_WAIT_MAX_MS", "10");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Queues this many events; says what `normalize` makes of them, sorted.
fn queue(scene: &Scene, seed: u64, events: usize) -> Vec<String> {
    let mut generator = Generator::new(FIRST, seed);
    let bodies: Vec<String> = (0..events).map(|_| generator.body()).collect();
    for body in &bodies {
        scene.simulator.enqueue(FIRST, body.clone()).expect("room");
    }
    let file = scene.home.config().with_file_name("bodies.jsonl");
    fs::write(&file, bodies.join("\n")).expect("writable");
    sorted(&chatbridge(&["normalize", file.to_str().expect("UTF-8")], ""))
}

fn sorted(out: &Output) -> Vec<String> {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut lines: Vec<String> = String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// A tail that follows, with its standard error, which has said so.
fn following(scene: &Scene, arguments: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut child = tail(scene, arguments).spawn().expect("the binary starts");
    let mut said = BufReader::new(child.stderr.take().expect("piped"));
    wait_for(&mut said, "following chat-events; Ctrl-C ends");
    (child, said)
}

fn wait_for(said: &mut BufReader<ChildStderr>, wanted: &str) {
    let mut line = String::new();
    while !line.contains(wanted) {
        line.clear();
        assert_ne!(said.read_line(&mut line).expect("UTF-8"), 0, "it ended without a word of {wanted}");
    }
}

#[test]
fn what_is_there_is_shown_in_the_form_of_normalize_and_in_the_form_for_people() {
    let scene = Scene::new("");
    let expected = queue(&scene, 3, 300);
    let bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);
    let out = tail(&scene, &["--until-end", "--json"]).output().expect("it runs");
    assert!(sorted(&out) == expected, "{} of {} lines", sorted(&out).len(), expected.len());

    let lines = sorted(&tail(&scene, &["--until-end", "--from", "beginning"]).output().expect("it runs"));
    assert_eq!(lines.len(), 300);
    assert!(lines.iter().all(|line| line.contains(&FIRST.to_string()) && !line.contains('\u{1b}')), "{lines:#?}");

    let of = |field: &str, record: &str| {
        let record: Value = serde_json::from_str(record).expect("JSON");
        record.pointer(field).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let chat = expected.iter().map(|record| of("/key", record)).find(|key| key.contains('@')).expect("a chat");
    for (option, value, field) in [
        ("--kind", "message_status".to_owned(), "/value/kind"),
        ("--chat", chat.clone(), "/key"),
        ("--instance", FIRST.to_string(), "/value/source/instance"),
        ("--instance", "5".to_owned(), "/value/source/instance"),
    ] {
        let wanted: Vec<String> = expected.iter().filter(|record| of(field, record) == value).cloned().collect();
        let found = sorted(&tail(&scene, &["--until-end", "--json", option, &value]).output().expect("it runs"));
        assert!(found == wanted, "{option} {value}: {} of {} lines", found.len(), wanted.len());
    }
    let some = sorted(&tail(&scene, &["--until-end", "--max-events", "7"]).output().expect("it runs"));
    assert_eq!(some.len(), 7);
    assert_eq!(tail(&scene, &["--until-end", "--from", "end"]).output().expect("it runs").stdout, b"");

    // A reader that has seen enough: more is written than a pipe holds.
    let config = scene.home.config();
    let line = format!(
        "export CHATBRIDGE__KAFKA__PROPERTIES__FETCH_WAIT_MAX_MS=10; set -o pipefail; '{}' tail --until-end --json --config '{}' | head -n 1",
        env!("CARGO_BIN_EXE_chatbridge"),
        config.display()
    );
    let out = Command::new("bash").args(["-c", &line]).output().expect("bash is there");
    assert!(out.status.success(), "{out:?}");
    assert_eq!((out.stdout.iter().filter(|byte| **byte == b'\n').count(), &*out.stderr), (1, &b""[..]));
    assert!(bridge.terminate().success());
}

#[test]
fn what_comes_is_shown_when_it_comes_brokers_are_waited_for_and_ctrl_c_is_a_good_end() {
    let scene = Scene::new("");
    queue(&scene, 3, 20);
    let bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);

    let (child, _said) = following(&scene, &["--json", "--max-events", "5"]);
    let expected = queue(&scene, 4, 5);
    assert_eq!(sorted(&child.wait_with_output().expect("it ends")), expected, "only what came since");

    let (mut child, mut said) = following(&scene, &["--json"]);
    scene.brokers.broker_down(1).expect("there is one");
    wait_for(&mut said, "waiting for it");
    scene.brokers.broker_up(1).expect("there is one");
    wait_for(&mut said, "Kafka answers again");
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", scene.brokers.bootstrap_servers()).create().expect("a producer");
    let record: BaseRecord<'_, str, str> = BaseRecord::to("chat-events").key("k").payload(r#"{"kind":"unknown"}"#);
    producer.send(record).map_err(|(error, _)| error).expect("room");
    producer.flush(Duration::from_secs(30)).expect("the broker takes it");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut line).expect("UTF-8");
    assert_eq!(line, "{\"topic\":\"chat-events\",\"key\":\"k\",\"headers\":{},\"value\":{\"kind\":\"unknown\"}}\n");
    let sent = Command::new("sh").args(["-c", &format!("kill -s INT {}", child.id())]).status();
    assert!(sent.expect("a shell is there").success());
    assert_eq!(child.wait().expect("our child").code(), Some(0));
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("UTF-8");
    assert_eq!(rest, "", "nothing to complain about");
    assert!(bridge.terminate().success());
}

#[test]
fn what_cannot_be_read_is_said_and_1() {
    let scene = Scene::new("");
    for (variable, value, said) in [
        ("CHATBRIDGE__KAFKA__TOPIC", "no-such-topic", "topic no-such-topic cannot be read"),
        ("CHATBRIDGE__KAFKA__BROKERS", "127.0.0.1:9", "Kafka does not answer"),
    ] {
        let out = tail(&scene, &["--until-end"]).env(variable, value).output().expect("it runs");
        assert_eq!(out.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&out.stderr).contains(said), "{out:?}");
    }
    for arguments in [["--kind", "telepathy"], ["--from", "soon"], ["--max-events", "0"]] {
        assert_eq!(tail(&scene, &arguments).output().expect("it runs").status.code(), Some(64), "{arguments:?}");
    }
}
