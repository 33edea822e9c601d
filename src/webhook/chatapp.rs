//! `POST /chatapp/<secret>`: what ChatApp pushes to its `callbackUrl` (reference chatapp §4). It says nothing of who it is,
//! so the path has to.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use secrecy::SecretString;
use tokio::time::{Instant, timeout};

use super::envelope;
use super::gate::is_token;
use super::green_api::Refusal;
use super::{Endpoint, Proof};
use crate::chatapp::intake::Intake;
use crate::http_server::Peer;
use crate::publish::Publisher;
use crate::source::caller::CallerNames;
use crate::source::intake::NotNow;
use crate::telemetry::webhook::Refused;

/// Where ChatApp's calls go.
pub struct Callback {
    secret: SecretString,
    intake: Arc<Intake>,
}

/// The proof that a call may be answered with 200: what it brought is on disk, or it brought nothing.
struct Kept(());

impl Proof for Kept {}

impl Callback {
    /// Calls to `/chatapp/<secret>` go to `intake`.
    #[must_use]
    pub fn new(secret: SecretString, intake: Arc<Intake>) -> Self {
        Self { secret, intake }
    }
}

pub(super) async fn call<P: Publisher, N: CallerNames>(
    State(endpoint): State<Arc<Endpoint<P, N>>>,
    Extension(Peer(peer)): Extension<Peer>,
    Path(secret): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let began = Instant::now();
    match endpoint.keep(peer, &secret, &headers, body).await {
        Ok(kept) => endpoint.ok(kept, began),
        Err(refusal) => endpoint.refused(peer, refusal),
    }
}

impl<P: Publisher, N: CallerNames> Endpoint<P, N> {
    /// Nothing of a body is read before its caller has named the secret.
    async fn keep(
        &self,
        peer: std::net::SocketAddr,
        secret: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Kept, Refusal> {
        // Whoever does not know the secret learns nothing, not even that there is one.
        let callback = self.callback.as_ref().filter(|callback| is_token(&callback.secret, secret));
        let callback = callback.ok_or(Refused::UnknownPath)?;
        if !self.gate.admits(peer.ip(), headers) {
            return Err(Refused::Forbidden.into());
        }
        let (body, _room) = match self.bytes(headers, body).await {
            // This is how ChatApp tries the address when it is set.
            Err(Refusal::Refused(Refused::Empty)) => return Ok(Kept(())),
            read => read?,
        };
        if body.trim_ascii().is_empty() {
            return Ok(Kept(()));
        }
        // A body that is none for itself is kept, and buried when its turn comes.
        if !envelope::is_json(&body) && envelope::is_at_fault(headers, &body) {
            return Err(Refused::Envelope.into());
        }
        // A full spool takes what there is no room for when there is: by then nobody may be waiting any more.
        match timeout(self.settings.answer_timeout, callback.intake.called(body)).await {
            Ok(Ok(())) => Ok(Kept(())),
            Ok(Err(_)) => Err(Refusal::Starting),
            Err(_) => Err(Refusal::NotNow(NotNow::Late)),
        }
    }
}
