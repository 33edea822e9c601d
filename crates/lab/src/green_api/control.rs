//! `/simulator/…`: the same handles as [`super::Simulator`], for another process. Not part of GREEN-API.
//!
//! | request | does |
//! | --- | --- |
//! | `POST /instances` `{"id":1101,"token":"…"}` | adds an instance |
//! | `PATCH /instances/{id}` ([`InstanceChange`]) | changes its state, settings, webhook or contacts: from queue to push and back |
//! | `POST /enqueue/{id}` | queues the body verbatim, JSON or not |
//! | `POST /generate/{id}?events=&seed=&chats=&first=` | queues generated events |
//! | `GET /depth` | events in each queue |
//! | `GET /waiting` | long polls that wait right now |
//! | `GET /emptied?timeout_seconds=` | waits until every queue is empty |
//!
//! Faults ([`super::Fault`]) and the journal are as in [`control`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, patch, post};
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::account::{Contact, InstanceState};
use super::config::SimulatedInstance;
use super::generator::{GENERATED_EVENTS_MAX, Generator};
use super::instance::Instance;
use super::world::World;
use crate::kit::answers;
use crate::kit::control::{self, Answer, Controlled as _, Refusal};

/// What `PATCH /simulator/instances/{id}` changes; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstanceChange {
    /// `stateInstance`.
    pub state: Option<InstanceState>,
    /// `webhookUrl`: events are pushed there; empty switches the queue back on.
    pub webhook_url: Option<String>,
    /// `webhookUrlToken`.
    pub webhook_token: Option<String>,
    /// Settings by their GREEN-API names.
    pub settings: BTreeMap<String, Value>,
    /// Contacts by chat id.
    pub contacts: BTreeMap<String, Contact>,
}

impl InstanceChange {
    pub(super) fn apply(self, instance: &Instance) {
        instance.change_account(|account| {
            if let Some(state) = self.state {
                account.state = state;
            }
            if let Some(url) = self.webhook_url {
                account.set_webhook_url(&url);
            }
            if let Some(token) = self.webhook_token {
                account.set_webhook_token(&token);
            }
            for (key, value) in self.settings {
                account.set(&key, value);
            }
            for (chat, contact) in self.contacts {
                account.set_contact(&chat, contact);
            }
        });
    }
}

/// How long `GET /emptied` waits when not told, and at most.
const EMPTIED_TIMEOUT_SECONDS: u64 = 60;
const EMPTIED_TIMEOUT_SECONDS_MAX: u64 = 3600;

pub(super) fn router() -> Router<Arc<World>> {
    control::router()
        .route("/instances", post(add_instance))
        .route("/instances/{id}", patch(change_instance))
        .route("/enqueue/{id}", post(enqueue))
        .route("/generate/{id}", post(generate))
        .route("/depth", get(depth))
        .route("/waiting", get(waiting))
        .route("/emptied", get(emptied))
}

fn find(world: &World, id: u64) -> Result<Arc<Instance>, Refusal> {
    world.instance(id).ok_or_else(|| Refusal::new(404, format!("there is no instance {id}")))
}

async fn add_instance(State(world): State<Arc<World>>, body: Body) -> Answer {
    let made: SimulatedInstance = world.kit().read_json(body).await?;
    let id = made.id;
    world.add(made).map_err(|error| Refusal::new(409, error))?;
    Ok(answers::json(&json!({ "id": id })))
}

async fn change_instance(State(world): State<Arc<World>>, Path(id): Path<u64>, body: Body) -> Answer {
    let instance = find(&world, id)?;
    world.kit().read_json::<InstanceChange>(body).await?.apply(&instance);
    Ok(answers::json(&json!({ "id": id })))
}

async fn enqueue(State(world): State<Arc<World>>, Path(id): Path<u64>, body: Body) -> Answer {
    let instance = find(&world, id)?;
    let body = world.kit().read_body(body).await?;
    let entry = instance.enqueue(body).map_err(|full| Refusal::new(503, full))?;
    Ok(answers::json(&json!({ "entry": entry })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Generate {
    events: usize,
    #[serde(default)]
    seed: u64,
    chats: Option<usize>,
    /// The number of the first event, so that a second batch repeats no `idMessage`.
    #[serde(default = "first_sequence")]
    first: u64,
}

fn first_sequence() -> u64 {
    1
}

async fn generate(State(world): State<Arc<World>>, Path(id): Path<u64>, Query(wanted): Query<Generate>) -> Answer {
    let instance = find(&world, id)?;
    let mut generator = Generator::new(id, wanted.seed).starting_at(wanted.first);
    if let Some(chats) = wanted.chats {
        generator = generator.with_chats(chats);
    }
    for made in 0..wanted.events.min(GENERATED_EVENTS_MAX) {
        let body = Bytes::from(generator.body());
        instance.enqueue(body).map_err(|full| Refusal::new(503, full))?;
        if made % 1_000 == 999 {
            tokio::task::yield_now().await;
        }
    }
    Ok(answers::json(&json!({ "next": generator.next_sequence() })))
}

async fn depth(State(world): State<Arc<World>>) -> Response {
    let depths: BTreeMap<_, _> =
        world.instances().iter().map(|instance| (instance.id().to_string(), instance.depth())).collect();
    answers::json(&json!({ "total": depths.values().sum::<usize>(), "instances": depths }))
}

async fn waiting(State(world): State<Arc<World>>) -> Response {
    answers::json(&json!({ "polls": world.waiting() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Emptied {
    timeout_seconds: Option<u64>,
}

async fn emptied(State(world): State<Arc<World>>, Query(wanted): Query<Emptied>) -> Response {
    let seconds = wanted.timeout_seconds.unwrap_or(EMPTIED_TIMEOUT_SECONDS).min(EMPTIED_TIMEOUT_SECONDS_MAX);
    let emptied = tokio::select! {
        () = world.emptied() => true,
        () = tokio::time::sleep(Duration::from_secs(seconds)) => false,
        () = world.kit().stop.cancelled() => false,
    };
    answers::json(&json!({ "emptied": emptied }))
}
