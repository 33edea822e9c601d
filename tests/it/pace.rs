//! Connections to GREEN-API are opened one after the other, and nobody is given up on who waits for a turn.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use chatbridge::app::InstanceClients;
use chatbridge::config::{GreenApi, Instance, Receive};
use chatbridge::green_api::queue::NotificationQueue as _;
use chatbridge::redact::Redactor;
use chatbridge_event::event::InstanceId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const INTERVAL: Duration = Duration::from_millis(100);
/// At that pace their turns take longer than one request may, which is two seconds.
const INSTANCES: u32 = 35;

/// Each connection carries one request.
async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await? > 0 {}
    stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\nnull").await
}

#[tokio::test]
async fn connections_are_opened_at_the_configured_rate_and_no_request_tires_of_waiting() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let api_url = format!("http://{}", listener.local_addr().expect("bound"));
    let (accepted, opened) = mpsc::channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            accepted.send(Instant::now()).expect("the test goes on");
            tokio::spawn(answer(stream));
        }
    });
    let second = Duration::from_secs(1);
    let green_api = GreenApi { connect_interval: INTERVAL, receive_grace: second, ..GreenApi::default() };
    let started = Instant::now();
    let clients = InstanceClients::new(&green_api, &Redactor::default()).expect("clients");
    let mut polls = JoinSet::new();
    for id in 0..INSTANCES {
        let client = clients.of(&Instance {
            id: InstanceId::new(id.into()),
            token: "x".to_owned().into(),
            api_url: api_url.parse().expect("an address"),
            receive_timeout: second,
            receive: Receive::Poll,
        });
        polls.spawn(async move { client.receive().await });
    }
    for poll in polls.join_all().await {
        assert!(poll.expect("an answer").is_none());
    }
    let opened: Vec<Duration> = opened.try_iter().map(|at| at - started).collect();
    assert_eq!(opened.len(), INSTANCES as usize, "{opened:?}");
    for (before, at) in opened.iter().enumerate() {
        // What was late by a moment may be caught up with at once: a tenth of an interval.
        let earliest = (INTERVAL * before as u32).saturating_sub(INTERVAL / 10);
        assert!(*at >= earliest, "the connection number {before} was opened after {at:?}");
    }
}
