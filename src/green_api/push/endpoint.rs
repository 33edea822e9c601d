//! `POST /green-api` and `POST /green-api/<idInstance>`: one call, one notification, one answer.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::intake::Acknowledged;
use super::intakes::{Admission, Intakes};
use crate::core::publish::Publisher;
use crate::green_api::caller::CallerNames;
use crate::inbound::calls::Refused;
use crate::inbound::door::{Door, Refusal};
use crate::inbound::envelope;
use crate::inbound::gate::presented;
use crate::inbound::server::Peer;
use chatbridge_base::json::Json;
use chatbridge_event::event::{self, DeadLetterReason, InstanceId, Notification};

/// Where GREEN-API calls.
struct Endpoint<P, N> {
    door: Arc<Door>,
    intakes: Arc<Intakes<P, N>>,
}

/// The paths that GREEN-API calls.
pub(crate) fn router<P: Publisher, N: CallerNames>(door: Arc<Door>, intakes: Arc<Intakes<P, N>>) -> Router {
    Router::new()
        .route("/green-api", post(for_whom_the_body_names))
        .route("/green-api/", post(for_whom_the_body_names))
        .route("/green-api/{instance}", post(for_whom_the_path_names))
        .with_state(Arc::new(Endpoint { door, intakes }))
}

async fn for_whom_the_path_names<P: Publisher, N: CallerNames>(
    State(endpoint): State<Arc<Endpoint<P, N>>>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(instance): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match instance.parse() {
        Ok(id) => endpoint.answer(peer, Some(InstanceId::new(id)), &headers, body).await,
        Err(_) => endpoint.door.refused(peer, Refused::UnknownInstance.into()),
    }
}

async fn for_whom_the_body_names<P: Publisher, N: CallerNames>(
    State(endpoint): State<Arc<Endpoint<P, N>>>,
    Extension(Peer(peer)): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    endpoint.answer(peer, None, &headers, body).await
}

impl<P: Publisher, N: CallerNames> Endpoint<P, N> {
    async fn answer(
        &self,
        peer: SocketAddr,
        instance: Option<InstanceId>,
        headers: &HeaderMap,
        body: Body,
    ) -> Response {
        let began = Instant::now();
        match self.take(peer, instance, headers, body).await {
            Ok(acknowledged) => self.door.ok(acknowledged, began),
            Err(refusal) => self.door.refused(peer, refusal),
        }
    }

    /// Checks the caller and the instance, reads the body, then returns the intake's answer. The body is not read
    /// before the caller is known.
    async fn take(
        &self,
        peer: SocketAddr,
        instance: Option<InstanceId>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Acknowledged, Refusal> {
        self.door.admit(peer, headers)?;
        let token = presented(headers).ok_or(Refused::Unauthorised)?;
        let admission = self.intakes.admit(instance, token);
        if matches!(admission, Admission::WrongToken) {
            return Err(Refused::Unauthorised.into());
        }
        if matches!(admission, Admission::UnknownInstance) {
            return Err(Refused::UnknownInstance.into());
        }
        // The room is kept until the answer is given. At most one body per instance stays in memory longer.
        let (bytes, _room) = self.door.bytes(headers, body).await?;
        let body = understood(headers, bytes)?;
        let instance = match admission {
            Admission::Instance(id) => id,
            _ => self.named(&body, admission, token)?,
        };
        let intake = self.intakes.of(instance).ok_or(Refusal::Starting)?;
        intake.take(Notification { instance, receipt_id: None, body }).await.map_err(Refusal::NotNow)
    }

    /// The instance that a body names, if it has the call's token.
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
}

/// What a call's body means, given its head.
///
/// # Errors
/// If the body is empty, or if its coding may be why it cannot be read.
pub fn understood(head: &HeaderMap, bytes: Vec<u8>) -> Result<event::Body, Refused> {
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
        // The same as `"body": null` from the queue.
        Ok(raw) if raw.get() == "null" => {
            undecodable(text.into_bytes(), DeadLetterReason::NoBody, "a call without a body".to_owned())
        }
        Ok(raw) => event::Body::Json(raw),
        Err(error) => {
            // Only the place, because serde_json's own message may quote the content.
            let error = format!("not JSON, line {} column {}", error.line(), error.column());
            undecodable(text.into_bytes(), DeadLetterReason::NotJson, error)
        }
    })
}

fn undecodable(bytes: Vec<u8>, reason: DeadLetterReason, error: String) -> event::Body {
    event::Body::Undecodable { bytes, reason, error, receipt_at: 0..0 }
}
