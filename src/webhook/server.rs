//! The connections: how many, how slow, with TLS or without. hyper is driven by hand, because axum's own server bounds
//! none of these.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, warn};

use super::tls::Certificate;
use crate::telemetry::webhook::WebhookTelemetry;

/// Between two failures to accept, which come in storms when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The other end of the connection a request came over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) connections_max: usize,
    pub(super) header_timeout: Duration,
}

/// Accepts until `stop`; returns when every connection has come to its end.
pub(super) async fn serve(
    listener: TcpListener,
    certificate: Option<Arc<Certificate>>,
    router: Router,
    limits: Limits,
    telemetry: Arc<WebhookTelemetry>,
    stop: CancellationToken,
) {
    let tls = match certificate.as_ref().map(Certificate::acceptor).transpose() {
        Ok(tls) => tls,
        Err(error) => return error!(%error, "the webhook's listener cannot do TLS; nothing is received by webhook"),
    };
    let connections = TaskTracker::new();
    if let Some(certificate) = certificate {
        let stop = stop.clone();
        connections.spawn(async move { certificate.follow(stop).await });
    }
    let room = Arc::new(Semaphore::new(limits.connections_max));
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "failed to accept a webhook connection (are file descriptors exhausted?)");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            telemetry.turned_away(peer);
            continue;
        };
        let (router, tls, stop, connected) = (router.clone(), tls.clone(), stop.clone(), telemetry.connected());
        let telemetry = Arc::clone(&telemetry);
        connections.spawn(async move {
            // Answers are small and awaited: Nagle's algorithm would only hold them back. Should this fail, the next
            // read says why.
            let _ = stream.set_nodelay(true);
            match tls {
                None => connection(stream, peer, router, limits, stop).await,
                Some(tls) => match handshake(tls, stream, limits).await {
                    Some(stream) => connection(stream, peer, router, limits, stop).await,
                    None => telemetry.no_tls(),
                },
            }
            drop((place, connected));
        });
    }
    // Who comes now is refused by the kernel, not left waiting for an answer that nobody gives.
    drop(listener);
    connections.close();
    connections.wait().await;
}

/// A handshake that fails, or takes too long, is the caller's to wonder about.
async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    tls: TlsAcceptor,
    stream: S,
    limits: Limits,
) -> Option<tokio_rustls::server::TlsStream<S>> {
    match tokio::time::timeout(limits.header_timeout, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a webhook caller's TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}

/// Serves one connection to its end, which is the caller's going away, its slowness, or `stop` once a call was answered.
async fn connection<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    peer: SocketAddr,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let answer = router.call(request);
        async move { io::Result::Ok(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.header_timeout);
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
        tracing::debug!(%error, "a webhook connection broke off");
    }
}
