//! A server, or a load balancer before it, that closes connections it had kept alive.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use crate::support::bridge::{Bridge, Home};
use crate::wire::{FIRST, Scene, TOKEN};

const EVENTS: usize = 1_000;
/// So many requests a connection is good for; then it is closed without a word, as the next one comes.
const REQUESTS_MAX: usize = 9;

/// Stands between the bridge and `upstream`; gives its own address.
fn closing_relay(upstream: &str) -> String {
    let upstream = upstream.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(&upstream).expect("the simulator listens");
            let (mut from, mut to) = (server.try_clone().expect("one more"), client.try_clone().expect("one more"));
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            thread::spawn(move || relay(client, server));
        }
    });
    format!("http://{address}")
}

fn relay(mut client: TcpStream, mut server: TcpStream) {
    let mut bytes = [0; 16 * 1024];
    for requests in 0.. {
        // One request is one read here: it has no body, and the next one waits for its answer.
        match client.read(&mut bytes) {
            Ok(length) if length > 0 && requests < REQUESTS_MAX => {
                server.write_all(&bytes[..length]).expect("the simulator reads");
            }
            _ => {
                let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
                return;
            }
        }
    }
}

#[test]
fn a_connection_that_was_closed_costs_neither_a_warning_nor_a_pause() {
    let scene = Scene::new("");
    let relay = closing_relay(scene.simulator.url());
    let home = Home::new(&relay, &[(FIRST, TOKEN.to_owned())], &scene.brokers.bootstrap_servers(), "");
    scene.queue(FIRST, EVENTS);
    let bridge = Bridge::start(&home, &[]);
    scene.emptied(&bridge);
    let published = bridge.metric("chatbridge_events_published_total", "");
    let closed = bridge.metric("chatbridge_source_errors_total", "class=\"closed\"");
    let log = bridge.log();
    assert!(bridge.terminate().success());
    assert_eq!(published, EVENTS as f64, "each once");
    assert!(closed > 100.0, "{closed} closed connections met a request");
    let troubles: Vec<&str> =
        log.lines().filter(|line| line.contains("\"WARN\"") || line.contains("\"ERROR\"")).collect();
    assert!(troubles.is_empty(), "{} lines, such as {:?}", troubles.len(), troubles.first());
}
