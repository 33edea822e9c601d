//! `chatbridge check --online`: what prevents this configuration from delivering events, and how to fix it.
//!
//! It only reads. `green_api::examine`, `chatapp` and `kafka` collect the facts, and plain functions judge them
//! (`instance`, `push`, `chatapp/verdict`, `topic`). It never receives, deletes or sets anything at GREEN-API, makes no
//! ChatApp token and writes nothing to Kafka.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_with::skip_serializing_none;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::chatapp::api::Api;
use crate::config::Config;
use crate::core::schema;
use crate::core::schema_registry::{RegistryError, SchemaRegistry};
use crate::green_api::client::InstanceClient;

mod chatapp;
mod instance;
mod kafka;
mod push;
mod state_dir;
mod topic;

/// How many instances are asked at once.
const CONCURRENT_MAX: usize = 8;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// As it should be.
    Well,
    /// Nobody could tell, and why not.
    NotChecked,
    /// It works, and may hurt later.
    Warning,
    /// Events do not get through, and something outside the configuration has to change, or only time has to pass.
    Broken,
    /// Events do not get through until the configuration is changed.
    Misconfigured,
}

/// One thing that was looked at.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// How it is.
    pub verdict: Verdict,
    /// What it is about: an instance, something of ChatApp's, a topic, Kafka, the schema registry.
    pub subject: String,
    /// What was found.
    pub found: String,
    /// What to do, where something is to be done.
    pub fix: Option<String>,
    /// The body of the instance's setSettings that does it. Nobody sends it but the reader.
    pub set_settings: Option<SetSettings>,
}

/// A setSettings body: keys and their new values.
pub(crate) type SetSettings = BTreeMap<&'static str, String>;

impl Finding {
    fn new(verdict: Verdict, subject: &str, found: impl Into<String>, fix: impl Into<String>) -> Self {
        let fix = Some(fix.into()).filter(|fix| !fix.is_empty());
        Self { verdict, subject: subject.to_owned(), found: found.into(), fix, set_settings: None }
    }

    fn well(subject: &str, found: impl Into<String>) -> Self {
        Self::new(Verdict::Well, subject, found, "")
    }
}

/// Checks everything that `config` names. `clients` are its instances in their order, `chatapp` is its ChatApp API,
/// `registry` its schema registry.
pub(crate) async fn examine(
    config: &Config,
    clients: Vec<Arc<InstanceClient>>,
    chatapp: Option<Arc<Api>>,
    registry: Option<SchemaRegistry>,
) -> Vec<Finding> {
    let chatapp = async {
        match config.chatapp.as_ref().zip(chatapp) {
            Some((settings, api)) => chatapp::examine(settings, api).await,
            None => Vec::new(),
        }
    };
    let (kafka, registry, chatapp, instances) =
        tokio::join!(kafka::examine(config), schema_registry(config, registry), chatapp, instances(config, clients));
    [instances, push::listener(config).into_iter().collect(), chatapp, kafka, registry].concat()
}

async fn instances(config: &Config, clients: Vec<Arc<InstanceClient>>) -> Vec<Finding> {
    let turns = Arc::new(Semaphore::new(CONCURRENT_MAX));
    let mut asking = JoinSet::new();
    for (index, client) in clients.into_iter().enumerate() {
        let turns = Arc::clone(&turns);
        asking.spawn(async move {
            let _turn = turns.acquire_owned().await;
            (index, client.examine().await)
        });
    }
    let mut examined = asking.join_all().await;
    examined.sort_by_key(|(index, _)| *index);
    examined.iter().flat_map(|(index, examined)| instance::judge(&config.instances[*index], examined, config)).collect()
}

/// Only asks whether the schema exists, because registering could change something.
async fn schema_registry(config: &Config, registry: Option<SchemaRegistry>) -> Vec<Finding> {
    let (Some(registry), Some(settings)) = (registry, &config.schema_registry) else { return Vec::new() };
    let subject = "schema registry";
    vec![match registry.finding_only().schema_ids(&config.event_topics(), &schema::event()).await {
        Ok(_) => Finding::well(subject, "every topic of events has its schema"),
        Err(RegistryError::NotRegistered(_)) if settings.register => {
            Finding::well(subject, "it answers; the next start registers the schema, if compatibility allows it")
        }
        Err(RegistryError::NotRegistered(why) | RegistryError::Refused(why)) => {
            Finding::new(Verdict::Misconfigured, subject, why, "")
        }
        Err(RegistryError::Unavailable(why)) => {
            Finding::new(Verdict::Broken, subject, why, "bring it back, or mend schema_registry.url")
        }
    }]
}
