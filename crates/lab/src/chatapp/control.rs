//! `/simulator/…`: the same handles as [`super::ChatAppSimulator`], for another process. Not part of ChatApp.
//!
//! | request | does |
//! | --- | --- |
//! | `POST /acts` ([`Act`]) | strikes now |
//! | `POST /publish` `{"channel":"…","name":"…","body":{…}}` | publishes; a body that is text goes as it is |
//! | `POST /generate?events=&seed=&first=` | publishes generated events |
//! | `GET /status` | sockets and subscribers |
//!
//! Faults ([`super::Fault`]) and the journal are as in [`control`].

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::Act;
use super::generator::{GENERATED_EVENTS_MAX, Generator};
use super::world::{Event, World};
use crate::kit::answers::json;
use crate::kit::control::{self, Answer};

pub(super) fn router() -> Router<Arc<World>> {
    control::router()
        .route("/acts", post(act))
        .route("/publish", post(publish))
        .route("/generate", post(generate))
        .route("/status", get(status))
}

async fn act(State(world): State<Arc<World>>, body: Body) -> Answer {
    let act: Act = world.kit.read_json(body).await?;
    world.strike(&act);
    Ok(json(&json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Publish {
    channel: String,
    name: String,
    body: Value,
}

async fn publish(State(world): State<Arc<World>>, body: Body) -> Answer {
    let Publish { channel, name, body } = world.kit.read_json(body).await?;
    let body = match body {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let publication = world.publish(&Event { channel, name, body });
    Ok(json(&json!({"publication": publication})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generate {
    events: usize,
    #[serde(default)]
    seed: u64,
    /// The number of the first message, so that a second batch repeats no id.
    #[serde(default = "first")]
    first: u64,
}

fn first() -> u64 {
    1
}

async fn generate(State(world): State<Arc<World>>, Query(wanted): Query<Generate>) -> Response {
    let mut generator = Generator::new(&world.config, wanted.seed).starting_at(wanted.first);
    for made in 1..=wanted.events.min(GENERATED_EVENTS_MAX) {
        world.publish(&generator.event());
        if made % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    json(&json!({"next": generator.next_sequence()}))
}

async fn status(State(world): State<Arc<World>>) -> Response {
    let channels: BTreeMap<_, _> = world
        .config
        .channels()
        .into_iter()
        .map(|channel| {
            let subscribers = world.hub.subscribers(&channel);
            (channel, subscribers)
        })
        .collect();
    json(&json!({"sockets": world.hub.sockets(), "subscribers": channels}))
}
