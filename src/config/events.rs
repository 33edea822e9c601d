//! `[events]`: what happens to events.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fingerprint::Compared;
use super::problem::Checks;
use super::text::{list, text_form, word};

/// Types that may be named in `events.drop`.
const TYPE_WEBHOOKS: &str = "incomingMessageReceived, outgoingMessageReceived, outgoingAPIMessageReceived, \
    outgoingMessageStatus, incomingMessageStatus, incomingCall, outgoingCall, incomingBlock, \
    deviceInfo, stateInstanceChanged, statusInstanceChanged, quotaExceeded";

text_form! {
    /// `[events]`
    #[derive(Clone)]
    pub struct Events;

    /// What happens to a typeWebhook or typeMessage this version does not know: publish, drop or dead_letter.
    #[serde(deserialize_with = "word")]
    pub unknown: UnknownPolicy,
    /// Events that are deleted unseen, by name: GREEN-API's `typeWebhook`, ChatApp's `meta.type`.
    #[serde(deserialize_with = "list")]
    pub drop: Vec<String>,
    /// Whether the body travels along as `raw`.
    pub include_raw: bool = true,
}

/// `events.unknown`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownPolicy {
    /// As `unknown` or `unsupported`, with `raw`.
    #[default]
    Publish,
    /// Deleted unseen, and counted.
    Drop,
    /// To the dead-letter topic.
    DeadLetter,
}

pub(super) fn check(events: Events, checks: &mut Checks<'_>) -> Events {
    for (index, word) in events.drop.iter().enumerate() {
        if !TYPE_WEBHOOKS.split(", ").any(|known| known == word) {
            let known = format!("expected one of {TYPE_WEBHOOKS} (for types that are unknown, see events.unknown)");
            checks.complain(format!("events.drop[{index}]"), format!("unknown type `{word}`, {known}"));
        }
    }
    events
}

impl Compared for Events {}
