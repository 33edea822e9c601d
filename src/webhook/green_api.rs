//! `POST /green-api` and `POST /green-api/<idInstance>`: one call, one notification, one answer.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::Endpoint;
use super::envelope;
use super::gate::presented;
use super::intakes::Admission;
use super::room::Room;
use crate::content_coding::{self, Coding, FIRST_BYTES, ReadError};
use crate::http_server::Peer;
use crate::publish::Publisher;
use crate::source::caller::CallerNames;
use crate::source::intake::{Acknowledged, NotNow};
use crate::telemetry::webhook::Refused;
use chatbridge_base::json::Json;
use chatbridge_event::event::{self, DeadLetterReason, InstanceId, Notification};

/// GREEN-API pauses for 60 s by itself (reference §7); a proxy or a script may want to be told.
const RETRY_AFTER_SECONDS: &str = "10";

/// How a call was answered, if not with 200.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The caller's doing, or the configuration's.
    Refused(Refused),
    /// Come again.
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

pub(super) async fn for_whom_the_path_names<P: Publisher, N: CallerNames>(
    State(endpoint): State<Arc<Endpoint<P, N>>>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(instance): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match instance.parse() {
        Ok(id) => endpoint.answer(peer, Some(InstanceId::new(id)), &headers, body).await,
        Err(_) => endpoint.refused(peer, Refused::UnknownInstance.into()),
    }
}

pub(super) async fn for_whom_the_body_names<P: Publisher, N: CallerNames>(
    State(endpoint): State<Arc<Endpoint<P, N>>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    endpoint.answer(peer, None, &headers, body).await
}

/// Any other path.
pub(super) async fn elsewhere<P: Publisher, N: CallerNames>(
    State(endpoint): State<Arc<Endpoint<P, N>>>,
    Extension(Peer(peer)): Extension<Peer>,
) -> Response {
    endpoint.refused(peer, Refused::UnknownPath.into())
}

impl<P: Publisher, N: CallerNames> Endpoint<P, N> {
    async fn answer(
        &self,
        peer: std::net::SocketAddr,
        instance: Option<InstanceId>,
        headers: &HeaderMap,
        body: Body,
    ) -> Response {
        let began = Instant::now();
        match self.take(peer, instance, headers, body).await {
            Ok(acknowledged) => self.ok(acknowledged, began),
            Err(refusal) => self.refused(peer, refusal),
        }
    }

    /// Who calls, for whom, with what; then the intake's word. Nothing of a body is read before its caller is known.
    async fn take(
        &self,
        peer: std::net::SocketAddr,
        instance: Option<InstanceId>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Acknowledged, Refusal> {
        if !self.gate.admits(peer.ip(), headers) {
            return Err(Refused::Forbidden.into());
        }
        let token = presented(headers).ok_or(Refused::Unauthorised)?;
        let admission = self.intakes.admit(instance, token);
        if matches!(admission, Admission::WrongToken) {
            return Err(Refused::Unauthorised.into());
        }
        if matches!(admission, Admission::UnknownInstance) {
            return Err(Refused::UnknownInstance.into());
        }
        // The room is kept until the answer is given; what outlives it is one body an instance.
        let (bytes, _room) = self.bytes(headers, body).await?;
        let body = understood(headers, bytes)?;
        let instance = match admission {
            Admission::Instance(id) => id,
            _ => self.named(&body, admission, token)?,
        };
        let intake = self.intakes.of(instance).ok_or(Refusal::Starting)?;
        intake.take(Notification { instance, receipt_id: None, body }).await.map_err(Refusal::NotNow)
    }

    /// The whole body, decoded, if it comes in time; and the room it has in memory.
    pub(super) async fn bytes(&self, head: &HeaderMap, body: Body) -> Result<(Vec<u8>, Room<'_>), Refusal> {
        let coding = Coding::of(head).map_err(|_| Refused::Envelope)?;
        let first_bytes = self.length(head)?;
        let bytes_max = usize::try_from(self.settings.body_bytes_max).unwrap_or(usize::MAX);
        let mut room = Room::of(&self.buffer, first_bytes).ok_or(Refusal::Full)?;
        // A decoder may keep everything once more.
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

    /// How long the body is as it comes. Of one that does not say so, what it gets to begin with.
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

    /// The instance a body names, if the call's token is that one's.
    fn named(&self, body: &event::Body, admission: Admission, token: &str) -> Result<InstanceId, Refusal> {
        let named = match body {
            event::Body::Json(raw) => Json::parse(raw.get())
                .and_then(|body| body.get("instanceData").get("idInstance").integer())
                .and_then(|id| u64::try_from(id).ok())
                .map(InstanceId::new),
            event::Body::Undecodable { .. } => None,
        };
        let Some(named) = named else {
            let Admission::OneOfOurs(Some(only)) = admission else { return Err(Refused::Nameless.into()) };
            return Ok(only);
        };
        match self.intakes.admit(Some(named), token) {
            Admission::Instance(id) => Ok(id),
            Admission::WrongToken => Err(Refused::Unauthorised.into()),
            Admission::UnknownInstance | Admission::OneOfOurs(_) => Err(Refused::UnknownInstance.into()),
        }
    }

    pub(super) fn refused(&self, peer: std::net::SocketAddr, refusal: Refusal) -> Response {
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

/// The bytes as the body of a notification.
pub(super) fn understood(head: &HeaderMap, bytes: Vec<u8>) -> Result<event::Body, Refused> {
    let body = match String::from_utf8(bytes) {
        Ok(text) => read(text)?,
        Err(error) => {
            let why = "the body is not UTF-8".to_owned();
            undecodable(error.into_bytes(), DeadLetterReason::NotUtf8, why)
        }
    };
    match &body {
        event::Body::Undecodable { bytes, .. } if envelope::is_at_fault(head, bytes) => Err(Refused::Envelope),
        _ => Ok(body),
    }
}

fn read(text: String) -> Result<event::Body, Refused> {
    let bare = text.trim_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
    if bare.is_empty() {
        return Err(Refused::Empty);
    }
    Ok(match serde_json::from_str::<Box<RawValue>>(bare) {
        // As the queue's `"body": null`.
        Ok(raw) if raw.get() == "null" => {
            undecodable(text.into_bytes(), DeadLetterReason::NoBody, "a call without a body".to_owned())
        }
        Ok(raw) => event::Body::Json(raw),
        Err(error) => {
            // Where, not what: serde_json's own message may quote the content.
            let error = format!("not JSON, line {} column {}", error.line(), error.column());
            undecodable(text.into_bytes(), DeadLetterReason::NotJson, error)
        }
    })
}

fn undecodable(bytes: Vec<u8>, reason: DeadLetterReason, error: String) -> event::Body {
    event::Body::Undecodable { bytes, reason, error, receipt_at: 0..0 }
}
