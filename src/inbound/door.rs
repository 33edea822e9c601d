//! What all webhook calls have in common: who may call, how large the body may be, and how the call is answered.
//!
//! A call is answered with 200 only with a [`Proof`] that its event is safe, and with 503 while it is not: upstream
//! keeps the event and sends it again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::calls::{CallTelemetry, NotNow, Refused};
use super::gate::Gate;
use super::room::Room;
use crate::config::Webhook;
use crate::http::content_coding::{self, Coding, FIRST_BYTES, ReadError};

/// GREEN-API pauses for 60 s anyway; this is for proxies and scripts.
const RETRY_AFTER_SECONDS: &str = "10";

/// Proves that what a call brought is safe, so that the caller may delete it.
pub trait Proof {}

/// How a call was answered, if not with 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The cause is the caller or the configuration.
    Refused(Refused),
    /// The caller should come again.
    NotNow(NotNow),
    /// There is no room for the body.
    Full,
    /// Kafka was not found yet.
    Starting,
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// What every call needs.
pub struct Door {
    gate: Gate,
    /// How many more bytes of bodies fit into memory.
    buffer: Semaphore,
    settings: Webhook,
    telemetry: Arc<CallTelemetry>,
}

impl Door {
    /// A door that admits callers as `settings` say.
    #[must_use]
    pub fn new(settings: Webhook, telemetry: Arc<CallTelemetry>) -> Self {
        // Semaphore permits are acquired as u32 but created as usize.
        let buffer = Semaphore::new(usize::try_from(settings.buffered_bytes_max).unwrap_or(usize::MAX));
        Self { gate: Gate::new(&settings), buffer, settings, telemetry }
    }

    /// Whether this address may call.
    ///
    /// # Errors
    /// If it may not.
    pub fn admit(&self, peer: SocketAddr, headers: &HeaderMap) -> Result<(), Refused> {
        if self.gate.admits(peer.ip(), headers) { Ok(()) } else { Err(Refused::Forbidden) }
    }

    /// How long a caller may wait for its answer.
    #[must_use]
    pub fn answer_timeout(&self) -> Duration {
        self.settings.answer_timeout
    }

    /// The only way to a 200.
    pub fn ok(&self, _proof: impl Proof, began: Instant) -> Response {
        self.telemetry.acknowledged(began.elapsed());
        StatusCode::OK.into_response()
    }

    /// The whole body, decoded, if it comes in time; and its share of memory.
    pub(crate) async fn bytes(&self, head: &HeaderMap, body: Body) -> Result<(Vec<u8>, Room<'_>), Refusal> {
        let coding = Coding::of(head).map_err(|_| Refused::Envelope)?;
        let first_bytes = self.length(head)?;
        let bytes_max = usize::try_from(self.settings.body_bytes_max).unwrap_or(usize::MAX);
        let mut room = Room::of(&self.buffer, first_bytes).ok_or(Refusal::Full)?;
        // A decoder may hold a second copy.
        let copies = if coding == Coding::Identity { 1 } else { 2 };
        let may_have = |bytes: usize| room.grow_to(bytes.saturating_mul(copies));
        let reading = content_coding::read(body, coding, first_bytes, bytes_max, may_have);
        match tokio::time::timeout(self.settings.body_timeout, reading).await {
            Ok(Ok(bytes)) => Ok((bytes, room)),
            Ok(Err(ReadError::TooLong(_))) => Err(Refused::TooLarge.into()),
            Ok(Err(ReadError::Broken(_))) => Err(Refused::Unreadable.into()),
            Ok(Err(ReadError::Undecodable)) => Err(Refused::Envelope.into()),
            Ok(Err(ReadError::NoRoom)) => Err(Refusal::Full),
            Err(_) => Err(Refused::TooSlow.into()),
        }
    }

    /// The length of the body as sent. If it is not known, the first share that the body gets.
    fn length(&self, head: &HeaderMap) -> Result<usize, Refusal> {
        let bytes_max = self.settings.body_bytes_max;
        let length = match head.get(header::CONTENT_LENGTH) {
            None => return Ok(FIRST_BYTES),
            Some(length) => length.to_str().ok().and_then(|length| length.parse::<u64>().ok()),
        };
        match length {
            None => Err(Refused::Unreadable.into()),
            Some(0) => Err(Refused::Empty.into()),
            Some(length) if length > bytes_max.into() => Err(Refused::TooLarge.into()),
            Some(length) => usize::try_from(length).map_err(|_| Refused::TooLarge.into()),
        }
    }

    /// Counts and logs a refusal, and answers it.
    pub fn refused(&self, peer: SocketAddr, refusal: Refusal) -> Response {
        match refusal {
            Refusal::Refused(refused) => {
                self.telemetry.refused(refused, peer);
                (status(refused), format!("{refused}\n")).into_response()
            }
            Refusal::NotNow(not_now) => {
                self.telemetry.not_now(not_now);
                come_again(&not_now.to_string())
            }
            Refusal::Full => {
                self.telemetry.full();
                come_again("no room for the body")
            }
            Refusal::Starting => {
                self.telemetry.starting();
                come_again("starting: waiting for Kafka")
            }
        }
    }
}

fn come_again(why: &str) -> Response {
    let retry_after = [(header::RETRY_AFTER, RETRY_AFTER_SECONDS)];
    (StatusCode::SERVICE_UNAVAILABLE, retry_after, format!("{why}; send the same again\n")).into_response()
}

fn status(refused: Refused) -> StatusCode {
    match refused {
        Refused::Unauthorised => StatusCode::UNAUTHORIZED,
        Refused::Forbidden => StatusCode::FORBIDDEN,
        Refused::UnknownInstance | Refused::UnknownPath => StatusCode::NOT_FOUND,
        Refused::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Refused::Envelope => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refused::TooSlow => StatusCode::REQUEST_TIMEOUT,
        Refused::Empty | Refused::Unreadable | Refused::Nameless => StatusCode::BAD_REQUEST,
    }
}
