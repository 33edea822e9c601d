//! The connections. hyper is driven by hand, because a simulator must be able to end one without an answer,
//! which no ready-made server offers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::answers::Hangup;

/// nginx's own limit for an idle connection; a client that reuses one has to live with it ending.
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);

/// How long an answer in progress may still be read once the simulator stops.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Between two failures to accept, which come in storms when file descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts until `stop`; each connection is a task of `connections`.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    connections_max: usize,
    connections: TaskTracker,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(connections_max.min(Semaphore::MAX_PERMITS)));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // No room: the connection is closed at once, as an overloaded host would.
                let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                    continue;
                };
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    connection(stream, router, stop).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the simulator failed to accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one connection to its end. Its errors are the client's going away or a fault's doing: not news.
async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    // Answers are small and awaited: Nagle's algorithm would only add its 40 ms.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let router = TowerToHyperService::new(router);
    let reset = AtomicBool::new(false);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let answer = router.call(request);
        let reset = &reset;
        async move { answer.await.map_err(|never| match never {}).and_then(|answer| unless_hung_up(answer, reset)) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE_TIMEOUT);
    let mut connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection_pinned = std::pin::Pin::new(&mut connection);
    let ended = tokio::select! {
        ended = connection_pinned.as_mut() => ended,
        () = stop.cancelled() => {
            connection_pinned.as_mut().graceful_shutdown();
            timeout(LAST_ANSWER_TIMEOUT, connection_pinned).await.unwrap_or(Ok(()))
        }
    };
    if ended.is_err() && reset.load(Ordering::Relaxed) {
        // With nothing left to linger for, closing the socket sends RST instead of FIN. Should that fail,
        // the client still loses its connection.
        let _ = connection.into_parts().io.into_inner().set_zero_linger();
    }
}

/// Turns the wish to hang up into the error that makes hyper close the connection unanswered.
fn unless_hung_up(answer: Response<Body>, reset: &AtomicBool) -> io::Result<Response<Body>> {
    match answer.extensions().get::<Hangup>() {
        None => Ok(answer),
        Some(how) => {
            reset.store(*how == Hangup::Reset, Ordering::Relaxed);
            Err(io::ErrorKind::ConnectionAborted.into())
        }
    }
}
