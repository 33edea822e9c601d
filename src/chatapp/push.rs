//! `POST /chatapp/<secret>`: what ChatApp pushes to its `callbackUrl`. The call itself does not identify the caller, so
//! the path has to.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use axum::routing::post;
use secrecy::SecretString;
use tokio::time::{Instant, timeout};

use super::hear::intake::Intake;
use super::keep::spool::Stored;
use crate::inbound::calls::{NotNow, Refused};
use crate::inbound::door::{Door, Proof, Refusal};
use crate::inbound::envelope;
use crate::inbound::gate::is_token;
use crate::inbound::server::Peer;

/// The endpoint of ChatApp's calls.
pub struct Callback {
    secret: SecretString,
    intake: Arc<Intake>,
}

impl Callback {
    /// Calls to `/chatapp/<secret>` go to `intake`.
    #[must_use]
    pub fn new(secret: SecretString, intake: Arc<Intake>) -> Self {
        Self { secret, intake }
    }
}

/// The body of the call is on disk.
impl Proof for Stored {}

/// A call without items: ChatApp tests the address this way when it is set.
struct Nothing;

impl Proof for Nothing {}

/// What a call needs.
struct Endpoint {
    door: Arc<Door>,
    /// Present only when ChatApp may call.
    callback: Option<Callback>,
}

/// The path that ChatApp calls. It always exists, so that nobody can tell whether callbacks are configured.
pub fn router(door: Arc<Door>, callback: Option<Callback>) -> Router {
    Router::new().route("/chatapp/{secret}", post(call)).with_state(Arc::new(Endpoint { door, callback }))
}

async fn call(
    State(endpoint): State<Arc<Endpoint>>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(secret): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let began = Instant::now();
    match endpoint.keep(peer, &secret, &headers, body).await {
        Ok(Some(stored)) => endpoint.door.ok(stored, began),
        Ok(None) => endpoint.door.ok(Nothing, began),
        Err(refusal) => endpoint.door.refused(peer, refusal),
    }
}

impl Endpoint {
    /// Stores the body of the call; `None` if it had none. The body is only read after the caller has given the secret.
    async fn keep(
        &self,
        peer: SocketAddr,
        secret: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Option<Stored>, Refusal> {
        // A caller without the secret must not learn whether there is one.
        let callback = self.callback.as_ref().filter(|callback| is_token(&callback.secret, secret));
        let callback = callback.ok_or(Refused::UnknownPath)?;
        self.door.admit(peer, headers)?;
        let (body, _room) = match self.door.bytes(headers, body).await {
            Err(Refusal::Refused(Refused::Empty)) => return Ok(None),
            read => read?,
        };
        if body.trim_ascii().is_empty() {
            return Ok(None);
        }
        // A body that is not JSON for a reason of its own is kept, and goes to the dead letters in its turn.
        if !envelope::is_json(&body) && envelope::is_at_fault(headers, &body) {
            return Err(Refused::Envelope.into());
        }
        // A full spool waits for room. The caller may have given up by then.
        match timeout(self.door.answer_timeout(), callback.intake.called(body)).await {
            Ok(Ok(stored)) => Ok(Some(stored)),
            Ok(Err(_)) => Err(Refusal::Starting),
            Err(_) => Err(Refusal::NotNow(NotNow::Late)),
        }
    }
}
