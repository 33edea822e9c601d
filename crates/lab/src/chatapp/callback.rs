//! The push to a `callbackUrl` (§4): each body by itself, several at the same time, and by default once only.

use std::collections::BTreeSet;
use std::sync::Arc;

use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use tokio::time::timeout;

use super::config::CallbackConfig;
use super::journal::{JournalEvent, PublicationId};
use super::world::World;
use crate::green_api::push_client;

/// Bodies that may wait for their turn; further ones are lost, as they are where nobody retries.
pub(super) const WAITING_MAX: usize = 10_000;

/// Where a channel's events go besides.
#[derive(Clone, Debug)]
pub(super) struct Callback {
    pub(super) url: Url,
    pub(super) events: BTreeSet<String>,
}

/// Sends a body on its way, so many times. Its order among others is not kept, as nobody promised it.
pub(super) fn send(world: &Arc<World>, url: Url, body: String, publication: PublicationId, copies: usize) {
    for _ in 0..copies {
        let Ok(room) = Arc::clone(&world.callbacks_waiting).try_acquire_owned() else {
            world.journal.record(JournalEvent::CalledBack { publication, status: None });
            continue;
        };
        let (world, url, body) = (Arc::clone(world), url.clone(), body.clone());
        let runtime = world.runtime.clone();
        world.tasks.clone().spawn_on(
            async move {
                let stop = world.stop.clone();
                stop.run_until_cancelled(deliver(&world, &url, body, publication)).await;
                drop(room);
            },
            &runtime,
        );
    }
}

async fn deliver(world: &World, url: &Url, body: String, publication: PublicationId) {
    // Closed by nobody.
    let Ok(_place) = world.callbacks_on_their_way.acquire().await else { return };
    let config = &world.config.callback;
    for attempt in 1.. {
        let status = post(config, url, body.clone()).await;
        world.journal.record(JournalEvent::CalledBack { publication, status });
        if status == Some(200) || attempt >= config.attempts_max {
            return;
        }
        world.pause(config.pause).await;
    }
}

/// Whether the URL answers 200 to an empty POST, as it has to when it is registered (§4).
pub(super) async fn answers_an_empty_post(config: &CallbackConfig, url: &Url) -> bool {
    post(config, url, String::new()).await == Some(200)
}

/// The status of the answer, where there is one.
async fn post(config: &CallbackConfig, url: &Url, body: String) -> Option<u16> {
    let request = push_client(url, &[]).ok()?.post(url.clone()).header(CONTENT_TYPE, "application/json").body(body);
    let response = timeout(config.answer_max, request.send()).await.ok()?.ok()?;
    Some(response.status().as_u16())
}
