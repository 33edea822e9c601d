//! The webhook listener, which serves the paths of both GREEN-API and ChatApp.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, State};
use axum::response::Response;
use tokio_util::sync::CancellationToken;

use crate::chatapp::push::{self as chatapp, Callback};
use crate::config::Webhook;
use crate::core::publish::Publisher;
use crate::green_api::caller::CallerNames;
use crate::green_api::push::endpoint as green_api;
use crate::green_api::push::intakes::Intakes;
use crate::inbound::calls::{CallTelemetry, Refused};
use crate::inbound::door::Door;
use crate::inbound::server::{HttpServer, Peer};

/// Serves until `stop`, then lets the calls in progress finish.
pub async fn serve<P: Publisher, N: CallerNames>(
    server: HttpServer,
    settings: Webhook,
    intakes: Arc<Intakes<P, N>>,
    callback: Option<Callback>,
    telemetry: Arc<CallTelemetry>,
    stop: CancellationToken,
) {
    server.serve(router(settings, intakes, callback, telemetry), stop).await;
}

/// The handler of each call. Public for fuzzers, which have no listener.
pub fn router<P: Publisher, N: CallerNames>(
    settings: Webhook,
    intakes: Arc<Intakes<P, N>>,
    callback: Option<Callback>,
    telemetry: Arc<CallTelemetry>,
) -> Router {
    let door = Arc::new(Door::new(settings, telemetry));
    Router::new()
        .fallback(elsewhere)
        .with_state(Arc::clone(&door))
        .merge(green_api::router(Arc::clone(&door), intakes))
        .merge(chatapp::router(door, callback))
}

/// Any other path.
async fn elsewhere(State(door): State<Arc<Door>>, Extension(Peer(peer)): Extension<Peer>) -> Response {
    door.refused(peer, Refused::UnknownPath.into())
}
