//! Push mode as a webhook meets it.

mod faults;

use std::io::{Read as _, Write as _};
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpSocket;
use tokio::time::Instant;

use super::client::{Client, method_path};
use super::receiver::{Receiver, Reply};
use super::{INSTANCE, TOKEN, config, patient, start};
use crate::green_api::{EntryId, JournalEvent, PushConfig, PushFailure, SimulatedInstance, Simulator, SimulatorConfig};

/// What 60 s are here.
const PAUSE: Duration = Duration::from_millis(30);

fn hurried() -> PushConfig {
    PushConfig { pause: PAUSE, events_per_second_max: 10_000, ..PushConfig::default() }
}

/// A simulator that pushes to the receiver from the start.
async fn pushing(receiver: &Receiver, push: PushConfig) -> (Simulator, Client) {
    let instances = vec![SimulatedInstance::new(INSTANCE, TOKEN).pushing_to(&receiver.url, "hook-token")];
    start(SimulatorConfig { instances, push, ..config() }).await
}

fn enqueue(simulator: &Simulator, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        simulator.enqueue(INSTANCE, body(number)).expect("queued");
    }
}

fn body(number: u64) -> String {
    format!(r#"{{"n":{number}}}"#)
}

fn bodies(numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
    numbers.into_iter().map(body).collect()
}

/// The journal without what joined the queue.
fn story(simulator: &Simulator) -> Vec<JournalEvent> {
    let all = simulator.journal().into_iter().map(|entry| entry.what);
    all.filter(|what| !matches!(what, JournalEvent::Enqueued { .. })).collect()
}

fn pushed(entry: u64) -> JournalEvent {
    JournalEvent::Pushed { entry: EntryId(entry) }
}

fn acknowledged(entry: u64) -> JournalEvent {
    JournalEvent::Acknowledged { entry: EntryId(entry) }
}

fn failed(entry: u64, why: PushFailure) -> JournalEvent {
    JournalEvent::PushFailed { entry: EntryId(entry), why }
}

#[tokio::test]
async fn events_are_posted_verbatim_in_order_and_one_at_a_time() {
    let receiver = Receiver::start().await;
    let (simulator, _) = pushing(&receiver, hurried()).await;
    receiver.will([Reply::Late(Duration::from_millis(20)); 2]);
    let odd = r#"{ "text" : "\ud83d lone",  "n":1.0 }"#;
    simulator.enqueue(INSTANCE, odd).expect("queued");
    simulator.enqueue(INSTANCE, b"\xff{" as &[u8]).expect("queued");
    enqueue(&simulator, 3..=20);
    simulator.emptied().await;
    let seen = receiver.seen();
    assert_eq!(seen[0].body.as_deref(), Some(odd.as_bytes()));
    assert_eq!(seen[1].body.as_deref(), Some(b"\xff{".as_slice()));
    assert_eq!(receiver.texts_from(2), bodies(3..=20));
    assert_eq!(receiver.at_once_most(), 1);
    for request in &seen {
        assert_eq!(request.path, "/hook");
        assert_eq!(request.header("content-type"), Some("application/json; charset=utf-8"));
        assert_eq!(request.header("authorization"), Some("Bearer hook-token"));
        let length = request.body.as_ref().map_or(0, Vec::len).to_string();
        assert_eq!((request.header("content-length"), request.header("transfer-encoding")), (Some(&*length), None));
    }
    let expected: Vec<_> = (1..=20).flat_map(|entry| [pushed(entry), acknowledged(entry)]).collect();
    assert_eq!(story(&simulator), expected);
    assert!(!format!("{:?}", simulator.journal()).contains("hook-token"));
}

#[tokio::test]
async fn only_200_is_success_and_the_same_event_comes_again_after_the_pause() {
    let receiver = Receiver::start().await;
    let (simulator, _) = pushing(&receiver, hurried()).await;
    let statuses = [201, 202, 204, 400, 401, 404, 500, 503];
    receiver.will(statuses.map(Reply::Status));
    receiver.will([Reply::Redirect]);
    let begun = Instant::now();
    enqueue(&simulator, 1..=2);
    simulator.emptied().await;
    assert!(begun.elapsed() >= PAUSE * 9, "{:?}", begun.elapsed());
    assert_eq!(receiver.texts(), [vec![body(1); 10], bodies(2..=2)].concat());
    assert!(receiver.seen().iter().all(|seen| seen.path == "/hook"), "no redirect is followed");
    let mut expected: Vec<_> =
        statuses.into_iter().chain([307]).flat_map(|code| [pushed(1), failed(1, PushFailure::Status(code))]).collect();
    expected.extend([pushed(1), acknowledged(1), pushed(2), acknowledged(2)]);
    assert_eq!(story(&simulator), expected);
}

#[tokio::test]
async fn without_an_answer_in_time_the_same_event_comes_again() {
    let receiver = Receiver::start().await;
    let push = PushConfig { answer_max: Duration::from_millis(60), ..hurried() };
    let (simulator, _) = pushing(&receiver, push).await;
    receiver.will([Reply::Held]);
    enqueue(&simulator, 1..=2);
    simulator.emptied().await;
    // A machine that is busy may be too slow more than once.
    let mut texts = receiver.texts();
    texts.dedup();
    assert_eq!(texts, bodies([1, 2]));
    assert_eq!(story(&simulator)[..3], [pushed(1), failed(1, PushFailure::TimedOut), pushed(1)]);
    assert_eq!(story(&simulator).last(), Some(&acknowledged(2)));
    // The one that was held was given up: its connection is closed.
    receiver.is_idle().await;
}

#[tokio::test]
async fn where_nobody_listens_the_event_waits() {
    // A port that is taken and closed.
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
    let (simulator, _) = start(SimulatorConfig { push: hurried(), ..config() }).await;
    let address = socket.local_addr().expect("an address");
    simulator.push_to(INSTANCE, format!("http://{address}/hook"), "").expect("an instance");
    enqueue(&simulator, 1..=2);
    let refused = failed(1, PushFailure::NotSent);
    simulator.journalled(|entry| entry.what == refused).await;
    assert_eq!(simulator.total_depth(), 2);
    let receiver = Receiver::on(socket.listen(16).expect("bound"));
    simulator.emptied().await;
    assert_eq!(receiver.texts(), bodies(1..=2));
}

#[tokio::test]
async fn a_webhook_that_is_none_is_never_reached_and_loses_nothing() {
    let (simulator, _) = start(SimulatorConfig { push: hurried(), ..config() }).await;
    let receiver = Receiver::start().await;
    let unsendable =
        [("no url", ""), ("mailto:hook", ""), (&*receiver.url, "two\nlines"), ("https://127.0.0.1:1/", "")];
    enqueue(&simulator, [1]);
    for (url, token) in unsendable {
        let before = simulator.journal().len() as u64;
        simulator.push_to(INSTANCE, url, token).expect("an instance");
        let refused = failed(1, PushFailure::NotSent);
        simulator.journalled(|entry| entry.sequence > before && entry.what == refused).await;
    }
    simulator.push_to(INSTANCE, &receiver.url, "").expect("an instance");
    simulator.emptied().await;
    assert_eq!(receiver.texts(), bodies([1]));
}

#[tokio::test]
async fn the_token_is_a_bearer_unless_it_says_what_it_is() {
    let receiver = Receiver::start().await;
    let (simulator, _) = start(SimulatorConfig { push: hurried(), ..config() }).await;
    let cases = [("", None), ("abc", Some("Bearer abc")), ("Basic dTpw", Some("Basic dTpw"))];
    for (number, (token, header)) in (1..).zip(cases) {
        simulator.push_to(INSTANCE, &receiver.url, token).expect("an instance");
        enqueue(&simulator, [number]);
        simulator.emptied().await;
        assert_eq!(receiver.seen().last().expect("a request").header("authorization"), header);
    }
}

#[tokio::test]
async fn no_more_events_a_second_than_the_service_sends() {
    let receiver = Receiver::start().await;
    let (simulator, _) = pushing(&receiver, PushConfig { events_per_second_max: 50, ..hurried() }).await;
    let begun = Instant::now();
    enqueue(&simulator, 1..=11);
    simulator.emptied().await;
    assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_event_too_old_to_be_pushed_again_gives_way_to_the_next() {
    let receiver = Receiver::start().await;
    let instances = vec![SimulatedInstance::new(INSTANCE, TOKEN).pushing_to(&receiver.url, "")];
    let retention = Duration::from_secs(1);
    let push = PushConfig { pause: Duration::from_secs(3_600), ..hurried() };
    let (simulator, _) = start(SimulatorConfig { instances, push, retention, ..config() }).await;
    receiver.will([Reply::Status(500)]);
    enqueue(&simulator, [1]);
    receiver.has_seen(1).await;
    simulator.emptied().await;
    assert_eq!(simulator.journal().last().map(|last| &last.what), Some(&JournalEvent::Expired { entry: EntryId(1) }));
    enqueue(&simulator, [2]);
    // Ends the pause.
    simulator.push_to(INSTANCE, &receiver.url, "another").expect("an instance");
    receiver.has_seen(2).await;
    assert_eq!(receiver.texts(), bodies([1, 2]));
}

#[tokio::test]
async fn the_queue_refuses_while_events_are_pushed() {
    let receiver = Receiver::start().await;
    let (simulator, client) = pushing(&receiver, hurried()).await;
    receiver.will([Reply::Held]);
    enqueue(&simulator, [1]);
    receiver.has_seen(1).await;
    for answer in [client.receive().await, client.delete(1).await] {
        assert_eq!((answer.status, answer.text().contains("custom webhook url is set")), (400, true));
    }
    receiver.let_go();
    simulator.emptied().await;
    assert_eq!(story(&simulator), [pushed(1), acknowledged(1)]);
}

#[tokio::test]
async fn from_queue_to_webhook_and_back_nothing_is_lost() {
    let receiver = Receiver::start().await;
    let (simulator, client) = start(SimulatorConfig { push: hurried(), ..patient() }).await;
    enqueue(&simulator, 1..=30);
    let mut polled = Vec::new();
    for _ in 0..5 {
        polled.push(client.take().await.to_string());
    }
    // Handed out and not deleted: it is pushed as well.
    let receipt = client.receive().await.receipt();
    receiver.will((0..10).map(|number| Reply::Status(if number % 4 == 1 { 503 } else { 200 })));
    receiver.will([Reply::Held]);
    simulator.push_to(INSTANCE, &receiver.url, "").expect("an instance");
    assert_eq!(client.delete(receipt).await.status, 400);
    receiver.has_seen(11).await;
    simulator.set_webhook_url(INSTANCE, "").expect("an instance");
    while simulator.total_depth() > 0 {
        polled.push(client.take().await.to_string());
    }
    let pushes = receiver.texts();
    assert_eq!((&polled[..5], pushes.first()), (&bodies(1..=5)[..], Some(&body(6))));
    let acknowledged =
        story(&simulator).iter().filter(|what| matches!(what, JournalEvent::Acknowledged { .. })).count();
    assert_eq!((acknowledged, polled.len()), (7, 23));
    let mut all = [&polled[..5], &pushes[..], &polled[5..]].concat();
    all.dedup();
    assert_eq!(all, bodies(1..=30), "in order, but for repeats");
}

#[tokio::test]
async fn a_change_of_settings_cuts_what_is_on_its_way() {
    let (old, new) = (Receiver::start().await, Receiver::start().await);
    let (simulator, _) = pushing(&old, PushConfig { pause: Duration::from_secs(3_600), ..hurried() }).await;
    old.will([Reply::Held]);
    enqueue(&simulator, 1..=2);
    old.has_seen(1).await;
    simulator.push_to(INSTANCE, &new.url, "").expect("an instance");
    simulator.emptied().await;
    assert_eq!(new.texts(), bodies(1..=2), "at once, without the pause");
    old.is_idle().await;
    assert_eq!(story(&simulator), [pushed(1), pushed(1), acknowledged(1), pushed(2), acknowledged(2)]);

    new.will([Reply::Status(500)]);
    enqueue(&simulator, [3]);
    simulator.journalled(|entry| entry.what == failed(3, PushFailure::Status(500))).await;
    simulator.push_to(INSTANCE, &old.url, "").expect("an instance");
    simulator.emptied().await;
    assert_eq!(old.texts(), bodies([1, 3]), "a pause ends with the settings it came from");
}

#[tokio::test]
async fn a_200_that_comes_after_the_change_of_settings_counts_for_nothing() {
    let receiver = Receiver::start().await;
    let (simulator, _) = pushing(&receiver, hurried()).await;
    receiver.will([Reply::Held]);
    enqueue(&simulator, [1]);
    receiver.has_seen(1).await;
    let instance = simulator.instance(INSTANCE).expect("an instance");
    let webhook = instance.webhook().await;
    simulator.set_webhook_url(INSTANCE, "").expect("an instance");
    instance.acknowledge(EntryId(1), &webhook);
    assert_eq!((simulator.total_depth(), story(&simulator)), (1, vec![pushed(1)]));
}

#[tokio::test]
async fn the_end_of_the_simulator_cuts_a_push_and_is_not_held_up() {
    let receiver = Receiver::start().await;
    let (simulator, _) = pushing(&receiver, hurried()).await;
    receiver.will([Reply::Held]);
    enqueue(&simulator, [1]);
    receiver.has_seen(1).await;
    let observer = simulator.clone();
    simulator.stop().await;
    receiver.is_idle().await;
    assert_eq!((observer.total_depth(), story(&observer)), (1, vec![pushed(1)]));
}

#[tokio::test]
async fn set_settings_and_the_control_endpoint_switch_as_well() {
    let receiver = Receiver::start().await;
    let settled = SimulatorConfig { push: hurried(), other_requests_per_second_max: 99, ..patient() };
    let (simulator, client) = start(settled).await;
    enqueue(&simulator, [1]);
    let set = |settings: serde_json::Value| {
        let client = &client;
        async move { client.request("POST", &method_path("setSettings"), settings.to_string()).await }
    };
    let saved = set(json!({"webhookUrl": receiver.url, "webhookUrlToken": "abc"})).await;
    assert_eq!(saved.json(), json!({"saveSettings": true}));
    simulator.emptied().await;
    assert_eq!(receiver.seen()[0].header("authorization"), Some("Bearer abc"));
    let settings = client.get(&method_path("getSettings")).await.json();
    assert_eq!((&settings["webhookUrl"], &settings["webhookUrlToken"]), (&json!(receiver.url), &json!("abc")));
    assert_eq!(set(json!(["webhookUrl"])).await.status, 400);

    let path = format!("/simulator/instances/{INSTANCE}");
    assert_eq!(client.request("PATCH", &path, r#"{"webhook_url":""}"#).await.status, 200);
    enqueue(&simulator, [2]);
    assert_eq!(client.take().await, json!({"n": 2}));
    let change = json!({"webhook_url": receiver.url, "webhook_token": "Basic x"}).to_string();
    client.request("PATCH", &path, change).await;
    enqueue(&simulator, [3]);
    simulator.emptied().await;
    assert_eq!(receiver.texts(), bodies([1, 3]));
    assert_eq!(receiver.seen()[1].header("authorization"), Some("Basic x"));

    let made = json!({"id": 2, "token": "t", "webhook_url": receiver.url}).to_string();
    assert_eq!(client.request("POST", "/simulator/instances", made).await.status, 200);
    simulator.enqueue(2, body(4)).expect("queued");
    simulator.emptied().await;
    assert_eq!(receiver.texts(), bodies([1, 3, 4]));
}

/// Answers one request over TLS with 200 and gives back what it read.
fn answer_once(listener: std::net::TcpListener, tls: rustls::ServerConfig) -> std::io::Result<String> {
    let connection = rustls::ServerConnection::new(tls.into()).map_err(std::io::Error::other)?;
    let mut stream = rustls::StreamOwned::new(connection, listener.accept()?.0);
    let mut read = Vec::new();
    while !read.ends_with(b"}") {
        let mut piece = [0; 1024];
        let bytes = stream.read(&mut piece)?;
        if bytes == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        read.extend_from_slice(&piece[..bytes]);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    stream.conn.send_close_notify();
    stream.flush()?;
    Ok(String::from_utf8_lossy(&read).into_owned())
}

#[tokio::test]
async fn an_https_webhook_may_have_a_certificate_of_ones_own() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let own = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der()).expect("a key");
    let tls = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .expect("they fit");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("https://localhost:{}/hook", listener.local_addr().expect("an address").port());
    let served = tokio::task::spawn_blocking(move || answer_once(listener, tls));

    let instances = vec![SimulatedInstance::new(INSTANCE, TOKEN).pushing_to(url, "abc")];
    let push = PushConfig { extra_roots_pem: own.cert.pem().into_bytes(), ..hurried() };
    let (simulator, _) = start(SimulatorConfig { instances, push, ..config() }).await;
    enqueue(&simulator, [1]);
    simulator.emptied().await;
    let read = served.await.expect("no panic").expect("a request");
    assert!(read.starts_with("POST /hook HTTP/1.1\r\n") && read.ends_with(&body(1)), "{read}");
    assert_eq!(story(&simulator), [pushed(1), acknowledged(1)]);
}
