//! The HTTP client of one GREEN-API instance.
//!
//! The token is a segment of every URL, so it is handled only here. URLs are built in one function, every error loses
//! its URL before it is passed on, and secrets are removed from upstream's answers before any of it is repeated (a 500
//! of deleteNotification quotes the whole path).

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder, Response};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::answer::{self, Answer};
use crate::config;
use crate::core::settled::Settled;
use crate::green_api::caller::{ContactDirectory, LOOKUP_MAX};
use crate::green_api::queue::{Deletion, NotificationQueue, QueueError, Receipt, Received};
use crate::green_api::watch::Watched;
use crate::http;
use crate::http::content_coding::{self, Coding, FIRST_BYTES, ReadError};
use crate::redact::Redactor;
use chatbridge_base::json::Json;
use chatbridge_event::event::{ChatId, InstanceId, InstanceState};

pub use crate::green_api::pace::Pace;
use crate::green_api::pace::PaceLayer;

/// Answers of the small methods, such as a state or a count.
pub(super) const SMALL_ANSWER_BYTES_MAX: usize = 64 * 1024;
pub(super) const SMALL_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// A contact may be a shop with all its products.
const CONTACT_ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// What instances send requests through: one connection pool, one TLS configuration, one pace of connecting.
#[derive(Clone)]
pub struct Http {
    client: Client,
    pace: Arc<Pace>,
}

impl Http {
    /// `timeout` begins when a new connection would be allowed. Otherwise, if ten thousand polls begin together, the
    /// last ones would time out although nothing is wrong.
    pub(super) fn request(&self, verb: Method, url: Url, timeout: Duration) -> RequestBuilder {
        self.client.request(verb, url).timeout(self.pace.wait_max() + timeout)
    }
}

/// Makes the HTTP client that instances share.
///
/// `direct` ignores any proxy that the environment names, for a simulator in the same process.
///
/// # Errors
/// If the TLS backend cannot be set up: no usable root certificates.
pub fn http_client(config: &config::GreenApi, direct: bool, pace: &Arc<Pace>) -> Result<Http, reqwest::Error> {
    let builder = http::client(direct)
        .connector_layer(PaceLayer { pace: Arc::clone(pace), connect_timeout: config.connect_timeout })
        .tcp_keepalive(Duration::from_secs(30))
        .tcp_nodelay(true);
    Ok(Http { client: builder.build()?, pace: Arc::clone(pace) })
}

/// What these bytes mean as a receive's answer. For tests and fuzzers, which have no server.
///
/// # Errors
/// The same as a receive's.
pub fn decode(instance: InstanceId, bytes: Vec<u8>) -> Result<Option<Received>, QueueError> {
    answer::received(instance, Answer { status: 200, retry_after: None, bytes, complete: true }, &|text| {
        text.to_owned()
    })
}

/// One instance's queue.
pub struct InstanceClient {
    http: Http,
    instance: InstanceId,
    api_url: Url,
    token: SecretString,
    receive_timeout: Duration,
    receive_grace: Duration,
    delete_timeout: Duration,
    response_bytes_max: usize,
    redactor: Redactor,
}

impl InstanceClient {
    /// The client of `instance`, sending through `http`. Everything that `redactor` knows is removed from its messages.
    #[must_use]
    pub fn new(http: Http, config: &config::GreenApi, instance: &config::Instance, redactor: Redactor) -> Self {
        Self {
            http,
            instance: instance.id,
            api_url: instance.api_url.clone(),
            token: instance.token.clone(),
            receive_timeout: instance.receive_timeout,
            receive_grace: config.receive_grace,
            delete_timeout: config.delete_timeout,
            response_bytes_max: config.response_bytes_max,
            redactor,
        }
    }

    /// `{apiUrl}/waInstance{id}/{method}/{token}[/{receiptId}]`. The token is used only here.
    pub(super) fn request(
        &self,
        verb: Method,
        method: &str,
        receipt: Option<&Receipt>,
        timeout: Duration,
    ) -> RequestBuilder {
        let mut url = self.api_url.clone();
        {
            let mut segments = url.path_segments_mut().expect("the configuration takes only http and https");
            segments.pop_if_empty();
            segments.push(&format!("waInstance{}", self.instance)).push(method).push(self.token.expose_secret());
            if let Some(receipt) = receipt {
                segments.push(receipt.as_str());
            }
        }
        if method == "receiveNotification" {
            url.query_pairs_mut().append_pair("receiveTimeout", &self.receive_timeout.as_secs().to_string());
        }
        self.http.request(verb, url, timeout)
    }

    /// For requests that only ask: repeats the request once if its connection turns out to be closed.
    pub(super) async fn send_twice(&self, request: RequestBuilder, bytes_max: usize) -> Result<Answer, QueueError> {
        let again = request.try_clone();
        match (self.send(request, bytes_max).await, again) {
            (Err(QueueError::Closed { .. }), Some(again)) => self.send(again, bytes_max).await,
            (answer, _) => answer,
        }
    }

    async fn send(&self, request: RequestBuilder, bytes_max: usize) -> Result<Answer, QueueError> {
        let response = request.send().await.map_err(|error| self.unsent(error))?;
        let status = response.status().as_u16();
        let retry_after = http::retry_after(&response);
        let (bytes, complete) = self.read(response, bytes_max).await?;
        Ok(Answer { status, retry_after, bytes, complete })
    }

    /// The body up to `bytes_max`, and whether that was all of it.
    async fn read(&self, response: Response, bytes_max: usize) -> Result<(Vec<u8>, bool), QueueError> {
        // A body that cannot be decoded may hold a notification, so it is neither dead-lettered nor deleted.
        let status = response.status().as_u16();
        let undecodable = || QueueError::Unreachable {
            class: "encoding",
            detail: format!("HTTP {status}, compressed in a way that is not read here"),
        };
        let coding = Coding::of(response.headers()).map_err(|_| undecodable())?;
        let first_bytes = response.content_length().and_then(|length| usize::try_from(length).ok());
        let body = reqwest::Body::from(response);
        match content_coding::read(body, coding, first_bytes.unwrap_or(FIRST_BYTES), bytes_max, |_| true).await {
            Ok(bytes) => Ok((bytes, true)),
            Err(ReadError::TooLong(bytes)) => Ok((bytes, false)),
            Err(ReadError::Broken(error)) => Err(self.unreachable(error)),
            Err(ReadError::Undecodable | ReadError::NoRoom) => Err(undecodable()),
        }
    }

    /// The error of a request whose answer did not begin.
    fn unsent(&self, error: reqwest::Error) -> QueueError {
        match http::was_closed_unanswered(&error) {
            true => QueueError::Closed { detail: self.causes(error) },
            false => self.unreachable(error),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> QueueError {
        let class = if error.is_timeout() { "timeout" } else { "connection" };
        QueueError::Unreachable { class, detail: self.causes(error) }
    }

    fn causes(&self, error: reqwest::Error) -> String {
        let host = self.api_url.host_str().unwrap_or_default();
        format!("{host}: {}", self.redact(&http::causes(error)))
    }

    pub(super) fn redact(&self, text: &str) -> String {
        self.redactor.outside(text)
    }

    async fn ask(&self, method: &str) -> Option<Vec<u8>> {
        let request = self.request(Method::GET, method, None, SMALL_ANSWER_TIMEOUT);
        let answer = self.send_twice(request, SMALL_ANSWER_BYTES_MAX).await.ok()?;
        (answer.status == 200 && answer.complete).then_some(answer.bytes)
    }
}

impl NotificationQueue for InstanceClient {
    async fn receive(&self) -> Result<Option<Received>, QueueError> {
        let timeout = self.receive_timeout + self.receive_grace;
        let request = self.request(Method::GET, "receiveNotification", None, timeout);
        let answer = self.send(request, self.response_bytes_max).await?;
        answer::received(self.instance, answer, &|text| self.redact(text))
    }

    async fn delete(&self, receipt: Receipt, _proof: &Settled) -> Result<Deletion, QueueError> {
        let request = self.request(Method::DELETE, "deleteNotification", Some(&receipt), self.delete_timeout);
        let answer = self.send(request, SMALL_ANSWER_BYTES_MAX).await?;
        answer::deleted(&answer, &|text| self.redact(text))
    }
}

impl ContactDirectory for InstanceClient {
    async fn contact_name(&self, chat: &ChatId) -> Result<Option<String>, QueueError> {
        let request = self
            .request(Method::POST, "getContactInfo", None, LOOKUP_MAX)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .body(serde_json::json!({ "chatId": chat }).to_string());
        let answer = self.send_twice(request, CONTACT_ANSWER_BYTES_MAX).await?;
        answer::contact_name(&answer, &|text| self.redact(text))
    }
}

impl Watched for InstanceClient {
    async fn state(&self) -> Option<&'static str> {
        let bytes = self.ask("getStateInstance").await?;
        let answer = Json::parse(std::str::from_utf8(&bytes).ok()?)?;
        // `null` while the instance is being created.
        answer.get("stateInstance").words().map(|word| InstanceState::from_word(word).as_str())
    }

    async fn queue_depth(&self) -> Option<i64> {
        let bytes = self.ask("getWebhooksCount").await?;
        whole_number(Json::parse(std::str::from_utf8(&bytes).ok()?)?)
    }
}

/// The vendor's page spells the key with a homoglyph, so take the one whole number.
pub(super) fn whole_number(answer: Json) -> Option<i64> {
    match answer {
        Json::Object(members) => members.iter().find_map(|(_, value)| value.integer()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(api_url: &str) -> InstanceClient {
        // Another test of this process may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let config = config::GreenApi::default();
        let instance = config::Instance {
            id: InstanceId::new(1101),
            token: "canary".to_owned().into(),
            api_url: api_url.parse().expect("an address"),
            receive_timeout: Duration::from_secs(20),
            receive: crate::config::Receive::Poll,
        };
        let http = http_client(&config, true, &Pace::of(&config)).expect("a client");
        InstanceClient::new(http, &config, &instance, Redactor::new([&instance.token]))
    }

    #[test]
    fn urls_are_built_as_documented_whatever_the_host_ends_with() {
        for (api_url, expected) in [
            ("https://1101.api.green-api.com", "https://1101.api.green-api.com/waInstance1101"),
            ("https://api.green-api.com/", "https://api.green-api.com/waInstance1101"),
            ("https://3100.api.green-api.com/v3", "https://3100.api.green-api.com/v3/waInstance1101"),
        ] {
            let built = |verb: Method, method: &str, receipt: Option<&Receipt>| {
                let request = client(api_url).request(verb, method, receipt, Duration::from_secs(1)).build();
                request.expect("a request").url().to_string()
            };
            assert_eq!(
                built(Method::GET, "receiveNotification", None),
                format!("{expected}/receiveNotification/canary?receiveTimeout=20")
            );
            assert_eq!(
                built(Method::DELETE, "deleteNotification", Receipt::new("42").as_ref()),
                format!("{expected}/deleteNotification/canary/42")
            );
        }
    }

    #[tokio::test]
    async fn a_failed_request_tells_its_cause_and_not_its_url() {
        // Nobody listens on the discard port of this machine.
        let failure = client("http://127.0.0.1:9").receive().await.err().expect("nobody answers");
        let told = failure.to_string();
        assert!(told.contains("127.0.0.1") && told.contains("refused"), "{told}");
        assert!(!told.contains("waInstance") && !told.contains("canary"), "{told}");
    }
}
