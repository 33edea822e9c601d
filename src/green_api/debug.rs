//! The debug endpoint: a POST puts a notification into the queue of the instance that it names.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use url::Url;

use crate::green_api::client::Http;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Posts notifications to one address.
pub struct DebugEndpoint {
    http: Http,
    url: Url,
}

/// Why a notification was not taken.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// Nobody answered.
    #[error("failed to reach {0}: {1}")]
    Unreachable(Url, #[source] reqwest::Error),
    /// It answered, but with a refusal.
    #[error("{0} answered HTTP {1}: {2}")]
    Refused(Url, u16, String),
}

impl DebugEndpoint {
    /// The endpoint at `url`, asked through `http`.
    #[must_use]
    pub fn new(http: Http, url: Url) -> Self {
        Self { http, url }
    }

    /// Posts one body.
    ///
    /// # Errors
    /// If it was not taken. The bodies before it were.
    pub async fn inject(&self, body: String) -> Result<(), InjectError> {
        let request = self.http.request(Method::POST, self.url.clone(), TIMEOUT).body(body);
        let json = HeaderValue::from_static("application/json");
        let unreachable = |error: reqwest::Error| InjectError::Unreachable(self.url.clone(), error.without_url());
        let answer = request.header(CONTENT_TYPE, json).send().await.map_err(unreachable)?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let text = answer.text().await.unwrap_or_default();
        Err(InjectError::Refused(self.url.clone(), status.as_u16(), text.chars().take(200).collect()))
    }
}
