//! The real binary behind its webhook: who gets which answer, and that a 200 means Kafka.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use chatbridge_lab::green_api::generator::Generator;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::support::bridge::{Bridge, Home};
use crate::wire::{FIRST, TOKEN};

pub(crate) const SECRET: &str = "canary0webhook0token";
const PATIENCE: Duration = Duration::from_secs(180);

pub(crate) struct Scene {
    brokers: MockCluster<'static, DefaultProducerContext>,
    pub(crate) home: Home,
}

impl Scene {
    /// Instances that GREEN-API calls us for; `more` goes into `[webhook]`.
    pub(crate) fn new(instances: &[u64], more: &str) -> Self {
        let brokers = MockCluster::new(1).expect("brokers");
        for topic in ["chat-events", "chat-events-dlq"] {
            brokers.create_topic(topic, 4, 1).expect("a topic");
        }
        let section = format!("[webhook]\nlisten = \"127.0.0.1:0\"\ntoken = \"{SECRET}\"\n{more}\n");
        // Nobody is asked: GREEN-API is not there.
        let home = Home::new("http://127.0.0.1:9", &[], &brokers.bootstrap_servers(), &section);
        let mut config = std::fs::read_to_string(home.config()).expect("written");
        for id in instances {
            config
                .push_str(&format!("[[green_api.instances]]\nid = {id}\ntoken = \"{TOKEN}\"\nreceive = \"webhook\"\n"));
        }
        std::fs::write(home.config(), config).expect("writable");
        Self { brokers, home }
    }

    pub(crate) fn start(&self) -> (Bridge, String) {
        let mut bridge = Bridge::start(&self.home, &[]);
        bridge.wait_until_ready();
        let address = webhook_address(&mut bridge);
        (bridge, address)
    }
}

/// Where the webhook listens, as the log says.
pub(crate) fn webhook_address(bridge: &mut Bridge) -> String {
    bridge.wait("the webhook", |bridge| {
        let log = bridge.log();
        let line = log.lines().find(|line| line.contains("webhook listens"))?;
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["address"].as_str().map(str::to_owned)
    })
}

/// Status and everything behind the status line.
pub(crate) fn exchange(address: &str, request: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(request).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer: {answer:?}")), answer)
}

fn request(path: &str, token: Option<&str>, body: &str) -> Vec<u8> {
    let authorization = token.map(|token| format!("Authorization: {token}\r\n")).unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{authorization}\
         Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn post(address: &str, path: &str, token: &str, body: &str) -> (u16, String) {
    exchange(address, &request(path, Some(token), body))
}

/// How a call of the first instance is answered.
pub(crate) fn call(address: &str) -> u16 {
    post(address, "/green-api", SECRET, &body_of(FIRST)).0
}

fn body_of(instance: u64) -> String {
    Generator::new(instance, 7).body()
}

fn bodies(count: usize) -> Vec<String> {
    let mut generator = Generator::new(FIRST, 3);
    (0..count).map(|_| generator.body()).collect()
}

#[test]
fn every_call_gets_the_answer_it_deserves() {
    let scene = Scene::new(&[FIRST, FIRST + 1], "body_bytes_max = 65536\nbody_timeout_seconds = 1");
    let (bridge, address) = scene.start();
    let own = format!("/green-api/{FIRST}");
    let bearer = format!("Bearer {SECRET}");
    let events = bodies(4);
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(70_000));
    for (path, token, body, expected) in [
        (&*own, Some(&*bearer), &*events[0], 200),
        ("/green-api", Some(SECRET), &*events[1], 200),
        ("/green-api/", Some(&format!("Basic {SECRET}")), &*events[2], 200),
        (&own, Some("Bearer wrong"), &*events[3], 401),
        (&own, None, &*events[3], 401),
        ("/green-api", Some("Bearer wrong"), &*events[3], 401),
        ("/green-api/5", Some(&bearer), &*events[3], 404),
        ("/green-api/5", Some("Bearer wrong"), &*events[3], 401),
        ("/green-api/five", Some(&bearer), &*events[3], 404),
        ("/green-api", Some(&bearer), &*body_of(5), 404),
        ("/elsewhere", Some(&bearer), &*events[3], 404),
        (&own, Some(&bearer), "", 400),
        (&own, Some(&bearer), " \n ", 400),
        ("/green-api", Some(&bearer), "not json, and nobody's", 400),
        ("/green-api", Some(&bearer), "{}", 400),
        (&own, Some(&bearer), &*long, 413),
        // Its owner is known, so it is kept where somebody can look at it.
        (&own, Some(&bearer), "not json", 200),
    ] {
        let (status, answer) = exchange(&address, &request(path, token, body));
        assert_eq!(status, expected, "{path} {token:?}: {answer}");
        assert!(!answer.contains(SECRET));
    }
    let (status, _) = exchange(&address, b"GET /green-api HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_eq!(status, 405);
    // Announced, and never sent.
    let unsent = format!(
        "POST {own} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {bearer}\r\nContent-Length: 50\r\n\r\n{{"
    );
    assert_eq!(exchange(&address, unsent.as_bytes()).0, 408);
    let announced = unsent.replace("Content-Length: 50", "Content-Length: 99999999999");
    assert_eq!(exchange(&address, announced.as_bytes()).0, 413, "before a byte of it is read");
    let chunked = format!(
        "POST {own} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {bearer}\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{long}\r\n0\r\n\r\n",
        long.len()
    );
    assert_eq!(exchange(&address, chunked.as_bytes()).0, 413);

    for (metric, labels, expected) in [
        ("chatbridge_events_published_total", "", 3.0),
        ("chatbridge_dead_letters_total", "not_json", 1.0),
        ("chatbridge_notifications_received_total", "", 4.0),
        ("chatbridge_notifications_deleted_total", "", 4.0),
        ("chatbridge_webhook_requests_total", "acknowledged", 4.0),
        ("chatbridge_webhook_requests_total", "unauthorised", 4.0),
        ("chatbridge_webhook_requests_total", "too_large", 3.0),
        ("chatbridge_webhook_requests_total", "too_slow", 1.0),
        ("chatbridge_instance_up", "", 2.0),
    ] {
        assert_eq!(bridge.metric(metric, labels), expected, "{metric} {labels}");
    }
    assert_eq!(bridge.status()["instances"][0]["phase"], "listening");
    let log = bridge.log();
    assert!(!log.contains(SECRET) && log.contains("set the instance's webhookUrlToken"), "{log}");
    assert!(bridge.terminate().success());
}

#[test]
fn without_kafka_there_is_no_200_and_the_repeat_gets_the_one_that_was_earned() {
    let scene = Scene::new(&[FIRST], "answer_timeout_seconds = 6\nrequests_per_instance_max = 2");
    let (bridge, address) = scene.start();
    let path = format!("/green-api/{FIRST}");
    let events = bodies(2);
    scene.brokers.broker_down(-1).expect("down");
    let began = Instant::now();
    let (status, answer) = post(&address, &path, SECRET, &events[0]);
    assert_eq!(status, 503);
    assert!(answer.to_lowercase().contains("\r\nretry-after: 10\r\n"), "{answer}");
    assert!(began.elapsed() >= Duration::from_secs(6));
    // Two may wait, so long that even on a busy machine all three are there at once; one more learns at once.
    let callers = [0, 1, 2].map(|_| {
        let (address, path, event) = (address.clone(), path.clone(), events[0].clone());
        thread::spawn(move || post(&address, &path, SECRET, &event))
    });
    let answers = callers.map(|caller| caller.join().expect("no panic"));
    assert!(answers.iter().all(|(status, _)| *status == 503), "{answers:?}");
    assert_eq!(answers.iter().filter(|(_, answer)| answer.contains("too many calls")).count(), 1, "{answers:?}");
    assert_eq!(bridge.metric("chatbridge_events_published_total", ""), 0.0);
    assert_eq!(bridge.metric("chatbridge_webhook_requests_total", "acknowledged"), 0.0);
    scene.brokers.broker_up(-1).expect("up");
    for event in &events {
        let deadline = Instant::now() + PATIENCE;
        while post(&address, &path, SECRET, event).0 != 200 {
            assert!(Instant::now() < deadline, "{}", bridge.log());
        }
    }
    assert_eq!(bridge.metric("chatbridge_events_published_total", ""), 2.0, "each of them once");
    assert!(bridge.terminate().success());
}

#[test]
fn before_kafka_was_found_calls_are_told_to_come_again() {
    let scene = Scene::new(&[FIRST], "");
    scene.brokers.broker_down(-1).expect("down");
    let mut bridge = Bridge::start(&scene.home, &[]);
    let address = webhook_address(&mut bridge);
    let (status, answer) = post(&address, &format!("/green-api/{FIRST}"), SECRET, &body_of(FIRST));
    assert!(status == 503 && answer.contains("waiting for Kafka"), "{answer}");
    scene.brokers.broker_up(-1).expect("up");
    bridge.wait_until_ready();
    assert_eq!(post(&address, "/green-api", SECRET, &body_of(FIRST)).0, 200);
}

#[test]
fn a_stop_answers_what_is_in_hand_and_accepts_no_more() {
    let scene = Scene::new(&[FIRST], "answer_timeout_seconds = 30");
    let (bridge, address) = scene.start();
    scene.brokers.broker_down(-1).expect("down");
    let path = format!("/green-api/{FIRST}");
    let (called, event) = (address.clone(), body_of(FIRST));
    let caller = thread::spawn(move || post(&called, &path, SECRET, &event).0);
    let deadline = Instant::now() + PATIENCE;
    while bridge.metric("chatbridge_in_flight", "") == 0.0 {
        assert!(Instant::now() < deadline, "{}", bridge.log());
    }
    bridge.signal("TERM");
    while TcpStream::connect(&address).is_ok() {
        assert!(Instant::now() < deadline, "it accepts no more: {}", bridge.log());
    }
    scene.brokers.broker_up(-1).expect("up");
    assert_eq!(caller.join().expect("no panic"), 200);
    assert!(bridge.ended().success());
}

#[test]
fn who_is_too_many_too_slow_or_from_elsewhere_is_kept_out() {
    let more = "connections_max = 3\nheader_timeout_seconds = 1\nallow_from = [\"192.0.2.7\", \"green-api\"]\n\
                trusted_proxies = [\"127.0.0.1\"]";
    let scene = Scene::new(&[FIRST], more);
    let (mut bridge, address) = scene.start();
    let from = |caller: &str| {
        let request = String::from_utf8(request("/green-api", Some(SECRET), &body_of(FIRST))).expect("text");
        let forwarded = request.replace("Host:", &format!("X-Forwarded-For: {caller}\r\nHost:"));
        exchange(&address, forwarded.as_bytes()).0
    };
    assert_eq!(["192.0.2.7", "192.0.2.8", "51.250.84.44", "nobody"].map(from), [200, 403, 200, 403]);

    let slow = [0, 1, 2].map(|_| {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        stream.write_all(b"POST /green-api HTTP/1.1\r\nX-Slow: ").expect("it reads");
        stream
    });
    bridge
        .wait("three connections", |bridge| (bridge.metric("chatbridge_webhook_connections", "") == 3.0).then_some(()));
    let mut turned_away = TcpStream::connect(&address).expect("it listens");
    let mut rest = Vec::new();
    // Closed without a word, or reset: whichever the kernel makes of it.
    let read = turned_away.read_to_end(&mut rest);
    assert!(rest.is_empty(), "{read:?} {rest:?}");
    bridge.wait("an end of the slow ones", |bridge| {
        (bridge.metric("chatbridge_webhook_connections", "") == 0.0).then_some(())
    });
    assert_eq!(bridge.metric("chatbridge_webhook_requests_total", "turned_away"), 1.0);
    drop(slow);
    assert_eq!(from("192.0.2.7"), 200, "there is room again");
}

#[test]
fn bodies_share_the_memory_there_is_and_what_finds_no_room_is_told_to_come_again() {
    let scene = Scene::new(&[FIRST], "body_bytes_max = 65536\nbuffered_bytes_max = 65536");
    let (bridge, address) = scene.start();
    let mut holder = TcpStream::connect(&address).expect("it listens");
    let head = format!(
        "POST /green-api HTTP/1.1\r\nHost: x\r\nAuthorization: {SECRET}\r\nExpect: 100-continue\r\n\
         Content-Length: 65536\r\n\r\n"
    );
    holder.write_all(head.as_bytes()).expect("it reads");
    // Whoever is asked to go on has its room.
    let mut continued = [0; 12];
    holder.read_exact(&mut continued).expect("it answers");
    assert_eq!(&continued, b"HTTP/1.1 100");
    let (status, answer) = post(&address, "/green-api", SECRET, &body_of(FIRST));
    assert!(status == 503 && answer.contains("no room for the body"), "{answer}");
    assert!(bridge.log().contains("raise webhook.buffered_bytes_max"), "{}", bridge.log());
    drop(holder);
    let deadline = Instant::now() + PATIENCE;
    while post(&address, "/green-api", SECRET, &body_of(FIRST)).0 != 200 {
        assert!(Instant::now() < deadline, "{}", bridge.log());
    }
    assert!(bridge.terminate().success());
}

/// A certificate of its own authority, and that authority.
struct Identity {
    chain: String,
    key: String,
    roots: rustls::RootCertStore,
}

impl Identity {
    fn new() -> Self {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(own.cert.der().clone()).expect("a root");
        Self { chain: own.cert.pem(), key: own.signing_key.serialize_pem(), roots }
    }

    /// The answer to a call whose caller trusts this identity alone.
    fn call(&self, address: &str, request: &[u8]) -> std::io::Result<String> {
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let name = "localhost".try_into().expect("a name");
        let session = rustls::ClientConnection::new(std::sync::Arc::new(config), name).expect("a session");
        let mut stream = rustls::StreamOwned::new(session, TcpStream::connect(address)?);
        stream.write_all(request)?;
        let mut answer = String::new();
        match stream.read_to_string(&mut answer) {
            // Without a close_notify; Content-Length says that all is there.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && !answer.is_empty() => Ok(answer),
            read => read.map(|_| answer),
        }
    }
}

/// Lines of the configuration that name a certificate and its key, and the folder they are in.
pub(crate) fn certificate_files() -> (String, std::path::PathBuf) {
    let dir = std::env::temp_dir().join(format!("chatbridge-tls-{}-{:x}", std::process::id(), fastrand::u64(..)));
    std::fs::create_dir_all(&dir).expect("a folder");
    let identity = Identity::new();
    std::fs::write(dir.join("key.pem"), &identity.key).expect("writable");
    std::fs::write(dir.join("cert.pem"), &identity.chain).expect("writable");
    let dir_shown = dir.display();
    (format!("tls_cert_file = '{dir_shown}/cert.pem'\ntls_key_file = '{dir_shown}/key.pem'"), dir)
}

#[test]
fn it_does_tls_itself_and_takes_a_new_certificate_without_a_restart() {
    let dir = std::env::temp_dir().join(format!("chatbridge-tls-{}-{:x}", std::process::id(), fastrand::u64(..)));
    std::fs::create_dir_all(&dir).expect("a folder");
    let (cert, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    let write = |identity: &Identity| {
        std::fs::write(&key, &identity.key).expect("writable");
        std::fs::write(&cert, &identity.chain).expect("writable");
    };
    let (first, second) = (Identity::new(), Identity::new());
    write(&first);
    let files = format!("tls_cert_file = {:?}\ntls_key_file = {:?}", cert.display(), key.display());
    let scene = Scene::new(&[FIRST], &files.replace("\\", ""));
    let (mut bridge, address) = scene.start();
    let call = request("/green-api", Some(SECRET), &body_of(FIRST));
    assert!(first.call(&address, &call).expect("trusted").starts_with("HTTP/1.1 200 "));
    assert!(second.call(&address, &call).is_err(), "not yet");
    bridge.wait("the count", |bridge| {
        (bridge.metric("chatbridge_webhook_requests_total", "no_tls") == 1.0).then_some(())
    });

    std::fs::write(&cert, "not a certificate").expect("writable");
    bridge.wait("a complaint", |bridge| bridge.log().contains("the one before stays").then_some(()));
    assert!(first.call(&address, &call).expect("the one before stays").starts_with("HTTP/1.1 200 "));
    write(&second);
    bridge.wait("the new one", |_| {
        second.call(&address, &call).is_ok_and(|answer| answer.contains(" 200 ")).then_some(())
    });
    assert!(first.call(&address, &call).is_err(), "no longer");
    assert!(bridge.terminate().success());
    std::fs::remove_dir_all(dir).expect("ours");
}
