//! The command line as a person or a script meets it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

pub(crate) fn chatbridge(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
        .args(arguments)
        .env_remove("CHATBRIDGE_CONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // A command that does not read its input may be gone before all of it is written.
    drop(child.stdin.take().expect("piped").write_all(input.as_bytes()));
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

struct Config(PathBuf);

impl Config {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("chatbridge-{:x}.toml", fastrand::u64(..)));
        fs::write(&path, text).expect("writable");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

#[test]
fn wrong_usage_is_64_and_help_is_not_an_error() {
    for arguments in [&["fly"][..], &[], &["demo", "--instances", "0"], &["run", "--no-such-flag"]] {
        assert_eq!(chatbridge(arguments, "").status.code(), Some(64), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["--version"], &["run", "--help"]] {
        assert_eq!(chatbridge(arguments, "").status.code(), Some(0), "{arguments:?}");
    }
}

#[test]
fn a_bad_configuration_names_every_problem_and_is_64() {
    let config = Config::new("[kafka]\nbrokers = \"\"\ntopic = \"a b\"\n[kafka.properties]\nacks = \"1\"\n");
    for command in ["check", "run"] {
        let out = chatbridge(&[command, "--config", config.path()], "");
        assert_eq!(out.status.code(), Some(64), "{command}");
        let said = text(&out.stderr);
        for key in ["kafka.brokers", "kafka.topic", "kafka.properties.acks", "green_api.instances"] {
            assert!(said.contains(key), "{command}: {key} is missing from {said}");
        }
    }
    let out = chatbridge(&["check", "--json", "--config", config.path()], "");
    let report: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert_eq!(report["ok"], false);
    assert_eq!(report["problems"].as_array().map(Vec::len), Some(4), "{report}");
}

#[test]
fn what_only_librdkafka_knows_is_a_problem_too() {
    let config = Config::new(
        "[kafka.properties]\n\"sasl.mechanism\" = \"PLAIN\"\n\"no.such.thing\" = \"x\"\n\
         [[green_api.instances]]\nid = 7\ntoken = \"abc\"\n",
    );
    let out = chatbridge(&["check", "--config", config.path()], "");
    assert_eq!(out.status.code(), Some(64));
    assert!(text(&out.stderr).contains("kafka.properties.no.such.thing"), "{}", text(&out.stderr));
}

#[test]
fn a_good_configuration_is_0() {
    let sample = include_str!("../../config.toml").replace("PASTE-apiTokenInstance-HERE", "abc");
    let config = Config::new(&sample);
    let out = chatbridge(&["check", "--config", config.path()], "");
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stdout).contains("1 instance,"), "{}", text(&out.stdout));
    let missing = chatbridge(&["check", "--config", "/nowhere.toml"], "");
    assert_eq!(missing.status.code(), Some(64));
}

#[test]
fn normalize_reads_a_file_or_standard_input_and_prints_one_line_each() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/quoted-image.json");
    let from_file = chatbridge(&["normalize", fixture], "");
    assert!(from_file.status.success(), "{}", text(&from_file.stderr));
    let line: Value = serde_json::from_slice(&from_file.stdout).expect("one line of JSON");
    assert_eq!(line["topic"], "chat-events");
    assert_eq!(line["key"], "79995550001@c.us");
    assert_eq!(line["headers"]["ce_type"], "chatbridge.message.v1");
    assert_eq!(line["value"]["message"]["quoted"]["content"]["type"], "image");

    let body = fs::read_to_string(fixture).expect("readable");
    let compact = serde_json::from_str::<Value>(&body).expect("JSON").to_string();
    let from_input = chatbridge(&["normalize"], &format!("{compact}\n{{\"receiptId\":9,\"body\":{compact}}}\n"));
    let lines: Vec<Value> =
        text(&from_input.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|from_input| from_input["headers"]["ce_id"] == line["headers"]["ce_id"]));

    assert_eq!(chatbridge(&["normalize", "/nowhere.json"], "").status.code(), Some(64));
}

#[test]
fn the_demo_loses_nothing_and_says_so() {
    let out = chatbridge(&["demo", "--instances", "20", "--events", "300", "--rate", "0", "--samples", "1"], "");
    let said = text(&out.stdout);
    assert!(out.status.success(), "{said}{}", text(&out.stderr));
    for line in [
        "queued             300",
        "published          300",
        "deleted            300",
        "lost                 0",
        "repeated             0",
    ] {
        assert!(said.contains(line), "{line} is missing from {said}");
    }
    assert!(said.contains("ce_id: "), "a sample as a consumer sees it: {said}");
    assert_eq!(text(&out.stderr), "", "nothing to worry about");
}

#[test]
fn the_demo_of_chatapp_loses_nothing_unsaid_and_leaves_nothing_behind() {
    let temporary = std::env::temp_dir().join(format!("chatbridge-tmp-{:x}", fastrand::u64(..)));
    fs::create_dir(&temporary).expect("writable");
    let out = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
        .args(["demo", "--chatapp", "--events", "400", "--rate", "200", "--json"])
        .env("TMPDIR", &temporary)
        .output()
        .expect("the binary starts");
    let said = text(&out.stdout);
    assert!(out.status.success(), "{said}{}", text(&out.stderr));
    let left: Vec<_> = fs::read_dir(&temporary).expect("readable").collect();
    fs::remove_dir_all(&temporary).expect("ours");
    assert!(left.is_empty(), "{left:?}");
    let summary: Value = serde_json::from_str(&said).expect("one JSON object");
    let figure = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("{name}: {said}"));
    for breach in ["lost", "untold", "repeated_under_another_id", "out_of_order", "wrong_key", "unexpected"] {
        assert_eq!(figure(breach), 0, "{breach}: {said}");
    }
    assert!(figure("sent") >= 400 && figure("sent") == figure("published") + figure("told_missing"), "{said}");
    assert!(figure("fetched") > 0 && figure("told_missing") > 0 && figure("gaps") >= 4, "{said}");
    assert!(summary["push_to_consumer_p50_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{said}");

    let shown = chatbridge(&["demo", "--chatapp", "--events", "40", "--rate", "0"], "");
    let said = text(&shown.stdout);
    assert!(shown.status.success(), "{said}{}", text(&shown.stderr));
    for words in ["lost                 0", "ce_type: chatbridge.gap.v1", "every message arrived"] {
        assert!(said.contains(words), "{words} is missing from {said}");
    }
    for arguments in [&["--instances", "2"][..], &["--events", "100001"]] {
        let refused = chatbridge(&[&["demo", "--chatapp"], arguments].concat(), "");
        assert_eq!(refused.status.code(), Some(64), "{arguments:?}");
    }
}

#[test]
fn simulate_inject_and_a_receive_by_hand_fit_together() {
    let mut simulator = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
        .args(["simulate", "--listen", "127.0.0.1:0", "--instance", "1101:secret"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let mut said = std::io::BufReader::new(simulator.stdout.take().expect("piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).expect("a line");
    let url = line.trim().rsplit(' ').next().expect("an address").to_owned();

    let body = r#"{"typeWebhook":"incomingCall","instanceData":{"idInstance":1101},"from":"7900@c.us"}"#;
    let injected = chatbridge(&["inject", "--url", &format!("{url}/")], &format!("{body}\n{body}\n"));
    assert!(injected.status.success(), "{}", text(&injected.stderr));
    assert_eq!(text(&injected.stdout), "2 notifications injected\n");

    let received = crate::wire::get(&url, "/waInstance1101/receiveNotification/secret?receiveTimeout=5");
    assert_eq!(received, format!(r#"{{"receiptId":1,"body":{body}}}"#));
    let refused = chatbridge(&["inject", "--url", &format!("{url}/")], r#"{"instanceData":{"idInstance":5}}"#);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused.stderr));

    simulator.kill().expect("our child");
    simulator.wait().expect("our child");
    let unreachable = chatbridge(&["inject", "--url", &format!("{url}/")], body);
    assert_eq!(unreachable.status.code(), Some(1));
    assert!(text(&unreachable.stderr).contains("failed to reach"), "{}", text(&unreachable.stderr));
}

#[test]
fn a_log_that_cannot_be_written_and_a_foreign_variable_do_not_end_the_bridge() {
    use std::os::unix::ffi::OsStrExt;

    let config = Config::new(
        "[admin]\nlisten = \"127.0.0.1:0\"\n[kafka]\nbrokers = \"127.0.0.1:9\"\n[[green_api.instances]]\nid = 7\ntoken = \"abc\"\n",
    );
    let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("Linux has one");
    let mut child = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
        .args(["run", "--config", config.path()])
        .env("FOREIGN", std::ffi::OsStr::from_bytes(b"\xff"))
        .stdout(Stdio::null())
        .stderr(full)
        .spawn()
        .expect("the binary starts");
    // Long enough for several log lines about the broker that is not there.
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(child.try_wait().expect("our child"), None, "it runs on without a log");
    child.kill().expect("our child");
    child.wait().expect("our child");
}

#[test]
fn the_contract_is_printed() {
    for (arguments, name) in [
        (&["schema"][..], "event.schema.json"),
        (&["schema", "event"], "event.schema.json"),
        (&["schema", "config"], "config.schema.json"),
        (&["schema", "config-reference"], "../../docs/configuration.md"),
        (&["schema", "asyncapi"], "asyncapi.json"),
    ] {
        let output = chatbridge(arguments, "");
        assert!(output.status.success(), "{arguments:?}");
        let committed = fs::read(format!("{}/deploy/schemas/{name}", env!("CARGO_MANIFEST_DIR"))).expect("readable");
        assert_eq!(text(&output.stdout), text(&committed), "{arguments:?}");
    }
    assert_eq!(chatbridge(&["schema", "poem"], "").status.code(), Some(64));
}
