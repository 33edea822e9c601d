//! The simulator's push mode from outside: the real binary, and a webhook that is neither ours nor Rust's.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use chatbridge_lab::green_api::{EntryId, JournalEntry, JournalEvent, PushFailure};
use serde_json::{Value, json};

use crate::support::http::ask;
use crate::support::needs::or_skip;
use crate::support::python::consumer;

/// A child and what it says; it ends with the test.
struct Told {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Told {
    fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let said = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, said }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("readable");
        line.trim().to_owned()
    }

    fn json(&mut self) -> Value {
        let line = self.line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
#[ignore = "needs Python; make test brings it"]
fn a_python_webhook_gets_what_the_simulator_pushes_and_the_queue_takes_over_again() {
    let Some(mut webhook) = or_skip(consumer("receive_pushes.py")) else { return };
    let mut webhook = Told::start(webhook.args(["503", "202"]));
    let port = webhook.json()["port"].as_u64().expect("a port");
    let journal = std::env::temp_dir().join(format!("chatbridge-push-{}.jsonl", std::process::id()));
    let mut simulator = Told::start(
        Command::new(env!("CARGO_BIN_EXE_chatbridge"))
            .args(["simulate", "--listen", "127.0.0.1:0", "--instance", "1101:secret", "--webhook-pause-ms", "20"])
            .args(["--webhook-url", &format!("http://127.0.0.1:{port}/green-api"), "--webhook-token", "hook-token"])
            .arg("--journal")
            .arg(&journal),
    );
    let first = simulator.line();
    let address = first.rsplit("//").next().expect("an address").to_owned();
    let asked = |verb, path: &str, body: &str| ask(&address, verb, path, body).expect("an answer").1;
    assert_eq!(simulator.line(), "instance 1101 pushes to its webhook");

    let body =
        |number: u64| json!({"instanceData": {"idInstance": 1101}, "text": "Привет 👋", "n": number}).to_string();
    let inject = |number: u64| asked("POST", "/", &body(number));
    (1..=20).for_each(|number| drop(inject(number)));
    for number in [1, 1].into_iter().chain(1..=20) {
        let seen = webhook.json();
        assert_eq!((&seen["path"], &seen["body"]), (&json!("/green-api"), &json!(body(number))));
        assert_eq!(seen["headers"]["authorization"], "Bearer hook-token");
        assert_eq!(seen["headers"]["content-type"], "application/json; charset=utf-8");
    }
    assert_eq!(asked("GET", "/simulator/emptied", ""), r#"{"emptied":true}"#);

    let receive = || asked("GET", "/waInstance1101/receiveNotification/secret?receiveTimeout=5", "");
    assert!(receive().contains("custom webhook url is set"));
    asked("PATCH", "/simulator/instances/1101", r#"{"webhook_url":""}"#);
    inject(21);
    assert_eq!(receive(), format!(r#"{{"receiptId":1,"body":{}}}"#, body(21)));

    let ended = Command::new("kill").arg(simulator.child.id().to_string()).status().expect("kill runs");
    assert!(ended.success() && simulator.child.wait().expect("our child").success());
    let lines = fs::read_to_string(&journal).expect("readable");
    fs::remove_file(&journal).expect("removable");
    assert!(!lines.contains("hook-token"));
    let happened: Vec<JournalEvent> =
        lines.lines().map(|line| serde_json::from_str::<JournalEntry>(line).expect("an entry").what).collect();
    let acknowledged = happened.iter().filter_map(|what| match what {
        JournalEvent::Acknowledged { entry } => Some(entry.0),
        _ => None,
    });
    assert_eq!(acknowledged.collect::<Vec<_>>(), (1..=20).collect::<Vec<_>>());
    for why in [PushFailure::Status(503), PushFailure::Status(202)] {
        assert!(happened.contains(&JournalEvent::PushFailed { entry: EntryId(1), why }));
    }
}
