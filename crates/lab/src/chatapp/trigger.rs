//! Pusher's HTTP API: what the official SDKs publish through. Not part of ChatApp, whose application is us.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::Request;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::sign::ApiRequest;
use super::world::{Event, World, unix_seconds};
use crate::kit::answers;

/// soketi's limits.
const EVENT_BYTES_MAX: usize = 100 * 1024;
const CHANNELS_MAX: usize = 100;
const BATCH_MAX: usize = 10;

#[derive(Deserialize)]
struct Trigger {
    name: String,
    data: String,
    #[serde(default)]
    channels: Vec<String>,
    channel: Option<String>,
}

#[derive(Deserialize)]
struct Batch {
    batch: Vec<Trigger>,
}

/// `POST /apps/{id}/events`.
pub(super) async fn one(State(world): State<Arc<World>>, Path(app): Path<String>, request: Request<Body>) -> Response {
    match read::<Trigger>(&world, &app, request).await {
        Ok(trigger) => publish(&world, &[trigger]),
        Err(refused) => refused,
    }
}

/// `POST /apps/{id}/batch_events`.
pub(super) async fn many(State(world): State<Arc<World>>, Path(app): Path<String>, request: Request<Body>) -> Response {
    match read::<Batch>(&world, &app, request).await {
        Ok(Batch { batch }) if batch.len() > BATCH_MAX => {
            answers::plain(400, format!("more than {BATCH_MAX} events in a batch"))
        }
        Ok(Batch { batch }) => publish(&world, &batch),
        Err(refused) => refused,
    }
}

/// All or none.
fn publish(world: &Arc<World>, triggers: &[Trigger]) -> Response {
    if triggers.iter().any(|trigger| trigger.data.len() > EVENT_BYTES_MAX) {
        return answers::plain(413, format!("an event's data may have {EVENT_BYTES_MAX} bytes"));
    }
    if triggers.iter().any(|trigger| trigger.channels.len() > CHANNELS_MAX) {
        return answers::plain(400, format!("an event may go to {CHANNELS_MAX} channels"));
    }
    for Trigger { name, data, channels, channel } in triggers {
        for channel in channels.iter().chain(channel) {
            world.publish(&Event { channel: channel.clone(), name: name.clone(), body: data.clone() });
        }
    }
    answers::json_text(200, r#"{"ok":true}"#)
}

/// The body, once the signature is found to be right.
async fn read<T: DeserializeOwned>(world: &World, app: &str, request: Request<Body>) -> Result<T, Response> {
    let (Parts { method, uri, .. }, body) = request.into_parts();
    if app != world.config.app.id {
        return Err(answers::plain(404, "there is no such app"));
    }
    let body = world.kit.read_body(body).await.map_err(IntoResponse::into_response)?;
    let query: Vec<_> = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let signed = ApiRequest {
        method: method.as_str(),
        path: uri.path(),
        query: &query,
        body: &body,
        unix_seconds: unix_seconds(),
    };
    world.config.app.check(&signed).map_err(|why| answers::plain(401, why))?;
    serde_json::from_slice(&body).map_err(|error| answers::plain(400, error.to_string()))
}
