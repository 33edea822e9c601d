//! The schema registry's client. At the start it registers the schema of the event topics, and gets the ids that frame
//! their values.
//!
//! There are only three requests of one kind, so no library is used. `schema_registry_converter` is mainly about
//! encoding, which is one `to_be_bytes` here. It also turns every answer into a message, but what an operator should do
//! depends on the status.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use reqwest::{Client, RequestBuilder};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use url::Url;

use crate::config::{self, Credentials};
use crate::http;
use crate::http::content_coding::{self, Coding, FIRST_BYTES, ReadError};
use crate::redact::Redactor;
use chatbridge_event::record::SchemaIds;

mod answer;

/// An answer is an id or a reason for a refusal. A refusal may list every incompatibility.
const ANSWER_BYTES_MAX: usize = 256 * 1024;

/// The first wait after the registry did not answer.
pub const RETRY_MIN: Duration = Duration::from_millis(500);
/// The longest wait after the registry did not answer.
pub const RETRY_MAX: Duration = Duration::from_secs(10);
/// The wait after a refusal: an operator has to act first.
pub const REFUSED_RETRY: Duration = Duration::from_secs(60);

/// Why a schema has no id yet, grouped by what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Ask again soon: the registry is unreachable or busy.
    #[error("{0}")]
    Unavailable(String),
    /// The registry answers, but does not have the schema, and the bridge may only look it up.
    #[error("{0}")]
    NotRegistered(String),
    /// An operator has to act first. Asking again soon changes nothing.
    #[error("{0}")]
    Refused(String),
}

/// Makes the client. `direct` ignores any proxy that the environment names.
///
/// # Errors
/// If the TLS backend cannot be set up: no usable root certificates.
pub fn http_client(config: &config::SchemaRegistry, direct: bool) -> Result<Client, reqwest::Error> {
    http::client(direct).timeout(config.request_timeout).build()
}

/// A registry with Confluent's API: Confluent's own, Karapace, Apicurio, Redpanda.
pub struct SchemaRegistry {
    http: Client,
    url: Url,
    credentials: Credentials,
    register: bool,
    health: Arc<Health>,
    redactor: Redactor,
}

impl SchemaRegistry {
    /// The registry of `config`, asked through `http`. Everything that `redactor` knows is removed from its messages.
    #[must_use]
    pub fn new(http: Client, config: &config::SchemaRegistry, redactor: Redactor) -> Self {
        Self {
            http,
            url: config.url.clone(),
            credentials: config.credentials.clone(),
            register: config.register,
            health: Arc::default(),
            redactor,
        }
    }

    /// The same registry, but schemas are only looked up and never registered.
    #[must_use]
    pub fn finding_only(self) -> Self {
        Self { register: false, ..self }
    }

    /// The state of the registry.
    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    /// Registers `schema` for each of `topics`, or looks it up if registering is left to others.
    ///
    /// # Errors
    /// At the first topic that has no id yet.
    pub async fn schema_ids(&self, topics: &[Arc<str>], schema: &Value) -> Result<SchemaIds, RegistryError> {
        // The schema is sent as text inside JSON.
        let body = json!({ "schemaType": "JSON", "schema": schema.to_string() }).to_string();
        let mut ids = BTreeMap::new();
        for topic in topics {
            let id = self.schema_id(topic, &body).await;
            if let Err(error) = &id {
                self.health.set(error.to_string());
            }
            ids.insert(Arc::clone(topic), id?);
        }
        self.health.set("");
        Ok(SchemaIds::new(ids))
    }

    async fn schema_id(&self, topic: &str, body: &str) -> Result<u32, RegistryError> {
        // TopicNameStrategy, the default of every consumer's deserialiser.
        let subject = format!("{topic}-value");
        let mut url = self.url.clone();
        {
            let mut segments = url.path_segments_mut().expect("the configuration takes only http and https");
            segments.pop_if_empty().extend(["subjects", &subject]);
            if self.register {
                segments.push("versions");
            }
        }
        let request = self
            .authorised(self.http.post(url))
            .header(reqwest::header::CONTENT_TYPE, "application/vnd.schemaregistry.v1+json")
            .header(reqwest::header::ACCEPT, "application/vnd.schemaregistry.v1+json, application/json")
            .body(body.to_owned());
        let response = request.send().await.map_err(|error| self.unreachable(error))?;
        let status = response.status().as_u16();
        let undecodable =
            || RegistryError::Unavailable(format!("it answers {status}, compressed in a way that is not read here"));
        let coding = Coding::of(response.headers()).map_err(|_| undecodable())?;
        let body = reqwest::Body::from(response);
        let bytes = match content_coding::read(body, coding, FIRST_BYTES, ANSWER_BYTES_MAX, |_| true).await {
            Ok(bytes) | Err(ReadError::TooLong(bytes)) => bytes,
            Err(ReadError::Broken(error)) => return Err(self.unreachable(error)),
            Err(ReadError::Undecodable | ReadError::NoRoom) => return Err(undecodable()),
        };
        answer::schema_id(status, &bytes, &subject, self.register, &|text| self.redactor.outside(text))
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credentials {
            Credentials::None => request,
            Credentials::Basic { username, password } => request.basic_auth(username, Some(password.expose_secret())),
            Credentials::Bearer(token) => request.bearer_auth(token.expose_secret()),
        }
    }

    fn unreachable(&self, error: reqwest::Error) -> RegistryError {
        let causes = self.redactor.outside(&http::causes(error));
        RegistryError::Unavailable(format!("{} does not answer: {causes}", self.url))
    }
}

impl fmt::Debug for SchemaRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchemaRegistry").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

/// Why there are no schema ids yet, for `/status`.
#[derive(Debug)]
pub struct Health {
    trouble: Mutex<Option<String>>,
}

/// A registry that was not asked yet has registered nothing yet.
impl Default for Health {
    fn default() -> Self {
        Self { trouble: Mutex::new(Some("not asked yet".to_owned())) }
    }
}

impl Health {
    /// The latest failure, or `None` once every event topic has its schema id.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    fn set(&self, trouble: impl Into<String>) {
        let trouble = trouble.into();
        *self.trouble.lock() = (!trouble.is_empty()).then_some(trouble);
    }
}

#[cfg(test)]
mod tests;
