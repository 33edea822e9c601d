//! Where an event came from: the upstream system, and what of it.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use super::{Channel, InstanceId};

/// What an event was received for: the identity behind `ce_source`, behind the key of events without a chat, and behind
/// every `ce_id`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceId {
    /// An instance of GREEN-API.
    GreenApi(InstanceId),
    /// A channel of ChatApp.
    ChatApp(Channel),
}

impl SourceId {
    /// `ce_source`.
    #[must_use]
    pub fn uri(&self) -> String {
        match self {
            Self::GreenApi(instance) => format!("/green-api/{instance}"),
            Self::ChatApp(channel) => channel.uri(),
        }
    }

    /// The source that [`SourceId::uri`] names.
    #[must_use]
    pub fn from_uri(uri: &str) -> Option<Self> {
        match uri.strip_prefix("/green-api/") {
            Some(instance) => instance.parse().ok().map(InstanceId::new).map(Self::GreenApi),
            None => Channel::from_uri(uri.strip_prefix("/chatapp")?).map(Self::ChatApp),
        }
    }

    /// The key of events that belong to no chat. Never empty.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::GreenApi(instance) => format!("instance:{instance}"),
            Self::ChatApp(channel) => channel.key(),
        }
    }

    /// The instance, where it is one.
    #[must_use]
    pub fn instance(&self) -> Option<InstanceId> {
        match self {
            Self::GreenApi(instance) => Some(*instance),
            Self::ChatApp(_) => None,
        }
    }

    /// The channel, where it is one.
    #[must_use]
    pub fn channel(&self) -> Option<&Channel> {
        match self {
            Self::GreenApi(_) => None,
            Self::ChatApp(channel) => Some(channel),
        }
    }
}

/// Where an event came from, tagged by `system`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "system", rename_all = "kebab-case")]
pub enum Source {
    /// GREEN-API.
    GreenApi {
        /// The polled instance.
        instance: InstanceId,
        /// The instance's own account (`wid`), absent where it is not authorised.
        account: Option<String>,
        /// Which messenger the instance speaks.
        messenger: Option<String>,
    },
    /// ChatApp.
    #[serde(rename = "chatapp")]
    ChatApp(Channel),
}

impl Source {
    /// Which source it is.
    #[must_use]
    pub fn id(&self) -> SourceId {
        match self {
            Self::GreenApi { instance, .. } => SourceId::GreenApi(*instance),
            Self::ChatApp(channel) => SourceId::ChatApp(channel.clone()),
        }
    }
}
