//! The token is in every URL. It must not be anywhere else.

use std::error::Error;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use chatbridge::config;
use chatbridge::green_api::client::{InstanceClient, Pace, http_client};
use chatbridge::green_api::queue::{NotificationQueue, QueueError};
use chatbridge::logging::{self, LogFormat};
use chatbridge::redact::Redactor;
use chatbridge::supervisor::supervise;
use chatbridge_event::event::InstanceId;
use chatbridge_lab::green_api::{Fault, FaultKind, Method};
use tokio_util::sync::CancellationToken;

use crate::support::bridge::Bridge;
use crate::wire::{FIRST, Scene, TOKEN};

#[test]
fn a_failing_bridge_that_logs_everything_never_shows_a_token_or_a_password() {
    use FaultKind::*;
    let scene = Scene::new("");
    // Every road by which upstream or a library could bring the token back; the bodies quote it.
    let path = format!(r#"{{"message":"no","path":"/waInstance{FIRST}/receiveNotification/{TOKEN}"}}"#);
    let quoting = |code| Status { code, body: path.clone(), retry_after_seconds: None };
    for method in [Method::Receive, Method::Delete] {
        for kind in [
            quoting(500),
            quoting(400),
            quoting(403),
            quoting(418),
            quoting(302),
            Reset,
            Truncate { bytes: 5 },
            Hang { duration_ms: 50 },
            RawBody { body: path.clone() },
        ] {
            scene.simulator.add_fault(Fault::new(method, kind).on(FIRST).times(1));
        }
    }
    scene.simulator.add_fault(Fault::already_gone().on(FIRST).times(1));
    let mut generator = chatbridge_lab::green_api::generator::Generator::new(FIRST, 1);
    for _ in 0..30 {
        scene.simulator.enqueue(FIRST, generator.body()).expect("room");
    }
    let environment = [("RUST_LOG", "trace"), ("CHATBRIDGE__KAFKA__PROPERTIES__SASL_PASSWORD", "hunter2hunter2")];
    let bridge = Bridge::start(&scene.home, &environment);
    let emptied = async { tokio::time::timeout(Duration::from_secs(100), scene.simulator.emptied()).await };
    assert!(scene.runtime.block_on(emptied).is_ok(), "{} left", scene.simulator.total_depth());

    let (metrics, status) = (bridge.get("/metrics").1, bridge.get("/status").1);
    assert!(bridge.metric("chatbridge_source_errors_total", "") >= 12.0, "it did fail: {metrics}");
    assert!(bridge.terminate().success());
    let log = scene.home.log_text();
    assert!(log.len() > 100_000 && log.contains("TRACE"), "it did log everything: {} bytes", log.len());
    for (place, shown) in [("log", &log), ("/metrics", &metrics), ("/status", &status)] {
        for secret in [TOKEN, "hunter2hunter2"] {
            let found = shown.find(secret).map(|at| &shown[at.saturating_sub(400)..at]);
            assert_eq!(found, None, "{secret} is in {place}");
        }
    }
    // What people wrote and who they are has no place in a log that is kept at its usual level.
    for line in log.lines().filter(|line| !line.contains("TRACE") && !line.contains("DEBUG")) {
        assert!(!line.contains("@c.us"), "{line}");
    }
}

/// Secrets that instance FIRST has nothing to do with, each with the key it is configured by.
const OTHERS: [(&str, &str); 7] = [
    ("CHATBRIDGE__KAFKA__PROPERTIES__SASL_PASSWORD", "kafka-pass \"word\""),
    ("CHATBRIDGE__WEBHOOK__TOKEN", "webhook-t0ken"),
    ("CHATBRIDGE__TRACING__OTLP_HEADERS__AUTHORIZATION", "Bearer c0llector-token"),
    ("CHATBRIDGE__CHATAPP__EMAIL", "operator@example.invalid"),
    ("CHATBRIDGE__CHATAPP__PASSWORD", "chatapp-passw0rd"),
    ("CHATBRIDGE__CHATAPP__ACCESS_TOKEN", "access-t0ken-of-chatapp"),
    ("CHATBRIDGE__CHATAPP__REFRESH_TOKEN", "refresh-t0ken-of-chatapp"),
];
const OTHER_TOKEN: &str = "another0instances0token";
const NEW_TOKEN: &str = "the0next0token0of0another";

/// Whatever could move a cursor, end a line or turn the direction of writing.
fn is_unruly(character: char) -> bool {
    let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || character.is_control() && character != '\n'
}

/// How an upstream quotes secrets, and what else it says.
fn quoting(method: Method, code: u16, secrets: &[&str]) -> Fault {
    let body = format!("\u{202e}gnorw\u{2066}\u{1b}[2J\u{9b}\u{200f}\r\n{}\u{2028}", secrets.join(" "));
    Fault::new(method, FaultKind::Status { code, body, retry_after_seconds: None }).on(FIRST).times(1)
}

/// The bridge is shown `faults`, one after the other; what its pages show meanwhile.
fn pages_through(scene: &Scene, bridge: &Bridge, faults: Vec<Fault>) -> String {
    let failures = |bridge: &Bridge| bridge.metric("chatbridge_source_errors_total", &format!("\"{FIRST}\""));
    let until = failures(bridge) + faults.len() as f64;
    faults.into_iter().for_each(|fault| scene.simulator.add_fault(fault));
    let mut pages = String::new();
    while failures(bridge) < until {
        pages.push_str(&bridge.get("/status").1);
        std::thread::sleep(Duration::from_millis(20));
    }
    pages + &bridge.get("/status").1 + &bridge.get("/metrics").1
}

fn assert_clean(place: &str, shown: &str, secrets: &[&str]) {
    assert!(shown.contains("gnorw") && shown.contains("<secret>"), "something is shown in {place}: {shown}");
    for secret in secrets {
        let spelt = serde_json::Value::from(*secret).to_string();
        let at = [*secret, &spelt[1..spelt.len() - 1]].into_iter().find_map(|form| shown.find(form));
        assert_eq!(at.map(|at| shown.get(at.saturating_sub(200)..at)), None, "{secret} is in {place}");
    }
    assert_eq!(shown.chars().find(|character| is_unruly(*character)), None, "in {place}");
}

#[test]
fn what_one_upstream_says_of_any_secret_is_shown_nowhere_nor_does_it_turn_the_writing() {
    let scene = Scene::new("");
    let path = scene.home.config();
    let state_dir = path.with_file_name("state");
    let text = std::fs::read_to_string(&path).expect("readable");
    // The second instance gets a token of its own, and is one that is called.
    let (first, second) = text.split_at(text.rfind(TOKEN).expect("two instances"));
    let write = |token: &str| {
        let second = second.replacen(TOKEN, token, 1);
        std::fs::write(&path, format!("{first}{second}receive = \"webhook\"\n")).expect("writable");
    };
    write(OTHER_TOKEN);
    let mut environment: Vec<(&str, &str)> = OTHERS.to_vec();
    environment.extend([
        ("CHATBRIDGE__WEBHOOK__LISTEN", "127.0.0.1:0"),
        ("CHATBRIDGE__TRACING__OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ("CHATBRIDGE__CHATAPP__APP_ID", "app_1_1"),
        ("CHATBRIDGE__CHATAPP__API_URL", "http://127.0.0.1:9"),
        ("CHATBRIDGE__CHATAPP__SOCKET_URL", "ws://127.0.0.1:9"),
        ("CHATBRIDGE__CHATAPP__STATE_DIR", state_dir.to_str().expect("UTF-8")),
    ]);
    let mut secrets: Vec<&str> = OTHERS.iter().map(|(_, secret)| *secret).chain([TOKEN, OTHER_TOKEN]).collect();
    let mut bridge = Bridge::start(&scene.home, &environment);
    bridge.wait_until_ready();
    // A status of its own for each, for the log tells a class of trouble once.
    let pairs = secrets.chunks(2).zip([500, 418, 401, 403, 404]);
    let faults = pairs.map(|(pair, code)| quoting(Method::Receive, code, pair)).collect();
    let mut pages = pages_through(&scene, &bridge, faults);
    // Learnt by a reload.
    write(NEW_TOKEN);
    bridge.signal("HUP");
    bridge.wait("the reload", |bridge| (bridge.metric("chatbridge_config_generation", "") == 2.0).then_some(()));
    secrets.push(NEW_TOKEN);
    let fault = quoting(Method::Receive, 400, &[NEW_TOKEN, OTHER_TOKEN]);
    pages.push_str(&pages_through(&scene, &bridge, vec![fault]));
    assert!(bridge.terminate().success());
    assert_clean("a page", &pages, &secrets);
    let log = scene.home.log_text();
    assert!(log.matches("gnorw").count() >= 6, "each was told: {log}");
    assert_clean("the log", &log, &secrets);

    let mut command = Command::new(env!("CARGO_BIN_EXE_chatbridge"));
    command.args(["check", "--online", "--config"]).arg(&path).envs(environment);
    scene.simulator.add_fault(quoting(Method::State, 500, &secrets[..6]));
    let out = command.output().expect("it runs");
    let checked = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_clean("check", &checked, &secrets);
}

/// An error in every form in which something might print it: for people, for developers, and its whole chain.
fn printed(error: &dyn Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let _ = write!(text, " {deeper} {deeper:?}");
        cause = deeper.source();
    }
    text
}

#[test]
fn no_error_of_a_queue_prints_the_token_in_any_form() {
    use FaultKind::*;
    let scene = Scene::new("");
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = |api_url: &str, token: &str| {
        let config = config::GreenApi::default();
        let instance = config::Instance {
            id: InstanceId::new(FIRST),
            token: token.to_owned().into(),
            api_url: api_url.parse().expect("an address"),
            receive_timeout: Duration::from_secs(5),
            receive: config::Receive::Poll,
        };
        let http = http_client(&config, true, &Pace::of(&config)).expect("a client");
        InstanceClient::new(http, &config, &instance, Redactor::new([&instance.token]))
    };
    let (simulated, nobody) = (client(scene.simulator.url(), TOKEN), client("http://127.0.0.1:9", TOKEN));
    let receive =
        |client: &InstanceClient| -> QueueError { scene.runtime.block_on(client.receive()).err().expect("it fails") };
    let mut errors = vec![receive(&nobody)];
    let quoting = format!("no /waInstance{FIRST}/receiveNotification/{TOKEN}?receiveTimeout=5");
    for code in [302, 400, 401, 403, 404, 408, 418, 429, 466, 500, 502, 504] {
        let fault = Status { code, body: quoting.clone(), retry_after_seconds: None };
        scene.simulator.add_fault(Fault::new(Method::Receive, fault).on(FIRST).times(1));
        errors.push(receive(&simulated));
    }
    for kind in [Reset, Hang { duration_ms: 50 }, RawBody { body: quoting.clone() }] {
        scene.simulator.add_fault(Fault::new(Method::Receive, kind).on(FIRST).times(1));
        errors.push(receive(&simulated));
    }
    for error in errors {
        assert!(!printed(&error).contains(TOKEN), "{}", printed(&error));
    }
}

const PANIC_HERE: &str = "CHATBRIDGE_TEST_PANIC";

/// Not a test by itself: what [`a_panic_shows_its_place_and_not_its_words`] runs in a process of its own.
#[test]
fn panics_where_asked() {
    if std::env::var_os(PANIC_HERE).is_none() {
        return;
    }
    logging::init(LogFormat::Json, "trace", &Redactor::default());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let once = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let told = |restart_in: std::time::Duration| eprintln!("started again in {restart_in:?}");
    runtime.block_on(supervise(told, CancellationToken::new(), move || {
        let first = once.swap(false, std::sync::atomic::Ordering::Relaxed);
        async move { assert!(!first, "a poller that quotes {TOKEN} and 79995550001@c.us") }
    }));
}

#[test]
fn a_panic_shows_its_place_and_not_its_words() {
    let itself = std::env::current_exe().expect("this test has a path");
    let out = Command::new(itself)
        .args(["secrets::panics_where_asked", "--exact", "--nocapture"])
        .env(PANIC_HERE, "1")
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "full")
        .output()
        .expect("it runs");
    let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}");
    assert!(said.contains("secrets.rs") && said.contains("panicked"), "the place is shown: {said}");
    assert!(said.contains("started again"), "and the poller is: {said}");
    for secret in [TOKEN, "79995550001"] {
        assert!(!said.contains(secret), "{said}");
    }
}
