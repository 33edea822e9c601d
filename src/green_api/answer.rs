//! What an answer of receiveNotification, deleteNotification or getContactInfo means. Plain functions over status and
//! bytes. Error bodies may be JSON, text, nginx HTML or nothing.
//!
//! The body is looked at before the status. GREEN-API once handed out notifications with status 466. A notification
//! that is taken for an error stays at the head of its queue until upstream drops it.

use std::time::Duration;

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::green_api::queue::{Deletion, QueueError, Receipt, Received};
use chatbridge_base::json::Json;
use chatbridge_event::event::{Body, DeadLetterReason, InstanceId, Notification};

/// An HTTP answer, read up to a limit.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) complete: bool,
}

/// How much of an error's body is repeated.
const EXCERPT_CHARS_MAX: usize = 200;
/// Strings that occur only in notifications.
const PRIVATE: [&str; 3] = ["\"body\"", "typeWebhook", "messageData"];
const BODY_NAME: &[u8] = b"\"body\"";

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "receiptId")]
    receipt_id: Option<&'a RawValue>,
    body: Option<Box<RawValue>>,
}

/// The result of a receive.
pub(crate) fn received(
    instance: InstanceId,
    answer: Answer,
    redact: &dyn Fn(&str) -> String,
) -> Result<Option<Received>, QueueError> {
    if answer.complete
        && let Some(received) = notification(instance, &answer.bytes)
    {
        return Ok(Some(received));
    }
    match answer.status {
        200 if answer.complete => not_a_notification(instance, answer.bytes),
        _ if !answer.complete && (answer.status == 200 || begins_as_notification(&answer.bytes)) => undecodable(
            instance,
            answer.bytes,
            DeadLetterReason::TooLong,
            "the answer is longer than green_api.response_bytes_max".to_owned(),
        ),
        _ if begins_as_notification(&answer.bytes) => not_a_notification(instance, answer.bytes),
        204 => Ok(None),
        // A proxy ended the long poll. It does not know whether the queue is empty.
        408 | 504 => Err(QueueError::NoAnswer { detail: format!("HTTP {}", answer.status) }),
        _ => Err(failure(&answer, redact)),
    }
}

/// `{receiptId, body}`, whatever the status.
fn notification(instance: InstanceId, bytes: &[u8]) -> Option<Received> {
    let envelope: Envelope = serde_json::from_str(trimmed(std::str::from_utf8(bytes).ok()?)).ok()?;
    let receipt = envelope.receipt()?;
    let body = Body::Json(envelope.body?);
    let notification = Notification { instance, receipt_id: Some(receipt.as_str().to_owned()), body };
    Some(Received { receipt, notification })
}

/// Whether this began as a notification but is truncated or damaged. No error begins like this.
fn begins_as_notification(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start();
    let has_body = || bytes.windows(BODY_NAME.len()).any(|window| window == BODY_NAME);
    bytes.starts_with(b"{") && has_body() && recover_receipt(bytes).is_some()
}

/// A complete answer that is not a whole notification, although its status says success.
fn not_a_notification(instance: InstanceId, bytes: Vec<u8>) -> Result<Option<Received>, QueueError> {
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return undecodable(instance, bytes, DeadLetterReason::NotUtf8, "the answer is not UTF-8".to_owned());
    };
    let text = trimmed(text);
    if matches!(text, "" | "null" | "{}") {
        return Ok(None);
    }
    if text.starts_with('<') {
        // A proxy's page instead of an answer. It is written for people with a browser.
        return Err(QueueError::Unreachable {
            class: "not_json",
            detail: "an HTML page instead of an answer".to_owned(),
        });
    }
    let envelope: Envelope = match serde_json::from_str(text) {
        Ok(envelope) => envelope,
        Err(error) => {
            // Only the place, because serde_json's own message may quote the content.
            let error = format!("not the JSON of a notification, line {} column {}", error.line(), error.column());
            return undecodable(instance, bytes, DeadLetterReason::NotJson, error);
        }
    };
    if envelope.receipt().is_some() {
        undecodable(instance, bytes, DeadLetterReason::NoBody, "a receipt without a body".to_owned())
    } else if envelope.body.is_some() {
        Err(QueueError::Unreadable { detail: "a body without a receiptId".to_owned() })
    } else {
        // Refusals come with status 200 too, `{"status":false,"reason":…}`, so this does not prove an empty queue.
        Err(QueueError::NoAnswer { detail: "HTTP 200 without a notification".to_owned() })
    }
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(['\u{feff}', ' ', '\n', '\r', '\t'])
}

impl Envelope<'_> {
    fn receipt(&self) -> Option<Receipt> {
        Receipt::new(Json::parse(self.receipt_id?.get())?.text()?.trim())
    }
}

fn undecodable(
    instance: InstanceId,
    bytes: Vec<u8>,
    reason: DeadLetterReason,
    error: String,
) -> Result<Option<Received>, QueueError> {
    let Some((receipt, receipt_at)) = recover_receipt(&bytes) else {
        return Err(QueueError::Unreadable { detail: error });
    };
    let receipt_id = Some(receipt.as_str().to_owned());
    let body = Body::Undecodable { bytes, reason, error, receipt_at };
    Ok(Some(Received { receipt, notification: Notification { instance, receipt_id, body } }))
}

/// The first `"receiptId": N` in bytes that are not JSON, and where N is. Inside a string its quotes would be escaped,
/// so a message text about receipts is not mistaken for one.
fn recover_receipt(bytes: &[u8]) -> Option<(Receipt, Range<usize>)> {
    const NAME: &[u8] = b"\"receiptId\"";
    let mut from = 0;
    while let Some(found) = bytes.get(from..)?.windows(NAME.len()).position(|window| window == NAME) {
        let start = from + found;
        from = start + NAME.len();
        let escaped = start > 0 && bytes[start - 1] == b'\\';
        let Some(rest) = bytes[from..].trim_ascii_start().strip_prefix(b":").filter(|_| !escaped) else { continue };
        let rest = rest.trim_ascii_start();
        let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'-').count();
        // A number at the end of a cut answer may itself be cut.
        if length < rest.len() {
            let receipt = Receipt::new(std::str::from_utf8(&rest[..length]).ok()?)?;
            let at = bytes.len() - rest.len();
            return Some((receipt, at..at + length));
        }
    }
    None
}

/// The result of a delete.
pub(crate) fn deleted(answer: &Answer, redact: &dyn Fn(&str) -> String) -> Result<Deletion, QueueError> {
    let text = String::from_utf8_lossy(&answer.bytes);
    let is_deleted = Json::parse(text.trim()).and_then(|answer| answer.get("result").boolean()) == Some(true);
    match answer.status {
        _ if is_deleted && answer.complete => Ok(Deletion::Deleted),
        200 => Ok(Deletion::Unclear),
        // A final answer, although it has the status of a server error.
        500 if text.contains("findUnAckedMessage") => Ok(Deletion::AlreadyGone),
        408 | 504 => Err(QueueError::Unreachable { class: "timeout", detail: describe(answer, redact) }),
        _ => Err(failure(answer, redact)),
    }
}

/// The contact's name: `name`, else `contactName`. Either may be empty. Only read from a success, because an error
/// object may have a `name` of its own.
pub(super) fn contact_name(answer: &Answer, redact: &dyn Fn(&str) -> String) -> Result<Option<String>, QueueError> {
    match answer.status {
        200 => {
            let text = String::from_utf8_lossy(&answer.bytes);
            let contact = Json::parse(&text).unwrap_or(Json::Null);
            let names = [contact.get("name"), contact.get("contactName")];
            let said = names.into_iter().filter_map(Json::words).map(str::trim).find(|name| !name.is_empty());
            Ok(said.map(str::to_owned))
        }
        _ => match failure(answer, redact) {
            // This is about the chat, not the instance: GREEN-API cannot name this contact.
            QueueError::Misconfigured { class: "bad_request", .. } => Ok(None),
            failure => Err(failure),
        },
    }
}

/// The JSON text of a small method's answer.
pub(super) fn document(answer: Answer, redact: &dyn Fn(&str) -> String) -> Result<String, QueueError> {
    match answer.status {
        200 => String::from_utf8(answer.bytes).ok().filter(|text| Json::parse(text).is_some()).ok_or_else(|| {
            let detail = "HTTP 200 with something that is not JSON: does api_url lead to GREEN-API?".to_owned();
            QueueError::Unreachable { class: "unexpected", detail }
        }),
        _ => Err(failure(&answer, redact)),
    }
}

/// The error that a status and body stand for.
fn failure(answer: &Answer, redact: &dyn Fn(&str) -> String) -> QueueError {
    let detail = describe(answer, redact);
    let text = String::from_utf8_lossy(&answer.bytes).to_lowercase();
    let says = |words: &str| text.contains(words);
    let misconfigured = |class, fix| QueueError::Misconfigured { class, fix, detail: detail.clone() };
    let waiting = |class, fix| QueueError::Waiting { class, fix, detail: detail.clone() };
    match answer.status {
        400 if says("webhook url") => misconfigured(
            "webhook_url_set",
            "the instance delivers to a webhook: clear webhookUrl in its settings and wait a minute",
        ),
        400 if says("expired") => waiting("expired", "the instance has expired: renew it in the console"),
        400 if says("deleted") => waiting("expired", "the instance is deleted: take it out of the configuration"),
        400 if says("starting") => waiting("starting", "the instance is starting"),
        400 if says("not authorized") || says("not authorised") => {
            waiting("not_authorized", "the instance is not authorised: scan the QR code in the console")
        }
        400 => misconfigured("bad_request", "GREEN-API does not understand the request: check id, token and api_url"),
        401 => misconfigured("unauthorized", "the token is wrong: copy apiTokenInstance from the console"),
        403 => misconfigured(
            "forbidden",
            "id or api_url is wrong, or the account is suspended: compare both with the console",
        ),
        404 => misconfigured("not_found", "api_url is not this instance's host: copy apiUrl from the console"),
        300..=399 => misconfigured("redirect", "api_url answers with a redirect: copy apiUrl from the console"),
        429 => QueueError::RateLimited { retry_after: answer.retry_after },
        466 => waiting("quota", "the tariff's quota is used up: change the tariff or wait for the next month"),
        469 => waiting("quota", "GREEN-API limits this instance for some hours"),
        500..=599 => QueueError::Unreachable { class: "server_error", detail },
        _ => QueueError::Unreachable { class: "unexpected", detail },
    }
}

fn describe(answer: &Answer, redact: &dyn Fn(&str) -> String) -> String {
    let body = redact(&String::from_utf8_lossy(&answer.bytes));
    let body = body.trim();
    // Whatever the status, it may be a notification or a part of one. What people wrote is not repeated.
    let may_be_private = (200..300).contains(&answer.status) || PRIVATE.iter().any(|name| body.contains(name));
    if body.is_empty() || may_be_private {
        return format!("HTTP {}", answer.status);
    }
    let mut excerpt: String = body.chars().take(EXCERPT_CHARS_MAX).collect();
    if excerpt.len() < body.len() {
        excerpt.push('…');
    }
    format!("HTTP {}: {excerpt}", answer.status)
}

#[cfg(test)]
mod tests;
