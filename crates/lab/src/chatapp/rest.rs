//! ChatApp's REST API and its authorisation endpoint: from a request to an answer, and what goes wrong.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::archive::{Page, PageRequest};
use super::call::Call;
use super::channel::Line;
use super::config::Login;
use super::fault::FaultKind;
use super::tokens::{NoToken, Pair};
use super::world::{World, unix_seconds};
use crate::kit::answers::{self, Hangup};

/// The only code that the vendor names; the others are made up, as their real ones are not known.
const INVALID_TOKEN: Failure = Failure { status: 403, code: "ApiInvalidTokenError" };
const WRONG_LOGIN: Failure = Failure { status: 403, code: "ApiInvalidCredentialsError" };
const TOO_MANY_LOGINS: Failure = Failure { status: 403, code: "ApiTokensLimitError" };
const TOO_MANY_REQUESTS: Failure = Failure { status: 429, code: "ApiTooManyRequestsError" };
const NOT_YOURS: Failure = Failure { status: 403, code: "ApiAccessDeniedError" };
const NO_SUCH_PATH: Failure = Failure { status: 404, code: "ApiNotFoundError" };
const MEANINGLESS: Failure = Failure { status: 422, code: "ApiValidationError" };
const TOO_LARGE: Failure = Failure { status: 413, code: "ApiPayloadTooLargeError" };

/// What a page of HTML in place of JSON looks like.
const GARBAGE: &str = "<!DOCTYPE html><html><head><title>ChatApp</title></head><body>Please wait…";

#[derive(Clone, Copy, Debug)]
struct Failure {
    status: u16,
    code: &'static str,
}

impl Failure {
    fn into_response(self) -> Response {
        let error = json!({"code": self.code, "message": "simulated"});
        answers::json_text(self.status, json!({"success": false, "error": error}).to_string())
    }
}

type Answer = Result<Value, Failure>;

/// One request. What is checked first is not known; here it is path, rate, fault, token.
pub(super) async fn call(State(world): State<Arc<World>>, request: Request<Body>) -> Response {
    if !world.config.latency.is_zero() {
        world.kit.pause(world.config.latency).await;
    }
    let (parts, body) = request.into_parts();
    let Some(call) = Call::parse(&parts.method, parts.uri.path()) else {
        return NO_SUCH_PATH.into_response();
    };
    if !world.admits_request() {
        return TOO_MANY_REQUESTS.into_response();
    }
    match world.fault(call.place()) {
        Some(FaultKind::Status { code }) => Failure { status: code, code: "ApiSimulatedError" }.into_response(),
        Some(FaultKind::InvalidToken) => INVALID_TOKEN.into_response(),
        Some(FaultKind::Garbled) => answers::json_text(200, GARBAGE),
        Some(FaultKind::Reset) => answers::hang_up(Hangup::Reset),
        Some(FaultKind::Hang { duration_ms }) => {
            world.kit.pause(Duration::from_millis(duration_ms)).await;
            answers::hang_up(Hangup::Close)
        }
        Some(FaultKind::Truncate { bytes }) => {
            answers::truncated(perform(&world, call, &parts, body).await, bytes).await
        }
        Some(FaultKind::Delay { duration_ms }) => {
            world.kit.pause(Duration::from_millis(duration_ms)).await;
            perform(&world, call, &parts, body).await
        }
        _ => perform(&world, call, &parts, body).await,
    }
}

async fn perform(world: &Arc<World>, call: Call, parts: &Parts, body: Body) -> Response {
    if call.needs_token()
        && !header(&parts.headers, "authorization").is_some_and(|token| world.tokens().knows(token, unix_seconds()))
    {
        return INVALID_TOKEN.into_response();
    }
    if call.line().is_some_and(|line| !world.config.lines().any(|ours| ours == *line)) {
        return NOT_YOURS.into_response();
    }
    let Ok(body) = world.kit.read_body(body).await else {
        return TOO_LARGE.into_response();
    };
    let query: Vec<(String, String)> =
        form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let answer = match call {
        Call::Authorise => {
            // Laravel's own answer, without the envelope.
            return match authorise(world, &parts.headers, &body) {
                Ok(auth) => answers::json_text(200, json!({"auth": auth}).to_string()),
                Err(failure) => failure.into_response(),
            };
        }
        Call::MakeTokens => make(world, &body),
        Call::RefreshTokens => refresh(world, &parts.headers),
        Call::CheckTokens => Ok(json!(true)),
        Call::Me => Ok(json!({"id": world.config.user, "email": world.config.login.email})),
        Call::Licences => Ok(licences(world)),
        Call::Companies => Ok(json!({"items": [{"companyId": world.config.company}], "nextPage": null})),
        Call::AllChats => all_chats(world, &query),
        Call::Chats(line) => page(&query, |request| world.shared().archive.chats(|one| *one == line, request)),
        Call::Messages(line, chat) => page(&query, |request| world.shared().archive.messages(&line, &chat, request)),
        Call::Callbacks => Ok(json!([])),
    };
    match answer {
        Ok(data) => answers::json_text(200, json!({"success": true, "data": data}).to_string()),
        Err(failure) => failure.into_response(),
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn make(world: &World, body: &[u8]) -> Answer {
    let login: Login = serde_json::from_slice(body).map_err(|_| MEANINGLESS)?;
    let made = world.tokens().make(&login, unix_seconds());
    tokens(world, made)
}

/// The header `Refresh`; a body is not looked at.
fn refresh(world: &World, headers: &HeaderMap) -> Answer {
    let token = header(headers, "refresh").ok_or(INVALID_TOKEN)?;
    let made = world.tokens().refresh(token, unix_seconds());
    tokens(world, made)
}

fn tokens(world: &World, made: Result<Pair, NoToken>) -> Answer {
    let pair = made.map_err(|why| match why {
        NoToken::WrongLogin => WRONG_LOGIN,
        NoToken::TooManyLogins => TOO_MANY_LOGINS,
        NoToken::Invalid => INVALID_TOKEN,
    })?;
    Ok(json!({
        "cabinetUserId": world.config.user,
        "accessToken": pair.access,
        "accessTokenEndTime": pair.access_end,
        "refreshToken": pair.refresh,
        "refreshTokenEndTime": pair.refresh_end,
    }))
}

fn licences(world: &World) -> Value {
    let in_a_year = unix_seconds() + 365 * 24 * 60 * 60;
    let licence = |licence: &super::config::Licence| {
        let messenger = |kind: &String| json!({"type": kind, "name": kind, "info": {"phone": null}});
        json!({
            "licenseId": licence.id,
            "licenseTo": in_a_year,
            "licenseName": null,
            "meOwner": true,
            "active": true,
            "status": {"id": 4, "code": "paid"},
            "messenger": licence.messengers.iter().map(messenger).collect::<Vec<_>>(),
            "app": [{"type": "webchat", "name": "Webchat"}],
            "access": [],
        })
    };
    world.config.licences.iter().map(licence).collect()
}

fn page(query: &[(String, String)], look: impl FnOnce(&PageRequest) -> Page) -> Answer {
    let request = PageRequest::read(query).map_err(|_| MEANINGLESS)?;
    let page = look(&request);
    Ok(json!({"items": page.items, "nextPage": page.next}))
}

/// `filter[licenseIds]` narrows it.
fn all_chats(world: &World, query: &[(String, String)]) -> Answer {
    let filter = query.iter().find(|(key, _)| key == "filter[licenseIds]");
    let wanted = filter.map(|(_, ids)| ids.split(',').map(str::parse::<u64>).collect::<Result<Vec<_>, _>>());
    let wanted = wanted.transpose().map_err(|_| MEANINGLESS)?;
    let has = |line: &Line| wanted.as_ref().is_none_or(|ids| ids.contains(&line.licence));
    page(query, |request| world.shared().archive.chats(has, request))
}

/// A form, as pusher-js sends it, or JSON.
fn authorise(world: &World, headers: &HeaderMap, body: &[u8]) -> Result<String, Failure> {
    let is_json = header(headers, "content-type").is_some_and(|kind| kind.starts_with("application/json"));
    let fields: Vec<(String, String)> = if is_json {
        let object: std::collections::BTreeMap<String, Value> =
            serde_json::from_slice(body).map_err(|_| MEANINGLESS)?;
        object.into_iter().filter_map(|(key, value)| Some((key, value.as_str()?.to_owned()))).collect()
    } else {
        form_urlencoded::parse(body).into_owned().collect()
    };
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let (Some(socket_id), Some(channel)) = (field("socket_id"), field("channel_name")) else {
        return Err(MEANINGLESS);
    };
    if !world.config.channels().iter().any(|ours| ours == channel) {
        return Err(NOT_YOURS);
    }
    Ok(world.config.app.authorise(socket_id, channel))
}
