//! What every HTTP client of the bridge has in common: how it is made, whether an address is this machine's own, what a
//! failure means.

pub mod content_coding;

use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{ClientBuilder, Response};
use url::Url;

/// The beginning of every client. It follows no redirect: that would carry tokens, headers and credentials to another
/// place. A `direct` one goes past the proxies of the environment.
pub(crate) fn client(direct: bool) -> ClientBuilder {
    let builder = ClientBuilder::new()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("chatbridge/", env!("CARGO_PKG_VERSION")));
    if direct { builder.no_proxy() } else { builder }
}

/// Whether `url` leads to this machine's own loopback address.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// How long the answer asks to wait. Neither upstream documents it, but a proxy may send it.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

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
