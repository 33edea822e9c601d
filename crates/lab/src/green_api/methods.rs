//! What each method does when nothing goes wrong.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use super::account::InstanceState;
use super::answers;
use super::config::SpentReceipt;
use super::instance::{Instance, Look};
use super::method::Method;
use super::world::{World, sleep_until_some};
use crate::kit::answers::{json, plain};
use crate::kit::control::Controlled as _;

/// `receiveTimeout` in seconds: what is allowed, and what counts when it is absent.
const RECEIVE_TIMEOUT_SECONDS: std::ops::RangeInclusive<u64> = 5..=60;
const RECEIVE_TIMEOUT_SECONDS_DEFAULT: u64 = 5;

/// A request that has passed the gate.
pub(super) struct Call<'r> {
    pub(super) method: Method,
    /// The whole path, token and all: one answer repeats it.
    pub(super) path: &'r str,
    pub(super) query: Option<&'r str>,
    /// What follows the token: the `receiptId`.
    pub(super) argument: Option<&'r str>,
    pub(super) body: Body,
}

/// Runs the method and waits for its answer.
pub(super) async fn perform(world: &World, instance: &Arc<Instance>, call: Call<'_>) -> Response {
    match call.method {
        Method::Receive => receive(world, instance, call.query, false).await,
        Method::Delete => delete(world, instance, &call, false),
        Method::State => json(&instance.read_account(|account| account.state.answer())),
        Method::Status => json(&status(instance)),
        Method::Settings => instance.read_account(|account| json(account.settings())),
        Method::SetSettings => set_settings(world, instance, call.body).await,
        Method::Contact => contact(world, instance, call.body).await,
        Method::Count => json(&json!({ "count": instance.stale_depth() })),
        Method::Any | Method::Push => answers::nginx(404),
    }
}

/// The same, with a second consumer who deletes what this client was given, or is about to delete.
pub(super) async fn perform_with_thief(world: &World, instance: &Arc<Instance>, call: Call<'_>) -> Response {
    match call.method {
        Method::Receive => receive(world, instance, call.query, true).await,
        Method::Delete => delete(world, instance, &call, true),
        _ => perform(world, instance, call).await,
    }
}

/// Leaving early, because the client hung up, costs nothing: the event is taken in the same
/// step in which the answer is made.
async fn receive(world: &World, instance: &Instance, query: Option<&str>, thief: bool) -> Response {
    let deadline = Instant::now() + receive_timeout(query).min(world.long_poll_max);
    let mut waiting = None;
    loop {
        let changed = instance.changed().notified();
        tokio::pin!(changed);
        // Registered before the look: an event that arrives in between wakes this poll.
        changed.as_mut().enable();
        let hidden_until = match instance.look(Instant::now()) {
            Look::Event(out) => {
                if thief {
                    instance.steal(out.receipt);
                }
                return answers::event(&out);
            }
            Look::Pushes => return plain(400, answers::WEBHOOK_URL_IS_SET),
            Look::Silent => return answers::empty(),
            Look::Nothing { hidden_until } => hidden_until,
        };
        waiting.get_or_insert_with(|| world.wait());
        tokio::select! {
            () = changed => {}
            () = sleep_until_some(hidden_until) => {}
            () = sleep_until(deadline) => return answers::empty(),
            () = world.kit().stop.cancelled() => return answers::empty(),
        }
    }
}

/// Out of range, what happens is unknown: here the nearest allowed value counts, and what
/// is not a number counts as absent, as the C++ SDK's bare `?5` must.
fn receive_timeout(query: Option<&str>) -> Duration {
    let seconds = query
        .unwrap_or_default()
        .split('&')
        .find_map(|pair| pair.strip_prefix("receiveTimeout="))
        .and_then(|value| value.parse().ok())
        .unwrap_or(RECEIVE_TIMEOUT_SECONDS_DEFAULT);
    Duration::from_secs(seconds.clamp(*RECEIVE_TIMEOUT_SECONDS.start(), *RECEIVE_TIMEOUT_SECONDS.end()))
}

fn delete(world: &World, instance: &Instance, call: &Call<'_>, thief: bool) -> Response {
    let Some(receipt) = call.argument.and_then(|receipt| receipt.parse().ok()) else {
        return plain(400, "Parameter receiptId must be a Number");
    };
    if instance.read_account(|account| account.webhook().is_some()) {
        return plain(400, answers::WEBHOOK_URL_IS_SET);
    }
    if thief {
        instance.steal(receipt);
    }
    match (instance.delete(receipt), world.spent_receipt) {
        (Some(_), _) => answers::deleted(),
        (None, SpentReceipt::ResultFalse) => answers::result_false(),
        (None, SpentReceipt::AlreadyGone) => answers::already_gone(call.path),
    }
}

/// Only an authorised instance has a socket.
fn status(instance: &Instance) -> Value {
    let online = instance.read_account(|account| account.state == InstanceState::Authorized);
    json!({ "statusInstance": if online { "online" } else { "offline" } })
}

/// Any of the settings. They take effect at once, where the service takes minutes.
async fn set_settings(world: &World, instance: &Instance, body: Body) -> Response {
    let Ok(body) = world.kit().read_body(body).await else {
        return plain(413, "request entity too large");
    };
    let Ok(settings) = serde_json::from_slice::<BTreeMap<String, Value>>(&body) else {
        return plain(400, "bad request data");
    };
    instance.change_account(|account| settings.into_iter().for_each(|(key, value)| account.set(&key, value)));
    json(&json!({ "saveSettings": true }))
}

/// Any chat but a group; a name that was not set is empty.
async fn contact(world: &World, instance: &Instance, body: Body) -> Response {
    let Ok(body) = world.kit().read_body(body).await else {
        return plain(413, "request entity too large");
    };
    let request: Option<Value> = serde_json::from_slice(&body).ok();
    match request.as_ref().and_then(|request| request["chatId"].as_str()) {
        Some(chat) if !chat.is_empty() && !chat.ends_with("@g.us") => {
            json(&instance.read_account(|account| account.contact(chat)).answer(chat))
        }
        _ => plain(400, "bad request data"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receive_timeout_is_brought_into_range() {
        let cases = [
            (None, 5),
            (Some("receiveTimeout=20"), 20),
            (Some("a=1&receiveTimeout=60"), 60),
            (Some("receiveTimeout=2"), 5),
            (Some("receiveTimeout=600"), 60),
            (Some("receiveTimeout=soon"), 5),
            (Some("5"), 5),
        ];
        for (query, seconds) in cases {
            assert_eq!(receive_timeout(query), Duration::from_secs(seconds), "{query:?}");
        }
    }
}
