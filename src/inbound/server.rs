//! The HTTP server of both listeners, admin and webhook: limits for connections, addresses and slow peers, with or
//! without TLS. It drives hyper directly, because axum's own server has none of these limits.
//!
//! Anybody who can reach a listener can open connections and send nothing. So there is a limit of connections, a lower
//! one per address, and a time limit for everything that waits for the peer: the handshake, the head of a request (also
//! the time a connection may be idle), and the reading of an answer. How long it takes to produce an answer is not
//! limited here: a stream of events may go on for ever while it is read.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::inbound::descriptors::Descriptors;
use crate::inbound::listener::{ListenerTelemetry, TurnedAway};

pub use places::Places;

mod places;

/// The pause after a failed accept: such failures come in quick succession, above all when file descriptors have run
/// out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Memory of a connection besides bodies: the head of a request, and answers not read yet.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// The address of the connection's peer.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// How long the peer may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the head of a request, and for a TLS handshake; also the time a connection may be idle.
    pub header: Duration,
    /// For reading the next piece of an answer.
    pub write: Duration,
}

/// Which addresses may connect, and which of them stand for many callers.
#[derive(Debug, Clone, Default)]
pub struct Callers {
    /// If empty, every address may connect.
    pub allowed: Vec<IpNet>,
    /// May connect as well, without the limit per address.
    pub proxies: Vec<IpNet>,
}

impl Callers {
    fn may_connect(&self, peer: IpAddr) -> bool {
        self.allowed.is_empty() || contains(&self.allowed, peer) || contains(&self.proxies, peer)
    }
}

/// One listener and its rules.
pub struct HttpServer {
    /// The listening socket.
    pub listener: TcpListener,
    /// Set if the listener does TLS itself.
    pub tls: Option<TlsAcceptor>,
    /// Who may connect.
    pub callers: Callers,
    /// The limits of connections.
    pub places: Arc<Places>,
    /// How long the peer may take.
    pub timeouts: Timeouts,
    /// Told about connections that are refused or fail.
    pub telemetry: Arc<ListenerTelemetry>,
    /// Told when there is no descriptor for a connection.
    pub descriptors: Arc<Descriptors>,
}

impl HttpServer {
    /// Accepts until `stop`; returns when every connection has ended.
    pub async fn serve(self, router: Router, stop: CancellationToken) {
        let connections = TaskTracker::new();
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((stream, peer)) => self.accepted(stream, peer, &router, &connections, &stop),
                Err(error) => {
                    if !self.descriptors.ran_out(&error) {
                        self.telemetry.not_accepted(&error);
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        // New connections are now refused by the kernel instead of waiting for nothing.
        drop(self.listener);
        connections.close();
        connections.wait().await;
    }

    /// Gives a connection a place and a task; without a place it is closed at once.
    fn accepted(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        router: &Router,
        connections: &TaskTracker,
        stop: &CancellationToken,
    ) {
        let address = peer.ip().to_canonical();
        let place = if self.callers.may_connect(address) {
            self.places.take(address, contains(&self.callers.proxies, address))
        } else {
            Err(TurnedAway::Forbidden)
        };
        let place = match place {
            Ok(place) => place,
            Err(why) => return self.telemetry.turned_away(why, peer),
        };
        let (router, tls, stop, timeouts) = (router.clone(), self.tls.clone(), stop.clone(), self.timeouts);
        let (connected, telemetry) = (self.telemetry.connected(), Arc::clone(&self.telemetry));
        connections.spawn(async move {
            // Answers are small, and Nagle's algorithm would only delay them. If this fails, the next read says why.
            let _ = stream.set_nodelay(true);
            let stream = with_write_timeout(stream, timeouts.write);
            match tls {
                None => connection(stream, peer, router, timeouts, stop).await,
                Some(tls) => match handshake(tls, stream, timeouts).await {
                    Some(stream) => connection(stream, peer, router, timeouts, stop).await,
                    None => telemetry.no_tls(),
                },
            }
            drop((place, connected));
        });
    }
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// A write without progress for this long fails. The time counts only while there is something to write.
fn with_write_timeout(stream: TcpStream, timeout: Duration) -> Pin<Box<TimeoutStream<TcpStream>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(timeout));
    Box::pin(stream)
}

/// A handshake that fails or takes too long is counted, and the connection closed.
async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    tls: TlsAcceptor,
    stream: S,
    timeouts: Timeouts,
) -> Option<tokio_rustls::server::TlsStream<S>> {
    match tokio::time::timeout(timeouts.header, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a caller's TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

/// Serves one connection until the peer closes it, is too slow, or, after `stop`, until the current request is
/// answered. A separate function for fuzzers, which have no socket.
pub async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    timeouts: Timeouts,
    stop: CancellationToken,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let answer = router.call(request);
        async move { io::Result::Ok(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(timeouts.header).max_buf_size(BUFFER_BYTES_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
