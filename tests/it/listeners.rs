//! The two listeners, and those who only take up room at them: idle, slow, too many, by a name that is not ours.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::bridge::Bridge;
use crate::support::siege::{ELSEWHERE, Siege, connect_from};
use crate::webhook::{Scene as Called, call, webhook_address};
use crate::wire::{FIRST, Scene};

/// Far longer than every timeout that these tests set.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between them and anything that is not meant to end a connection.
const SOON: &[(&str, &str)] = &[
    ("CHATBRIDGE__ADMIN__HEADER_TIMEOUT_SECONDS", "1"),
    ("CHATBRIDGE__ADMIN__WRITE_TIMEOUT_SECONDS", "1"),
    ("CHATBRIDGE__WEBHOOK__HEADER_TIMEOUT_SECONDS", "1"),
    ("CHATBRIDGE__WEBHOOK__WRITE_TIMEOUT_SECONDS", "1"),
];

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// What comes before the other end closes.
fn rest_of(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        // Closed with something unread, it is reset.
        Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("it is not closed: {error}"),
        _ => String::from_utf8_lossy(&rest).into_owned(),
    }
}

fn get(bridge: &Bridge, host: &str) -> String {
    let mut stream = TcpStream::connect(bridge.admin()).expect("it listens");
    write!(stream, "GET /status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").expect("it reads");
    rest_of(stream)
}

#[test]
fn the_admin_listener_is_called_by_its_own_names_alone() {
    let scene = Scene::new("");
    let bridge =
        Bridge::start(&scene.home, &[("CHATBRIDGE__ADMIN__ALLOWED_HOSTS", "Status.example.com,other.example")]);
    for host in [bridge.admin(), "localhost:9464", "chatbridge", "[::1]", "status.example.com:443", "other.example"] {
        assert!(get(&bridge, host).starts_with("HTTP/1.1 200 "), "{host}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example:9464", "status.example.com.evil.example"] {
        let answer = get(&bridge, host);
        assert!(answer.starts_with("HTTP/1.1 421 ") && answer.contains("admin.allowed_hosts"), "{host}: {answer}");
        assert!(!answer.contains("instances") && answer.contains("no-store"), "{answer}");
    }
    // By the request's own line, whatever `Host` says.
    let mut stream = TcpStream::connect(bridge.admin()).expect("it listens");
    let request = "GET http://evil.example/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("it reads");
    assert!(rest_of(stream).starts_with("HTTP/1.1 421 "));
    assert_eq!(bridge.metric("chatbridge_admin_refused_total", "host"), 4.0);
    assert_eq!(bridge.log().matches("admin.allowed_hosts").count(), 1, "told once: {}", bridge.log());
}

#[test]
fn idle_connections_end_and_leave_room_for_others_while_they_last() {
    let scene = Called::new(&[FIRST], "connections_max = 20\nconnections_per_address_max = 10");
    let limits = [("CHATBRIDGE__ADMIN__CONNECTIONS_MAX", "8"), ("CHATBRIDGE__ADMIN__CONNECTIONS_PER_ADDRESS_MAX", "4")];
    let mut bridge = Bridge::start(&scene.home, &[SOON, &limits].concat());
    bridge.wait_until_ready();
    let webhook = webhook_address(&mut bridge);
    let sieges = [Siege::of(bridge.admin(), 50), Siege::of(&webhook, 50)];
    for (metric, most) in [("chatbridge_admin_connections", 5.0), ("chatbridge_webhook_connections", 10.0)] {
        // Of the admin's one is that of whoever asks.
        bridge.wait("as many idle ones as may be", |bridge| (bridge.metric(metric, "") == most).then_some(()));
    }
    for _ in 0..20 {
        assert_eq!(bridge.get("/livez").0, 200);
        assert_eq!(call(&webhook), 200);
    }
    for metric in ["chatbridge_admin_refused_total", "chatbridge_webhook_requests_total"] {
        assert!(bridge.metric(metric, "address_full") > 0.0, "{metric}");
    }
    // Each that ended was opened again.
    bridge.wait("an end of the first ones", |_| sieges.iter().all(|siege| siege.opened() > 200).then_some(()));
    drop(sieges);
    bridge.wait("an end of all", |bridge| {
        (bridge.metric("chatbridge_webhook_connections", "") == 0.0
            && bridge.metric("chatbridge_admin_connections", "") == 1.0)
            .then_some(())
    });
    assert!(bridge.log().contains("webhook.connections_per_address_max or name it in webhook.trusted_proxies"));
    assert!(bridge.terminate().success());
}

/// Asks again and again, and reads nothing; `None` once the other end has had enough.
fn ask_without_reading(stream: &mut TcpStream, request: &[u8], until: Instant) -> Option<()> {
    stream.set_write_timeout(Some(Duration::from_millis(100))).expect("a socket");
    while Instant::now() < until {
        match stream.write(request) {
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(_) => return None,
        }
    }
    Some(())
}

#[test]
fn answers_that_nobody_reads_end_the_connection_at_both_listeners() {
    let scene = Called::new(&[FIRST], "");
    let mut bridge = Bridge::start(&scene.home, SOON);
    bridge.wait_until_ready();
    let webhook = webhook_address(&mut bridge);
    // A stream that is read is not an answer that takes too long.
    let mut page = TcpStream::connect(bridge.admin()).expect("it listens");
    page.write_all(b"GET /status/stream HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
    for listener in [bridge.admin(), &webhook] {
        let mut stream = connect_from(Ipv4Addr::LOCALHOST, address(listener), Some(4096)).expect("it listens");
        let request = b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(50);
        let ended = ask_without_reading(&mut stream, &request, Instant::now() + PATIENCE);
        assert_eq!(ended, None, "{listener} goes on answering somebody who reads nothing");
    }
    let mut seen = String::new();
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        let mut piece = [0; 4096];
        let read = page.read(&mut piece).expect("it goes on");
        assert_ne!(read, 0, "it goes on: {seen}");
        seen.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    assert!(seen.matches("data:").count() >= 3, "{seen}");
}

#[test]
fn a_handshake_that_does_not_come_is_a_connection_and_ends() {
    let (files, dir) = crate::webhook::certificate_files();
    let scene = Called::new(&[FIRST], &format!("{files}\nconnections_max = 3"));
    let mut bridge = Bridge::start(&scene.home, SOON);
    bridge.wait_until_ready();
    let webhook = webhook_address(&mut bridge);
    let silent = [0; 3].map(|_| TcpStream::connect(&webhook).expect("it listens"));
    bridge.wait("three", |bridge| (bridge.metric("chatbridge_webhook_connections", "") == 3.0).then_some(()));
    assert_eq!(rest_of(TcpStream::connect(&webhook).expect("it listens")), "", "one more has no place");
    silent.into_iter().for_each(|stream| assert_eq!(rest_of(stream), ""));
    bridge.wait("their end", |bridge| (bridge.metric("chatbridge_webhook_connections", "") == 0.0).then_some(()));
    assert_eq!(bridge.metric("chatbridge_webhook_requests_total", "no_tls"), 3.0);
    assert!(bridge.terminate().success());
    std::fs::remove_dir_all(dir).expect("ours");
}

#[test]
fn whoever_may_not_call_is_not_even_listened_to_unless_a_proxy_might_stand_before_somebody() {
    let scene = Called::new(&[FIRST], "allow_from = [\"127.0.0.1\"]\ntrusted_proxies = [\"127.0.0.3\"]");
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    let webhook = webhook_address(&mut bridge);
    assert_eq!(call(&webhook), 200);
    let from = |source| {
        let mut stream = connect_from(source, address(&webhook), None).expect("it listens");
        // It may be closed before this is written.
        let _ =
            stream.write_all(b"POST /green-api HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx");
        rest_of(stream)
    };
    assert_eq!(from(ELSEWHERE), "", "no answer is wasted on it");
    assert!(from(Ipv4Addr::new(127, 0, 0, 3)).starts_with("HTTP/1.1 403 "), "who is behind it, its headers say");
    assert_eq!(bridge.metric("chatbridge_webhook_requests_total", "forbidden"), 2.0);
    assert!(bridge.log().contains("add it to webhook.allow_from"), "{}", bridge.log());
}

#[test]
fn a_body_of_one_byte_chunks_takes_no_more_memory_than_its_bytes() {
    const BODY_BYTES: usize = 2 << 20;
    let scene = Called::new(&[FIRST], &format!("body_bytes_max = {BODY_BYTES}\nbody_timeout_seconds = 300"));
    let mut bridge = Bridge::start(&scene.home, &[]);
    bridge.wait_until_ready();
    let webhook = webhook_address(&mut bridge);
    assert_eq!(call(&webhook), 200);
    let resident = |bridge: &Bridge| bridge.metric("process_resident_memory_bytes", "");
    let before = resident(&bridge);
    let token = crate::webhook::SECRET;
    let head = format!(
        "POST /green-api/{FIRST} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let mut stream = TcpStream::connect(&webhook).expect("it listens");
    stream.write_all(head.as_bytes()).expect("it reads");
    stream.write_all(&b"1\r\nx\r\n".repeat(BODY_BYTES - 1)).expect("it reads");
    // All but what lies in the sockets' buffers has been read when this is written, and nothing of it is done with.
    let grown = resident(&bridge) - before;
    assert!(grown < 6.0 * BODY_BYTES as f64, "{BODY_BYTES} bytes in pieces of one took {grown}");
    drop(stream);
}

#[test]
fn the_limit_of_open_files_is_raised_shared_out_and_named_when_it_is_reached() {
    let scene = Scene::new("");
    let mut bridge = Bridge::start_under(&scene.home, &["-S -n 64"], &[]);
    bridge.wait_until_ready();
    assert!(bridge.status()["file_descriptors"]["limit"].as_u64() > Some(64), "{}", bridge.status());
    assert!(bridge.terminate().success());

    let mut bridge = Bridge::start_under(&scene.home, &["-n 64"], &[]);
    bridge.wait_until_ready();
    assert_eq!(bridge.status()["file_descriptors"], serde_json::json!({"limit": 64}));
    assert!(bridge.log().contains("so the listeners take fewer connections"), "{}", bridge.log());
    let siege = Siege::of(bridge.admin(), 100);
    bridge.wait("many tries", |_| (siege.opened() > 300).then_some(()));
    assert_eq!(bridge.metric("chatbridge_file_descriptors_exhausted", ""), 0.0, "{}", bridge.status());
    drop(siege);
    assert!(bridge.terminate().success());

    // Not even enough for delivery.
    let mut config = std::fs::read_to_string(scene.home.config()).expect("written");
    for id in FIRST + 100..FIRST + 140 {
        config.push_str(&format!("[[green_api.instances]]\nid = {id}\ntoken = \"x\"\n"));
    }
    std::fs::write(scene.home.config(), config).expect("writable");
    let bridge = Bridge::start_under(&scene.home, &["-n 30"], &[]);
    let deadline = Instant::now() + PATIENCE;
    while !bridge.log().contains("file descriptors have run out") {
        assert!(Instant::now() < deadline, "{}", bridge.log());
        thread::sleep(Duration::from_millis(100));
    }
    let line = |bridge: &Bridge| bridge.log().matches("file descriptors have run out").count();
    thread::sleep(Duration::from_secs(3));
    assert_eq!(line(&bridge), 1, "one line an episode: {}", bridge.log());
    assert!(bridge.log().contains("LimitNOFILE="), "{}", bridge.log());
    bridge.signal("KILL");
    drop(bridge);
}
