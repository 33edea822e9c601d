//! The answers of the service, as its documentation prints them.

use axum::body::Body;
use axum::response::Response;
use hyper::StatusCode;
use hyper::header::{CONTENT_ENCODING, HeaderValue, RETRY_AFTER};

use super::coding::Coding;
use super::queue::HandOut;
use crate::kit::answers::{Hangup, answer, hang_up, json_text, plain, taken_apart};

/// The 400 of receive and delete while events go to a URL.
pub(super) const WEBHOOK_URL_IS_SET: &str = "Message cannot be received because custom webhook url is set. \
     Please clear webhook url and wait for about 1 minute";

/// The empty queue.
const EMPTY: &str = "null";

/// The body of a 429.
pub(super) const TOO_MANY_REQUESTS: &str = "Too Many Requests";

/// The status as nginx words it (403, 404, 502 and 504 were seen like this).
pub(super) fn nginx(status: u16) -> Response {
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

/// 401 with nothing in it (Content-Length 0 was observed).
pub(super) fn unauthorized() -> Response {
    plain(401, Body::empty())
}

/// OPTIONS.
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

/// An event: the body is copied byte for byte, whatever it is (issue 553: not always JSON).
pub(super) fn event(out: &HandOut) -> Response {
    let receipt = out.receipt.to_string();
    let parts: [&[u8]; 5] = [b"{\"receiptId\":", receipt.as_bytes(), b",\"body\":", &out.body, b"}"];
    json_text(200, parts.concat())
}

/// The empty queue (`null`).
pub(super) fn empty() -> Response {
    json_text(200, EMPTY)
}

/// The event was removed for good.
pub(super) fn deleted() -> Response {
    json_text(200, r#"{"result":true,"reason":""}"#)
}

/// The receipt is not the latest of any event (the words of `reason` are not documented).
pub(super) fn result_false() -> Response {
    json_text(
        200,
        r#"{"result":false,"reason":"Notification was deleted before or the receiptId is not the last one"}"#,
    )
}

/// The 500 that means "already gone"; its `path` holds the token.
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
