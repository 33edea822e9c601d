//! Tracing by the real binary: what a collector gets, what records carry, and that neither costs a delivery.

use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chatbridge_lab::green_api::{Fault, FaultKind, Method};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use serde_json::Value;
use tokio::sync::watch;

use crate::commands::chatbridge;
use crate::support::bridge::Bridge;
use crate::wire::{FIRST, Scene};

/// What an OpenTelemetry collector is to us: an address that takes spans.
struct Collector {
    url: String,
    requests: Arc<Mutex<Vec<(HeaderMap, ExportTraceServiceRequest)>>>,
    arrived: watch::Receiver<usize>,
}

impl Collector {
    /// Answers with `status`; with none, never.
    fn start(scene: &Scene, status: Option<StatusCode>) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (arriving, arrived) = watch::channel(0);
        let taken = Arc::clone(&requests);
        let take = move |headers: HeaderMap, body: Bytes| {
            let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
            taken.lock().expect("not poisoned").push((headers, request));
            arriving.send_modify(|requests| *requests += 1);
            async move {
                match status {
                    Some(status) => status,
                    None => std::future::pending().await,
                }
            }
        };
        let listener = scene.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let routes = Router::new().route("/v1/traces", post(take));
        scene.runtime.spawn(async move { axum::serve(listener, routes).await });
        Self { url, requests, arrived }
    }

    fn has_requests(&mut self, scene: &Scene, at_least: usize) {
        let arrived = self.arrived.wait_for(|requests| *requests >= at_least);
        let arrived =
            scene.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(180), arrived).await.is_ok() });
        assert!(arrived, "{at_least} requests");
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.requests.lock().expect("not poisoned");
        let of_request = |request: &ExportTraceServiceRequest| {
            let scopes = request.resource_spans.iter().flat_map(|resource| resource.scope_spans.clone());
            scopes.flat_map(|scope| scope.spans).collect::<Vec<_>>()
        };
        requests.iter().flat_map(|(_, request)| of_request(request)).collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attribute(span: &Span, wanted: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == wanted);
    match found.and_then(|attribute| attribute.value.clone()?.value) {
        Some(StringValue(text)) => text,
        other => panic!("{wanted} is {other:?} in {span:?}"),
    }
}

/// The records of a topic, as `tail` shows them.
fn records(scene: &Scene, topic: &str) -> Vec<Value> {
    let tail = Command::new(env!("CARGO_BIN_EXE_chatbridge"))
        .args(["tail", "--until-end", "--json", "--config"])
        .arg(scene.home.config())
        .env("CHATBRIDGE__KAFKA__TOPIC", topic)
        .env("CHATBRIDGE__KAFKA__DEAD_LETTER_TOPIC", "elsewhere")
        .env("CHATBRIDGE__KAFKA__PROPERTIES__FETCH_WAIT_MAX_MS", "10")
        .output()
        .expect("the binary starts");
    assert!(tail.status.success(), "{}", String::from_utf8_lossy(&tail.stderr));
    let lines = String::from_utf8(tail.stdout).expect("UTF-8");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn refused(log: &str) -> Vec<&str> {
    log.lines().filter(|line| line.contains("spans are lost")).collect()
}

const EVENTS: usize = 40;

#[test]
fn a_collector_gets_three_spans_of_each_event_in_the_trace_its_record_names() {
    let scene = Scene::new("");
    let collector = Collector::start(&scene, Some(StatusCode::OK));
    scene.queue(FIRST, EVENTS);
    scene.simulator.enqueue(FIRST, "{\"broken\": ").expect("room");
    let environment = [
        ("CHATBRIDGE__TRACING__TRACEPARENT", "true"),
        ("CHATBRIDGE__TRACING__OTLP_ENDPOINT", collector.url.as_str()),
        // Longer than the test: what the collector has, it has from the flush at the end.
        ("CHATBRIDGE__TRACING__OTLP_EXPORT_INTERVAL_MS", "60000"),
        ("CHATBRIDGE__TRACING__OTLP_HEADERS__AUTHORIZATION", "Bearer canary"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
    ];
    let bridge = Bridge::start(&scene.home, &environment);
    scene.emptied(&bridge);
    assert_eq!(collector.spans(), [], "the interval is not over");
    assert!(bridge.terminate().success());

    let spans = collector.spans();
    assert_eq!(spans.len(), 3 * (EVENTS + 1));
    let mut traces: BTreeMap<String, HashMap<String, Span>> = BTreeMap::new();
    for span in spans {
        let step = attribute(&span, "messaging.operation.name");
        let before = traces.entry(hex(&span.trace_id)).or_default().insert(step, span);
        assert_eq!(before, None, "one of each");
    }
    assert_eq!(traces.len(), EVENTS + 1);
    let read = [("chat-events", EVENTS), ("chat-events-dlq", 1)].map(|(topic, expected)| {
        let records = records(&scene, topic);
        assert_eq!(records.len(), expected, "{topic}");
        records
    });
    for record in read.iter().flatten() {
        let header = record["headers"]["traceparent"].as_str().expect("a header");
        assert_eq!(record["headers"]["ce_traceparent"], header);
        let [version, trace, parent, flags] = header.split('-').collect::<Vec<_>>()[..] else { panic!("{header}") };
        assert_eq!((version, flags), ("00", "01"));
        assert_eq!(record["headers"]["ce_id"].as_str().expect("an id").replace('-', ""), trace);
        let [receive, publish, delete] = ["receive", "publish", "delete"].map(|step| &traces[trace][step]);
        assert_eq!(hex(&publish.span_id), parent, "consumers go on from the publish");
        assert!(receive.parent_span_id.is_empty(), "{receive:?}");
        assert_eq!((&publish.parent_span_id, &delete.parent_span_id), (&receive.span_id, &receive.span_id));
        let kinds = [receive, publish, delete].map(|span| span.kind());
        assert_eq!(kinds, [SpanKind::Client, SpanKind::Producer, SpanKind::Client]);
        let topic = record["topic"].as_str().expect("a topic");
        assert_eq!(publish.name, format!("publish {topic}"));
        assert_eq!(attribute(publish, "messaging.destination.name"), topic);
        for span in [receive, publish, delete] {
            assert_eq!(attribute(span, "chatbridge.instance"), FIRST.to_string());
            assert!(0 < span.start_time_unix_nano && span.start_time_unix_nano <= span.end_time_unix_nano);
        }
        assert!(receive.end_time_unix_nano <= publish.end_time_unix_nano);
        assert!(publish.end_time_unix_nano <= delete.start_time_unix_nano);
    }
    let requests = collector.requests.lock().expect("not poisoned");
    for (headers, request) in requests.iter() {
        assert_eq!(headers["authorization"], "Bearer canary");
        let shown = format!("{request:?}");
        assert!(shown.contains("chatbridge") && shown.contains("deployment.environment.name"), "{shown}");
        for private in ["@c.us", crate::wire::TOKEN, "canary"] {
            assert!(!shown.contains(private), "{private} is in a span");
        }
    }
    assert!(!scene.home.log_text().contains("canary"));
}

#[test]
fn a_collector_that_is_away_slow_or_broken_costs_spans_and_a_line_and_no_delivery() {
    let scene = Scene::new("");
    let away = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        format!("http://{}", listener.local_addr().expect("bound"))
    };
    let delivered = |endpoint: Option<&str>, wait_for: &mut dyn FnMut(&mut Bridge)| {
        let endpoint = endpoint.map(|endpoint| ("CHATBRIDGE__TRACING__OTLP_ENDPOINT", endpoint));
        let more = [
            ("CHATBRIDGE__TRACING__OTLP_EXPORT_INTERVAL_MS", "100"),
            ("CHATBRIDGE__TRACING__OTLP_QUEUE_SPANS_MAX", "50"),
            ("CHATBRIDGE__TRACING__OTLP_TIMEOUT_SECONDS", "3"),
        ];
        let environment: Vec<_> = endpoint.into_iter().chain(more).collect();
        let mut bridge = Bridge::start(&scene.home, &environment);
        bridge.wait_until_ready();
        let begun = Instant::now();
        scene.queue(FIRST, 300);
        scene.emptied(&bridge);
        let took = begun.elapsed();
        assert_eq!(bridge.metric("chatbridge_events_published_total", ""), 300.0);
        wait_for(&mut bridge);
        let stopping = Instant::now();
        let log = bridge.log();
        assert!(bridge.terminate().success());
        (took, stopping.elapsed(), log)
    };
    let (plain, ..) = delivered(None, &mut |_| ());
    let mut slow = Collector::start(&scene, None);
    let mut broken = Collector::start(&scene, Some(StatusCode::INTERNAL_SERVER_ERROR));
    let (slow_url, broken_url) = (slow.url.clone(), broken.url.clone());
    for (what, endpoint) in [("away", &away), ("slow", &slow_url), ("broken", &broken_url)] {
        let (took, stopped, log) = delivered(Some(endpoint), &mut |bridge| {
            bridge.wait("a word about it", |bridge| (!refused(&bridge.log()).is_empty()).then_some(()));
            bridge.wait("all of them lost", |bridge| {
                (bridge.metric("chatbridge_spans_dropped_total", "") >= 900.0).then_some(())
            });
        });
        eprintln!("{what}: 300 events in {took:?} (without tracing {plain:?}), stopped in {stopped:?}");
        // Waiting for a collector that never answers would take 3 s for every 50 to 100 of 900 spans: 27 s at least.
        assert!(took < plain * 2 + Duration::from_secs(15), "{what}: {took:?}, without {plain:?}");
        // Five seconds for the flush, and not all of the grace period of 25 s.
        assert!(stopped < Duration::from_secs(18), "{what}: {stopped:?}");
        assert_eq!(refused(&log).len(), 1, "{what}, once a minute: {log}");
        assert!(refused(&log)[0].contains(endpoint.as_str()), "{what}: {log}");
    }
    slow.has_requests(&scene, 1);
    broken.has_requests(&scene, 2);
}

#[test]
fn a_stop_does_not_wait_for_a_collector_that_hangs() {
    let scene = Scene::new("");
    let mut collector = Collector::start(&scene, None);
    scene.queue(FIRST, 5);
    let environment = [
        ("CHATBRIDGE__TRACING__OTLP_ENDPOINT", collector.url.as_str()),
        ("CHATBRIDGE__TRACING__OTLP_EXPORT_INTERVAL_MS", "100"),
        ("CHATBRIDGE__TRACING__OTLP_TIMEOUT_SECONDS", "60"),
    ];
    let bridge = Bridge::start(&scene.home, &environment);
    scene.emptied(&bridge);
    collector.has_requests(&scene, 1);
    let begun = Instant::now();
    assert!(bridge.terminate().success());
    let took = begun.elapsed();
    // Without a limit of its own it would be all of the grace period of 25 s.
    assert!((Duration::from_secs(4)..Duration::from_secs(18)).contains(&took), "five seconds for the flush: {took:?}");
    assert!(scene.home.log_text().contains("had not taken every span before the end"));
}

#[test]
fn a_delete_that_fails_is_seen_in_the_trace() {
    let scene = Scene::new("");
    let mut collector = Collector::start(&scene, Some(StatusCode::OK));
    scene.simulator.add_fault(Fault::new(Method::Delete, FaultKind::ResultFalse).on(FIRST).times(1));
    scene.queue(FIRST, 1);
    let environment = [
        ("CHATBRIDGE__TRACING__OTLP_ENDPOINT", collector.url.as_str()),
        ("CHATBRIDGE__TRACING__OTLP_EXPORT_INTERVAL_MS", "100"),
    ];
    let bridge = Bridge::start(&scene.home, &environment);
    scene.emptied(&bridge);
    collector.has_requests(&scene, 1);
    assert!(bridge.terminate().success());
    let spans = collector.spans();
    let steps: Vec<_> = spans.iter().map(|span| attribute(span, "messaging.operation.name")).collect();
    assert_eq!(steps, ["receive", "publish", "delete", "receive", "delete"]);
    assert!(spans.iter().all(|span| span.trace_id == spans[0].trace_id));
    assert_eq!([2, 4].map(|delete| attribute(&spans[delete], "chatbridge.outcome")), ["unclear", "deleted"]);
    assert_eq!(spans[4].parent_span_id, spans[3].span_id);
    let headers = &records(&scene, "chat-events")[0]["headers"];
    assert_eq!(headers["traceparent"], Value::Null, "spans and headers are asked for separately: {headers}");
}

#[test]
fn nothing_is_told_unless_it_is_asked_for() {
    let scene = Scene::new("");
    // Where every OpenTelemetry library would send spans by itself.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    scene.queue(FIRST, 5);
    let bridge = Bridge::start(&scene.home, &[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]);
    scene.emptied(&bridge);
    assert_eq!(bridge.metric("chatbridge_spans_exported_total", ""), 0.0);
    assert_eq!(bridge.metric("chatbridge_spans_dropped_total", ""), 0.0);
    assert!(bridge.terminate().success());
    let mut nobody = [0; 1];
    let called = listener.accept().map(|(mut stream, _)| stream.read(&mut nobody));
    assert!(called.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "somebody connected");
    let records = records(&scene, "chat-events");
    assert_eq!(records.len(), 5);
    for record in records {
        assert!(record["headers"].as_object().expect("headers").keys().all(|name| !name.contains("trace")), "{record}");
    }
}

#[test]
fn normalize_shows_the_header_that_the_daemon_writes() {
    let scene = Scene::new("");
    let body = r#"{"typeWebhook":"incomingCall","from":"79001234567@c.us","timestamp":1760000000}"#;
    scene.simulator.enqueue(FIRST, body).expect("room");
    let bridge = Bridge::start(&scene.home, &[("CHATBRIDGE__TRACING__TRACEPARENT", "true")]);
    scene.emptied(&bridge);
    assert!(bridge.terminate().success());
    let out = chatbridge(&["normalize", "--traceparent", "--instance", &FIRST.to_string()], body);
    let shown: Value = serde_json::from_slice(&out.stdout).expect("JSON");
    assert!(shown["headers"]["traceparent"].as_str().is_some_and(|header| header.len() == 55), "{shown}");
    assert_eq!(records(&scene, "chat-events"), [shown]);
}

#[test]
fn the_recipes_of_the_documentation_are_valid() {
    let page = include_str!("../../docs/tracing.md");
    let recipes: Vec<&str> = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(recipes.len(), 2);
    for recipe in recipes {
        let config = format!("{recipe}[[green_api.instances]]\nid = 1101000001\ntoken = \"a\"\n");
        let path = std::env::temp_dir().join(format!("chatbridge-recipe-{:x}", fastrand::u64(..)));
        std::fs::write(&path, config).expect("writable");
        let loaded = chatbridge::config::load(Some(&path), []);
        std::fs::remove_file(&path).expect("ours");
        let tracing = loaded.unwrap_or_else(|error| panic!("{error}")).tracing;
        assert!(tracing.traceparent && tracing.otlp.is_some());
    }
}
