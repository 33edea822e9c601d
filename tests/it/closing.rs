//! A server, or a load balancer before it, that closes connections it had kept alive.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use chatbridge_lab::green_api::generator::Generator;
use chatbridge_lab::green_api::{SimulatedInstance, Simulator, SimulatorConfig};
use rdkafka::mocking::MockCluster;
use tokio::runtime::Runtime;

use crate::support::bridge::{Bridge, Home};
use crate::wire::{FIRST, TOKEN};

const PATIENCE: Duration = Duration::from_secs(180);
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
    let runtime = Runtime::new().expect("a runtime");
    let simulator = runtime.block_on(Simulator::start(SimulatorConfig {
        instances: vec![SimulatedInstance::new(FIRST, TOKEN)],
        requests_per_second_max: 100_000,
        ..SimulatorConfig::default()
    }));
    let simulator = simulator.expect("a free port");
    let brokers = MockCluster::new(1).expect("brokers");
    for topic in ["chat-events", "chat-events-dlq"] {
        brokers.create_topic(topic, 4, 1).expect("a topic");
    }
    let relay = closing_relay(simulator.url());
    let home = Home::new(&relay, &[(FIRST, TOKEN.to_owned())], &brokers.bootstrap_servers(), "");
    let mut generator = Generator::new(FIRST, 3);
    for _ in 0..EVENTS {
        simulator.enqueue(FIRST, generator.body()).expect("room");
    }
    let bridge = Bridge::start(&home, &[("CHATBRIDGE__GREEN_API__WATCH_INTERVAL_SECONDS", "0")]);
    let emptied = async { tokio::time::timeout(PATIENCE, simulator.emptied()).await };
    assert!(runtime.block_on(emptied).is_ok(), "{} left; {}", simulator.total_depth(), bridge.log());
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
