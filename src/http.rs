//! Why an HTTP request failed: in words without its URL, and whether its connection was closed before any answer.

pub mod content_coding;

use std::error::Error;
use std::io::ErrorKind;

/// The whole chain of causes, because "error sending request" alone does not help. Without the URL, which may hold a
/// token or a phone number.
pub(crate) fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut words = error.to_string();
    for cause in chain(&error) {
        words.push_str(": ");
        words.push_str(&cause.to_string());
    }
    words
}

/// Whether the connection was closed before the head of an answer came. Servers and load balancers close idle
/// connections, and a request may be sent at that very moment. If it is harmless to ask twice, repeat such a request
/// once, immediately.
pub(crate) fn was_closed_unanswered(error: &reqwest::Error) -> bool {
    if error.is_connect() || error.is_timeout() || error.is_body() || error.is_decode() {
        return false;
    }
    chain(error).any(|cause| {
        let is_closed = cause.downcast_ref::<std::io::Error>().is_some_and(|error| {
            use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
        });
        is_closed
            || cause
                .downcast_ref::<hyper::Error>()
                .is_some_and(|error| error.is_incomplete_message() || error.is_canceled())
    })
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&'e (dyn Error + 'static)| (*cause).source())
}
