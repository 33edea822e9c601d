//! The answers of the service, as reference §2 and §3 print them, and the two ways of not answering.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use hyper::body::{Body as HttpBody, Bytes, Frame};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue, RETRY_AFTER,
};
use hyper::http::response::Parts;
use hyper::{HeaderMap, StatusCode};
use serde::Serialize;

use super::coding::Coding;
use super::queue::HandOut;

/// The 400 of receive and delete while events go to a URL (reference §2.1).
pub(super) const WEBHOOK_URL_IS_SET: &str = "Message cannot be received because custom webhook url is set. \
     Please clear webhook url and wait for about 1 minute";

/// The empty queue.
const EMPTY: &str = "null";

/// The body of a 429 (reference §3).
pub(super) const TOO_MANY_REQUESTS: &str = "Too Many Requests";

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

/// Text with a status; browsers may read it from anywhere (reference §1, CORS).
fn answer(status: u16, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

pub(crate) fn json_text(status: u16, body: impl Into<Body>) -> Response {
    answer(status, "application/json; charset=utf-8", body)
}

pub(super) fn json(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => json_text(200, body),
        Err(error) => plain(500, error.to_string()),
    }
}

pub(crate) fn json_lines(body: Body) -> Response {
    answer(200, "application/jsonl; charset=utf-8", body)
}

pub(crate) fn plain(status: u16, body: impl Into<Body>) -> Response {
    answer(status, "text/plain; charset=utf-8", body)
}

/// The status as nginx words it (reference §3: 403, 404, 502 and 504 were seen like this).
pub(crate) fn nginx(status: u16) -> Response {
    let reason = StatusCode::from_u16(status).ok().and_then(|code| code.canonical_reason()).unwrap_or("Error");
    let reason = match status {
        504 => "Gateway Time-out",
        _ => reason,
    };
    let body = format!(
        "<html>\r\n<head><title>{status} {reason}</title></head>\r\n<body>\r\n\
         <center><h1>{status} {reason}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    answer(status, "text/html", body)
}

/// 401 with nothing in it (reference §3: Content-Length 0 was observed).
pub(super) fn unauthorized() -> Response {
    plain(401, Body::empty())
}

/// OPTIONS (reference §1).
pub(super) fn no_content() -> Response {
    plain(204, Body::empty())
}

/// A status fault.
pub(super) fn status(code: u16, body: String, retry_after_seconds: Option<u32>) -> Response {
    let mut response = if body.starts_with('{') { json_text(code, body) } else { plain(code, body) };
    if let Some(seconds) = retry_after_seconds {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// An event: the body is copied byte for byte, whatever it is (reference §2.1, issue 553: not always JSON).
pub(super) fn event(out: &HandOut) -> Response {
    let receipt = out.receipt.to_string();
    let parts: [&[u8]; 5] = [b"{\"receiptId\":", receipt.as_bytes(), b",\"body\":", &out.body, b"}"];
    json_text(200, parts.concat())
}

/// The empty queue (reference §2.1: `null`).
pub(super) fn empty() -> Response {
    json_text(200, EMPTY)
}

/// The event was removed for good (reference §2.2).
pub(super) fn deleted() -> Response {
    json_text(200, r#"{"result":true,"reason":""}"#)
}

/// The receipt is not the latest of any event (reference §2.2; the words of `reason` are not documented).
pub(super) fn result_false() -> Response {
    json_text(
        200,
        r#"{"result":false,"reason":"Notification was deleted before or the receiptId is not the last one"}"#,
    )
}

/// The 500 that means "already gone"; its `path` holds the token (reference §2.2).
pub(super) fn already_gone(path: &str) -> Response {
    let message = "Cannot read properties of undefined (reading 'findUnAckedMessage')";
    json_text(500, serde_json::json!({ "message": message, "path": path }).to_string())
}

/// The same answer under another status, unless it brings nothing.
pub(super) async fn under_another_status(response: Response, code: u16) -> Response {
    let Ok((mut parts, whole)) = taken_apart(response).await else { return hang_up(Hangup::Close) };
    if &whole[..] != EMPTY.as_bytes() {
        parts.status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    }
    Response::from_parts(parts, Body::from(whole))
}

/// The same answer, compressed.
pub(super) async fn compressed(response: Response, coding: Coding) -> Response {
    let Ok((mut parts, whole)) = taken_apart(response).await else { return hang_up(Hangup::Close) };
    parts.headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
    Response::from_parts(parts, Body::from(coding.encode(&whole).await))
}

/// The answer was made in memory, so reading it back needs no bound of its own.
async fn taken_apart(response: Response) -> Result<(Parts, Bytes), axum::Error> {
    let (parts, body) = response.into_parts();
    Ok((parts, axum::body::to_bytes(body, usize::MAX).await?))
}

/// The same answer, its connection lost after so many bytes of the body.
pub(crate) async fn truncated(response: Response, bytes: usize) -> Response {
    if response.extensions().get::<Hangup>().is_some() {
        return response;
    }
    let Ok((mut parts, whole)) = taken_apart(response).await else { return hang_up(Hangup::Close) };
    promise_length(&mut parts.headers, whole.len());
    let kept = whole.slice(..bytes.min(whole.len()));
    Response::from_parts(parts, Body::new(BrokenOff { state: BrokenOffState::Sending(kept) }))
}

fn promise_length(headers: &mut HeaderMap, length: usize) {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
}

/// A body that gives its bytes, lets them be flushed, and fails.
struct BrokenOff {
    state: BrokenOffState,
}

enum BrokenOffState {
    Sending(Bytes),
    Flushing,
    Broken,
}

impl HttpBody for BrokenOff {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match std::mem::replace(&mut self.state, BrokenOffState::Broken) {
            BrokenOffState::Sending(bytes) => {
                self.state = BrokenOffState::Flushing;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            BrokenOffState::Flushing => {
                // hyper writes what it has before it asks again; failing now would discard the bytes.
                context.waker().wake_by_ref();
                Poll::Pending
            }
            BrokenOffState::Broken => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
        }
    }
}
