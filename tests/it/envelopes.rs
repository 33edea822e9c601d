//! Bodies that come compressed, in another character set or in another wrapping: read, or refused so that upstream
//! keeps them. The real binary; none of them is answered with 200 and then buried.

use async_compression::tokio::write::{BrotliEncoder, GzipEncoder, ZlibEncoder, ZstdEncoder};
use chatbridge_lab::green_api::generator::Generator;
use chatbridge_lab::green_api::{Coding, Fault, Method};
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Runtime;

use crate::support::bridge::Bridge;
use crate::webhook::{SECRET, Scene, exchange};
use crate::{chatapp_bridge, wire};

const JSON: &str = "application/json; charset=utf-8";
const CODINGS: [Coding; 4] = [Coding::Gzip, Coding::Deflate, Coding::Br, Coding::Zstd];

fn compressed(coding: &str, plain: &[u8]) -> Vec<u8> {
    macro_rules! with {
        ($encoder:expr) => {{
            let mut encoder = $encoder;
            encoder.write_all(plain).await.expect("a Vec takes every byte");
            encoder.shutdown().await.expect("a Vec takes every byte");
            encoder.into_inner()
        }};
    }
    Runtime::new().expect("a runtime").block_on(async {
        match coding {
            "gzip" => with!(GzipEncoder::new(Vec::new())),
            "deflate" => with!(ZlibEncoder::new(Vec::new())),
            "br" => with!(BrotliEncoder::new(Vec::new())),
            "zstd" => with!(ZstdEncoder::new(Vec::new())),
            _ => plain.to_vec(),
        }
    })
}

fn utf16(text: &str) -> Vec<u8> {
    [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

fn request(path: &str, head: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{head}\r\n");
    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    [head.trim_end().as_bytes(), b"\r\n", length.as_bytes(), body].concat()
}

/// What a call may look like around a body that can be read: its head, and its bytes.
fn readable(body: &str) -> Vec<(String, Vec<u8>)> {
    let mut calls = vec![
        ("Content-Type: application/x-www-form-urlencoded".to_owned(), body.into()),
        ("Content-Type: application/json; charset=windows-1251".to_owned(), body.into()),
        (format!("Content-Type: {JSON}\r\nContent-Encoding: identity"), body.into()),
        (String::new(), [b"\xef\xbb\xbf", body.as_bytes()].concat()),
    ];
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let head = format!("Content-Type: {JSON}\r\nContent-Encoding: {coding}");
        calls.push((head, compressed(coding, body.as_bytes())));
    }
    calls
}

/// The same for bodies that cannot be read, though perhaps by somebody else.
fn wrapped(body: &str) -> Vec<(String, Vec<u8>)> {
    let gzip = compressed("gzip", body.as_bytes());
    let bomb = compressed("gzip", " ".repeat(1_000_000).as_bytes());
    vec![
        ("Content-Encoding: compress".to_owned(), body.into()),
        ("Content-Encoding: gzip, gzip".to_owned(), compressed("gzip", &gzip)),
        ("Content-Encoding: gzip".to_owned(), gzip[..gzip.len() - 9].to_vec()),
        ("Content-Encoding: gzip".to_owned(), body.into()),
        ("Content-Encoding: br".to_owned(), vec![0x11, 0x1e, 0x03]),
        (format!("Content-Type: {JSON}"), gzip),
        (format!("Content-Type: {JSON}"), utf16(body)),
        ("Content-Type: application/json; charset=utf-16le".to_owned(), utf16(body)[2..].to_vec()),
        ("Content-Type: application/x-www-form-urlencoded".to_owned(), b"payload=%7B%7D".to_vec()),
        (
            "Content-Type: multipart/form-data; boundary=x".to_owned(),
            format!("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{body}\r\n--x--\r\n").into_bytes(),
        ),
        ("Content-Encoding: gzip".to_owned(), bomb),
    ]
}

/// Calls with the head `more`: what can be read is taken, what cannot be is refused.
fn calls(address: &str, path: &str, more: &str, body: impl Fn(usize) -> String) -> usize {
    let taken = readable("").len();
    for number in 0..taken {
        let (head, bytes) = readable(&body(number)).swap_remove(number);
        let (status, answer) = exchange(address, &request(path, &format!("{more}{head}\r\n"), &bytes));
        assert_eq!(status, 200, "{head}: {answer}");
    }
    for (head, bytes) in wrapped(&body(taken)) {
        let (status, answer) = exchange(address, &request(path, &format!("{more}{head}\r\n"), &bytes));
        let is_too_long = bytes.len() < 2_000 && head.ends_with("gzip") && status == 413;
        // ChatApp tries an address with nothing, and white space is nothing, however long.
        let is_nothing = bytes.len() > 900 && path.starts_with("/chatapp/") && status == 200;
        assert!(status == 415 || is_too_long || is_nothing, "{status} {head}: {answer}");
    }
    let chunked = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}Transfer-Encoding: gzip, chunked\r\n\r\n\
         2\r\n{{}}\r\n0\r\n\r\n"
    );
    assert_ne!(exchange(address, chunked.as_bytes()).0, 200);
    taken
}

#[test]
fn a_webhook_call_is_read_in_its_wrapping_or_refused() {
    let scene = Scene::new(&[wire::FIRST], "body_bytes_max = 65536");
    let (bridge, address) = scene.start();
    let events: Vec<String> = {
        let mut generator = Generator::new(wire::FIRST, 3);
        (0..20).map(|_| generator.body()).collect()
    };
    let path = format!("/green-api/{}", wire::FIRST);
    let taken = calls(&address, &path, &format!("Authorization: {SECRET}\r\n"), |number| events[number].clone());
    assert_eq!(bridge.metric("chatbridge_events_published_total", ""), taken as f64, "{}", bridge.log());
    assert_eq!(bridge.metric("chatbridge_dead_letters_total", ""), 0.0, "none of them is buried");
    assert!(bridge.metric("chatbridge_webhook_requests_total", "\"envelope\"") >= 10.0);
    assert!(bridge.log().contains("look at what a proxy before this listener does"), "{}", bridge.log());
    // What comes broken in the wrapping that is expected is broken for good.
    let broken = request(&path, &format!("Authorization: {SECRET}\r\nContent-Type: {JSON}\r\n"), b"{\"a\":");
    assert_eq!(exchange(&address, &broken).0, 200);
    assert_eq!(bridge.metric("chatbridge_dead_letters_total", "not_json"), 1.0);
    assert!(bridge.terminate().success());
}

#[test]
fn a_call_of_chatapp_is_read_in_its_wrapping_or_refused() {
    let scene = chatapp_bridge::Scene::new("");
    let mut bridge = scene.start();
    let address = crate::webhook::webhook_address(&mut bridge);
    let path = format!("/chatapp/{}", chatapp_bridge::CALLBACK);
    let body = |number: usize| {
        format!(
            r#"{{"data":[{{"id":"m{number}","chat":{{"id":"7"}},"message":{{"text":"{number}"}}}}],"meta":{{"type":"message","licenseId":1229,"messengerType":"telegram"}}}}"#
        )
    };
    // There is no limit to make small here: a body that swells is within it, and all white space.
    let taken = calls(&address, &path, "", body);
    bridge.wait("every record", |_| (scene.topic().len() >= taken).then_some(()));
    scene.drained(&mut bridge);
    assert_eq!(scene.topic().len(), taken);
    assert_eq!(bridge.metric("chatbridge_dead_letters_total", ""), 0.0, "none of them is buried");
    assert!(bridge.terminate().success());
}

#[test]
fn an_answer_that_comes_compressed_is_read_and_one_that_cannot_be_is_asked_for_again() {
    let scene = wire::Scene::new("");
    for coding in CODINGS.into_iter().chain([Coding::Compress]) {
        scene.simulator.add_fault(Fault::compressed(Method::Receive, coding).on(wire::FIRST).times(2));
        scene.simulator.add_fault(Fault::compressed(Method::Delete, coding).on(wire::FIRST).times(2));
    }
    scene.queue(wire::FIRST, 20);
    let bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);
    assert!(bridge.metric("chatbridge_source_errors_total", "class=\"encoding\"") >= 2.0, "{}", bridge.log());
    assert_eq!(bridge.metric("chatbridge_events_published_total", ""), 20.0, "each published once");
    assert_eq!(bridge.metric("chatbridge_dead_letters_total", ""), 0.0, "none of them is buried");
    assert!(bridge.terminate().success());
}

#[test]
fn a_notification_under_another_status_is_published_and_deleted() {
    let scene = wire::Scene::new("");
    for code in [466, 500, 429, 404, 502] {
        scene.simulator.add_fault(Fault::other_status(code).on(wire::FIRST).times(3));
    }
    scene.queue(wire::FIRST, 20);
    let bridge = Bridge::start(&scene.home, &[]);
    scene.emptied(&bridge);
    assert_eq!(bridge.metric("chatbridge_events_published_total", ""), 20.0, "each published once");
    assert_eq!(bridge.metric("chatbridge_source_errors_total", ""), 0.0, "{}", bridge.log());
    assert!(bridge.terminate().success());
}
