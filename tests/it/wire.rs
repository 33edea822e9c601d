//! The real binary between a simulated GREEN-API and librdkafka's mock cluster: each row of the faults' table that
//! needs no real broker.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use chatbridge_lab::green_api::generator::Generator;
use chatbridge_lab::green_api::{Fault, FaultKind, Method, Receipts, SimulatedInstance, Simulator, SimulatorConfig};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::runtime::Runtime;

use crate::support::bridge::{Bridge, Home};

/// The body of a GET, without a library that could help too much.
pub(crate) fn get(url: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).expect("it listens");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer.split_once("\r\n\r\n").expect("an HTTP answer").1.to_owned()
}

pub(crate) const TOKEN: &str = "canary0token0c0ffee";

/// Simulator, brokers, home. The brokers live as long as the scene.
pub(crate) struct Scene {
    pub(crate) runtime: Runtime,
    pub(crate) simulator: Simulator,
    pub(crate) brokers: MockCluster<'static, DefaultProducerContext>,
    pub(crate) home: Home,
}

pub(crate) const FIRST: u64 = 1_101_000_001;
const SECOND: u64 = FIRST + 1;

impl Scene {
    pub(crate) fn new(more: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let simulated = vec![SimulatedInstance::new(FIRST, TOKEN), SimulatedInstance::new(SECOND, TOKEN)];
        let config = SimulatorConfig {
            instances: simulated.clone(),
            receipts: Receipts::NewPerHandOut,
            ..SimulatorConfig::default()
        };
        let simulator = runtime.block_on(Simulator::start(config)).expect("a free port");
        let brokers = MockCluster::new(1).expect("brokers");
        for topic in ["chat-events", "chat-events-dlq"] {
            brokers.create_topic(topic, 4, 1).expect("a topic");
        }
        let instances: Vec<(u64, String)> = simulated.into_iter().map(|i| (i.id, i.token)).collect();
        let home = Home::new(simulator.url(), &instances, &brokers.bootstrap_servers(), more);
        Self { runtime, simulator, brokers, home }
    }

    pub(crate) fn queue(&self, instance: u64, events: usize) {
        let mut generator = Generator::new(instance, 3);
        for _ in 0..events {
            self.simulator.enqueue(instance, generator.body()).expect("room");
        }
    }

    pub(crate) fn emptied(&self, bridge: &Bridge) {
        let emptied = async { tokio::time::timeout(Duration::from_secs(180), self.simulator.emptied()).await };
        assert!(self.runtime.block_on(emptied).is_ok(), "{} left; {}", self.simulator.total_depth(), bridge.log());
    }
}

#[test]
fn faults_of_receive_cost_time_and_nothing_else() {
    use FaultKind::*;
    let scene = Scene::new("");
    for kind in [
        EmptyAtOnce,
        EmptyBody,
        EmptyObject,
        Nginx { code: 502 },
        Nginx { code: 504 },
        Status { code: 408, body: String::new(), retry_after_seconds: None },
        Status { code: 500, body: String::new(), retry_after_seconds: None },
        Status { code: 429, body: String::new(), retry_after_seconds: Some(1) },
        Reset,
        Truncate { bytes: 10 },
        Status { code: 401, body: String::new(), retry_after_seconds: None },
    ] {
        scene.simulator.add_fault(Fault::new(Method::Receive, kind).on(FIRST).times(1));
    }
    scene.queue(FIRST, 20);
    let bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);
    let published = bridge.metric("chatbridge_events_published_total", "");
    let classes = ["server_error", "rate_limited", "connection", "unauthorized"];
    for class in classes {
        assert!(bridge.metric("chatbridge_source_errors_total", class) >= 1.0, "{class}: {}", bridge.log());
    }
    assert!(bridge.terminate().success());
    assert_eq!(published, 20.0, "each published once");
}

#[test]
fn a_delete_that_fails_in_any_way_is_made_good_without_a_second_record() {
    use FaultKind::*;
    let scene = Scene::new("");
    for (kind, done) in [
        (ResultFalse, false),
        (ResultFalse, true),
        (AlreadyGone, false),
        (AlreadyGone, true),
        (Reset, false),
        (Reset, true),
        (Nginx { code: 502 }, false),
        (Nginx { code: 502 }, true),
    ] {
        let fault = Fault::new(Method::Delete, kind).on(FIRST).times(1);
        scene.simulator.add_fault(if done { fault.after_effect() } else { fault });
    }
    scene.queue(FIRST, 20);
    let bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);
    let published = bridge.metric("chatbridge_events_published_total", "");
    let suppressed = bridge.metric("chatbridge_repeats_suppressed_total", "");
    assert!(bridge.terminate().success());
    assert_eq!((published, suppressed), (20.0, 4.0), "the four without effect came again");
}

#[test]
fn a_broken_instance_is_loud_and_alone() {
    let scene = Scene::new("");
    scene.simulator.add_fault(Fault::webhook_url_is_set().on(FIRST));
    scene.queue(FIRST, 1);
    scene.queue(SECOND, 50);
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait("the healthy one", |bridge| {
        (bridge.metric("chatbridge_notifications_deleted_total", &SECOND.to_string()) == 50.0).then_some(())
    });
    bridge.wait("the broken one", |bridge| (bridge.status()["instances"][0]["phase"] == "misconfigured").then_some(()));
    assert_eq!(bridge.get("/readyz").0, 200, "one dead instance does not fail readiness");
    let status = bridge.status();
    let error = &status["instances"][0]["last_error"];
    assert_eq!(error["class"], "webhook_url_set");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("clear webhookUrl")), "{error}");
    assert_eq!(bridge.metric("chatbridge_instance_up", &FIRST.to_string()), 0.0);
    assert_eq!(bridge.metric("chatbridge_instance_up", &SECOND.to_string()), 1.0);
    bridge.wait("a second try", |bridge| {
        (bridge.metric("chatbridge_source_errors_total", "webhook_url_set") >= 2.0).then_some(())
    });
    assert_eq!(bridge.log().matches("clear webhookUrl").count(), 1, "said once: {}", bridge.log());
    // Mended, it goes on by itself.
    scene.simulator.clear_faults();
    scene.emptied(&bridge);
    assert!(bridge.terminate().success());
}

#[test]
fn the_admin_server_shows_what_the_design_promises() {
    let scene = Scene::new("");
    scene.queue(FIRST, 30);
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    scene.emptied(&bridge);
    bridge.wait("the slow look", |bridge| (bridge.status()["instances"][1]["state"] == "authorized").then_some(()));
    let metrics = bridge.get("/metrics").1;
    for name in [
        "notifications_received_total",
        "events_published_total",
        "notifications_deleted_total",
        "repeats_suppressed_total",
        "receive_to_ack_seconds",
        "event_age_seconds",
        "delete_seconds",
        "instance_up",
        "instance_state",
        "head_age_seconds",
        "seconds_until_loss",
        "queue_depth",
        "in_flight",
        "build_info",
    ] {
        assert!(metrics.contains(&format!("\nchatbridge_{name}")), "{name} is missing from {metrics}");
    }
    assert!(metrics.contains("process_resident_memory_bytes"));
    bridge.wait("an empty answer", |bridge| {
        (bridge.status()["instances"][0]["seconds_until_loss"] == 86_400).then_some(())
    });
    let status = bridge.status();
    assert_eq!(status["ready"], true);
    assert_eq!(status["kafka"]["usable"], true);
    assert_eq!(status["instances"][0]["deleted"], 30);
    assert!(status["instances"][0]["last_event"]["received_at"].is_string(), "{status}");
    assert_eq!(bridge.get("/nothing").0, 404);
    assert!(bridge.terminate().success());
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let scene = Scene::new("shutdown_timeout_seconds = 60");
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    scene.brokers.broker_down(-1).expect("down");
    scene.queue(FIRST, 1);
    bridge.wait("a notification in hand", |bridge| (bridge.metric("chatbridge_in_flight", "") == 1.0).then_some(()));
    bridge.signal("TERM");
    bridge.wait("the stop", |bridge| bridge.log().contains("stopping").then_some(()));
    let begun = std::time::Instant::now();
    assert_eq!(bridge.terminate().code(), Some(1), "ended with something in hand");
    assert!(begun.elapsed() < Duration::from_secs(30), "and not after the 60 s: {:?}", begun.elapsed());
}

#[test]
fn a_stop_with_kafka_away_keeps_its_word_about_the_time() {
    let scene = Scene::new("shutdown_timeout_seconds = 2");
    // The quickest of a few: who breaks its word breaks it each time, and a busy machine is not busy for ever.
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let mut bridge = Bridge::start(&scene.home, &[]);
        bridge.wait_until_ready();
        scene.brokers.broker_down(-1).expect("down");
        scene.queue(FIRST, 1);
        let in_hand = |bridge: &Bridge| (bridge.metric("chatbridge_in_flight", "") == 1.0).then_some(());
        bridge.wait("a notification in hand", in_hand);
        let begun = std::time::Instant::now();
        assert!(bridge.terminate().success());
        quickest = quickest.min(begun.elapsed());
        if quickest < Duration::from_millis(2_500) {
            break;
        }
        scene.brokers.broker_up(-1).expect("up");
    }
    assert!(quickest < Duration::from_millis(2_500), "{quickest:?}");
    assert!(scene.simulator.total_depth() > 0, "what is not in Kafka stays in the queue");
}

/// The client calls a broker down whose connection has broken. On a quiet site nothing else would say that it is not.
#[test]
fn a_connection_that_breaks_is_no_outage_before_a_question_has_failed() {
    let scene = Scene::new("");
    scene.queue(FIRST, 1);
    let mut bridge = Bridge::start(&scene.home, &[("RUST_LOG", "info,chatbridge=debug")]);
    scene.emptied(&bridge);
    scene.brokers.broker_down(-1).expect("down");
    scene.brokers.broker_up(-1).expect("up");
    bridge.wait("the client's remark", |bridge| bridge.log().contains("brokers are down").then_some(()));
    // Two looks at least, and a question.
    for _ in 0..80 {
        assert_eq!(bridge.status()["kafka"]["usable"], true, "{}", bridge.log());
        assert_eq!(bridge.metric("chatbridge_kafka_up", ""), 1.0, "{}", bridge.log());
        std::thread::sleep(Duration::from_millis(100));
    }
    scene.queue(FIRST, 1);
    scene.emptied(&bridge);
    assert!(bridge.terminate().success());
    let log = scene.home.log_text();
    assert!(!log.contains("Kafka is away") && !log.contains("takes records again"), "{log}");
}

/// In one of them OpenSSL takes away what librdkafka's threads use until the very end.
#[test]
fn it_ends_without_the_exit_handlers_of_its_libraries() {
    let scene = Scene::new("");
    let library = scene.home.config().with_file_name("exit.so");
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/exit.c"))
        .output()
        .expect("the compiler that built the bridge");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let library = library.to_string_lossy();
    let ended = Command::new("true").env("LD_PRELOAD", &*library).status().expect("it runs");
    assert!(!ended.success(), "it shows in who runs them");
    let bridge = Bridge::start(&scene.home, &[("LD_PRELOAD", &library)]);
    let ended = bridge.terminate();
    assert!(ended.success(), "{ended}");
}

#[test]
fn killed_with_a_notification_in_hand_it_receives_it_again() {
    let scene = Scene::new("");
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    scene.brokers.broker_down(-1).expect("down");
    scene.queue(FIRST, 3);
    bridge.wait("a notification in hand", |bridge| (bridge.metric("chatbridge_in_flight", "") == 1.0).then_some(()));
    bridge.kill();
    assert_eq!(scene.simulator.total_depth(), 3, "nothing was deleted");
    scene.brokers.broker_up(-1).expect("up");
    let bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);
    assert_eq!(bridge.metric("chatbridge_events_published_total", ""), 3.0);
    assert!(bridge.terminate().success());
}

#[test]
#[ignore = "takes half a minute"]
fn a_broker_that_answers_and_takes_nothing_is_told_once_and_shown() {
    let scene = Scene::new("");
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    let denied = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    scene.brokers.request_errors(RDKafkaApiKey::Produce, &[denied; 10_000]);
    scene.queue(FIRST, 1);
    scene.queue(SECOND, 1);
    bridge.wait("the word", |bridge| bridge.log().contains("does not take records").then_some(()));
    let status = bridge.status();
    assert_eq!(status["kafka"]["usable"], false, "{status}");
    assert_eq!(status["kafka"]["waiting_instances"], 2, "{status}");
    assert!(status["kafka"]["last_error"].as_str().is_some_and(|e| e.contains("authorization failed")), "{status}");
    assert_eq!(bridge.metric("chatbridge_kafka_up", ""), 0.0);
    assert_eq!(bridge.log().matches("does not take records").count(), 1, "{}", bridge.log());
    scene.brokers.clear_request_errors(RDKafkaApiKey::Produce);
    scene.emptied(&bridge);
    bridge.wait("the good news", |bridge| bridge.log().contains("takes records again").then_some(()));
    assert!(bridge.terminate().success());
}

#[test]
fn an_admin_client_that_stalls_does_not_hold_the_process() {
    let scene = Scene::new("shutdown_timeout_seconds = 60");
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    let mut stalled = TcpStream::connect(bridge.admin()).expect("it listens");
    write!(stalled, "GET /metr").expect("it reads");
    let begun = std::time::Instant::now();
    assert!(bridge.terminate().success());
    assert!(begun.elapsed() < Duration::from_secs(30), "and not after the 60 s: {:?}", begun.elapsed());
}

#[test]
fn answers_that_only_proxies_give_do_not_pass_for_an_empty_queue() {
    let scene = Scene::new("");
    scene.simulator.add_fault(Fault::gateway_timeout().on(FIRST).times(2));
    scene.queue(FIRST, 3);
    let bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);
    assert_eq!(bridge.metric("chatbridge_source_errors_total", "no_answer"), 2.0);
    assert!(bridge.terminate().success());
}

#[test]
fn a_notification_that_names_another_instance_is_published_under_the_polled_one_and_told_once() {
    let scene = Scene::new("");
    for number in 0..3 {
        let body =
            format!(r#"{{"typeWebhook":"incomingCall","instanceData":{{"idInstance":4242}},"timestamp":{number}}}"#);
        scene.simulator.enqueue(FIRST, body).expect("room");
    }
    let bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);
    assert_eq!(bridge.metric("chatbridge_foreign_instance_total", &FIRST.to_string()), 3.0);
    assert_eq!(bridge.metric("chatbridge_events_published_total", &FIRST.to_string()), 3.0);
    assert_eq!(bridge.log().matches("names another instance").count(), 1);
    assert!(bridge.terminate().success());
}
