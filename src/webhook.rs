//! The webhook's listener: GREEN-API's push calls in, the broker's verdict out (reference §7); and ChatApp's, where it
//! has the spool's.
//!
//! A call is answered with 200 when Kafka has what it brought, and with 503 when it has not yet: GREEN-API keeps the event
//! and sends it again. What it means for an event to be taken in is [`crate::source::intake`]'s; here is who may call
//! (`gate`), for which instance (`intakes`), how much of everything (the limits, and the server below), and in what words.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::Webhook;
use crate::http_server::HttpServer;
use crate::publish::Publisher;
use crate::source::caller::CallerNames;
use crate::source::intake::Acknowledged;
use crate::telemetry::webhook::{Refused, WebhookTelemetry};
use chatbridge_event::event;

mod chatapp;
mod envelope;
mod gate;
mod green_api;
mod intakes;
mod room;
mod tls;

pub use chatapp::Callback;
pub use intakes::Intakes;
pub use tls::{Certificate, TlsError};

/// What every call needs.
struct Endpoint<P, N> {
    gate: gate::Gate,
    intakes: Arc<Intakes<P, N>>,
    /// There where ChatApp may call.
    callback: Option<Callback>,
    /// Bytes of bodies that may still come into memory.
    buffer: Arc<Semaphore>,
    settings: Webhook,
    telemetry: Arc<WebhookTelemetry>,
}

/// That what a call brought is safe, so that whoever called may forget it.
trait Proof {}

/// Kafka has it.
impl Proof for Acknowledged {}

impl<P, N> Endpoint<P, N> {
    /// The one way to a 200.
    fn ok(&self, _proof: impl Proof, began: Instant) -> Response {
        self.telemetry.acknowledged(began.elapsed());
        StatusCode::OK.into_response()
    }
}

/// Serves until `stop`, then lets the calls that are being answered come to their end.
pub async fn serve<P: Publisher, N: CallerNames>(
    server: HttpServer,
    settings: Webhook,
    intakes: Arc<Intakes<P, N>>,
    callback: Option<Callback>,
    telemetry: Arc<WebhookTelemetry>,
    stop: CancellationToken,
) {
    server.serve(router(settings, intakes, callback, telemetry), stop).await;
}

/// What answers each call. By itself it is for fuzzers, which have no listener.
pub fn router<P: Publisher, N: CallerNames>(
    settings: Webhook,
    intakes: Arc<Intakes<P, N>>,
    callback: Option<Callback>,
    telemetry: Arc<WebhookTelemetry>,
) -> Router {
    // A semaphore's permits are u32 where they are taken and usize where they are made.
    let buffer = Arc::new(Semaphore::new(usize::try_from(settings.buffered_bytes_max).unwrap_or(usize::MAX)));
    let gate = gate::Gate::new(&settings);
    let endpoint = Arc::new(Endpoint { gate, intakes, callback, buffer, settings, telemetry });
    Router::new()
        .route("/green-api", post(green_api::for_whom_the_body_names))
        .route("/green-api/", post(green_api::for_whom_the_body_names))
        .route("/green-api/{instance}", post(green_api::for_whom_the_path_names))
        .route("/chatapp/{secret}", post(chatapp::call))
        .fallback(green_api::elsewhere)
        .with_state(endpoint)
}

/// What a call's body of these bytes means, for fuzzers, which have nobody to call.
///
/// # Errors
/// Where there is nothing in it, or its wrapping may be why it cannot be read.
pub fn decode(bytes: Vec<u8>) -> Result<event::Body, Refused> {
    green_api::understood(&HeaderMap::new(), bytes)
}
