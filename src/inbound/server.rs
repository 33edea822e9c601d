//! The HTTP server of both listeners, the admin server's and the webhook's: how many connections, from where, how slow,
//! with TLS or without. hyper is driven by hand, because axum's own server bounds none of these.
//!
//! Everybody who can reach a listener can open connections to it and say nothing. So there is a limit of connections, a
//! lower one for each address, and a limit of time for everything that waits for the other end: the handshake, the head of
//! a request (which is also how long a connection may be idle), and the reading of an answer. How long an answer takes is
//! no concern of this module: a stream of events may go on for ever as long as it is read.

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

/// After a failure to accept: such failures come in storms, above all when file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// What a connection may hold in memory besides bodies: the head of a request, answers that are not read yet.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// The other end of the connection a request came over.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// How long the other end may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the head of a request, and for a TLS handshake; a connection may be idle for so long.
    pub header: Duration,
    /// For reading the next piece of an answer.
    pub write: Duration,
}

/// Which addresses may connect, and which of them stand for many callers.
#[derive(Debug, Clone, Default)]
pub struct Callers {
    /// Empty: everybody may.
    pub allowed: Vec<IpNet>,
    /// They may connect as well, and the limit for each address does not hold for them.
    pub proxies: Vec<IpNet>,
}

impl Callers {
    fn may_connect(&self, peer: IpAddr) -> bool {
        self.allowed.is_empty() || contains(&self.allowed, peer) || contains(&self.proxies, peer)
    }
}

/// One listener, and by what rules it is served.
pub struct HttpServer {
    /// Where connections come in.
    pub listener: TcpListener,
    /// For TLS without a proxy.
    pub tls: Option<TlsAcceptor>,
    /// Who may connect.
    pub callers: Callers,
    /// How many connections there may be.
    pub places: Arc<Places>,
    /// How long the other end may take.
    pub timeouts: Timeouts,
    /// Who hears of connections that come to nothing.
    pub telemetry: Arc<ListenerTelemetry>,
    /// Who hears when there is no descriptor left for a connection.
    pub descriptors: Arc<Descriptors>,
}

impl HttpServer {
    /// Accepts until `stop`; returns when every connection has come to its end.
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
        // Who comes now is refused by the kernel, not left waiting for an answer that nobody gives.
        drop(self.listener);
        connections.close();
        connections.wait().await;
    }

    /// Gives a connection a place and a task of its own; one without a place is closed at once.
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
            // Answers are small and awaited: Nagle's algorithm would only hold them back. Should this fail, the next
            // read says why.
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

/// A write that makes no progress for so long fails. It starts to count when there is something to write.
fn with_write_timeout(stream: TcpStream, timeout: Duration) -> Pin<Box<TimeoutStream<TcpStream>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(timeout));
    Box::pin(stream)
}

/// A handshake that fails, or takes too long, is the caller's to wonder about.
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

/// Serves one connection to its end, which is the caller's going away, its slowness, or `stop` once a request was
/// answered. By itself it is for fuzzers, which have no socket.
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
