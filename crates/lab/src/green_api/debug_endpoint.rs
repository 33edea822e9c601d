//! The debug endpoint: a bare notification posted to the root, or to `/v1/`, joins
//! the queue of the instance it names. On the service it is a host of its own; here it shares the listener.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use serde_json::Value;

use super::answers;
use super::world::World;
use crate::kit::answers::plain;
use crate::kit::control::{Controlled as _, Refusal};

/// The answer is not documented; here an empty 200, and for an instance that does not exist the 403
pub(super) async fn post(State(world): State<Arc<World>>, body: Body) -> Result<Response, Refusal> {
    let body = world.kit().read_body(body).await?;
    let id = named_instance(&body).ok_or_else(|| Refusal::new(400, "bad request data"))?;
    let Some(instance) = world.instance(id) else {
        return Ok(answers::nginx(403));
    };
    instance.enqueue(body).map_err(|full| Refusal::new(503, full))?;
    Ok(plain(200, Body::empty()))
}

/// `instanceData.idInstance`, as a number or, since scalars wobble, as a string of digits.
fn named_instance(body: &[u8]) -> Option<u64> {
    let notification: Value = serde_json::from_slice(body).ok()?;
    let id = &notification["instanceData"]["idInstance"];
    id.as_u64().or_else(|| id.as_str()?.parse().ok())
}
