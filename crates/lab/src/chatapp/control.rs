//! `/simulator/…`: the same handles as [`super::ChatAppSimulator`], for another process. Not part of ChatApp.
//!
//! | request | does |
//! | --- | --- |
//! | `POST /faults` ([`Fault`]), `GET /faults`, `DELETE /faults` | adds, lists, clears |
//! | `POST /acts` ([`Act`]) | strikes now |
//! | `POST /publish` `{"channel":"…","name":"…","body":{…}}` | publishes; a body that is text goes as it is |
//! | `POST /generate?events=&seed=&first=` | publishes generated events |
//! | `GET /status` | sockets and subscribers |
//! | `GET /journal?after=` | JSON lines, from that sequence number on |

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::fault::{Act, Fault};
use super::generator::{GENERATED_EVENTS_MAX, Generator};
use super::world::{Event, World};
use crate::green_api::answers;

/// Entries one answer holds at most; ask again after the last.
const JOURNAL_LINES_MAX: usize = 100_000;

pub(super) fn router() -> Router<Arc<World>> {
    Router::new()
        .route("/faults", post(add_fault).get(list_faults).delete(clear_faults))
        .route("/acts", post(act))
        .route("/publish", post(publish))
        .route("/generate", post(generate))
        .route("/status", get(status))
        .route("/journal", get(journal))
}

type Answer = Result<Response, Response>;

fn json(value: &Value) -> Response {
    answers::json_text(200, value.to_string())
}

async fn read<T: DeserializeOwned>(world: &World, body: Body) -> Result<T, Response> {
    let bytes = axum::body::to_bytes(body, world.config.body_bytes_max).await;
    let bytes = bytes.map_err(|_| answers::plain(413, "the body is too large"))?;
    serde_json::from_slice(&bytes).map_err(|error| answers::plain(400, error.to_string()))
}

async fn add_fault(State(world): State<Arc<World>>, body: Body) -> Answer {
    let fault: Fault = read(&world, body).await?;
    world.faults.add(fault).map_err(|refused| answers::plain(400, refused.to_string()))?;
    Ok(json(&json!({"faults": world.faults.pending().len()})))
}

async fn list_faults(State(world): State<Arc<World>>) -> Response {
    json(&json!(world.faults.pending()))
}

async fn clear_faults(State(world): State<Arc<World>>) -> Response {
    world.faults.clear();
    json(&json!({"faults": 0}))
}

async fn act(State(world): State<Arc<World>>, body: Body) -> Answer {
    let act: Act = read(&world, body).await?;
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
    let Publish { channel, name, body } = read(&world, body).await?;
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalFrom {
    #[serde(default)]
    after: u64,
}

async fn journal(State(world): State<Arc<World>>, Query(from): Query<JournalFrom>) -> Response {
    let entries = world.journal.after(from.after);
    let mut lines = Vec::new();
    for entry in entries.iter().take(JOURNAL_LINES_MAX) {
        if let Err(error) = serde_json::to_writer(&mut lines, entry) {
            return answers::plain(500, error.to_string());
        }
        lines.push(b'\n');
    }
    answers::json_lines(lines.into())
}
