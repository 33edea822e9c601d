//! Both ends of a connection, and nothing else: what the part `connections` measures.
//!
//! `serve PLAIN_PORT TLS_PORT CERTIFICATE KEY STREAMS_MAX` speaks HTTP/1.1 and HTTP/2 on both ports; it holds polls and
//! answers everything else at once. `poll URL POLLS VERSION` has so many polls wait. `short URL LOOPS EACH VERSION
//! CLIENTS` asks as fast as answers come, `connect URL CONNECTIONS (plain|full|resumed) CERTIFICATE` once on each
//! connection; both print what that cost them. VERSION is 1 or 2.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use reqwest::{Client, ClientBuilder};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig};

#[path = "cpu.rs"]
mod cpu;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Longer than a start takes, shorter than anybody's patience.
const HELD: Duration = Duration::from_secs(25);
/// So many begin together, lest the listener's queue overflow.
const CROWD: u64 = 100;
const CONNECT_LOOPS: u64 = 8;
const WARM_UP: u64 = 5;

/// What the server has seen.
#[derive(Default)]
struct Seen {
    waiting: AtomicU64,
    connections: AtomicU64,
    full: AtomicU64,
    resumed: AtomicU64,
}

/// A poll that waits.
struct Waiting<'s>(&'s AtomicU64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Seen {
    async fn answer(&self, path: &str) -> String {
        if path == "/seen" {
            // Who asks this does not count.
            self.connections.fetch_sub(1, Ordering::Relaxed);
            let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
            let Self { waiting, connections, full, resumed } = self;
            return serde_json::json!({"waiting": of(waiting), "connections": of(connections), "full": of(full),
                "resumed": of(resumed)})
            .to_string();
        }
        if path.contains("/receiveNotification/") {
            self.waiting.fetch_add(1, Ordering::Relaxed);
            let _waiting = Waiting(&self.waiting);
            tokio::time::sleep(HELD).await;
        }
        "null".to_owned()
    }
}

async fn converse(seen: Arc<Seen>, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, streams_max: u32) {
    let answer = move |request: Request<Incoming>| {
        let seen = Arc::clone(&seen);
        async move {
            let answer = Bytes::from(seen.answer(request.uri().path()).await);
            Ok::<_, Infallible>(Response::new(Full::new(answer)))
        }
    };
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http2().max_concurrent_streams(streams_max);
    // A client that goes is no failure.
    let _ = builder.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn listen(seen: Arc<Seen>, port: u16, tls: Option<TlsAcceptor>, streams_max: u32) -> Result<(), Failure> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _): (TcpStream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (seen, tls) = (Arc::clone(&seen), tls.clone());
        tokio::spawn(async move {
            seen.connections.fetch_add(1, Ordering::Relaxed);
            let Some(tls) = tls else { return converse(seen, stream, streams_max).await };
            let Ok(stream) = tls.accept(stream).await else { return };
            let kind = stream.get_ref().1.handshake_kind();
            let count = if kind == Some(HandshakeKind::Resumed) { &seen.resumed } else { &seen.full };
            count.fetch_add(1, Ordering::Relaxed);
            converse(seen, stream, streams_max).await;
        });
    }
}

async fn serve(plain: u16, tls: u16, certificate: &str, key: &str, streams_max: u32) -> Result<(), Failure> {
    let chain = vec![CertificateDer::from_pem_file(certificate)?];
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let seen = Arc::default();
    tokio::try_join!(
        listen(Arc::clone(&seen), plain, None, streams_max),
        listen(seen, tls, Some(acceptor), streams_max)
    )?;
    Ok(())
}

/// As the minimal loop's.
fn client() -> ClientBuilder {
    Client::builder().no_proxy().tcp_nodelay(true)
}

fn of_version(version: &str) -> Result<Client, Failure> {
    let client = client();
    Ok(if version == "2" { client.http2_prior_knowledge() } else { client.http1_only() }.build()?)
}

async fn ask(http: &Client, url: &str) -> Result<(), Failure> {
    http.get(url).send().await?.error_for_status()?.bytes().await?;
    Ok(())
}

async fn poll(url: &str, polls: u64, version: &str) -> Result<(), Failure> {
    let http = of_version(version)?;
    let mut waiting = JoinSet::new();
    for poll in 0..polls {
        let (http, url) = (http.clone(), format!("{url}/waInstance{poll}/receiveNotification/x"));
        waiting.spawn(async move {
            loop {
                ask(&http, &url).await?;
            }
        });
        if poll % CROWD == CROWD - 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    waiting.join_next().await.ok_or("no polls")??
}

/// Has every loop ask so often; what that cost this process, in microseconds of CPU, and the seconds it took.
async fn loops(loops: u64, each: u64, url: &str, client_of: impl Fn(u64) -> Client) -> Result<(f64, f64), Failure> {
    let (started, cpu_before) = (Instant::now(), cpu::seconds("self"));
    let mut asking = JoinSet::new();
    for number in 0..loops {
        let (http, url) = (client_of(number), url.to_owned());
        asking.spawn(async move {
            for _ in 0..each {
                ask(&http, &url).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(done) = asking.join_next().await {
        done??;
    }
    let cpu_us = (cpu::seconds("self") - cpu_before) * 1e6 / (loops * each) as f64;
    Ok((cpu_us, started.elapsed().as_secs_f64()))
}

fn print((cpu_us, seconds): (f64, f64), times: u64) {
    println!("{}", serde_json::json!({"cpu_us": cpu_us, "per_second": times as f64 / seconds}));
}

async fn short(url: &str, loops_asked: u64, each: u64, version: &str, clients: u64) -> Result<(), Failure> {
    let clients = (0..clients).map(|_| of_version(version)).collect::<Result<Vec<_>, _>>()?;
    let client_of = |number: u64| clients[number as usize % clients.len()].clone();
    loops(loops_asked, WARM_UP, url, client_of).await?;
    print(loops(loops_asked, each, url, client_of).await?, loops_asked * each);
    Ok(())
}

async fn connect(url: &str, connections: u64, how: &str, certificate: &str) -> Result<(), Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    if how == "full" {
        config.resumption = Resumption::disabled();
    }
    let http = client().http1_only().pool_max_idle_per_host(0).tls_backend_preconfigured(config).build()?;
    loops(CONNECT_LOOPS, WARM_UP, url, |_| http.clone()).await?;
    print(loops(CONNECT_LOOPS, connections / CONNECT_LOOPS, url, |_| http.clone()).await?, connections);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    ring::default_provider().install_default().map_err(|_| "a second provider")?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["serve", plain, tls, certificate, key, streams_max] => {
            serve(plain.parse()?, tls.parse()?, certificate, key, streams_max.parse()?).await
        }
        ["poll", url, polls, version] => poll(url, polls.parse()?, version).await,
        ["short", url, loops, each, version, clients] => {
            short(url, loops.parse()?, each.parse()?, version, clients.parse()?).await
        }
        ["connect", url, connections, how, certificate] => connect(url, connections.parse()?, how, certificate).await,
        _ => Err("usage: serve … | poll … | short … | connect …".into()),
    }
}
