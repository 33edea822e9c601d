//! One request to a webhook, and what its answer means.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, Url};
use tokio::time::timeout;

use super::super::account::Webhook;
use super::super::config::PushConfig;
use super::super::journal::PushFailure;
use super::parcel::Parcel;
use crate::kit::client::client;

/// Only this is success; other 2xx are not documented.
const SUCCESS: u16 = 200;

/// What is read of an answer so that its connection can be used again, and for how long.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const ANSWER_READ_MAX: Duration = Duration::from_secs(1);

/// The way to one webhook.
pub(super) struct Sender {
    /// `None` where nothing can ever be sent.
    target: Option<Target>,
    answer_max: Duration,
}

struct Target {
    http: Client,
    url: Url,
    authorization: Option<HeaderValue>,
}

/// The head of an answer has come.
pub(super) struct Answer(Response);

impl Sender {
    pub(super) fn new(webhook: &Webhook, config: &PushConfig) -> Self {
        let target = Target::new(webhook, config);
        if let Err(why) = &target {
            tracing::warn!(why, "a simulated instance cannot push to its webhook");
        }
        Self { target: target.ok(), answer_max: config.answer_max }
    }

    /// Sends one event; comes back with the head of the answer.
    pub(super) async fn send(&self, parcel: Parcel) -> Result<Answer, PushFailure> {
        let target = self.target.as_ref().ok_or(PushFailure::NotSent)?;
        match timeout(self.answer_max, target.send(parcel)).await {
            Ok(Ok(response)) => Ok(Answer(response)),
            Ok(Err(error)) if error.is_connect() || error.is_builder() => Err(PushFailure::NotSent),
            Ok(Err(_)) => Err(PushFailure::NoAnswer),
            Err(_) => Err(PushFailure::TimedOut),
        }
    }
}

impl Target {
    fn new(webhook: &Webhook, config: &PushConfig) -> Result<Self, &'static str> {
        let url = Url::parse(&webhook.url).map_err(|_| "its webhookUrl is not a URL")?;
        let authorization =
            authorization(&webhook.token).map_err(|_| "its webhookUrlToken does not fit into a header")?;
        let http = client(&url, &config.extra_roots_pem)?;
        Ok(Self { http, url, authorization })
    }

    async fn send(&self, parcel: Parcel) -> reqwest::Result<Response> {
        let mut request = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .header(CONTENT_LENGTH, parcel.promised_bytes());
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(coding) = parcel.coding() {
            request = request.header(CONTENT_ENCODING, coding);
        }
        request.body(parcel.into_body()).send().await
    }
}

impl Answer {
    pub(super) fn outcome(&self) -> Result<(), PushFailure> {
        outcome(self.0.status().as_u16())
    }

    /// Reads what else there is, within bounds.
    pub(super) async fn drain(self) {
        let mut response = self.0;
        let rest = async {
            let mut read = 0;
            while let Ok(Some(chunk)) = response.chunk().await {
                read += chunk.len();
                if read > ANSWER_BYTES_MAX {
                    break;
                }
            }
        };
        // Too long an answer costs its connection, nothing else.
        let _ = timeout(ANSWER_READ_MAX, rest).await;
    }
}

/// What a status means to the sender.
pub(super) fn outcome(status: u16) -> Result<(), PushFailure> {
    if status == SUCCESS { Ok(()) } else { Err(PushFailure::Status(status)) }
}

/// `Bearer <token>`, unless the token itself begins with `Basic ` or `Bearer `; none for an empty one.
fn authorization(token: &str) -> Result<Option<HeaderValue>, reqwest::header::InvalidHeaderValue> {
    if token.is_empty() {
        return Ok(None);
    }
    let has_scheme = ["Basic ", "Bearer "].iter().any(|scheme| token.starts_with(scheme));
    let mut value = HeaderValue::try_from(if has_scheme { token.to_owned() } else { format!("Bearer {token}") })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_token_becomes_a_bearer_and_a_scheme_stays() {
        let header = |token| {
            let value = authorization(token).expect("a header");
            value.map(|value| value.to_str().expect("ASCII").to_owned())
        };
        assert_eq!(header(""), None);
        assert_eq!(header("abc").as_deref(), Some("Bearer abc"));
        assert_eq!(header("Basic dTpw").as_deref(), Some("Basic dTpw"));
        assert_eq!(header("Bearer abc").as_deref(), Some("Bearer abc"));
        assert_eq!(header("Basically").as_deref(), Some("Bearer Basically"));
        authorization("a\nb").expect_err("no header");
    }
}
