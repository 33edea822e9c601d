//! What an instance reports about itself, for `chatbridge check --online`. Only asks: nothing is received, deleted or
//! set.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use secrecy::SecretString;
use tokio::time::sleep;

use super::answer;
use crate::green_api::client::{InstanceClient, SMALL_ANSWER_BYTES_MAX, SMALL_ANSWER_TIMEOUT};
use crate::green_api::queue::QueueError;
use chatbridge_base::json::Json;

/// One request per second and method is allowed, and a running bridge may just have made it.
const AFTER_TOO_MANY: Duration = Duration::from_millis(1_100);

/// The answers. If one request fails, the rest is not asked, because it would be pointless.
#[derive(Debug, Clone, Default)]
pub struct Examined {
    /// `stateInstance` as upstream names it, or `None` while the instance is being created.
    pub state: Option<String>,
    /// The settings.
    pub settings: Settings,
    /// How many notifications wait, or `None` if the answer does not say.
    pub queue_depth: Option<i64>,
}

/// The part of `getSettings` that decides what is sent and where. The rest may be secret and is dropped at once.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `webhookUrl`, if it is set. It may contain a secret.
    pub webhook_url: Option<SecretString>,
    /// `webhookUrlToken`, if it is set.
    pub webhook_url_token: Option<SecretString>,
    /// Switches that are on, by GREEN-API's names.
    pub on: BTreeSet<String>,
    /// Switches that are off.
    pub off: BTreeSet<String>,
}

impl InstanceClient {
    /// Asks for state, settings and queue length, each once.
    ///
    /// # Errors
    /// The first request that failed, with what to do.
    pub async fn examine(&self) -> Result<Examined, QueueError> {
        let state = self.document("getStateInstance").await?;
        let settings = self.document("getSettings").await?;
        let count = self.document("getWebhooksCount").await?;
        let parsed = |text| Json::parse(text).unwrap_or(Json::Null);
        Ok(Examined {
            state: parsed(&state).get("stateInstance").words().map(str::to_owned),
            settings: Settings::read(&parsed(&settings)),
            queue_depth: crate::green_api::client::whole_number(parsed(&count)),
        })
    }

    async fn document(&self, method: &str) -> Result<String, QueueError> {
        match self.document_once(method).await {
            Err(QueueError::RateLimited { .. }) => {
                sleep(AFTER_TOO_MANY).await;
                self.document_once(method).await
            }
            answered => answered,
        }
    }

    async fn document_once(&self, method: &str) -> Result<String, QueueError> {
        let request = self.request(Method::GET, method, None, SMALL_ANSWER_TIMEOUT);
        let answer = self.send_twice(request, SMALL_ANSWER_BYTES_MAX).await?;
        answer::document(answer, &|text| self.redact(text))
    }
}

impl Settings {
    fn read(answer: &Json) -> Self {
        let mut settings = Self::default();
        let Json::Object(members) = answer else { return settings };
        let set = |value: &Json| value.words().map(str::trim).filter(|set| !set.is_empty()).map(SecretString::from);
        for (name, value) in members {
            if name == "webhookUrl" {
                settings.webhook_url = set(value);
            } else if name == "webhookUrlToken" {
                settings.webhook_url_token = set(value);
            } else if name.ends_with("Webhook") {
                match value.words().map(str::trim) {
                    Some("yes") => drop(settings.on.insert(name.to_string())),
                    Some("no") => drop(settings.off.insert(name.to_string())),
                    _ => {}
                }
            }
        }
        settings
    }
}
