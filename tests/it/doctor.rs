//! `check --online` by the real binary, against a simulated GREEN-API and librdkafka's mock cluster.

use std::process::Command;

use chatbridge_lab::green_api::{Fault, FaultKind, InstanceChange, InstanceState, JournalEvent, Method};
use serde_json::{Value, json};

use crate::wire::{FIRST, Scene, TOKEN};

const SECOND: u64 = FIRST + 1;

/// Exit code and what was printed.
fn check(scene: &Scene, arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
        .args(["check", "--online", "--config"])
        .arg(scene.home.config())
        .args(arguments)
        // The mock cluster knows no properties of topics and does not say so.
        .env("CHATBRIDGE__KAFKA__PROPERTIES__SOCKET_TIMEOUT_MS", "1000")
        .envs(environment.iter().copied())
        .output()
        .expect("the binary starts");
    let errors = String::from_utf8_lossy(&out.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    (out.status.code(), String::from_utf8(out.stdout).expect("UTF-8"))
}

/// Exit code, and the findings about an instance as (verdict, found).
fn findings(scene: &Scene, instance: u64, environment: &[(&str, &str)]) -> (Option<i32>, Vec<(String, String)>) {
    let (code, printed) = check(scene, &["--json"], environment);
    assert!(!printed.contains(TOKEN), "{printed}");
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(printed["ok"], code == Some(0), "{printed}");
    let about = format!("instance {instance}");
    let word = |finding: &Value, name: &str| finding[name].as_str().expect("a word").to_owned();
    let all = printed["findings"].as_array().expect("findings");
    let about = all.iter().filter(|finding| finding["subject"] == about.as_str());
    (code, about.map(|finding| (word(finding, "verdict"), word(finding, "found"))).collect())
}

#[track_caller]
fn assert_found(found: &(Option<i32>, Vec<(String, String)>), code: i32, verdict: &str, words: &str) {
    assert_eq!(found.0, Some(code), "{found:?}");
    assert!(found.1.iter().any(|(have, text)| have == verdict && text.contains(words)), "{words}: {found:?}");
}

#[test]
fn what_stands_in_an_instances_way_is_found_and_nothing_is_touched() {
    let scene = Scene::new("");
    scene.queue(FIRST, 3);
    let change = |change: InstanceChange| scene.simulator.change(FIRST, change).expect("an instance");
    let setting = |name: &str, value: &str| {
        change(InstanceChange { settings: [(name.to_owned(), json!(value))].into(), ..InstanceChange::default() });
    };
    let look = || findings(&scene, FIRST, &[]);

    assert_found(&look(), 0, "well", "authorized");
    setting("incomingWebhook", "no");
    assert_found(&look(), 0, "warning", "incomingWebhook (messages from contacts)");
    setting("webhookUrl", "https://hooks.invalid/?key=hunter2");
    let pushing = look();
    assert_found(&pushing, 1, "broken", "webhookUrl is set");
    assert!(!format!("{pushing:?}").contains("hunter2"), "{pushing:?}");
    setting("webhookUrl", "");
    scene.simulator.silence(FIRST).expect("an instance");
    assert_found(&look(), 1, "broken", "every notification is switched off");
    change(InstanceChange { state: Some(InstanceState::NotAuthorized), ..InstanceChange::default() });
    assert_found(&look(), 1, "broken", "not authorised");
    change(InstanceChange { state: Some(InstanceState::BeingCreated), ..InstanceChange::default() });
    assert_found(&look(), 1, "warning", "still being made");

    let wrong_token = format!("CHATBRIDGE__GREEN_API__INSTANCES__{FIRST}__TOKEN");
    assert_found(&findings(&scene, FIRST, &[(&wrong_token, "wrong0token")]), 64, "misconfigured", "the token is wrong");
    let host = format!("CHATBRIDGE__GREEN_API__INSTANCES__{FIRST}__API_URL");
    let wrong_path = format!("{}/nowhere", scene.simulator.url());
    assert_found(&findings(&scene, FIRST, &[(&host, &wrong_path)]), 64, "misconfigured", "not this instance's host");
    // Nobody listens on the discard port of this machine.
    assert_found(&findings(&scene, FIRST, &[(&host, "http://127.0.0.1:9")]), 1, "broken", "refused");
    let stranger = "CHATBRIDGE__GREEN_API__INSTANCES__4242__TOKEN";
    assert_found(&findings(&scene, 4242, &[(stranger, "abc")]), 64, "misconfigured", "id or api_url is wrong");

    assert_eq!(scene.simulator.depth(FIRST), Ok(3), "nothing was taken");
    let touched = scene
        .simulator
        .journal()
        .into_iter()
        .find(|entry| matches!(entry.what, JournalEvent::HandedOut { .. } | JournalEvent::Deleted { .. }));
    assert!(touched.is_none(), "{touched:?}");
}

#[test]
fn an_instance_that_pushes_is_held_against_the_configuration_and_told_what_to_send() {
    const PUSH_TOKEN: &str = "canary0push0token";
    let scene = Scene::new(&format!(
        "[webhook]\nlisten = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:9\"\ntoken = \"{PUSH_TOKEN}\"\n"
    ));
    let receive = format!("CHATBRIDGE__GREEN_API__INSTANCES__{FIRST}__RECEIVE");
    let environment = [(&*receive, "webhook")];
    let look = || {
        let (code, printed) = check(&scene, &["--json"], &environment);
        assert!(!printed.contains(PUSH_TOKEN) && !printed.contains(TOKEN), "{printed}");
        let printed: Value = serde_json::from_str(&printed).expect("JSON");
        let about = |finding: &&Value| finding["subject"] == format!("instance {FIRST}");
        let mut to_send = printed["findings"].as_array().expect("findings").iter().filter(about);
        (code, to_send.find_map(|finding| finding.get("set_settings").cloned()), printed["findings"].clone())
    };
    let set = |settings: &[(&str, &str)]| {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        let change = InstanceChange { settings, ..InstanceChange::default() };
        scene.simulator.change(FIRST, change).expect("an instance");
    };

    set(&[("incomingCallWebhook", "no")]);
    let (code, body, findings) = look();
    let body = body.expect("a body");
    assert_eq!(code, Some(1), "{findings}");
    assert_eq!(body["webhookUrl"], format!("http://127.0.0.1:9/green-api/{FIRST}"));
    assert_eq!(body["incomingCallWebhook"], "yes");
    assert!(body["webhookUrlToken"].as_str().is_some_and(|token| token.contains("webhook.token")), "{body}");
    assert!(findings.to_string().contains("whether GREEN-API reaches http://127.0.0.1:9"), "{findings}");
    let (_, table) = check(&scene, &[], &environment);
    let line = table.lines().find_map(|line| line.split_once("restarts the instance").map(|(_, rest)| rest));
    let sent: Value = line.and_then(|line| serde_json::from_str(line.split_once(": ")?.1).ok()).expect("JSON");
    assert_eq!(sent, body, "the table prints the same body: {table}");

    // As told, the placeholder replaced.
    set(&[
        ("webhookUrl", body["webhookUrl"].as_str().expect("text")),
        ("webhookUrlToken", PUSH_TOKEN),
        ("incomingCallWebhook", "yes"),
    ]);
    let (code, body, findings) = look();
    assert_eq!((code, body), (Some(0), None), "{findings}");
    set(&[("webhookUrlToken", "canary0of0somebody0else")]);
    let (code, body, findings) = look();
    assert_eq!(
        (code, body.map(|body| body.as_object().map(|body| body.len()))),
        (Some(1), Some(Some(1))),
        "{findings}"
    );
    assert!(!findings.to_string().contains("somebody0else"), "{findings}");

    // And back: polled by the configuration, and still pushing.
    let (code, printed) = check(&scene, &["--json"], &[]);
    let printed: Value = serde_json::from_str(&printed).expect("JSON");
    let back = printed["findings"].as_array().expect("findings").iter().find_map(|finding| finding.get("set_settings"));
    assert_eq!((code, back), (Some(1), Some(&json!({"webhookUrl": "", "webhookUrlToken": ""}))), "{printed}");
    let sent = |entry: &JournalEvent| matches!(entry, JournalEvent::HandedOut { .. } | JournalEvent::Deleted { .. });
    assert!(!scene.simulator.journal().iter().any(|entry| sent(&entry.what)), "nothing is touched");
}

#[test]
fn refusals_of_the_service_have_their_class_and_a_busy_second_is_waited_out() {
    let scene = Scene::new("");
    let with = |fault: Fault| {
        scene.simulator.clear_faults();
        scene.simulator.add_fault(fault.on(FIRST));
        findings(&scene, FIRST, &[])
    };
    let busy = FaultKind::Status { code: 429, body: "Too Many Requests".to_owned(), retry_after_seconds: None };
    assert_found(&with(Fault::new(Method::Settings, busy).times(1)), 0, "well", "switched on");
    assert_found(&with(Fault::starting()), 1, "broken", "is starting");
    assert_found(&with(Fault::status(Method::Any, 400, "Instance account is expired")), 1, "broken", "renew it");
    assert_found(&with(Fault::status(Method::Any, 466, "{}")), 1, "broken", "quota");
    assert_found(&with(Fault::new(Method::State, FaultKind::Nginx { code: 502 })), 1, "broken", "HTTP 502");
    let (_, other) = findings(&scene, SECOND, &[]);
    assert!(other.iter().all(|(verdict, _)| verdict == "well"), "one's trouble is not the other's: {other:?}");
}

#[test]
fn the_table_has_a_line_and_a_fix_for_each_finding_and_no_colours_for_a_file() {
    let scene = Scene::new("");
    scene.simulator.set_webhook_url(FIRST, "https://hooks.invalid").expect("an instance");
    let (code, table) = check(&scene, &[], &[]);
    assert_eq!(code, Some(1), "{table}");
    let line = |start: &str, words: &str| {
        let found = table.lines().any(|line| line.starts_with(start) && line.contains(words));
        assert!(found, "{start} … {words}: {table}");
    };
    line(&format!("✓ instance {SECOND} "), "authorized");
    line(&format!("✗ instance {FIRST} "), "webhookUrl is set");
    line("✓ kafka ", "the brokers answer");
    assert!(table.contains("→ clear webhookUrl in the instance's settings"), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
    let (code, printed) = check(&scene, &[], &[("CHATBRIDGE__KAFKA__TOPIC", "a b")]);
    assert_eq!((code, printed.as_str()), (Some(64), ""), "nobody is asked by a configuration that is wrong");
}
