//! From a request to an answer: the shape of the URL, who is asking, how often, and what goes wrong.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;
use axum::routing::post;
use axum::{Router, http};
use tokio::time::sleep;

use super::answers;
use super::fault::{Effect, Fault, FaultKind};
use super::instance::{Admission, Instance};
use super::method::Method;
use super::methods::{Call, perform, perform_with_thief};
use super::world::World;
use super::{control, debug_endpoint};
use crate::kit::answers::{Hangup, hang_up, json_text, plain, truncated};
use crate::kit::control::Controlled as _;

/// Everything the simulator answers.
pub(super) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/", post(debug_endpoint::post))
        .route("/v1", post(debug_endpoint::post))
        .route("/v1/", post(debug_endpoint::post))
        .nest("/simulator", control::router())
        .fallback(call)
        .method_not_allowed_fallback(wrong_verb)
        .with_state(world)
}

/// The wrong verb is nginx's 404, not a 405.
async fn wrong_verb() -> Response {
    answers::nginx(404)
}

/// `[/v3]/waInstance{id}/{method}/{token}[/{argument}]`.
#[derive(Debug, PartialEq, Eq)]
struct CallPath<'p> {
    instance: &'p str,
    method: &'p str,
    token: Option<&'p str>,
    argument: Option<&'p str>,
}

impl<'p> CallPath<'p> {
    fn parse(path: &'p str) -> Option<Self> {
        let path = path.strip_prefix("/v3").unwrap_or(path);
        let mut segments = path.strip_prefix("/waInstance")?.split('/');
        let (instance, method) = (segments.next()?, segments.next()?);
        let mut optional = || segments.next().filter(|segment| !segment.is_empty());
        let (token, argument) = (optional(), optional());
        segments.next().is_none().then_some(Self { instance, method, token, argument })
    }
}

/// One call of a GREEN-API method. What is checked first is not documented; the order here is nginx's
/// business (path, verb, instance) before the application's (token, rate).
async fn call(State(world): State<Arc<World>>, request: Request<Body>) -> Response {
    if !world.latency.is_zero() {
        sleep(world.latency).await;
    }
    if request.method() == http::Method::OPTIONS {
        return answers::no_content();
    }
    let (request, body) = request.into_parts();
    let path = request.uri.path();
    let Some(parsed) = CallPath::parse(path) else {
        return answers::nginx(404);
    };
    let Some(method) = Method::from_path(parsed.method).filter(|method| method.verb() == request.method) else {
        return answers::nginx(404);
    };
    let Ok(id) = parsed.instance.parse() else {
        return plain(400, "Parameter idInstance not an integer");
    };
    let Some(instance) = world.instance(id) else {
        return answers::nginx(403);
    };
    let Some(token) = parsed.token else {
        return plain(400, "Parameter apiTokenInstance not define");
    };
    if !instance.knows(token) {
        return answers::unauthorized();
    }
    let call = Call { method, path, query: request.uri.query(), argument: parsed.argument, body };
    match instance.admit(method, tokio::time::Instant::now()) {
        Admission::TooMany => plain(429, answers::TOO_MANY_REQUESTS),
        Admission::Admitted(None) => perform(&world, &instance, call).await,
        Admission::Admitted(Some(fault)) => misbehave(&world, &instance, call, &fault).await,
    }
}

async fn misbehave(world: &World, instance: &Arc<Instance>, call: Call<'_>, fault: &Fault) -> Response {
    let path = call.path;
    match &fault.kind {
        FaultKind::Delay { duration_ms } => {
            world.kit().pause(Duration::from_millis(*duration_ms)).await;
            return perform(world, instance, call).await;
        }
        FaultKind::Truncate { bytes } => {
            let answer = perform(world, instance, call).await;
            return truncated(answer, *bytes).await;
        }
        FaultKind::OtherStatus { code } => {
            return answers::under_another_status(perform(world, instance, call).await, *code).await;
        }
        FaultKind::Compressed { coding } => {
            return answers::compressed(perform(world, instance, call).await, *coding).await;
        }
        FaultKind::StolenBySecondConsumer => {
            return perform_with_thief(world, instance, call).await;
        }
        _ => {}
    }
    if fault.effect == Effect::Done {
        // Only the effect is wanted; this answer goes nowhere.
        drop(perform(world, instance, call).await);
    }
    match &fault.kind {
        FaultKind::Status { code, body, retry_after_seconds } => {
            answers::status(*code, body.clone(), *retry_after_seconds)
        }
        FaultKind::Nginx { code } => answers::nginx(*code),
        FaultKind::Reset => hang_up(Hangup::Reset),
        FaultKind::Hang { duration_ms } => {
            world.kit().pause(Duration::from_millis(*duration_ms)).await;
            hang_up(Hangup::Close)
        }
        FaultKind::EmptyAtOnce => answers::empty(),
        FaultKind::EmptyBody => json_text(200, Body::empty()),
        FaultKind::EmptyObject => json_text(200, "{}"),
        FaultKind::RawBody { body } => json_text(200, body.clone()),
        FaultKind::ResultFalse => answers::result_false(),
        FaultKind::AlreadyGone => answers::already_gone(path),
        FaultKind::Delay { .. }
        | FaultKind::Truncate { .. }
        | FaultKind::OtherStatus { .. }
        | FaultKind::Compressed { .. }
        | FaultKind::StolenBySecondConsumer
        | FaultKind::Trickle { .. }
        | FaultKind::Overlap { .. }
        | FaultKind::Twice => hang_up(Hangup::Close),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: Option<(&str, &str, Option<&str>, Option<&str>)>) {
        let expected =
            expected.map(|(instance, method, token, argument)| CallPath { instance, method, token, argument });
        assert_eq!(CallPath::parse(path), expected, "{path}");
    }

    #[test]
    fn paths_are_taken_apart() {
        check("/waInstance1101/getSettings/abc", Some(("1101", "getSettings", Some("abc"), None)));
        check(
            "/v3/waInstance3100/deleteNotification/abc/42",
            Some(("3100", "deleteNotification", Some("abc"), Some("42"))),
        );
        check("/waInstancex/getSettings", Some(("x", "getSettings", None, None)));
        check("/waInstance1/getSettings/", Some(("1", "getSettings", None, None)));
        check("/waInstance1", None);
        check("/waInstance1/deleteNotification/abc/42/43", None);
        check("/v4/waInstance1/getSettings/abc", None);
        check("/", None);
    }
}
