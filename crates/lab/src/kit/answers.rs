//! Answers in plain words, and the two ways of not answering.

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::http::response::Parts;
use serde::Serialize;

use super::pieces::Pieces;

/// Tells the connection, by a response extension, to end without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hangup {
    /// With a TCP reset.
    Reset,
    /// With an orderly close.
    Close,
}

pub(crate) fn hang_up(how: Hangup) -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(how);
    response
}

/// Text with a status; browsers may read it from anywhere, as at GREEN-API.
pub(crate) fn answer(status: u16, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

pub(crate) fn json_text(status: u16, body: impl Into<Body>) -> Response {
    answer(status, "application/json; charset=utf-8", body)
}

pub(crate) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => json_text(200, body),
        Err(error) => plain(500, error.to_string()),
    }
}

pub(crate) fn plain(status: u16, body: impl Into<Body>) -> Response {
    answer(status, "text/plain; charset=utf-8", body)
}

/// The answer was made in memory, so reading it back needs no bound of its own.
pub(crate) async fn taken_apart(response: Response) -> Result<(Parts, Bytes), axum::Error> {
    let (parts, body) = response.into_parts();
    Ok((parts, axum::body::to_bytes(body, usize::MAX).await?))
}

/// The same answer, its connection lost after so many bytes of the body.
pub(crate) async fn truncated(response: Response, bytes: usize) -> Response {
    if response.extensions().get::<Hangup>().is_some() {
        return response;
    }
    let Ok((mut parts, whole)) = taken_apart(response).await else { return hang_up(Hangup::Close) };
    parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
    let kept = whole.slice(..bytes.min(whole.len()));
    Response::from_parts(parts, Body::new(Pieces::broken_off([kept].into())))
}
