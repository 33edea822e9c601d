//! What an instance is beside its queue: its state, its settings, its contacts.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// `stateInstance`. It changes the answer of `getStateInstance` and nothing else: which
/// methods a `starting` or `notAuthorized` instance refuses is not documented, so those refusals are
/// faults ([`super::Fault::starting`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum InstanceState {
    /// `notAuthorized`
    NotAuthorized,
    /// `authorized`
    #[default]
    Authorized,
    /// `blocked`
    Blocked,
    /// `starting`
    Starting,
    /// `sleepMode` (deprecated)
    SleepMode,
    /// `yellowCard` (deprecated)
    YellowCard,
    /// `suspended`
    Suspended,
    /// `pendingPassword` (Telegram, MAX)
    PendingPassword,
    /// `pendingCode` (Telegram, MAX)
    PendingCode,
    /// Not a word of the service: an instance that is still being made, whose state is answered with `null`.
    BeingCreated,
}

impl InstanceState {
    /// The body of `getStateInstance`.
    pub(super) fn answer(self) -> Value {
        match self {
            Self::BeingCreated => Value::Null,
            other => json!({ "stateInstance": other }),
        }
    }
}

/// What `getContactInfo` says of one chat. The fields that no bridge reads are filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Contact {
    /// The phone-book name, else the profile's, else empty.
    pub name: String,
    /// The phone-book name.
    pub contact_name: String,
}

impl Contact {
    /// The full answer; MAX and Telegram chats, whose ids are bare numbers, have fewer fields.
    pub(super) fn answer(&self, chat: &str) -> Value {
        let Self { name, contact_name } = self;
        if !chat.contains('@') {
            return json!({ "avatar": "", "name": name, "contactName": contact_name, "chatId": chat,
                "chatType": "user", "lastSeen": null, "phoneNumber": 0 });
        }
        json!({ "avatar": "", "name": name, "contactName": contact_name, "email": "", "category": "",
            "description": "", "products": [], "chatId": chat, "lastSeen": null, "isArchive": false,
            "isDisappearing": false, "isMute": false, "messageExpiration": 0, "muteExpiration": null,
            "isBusiness": false })
    }
}

/// The notification switches
const SWITCHES: [&str; 16] = [
    "incomingWebhook",
    "outgoingMessageWebhook",
    "outgoingAPIMessageWebhook",
    "outgoingWebhook",
    "stateWebhook",
    "statusInstanceWebhook",
    "deviceWebhook",
    "incomingCallWebhook",
    "outgoingCallWebhook",
    "pollMessageWebhook",
    "editedMessageWebhook",
    "deletedMessageWebhook",
    "incomingBlockWebhook",
    "catalogWebhook",
    "incomingMessageStatusWebhook",
    "avatarInfoWebhook",
];

const WEBHOOK_URL: &str = "webhookUrl";
const WEBHOOK_TOKEN: &str = "webhookUrlToken";

/// Where events are pushed to. Both may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Webhook {
    pub(super) url: String,
    pub(super) token: String,
}

/// The settings of one instance, as `getSettings` lists them.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) state: InstanceState,
    settings: BTreeMap<String, Value>,
    contacts: HashMap<String, Contact>,
}

/// Contacts and settings one instance may be given: the control API must not fill the memory.
const ENTRIES_MAX: usize = 100_000;

impl Account {
    /// Every switch is `yes`. On the service a new instance has them all off; a simulated
    /// one is made to be listened to.
    pub(super) fn new(id: u64) -> Self {
        let mut settings: BTreeMap<String, Value> =
            SWITCHES.iter().map(|switch| ((*switch).to_owned(), json!("yes"))).collect();
        let others = [
            ("wid", json!(wid(id))),
            ("typeInstance", json!(type_instance(id))),
            (WEBHOOK_URL, json!("")),
            (WEBHOOK_TOKEN, json!("")),
            ("delaySendMessagesMilliseconds", json!(1000)),
            ("markIncomingMessagesReaded", json!("no")),
            ("markIncomingMessagesReadedOnReply", json!("no")),
            ("keepOnlineStatus", json!("no")),
            ("enableMessagesHistory", json!("no")),
            ("linkPreview", json!("yes")),
            ("enableLidMode", json!(false)),
        ];
        settings.extend(others.map(|(key, value)| (key.to_owned(), value)));
        Self { state: InstanceState::default(), settings, contacts: HashMap::new() }
    }

    pub(super) fn settings(&self) -> &BTreeMap<String, Value> {
        &self.settings
    }

    pub(super) fn set(&mut self, key: &str, value: Value) {
        if self.settings.len() < ENTRIES_MAX || self.settings.contains_key(key) {
            self.settings.insert(key.to_owned(), value);
        }
    }

    pub(super) fn set_webhook_url(&mut self, url: &str) {
        self.set(WEBHOOK_URL, json!(url));
    }

    pub(super) fn set_webhook_token(&mut self, token: &str) {
        self.set(WEBHOOK_TOKEN, json!(token));
    }

    /// Where events go to, if to a URL: then the HTTP queue refuses.
    pub(super) fn webhook(&self) -> Option<Webhook> {
        let text = |key| self.settings.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let webhook = Webhook { url: text(WEBHOOK_URL), token: text(WEBHOOK_TOKEN) };
        (!webhook.url.is_empty()).then_some(webhook)
    }

    /// Whether every switch is off: then an empty answer comes at once (the hot loop).
    pub(super) fn is_silent(&self) -> bool {
        SWITCHES.iter().all(|switch| self.settings.get(*switch).and_then(Value::as_str) == Some("no"))
    }

    pub(super) fn silence(&mut self) {
        for switch in SWITCHES {
            self.set(switch, json!("no"));
        }
    }

    pub(super) fn contact(&self, chat: &str) -> Contact {
        self.contacts.get(chat).cloned().unwrap_or_default()
    }

    pub(super) fn set_contact(&mut self, chat: &str, contact: Contact) {
        if self.contacts.len() < ENTRIES_MAX || self.contacts.contains_key(chat) {
            self.contacts.insert(chat.to_owned(), contact);
        }
    }
}

/// The invented phone of an instance: `7900` and the last seven digits of its id. The `@c.us` form is used
/// for every messenger.
pub(super) fn wid(instance: u64) -> String {
    format!("7900{:07}@c.us", instance % 10_000_000)
}

/// The messenger behind an instance id, by the shard prefixes
pub(super) fn type_instance(instance: u64) -> &'static str {
    if instance.to_string().starts_with("3100") { "v3" } else { "whatsapp" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_use_the_words_of_the_service() {
        assert_eq!(InstanceState::NotAuthorized.answer(), json!({"stateInstance": "notAuthorized"}));
        assert_eq!(InstanceState::YellowCard.answer(), json!({"stateInstance": "yellowCard"}));
        assert_eq!(InstanceState::BeingCreated.answer(), Value::Null);
    }

    #[test]
    fn silence_is_every_switch_off_and_one_breaks_it() {
        let mut account = Account::new(1);
        assert!(!account.is_silent());
        account.silence();
        assert!(account.is_silent());
        account.set("stateWebhook", json!("yes"));
        assert!(!account.is_silent());
    }

    #[test]
    fn the_account_is_a_phone_number() {
        assert_eq!(wid(1_101_123_456), "79001123456@c.us");
        assert_eq!((type_instance(3_100_000_001), type_instance(1_101_123_456)), ("v3", "whatsapp"));
        assert_eq!((type_instance(310_000_000_001), type_instance(110_100_003_100)), ("v3", "whatsapp"));
    }
}
