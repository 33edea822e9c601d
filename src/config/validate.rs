//! The file's words into values that can only be valid; what cannot become one is a [`Problem`].

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::admin::admin;
use super::brokers::broker_list;
use super::chatapp::chatapp;
use super::create_topics::create_topics;
use super::properties::properties;
use super::schema_registry::schema_registry;
use super::secrets::{secret, secret_lines};
use super::tracing::tracing;
use super::webhook::{webhook, webhook_token};
use super::{Calls, Config, Events, GreenApi, Instance, Kafka, Problem, Receive, file};
use crate::seal::Seal;
use chatbridge_event::event::{InstanceId, KindName};

/// Types that may be named in `events.drop` (reference §9.2).
const TYPE_WEBHOOKS: &[&str] = &[
    "incomingMessageReceived",
    "outgoingMessageReceived",
    "outgoingAPIMessageReceived",
    "outgoingMessageStatus",
    "incomingMessageStatus",
    "incomingCall",
    "outgoingCall",
    "incomingBlock",
    "deviceInfo",
    "stateInstanceChanged",
    "statusInstanceChanged",
    "quotaExceeded",
];

/// Everything that is wrong goes into `problems`; with problems the result must not be used.
pub(super) fn validate(file: file::File, problems: &mut Vec<Problem>) -> Option<Config> {
    let shutdown_timeout = seconds("shutdown_timeout_seconds", file.shutdown_timeout_seconds, 1..=3600, problems);
    let config_check = (file.config_check_seconds > 0)
        .then(|| seconds("config_check_seconds", file.config_check_seconds, 1..=86_400, problems));
    let kafka = kafka(file.kafka, problems);
    let schema_registry = schema_registry(file.schema_registry, kafka.cloudevents_mode, problems);
    let admin = admin(file.admin, problems);
    let default_url = api_url("green_api.api_url", &file.green_api.api_url, problems);
    let green_api = green_api(&file.green_api, problems);
    let has_webhook = file.webhook.is_some();
    let (webhook, webhook_token) = file.webhook.map_or((None, Some(None)), |file| webhook(file, problems));
    let defaults = InstanceDefaults { api_url: default_url, has_webhook, webhook_token };
    if file.green_api.instances.is_empty() && file.chatapp.is_none() {
        let missing = "name at least one, with its id and token (or have a [chatapp] section)";
        problems.push(Problem::new("green_api.instances", missing));
    }
    let instances = instances(file.green_api, &defaults, problems);
    let chatapp = file.chatapp.and_then(|file| chatapp(file, has_webhook, problems));
    let events = events(file.events, problems);
    let tracing = tracing(file.tracing, problems);
    let routing = routing(file.routing, &kafka, problems);
    Some(Config {
        shutdown_timeout,
        config_check,
        kafka,
        schema_registry,
        admin: admin?,
        green_api,
        instances,
        webhook,
        chatapp,
        events,
        calls: Calls {
            publish: file.calls.publish,
            caller_lookup: file.calls.caller_lookup,
            language: file.calls.language,
        },
        tracing,
        routing,
    })
}

pub(super) fn complain<T>(
    problems: &mut Vec<Problem>,
    key: impl Into<String>,
    message: impl Into<String>,
) -> Option<T> {
    problems.push(Problem::new(key, message));
    None
}

pub(super) fn number<N: PartialOrd + Copy + std::fmt::Display>(
    key: &str,
    value: N,
    range: std::ops::RangeInclusive<N>,
    problems: &mut Vec<Problem>,
) -> N {
    if !range.contains(&value) {
        problems.push(Problem::new(key, format!("{value} is not between {} and {}", range.start(), range.end())));
    }
    value
}

pub(super) fn seconds(
    key: &str,
    value: u64,
    range: std::ops::RangeInclusive<u64>,
    problems: &mut Vec<Problem>,
) -> Duration {
    Duration::from_secs(number(key, value, range, problems))
}

fn kafka(kafka: file::Kafka, problems: &mut Vec<Problem>) -> Kafka {
    let brokers = broker_list(&kafka.brokers).unwrap_or_else(|wrong| {
        problems.extend(wrong.into_iter().map(|wrong| Problem::new("kafka.brokers", wrong)));
        String::new()
    });
    let is_topic = topic("kafka.topic", &kafka.topic, problems);
    topic("kafka.dead_letter_topic", &kafka.dead_letter_topic, problems);
    if is_topic && kafka.topic == kafka.dead_letter_topic {
        problems.push(Problem::new("kafka.dead_letter_topic", "must not be the topic of events"));
    }
    Kafka {
        brokers,
        topic: kafka.topic.into(),
        dead_letter_topic: kafka.dead_letter_topic.into(),
        cloudevents_mode: kafka.cloudevents_mode,
        properties: properties(kafka.properties, kafka.property_files, problems),
        create_topics: kafka.create_topics.map(|file| create_topics(file, problems)),
    }
}

/// The names Kafka takes (`org.apache.kafka.common.internals.Topic`).
fn topic(key: &str, name: &str, problems: &mut Vec<Problem>) -> bool {
    let has_legal_characters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let is_legal = has_legal_characters && (1..=249).contains(&name.len()) && name != "." && name != "..";
    if !is_legal {
        problems.push(Problem::new(key, "a topic's name has 1 to 249 letters, digits, dots, hyphens or underscores"));
    }
    is_legal
}

/// What a key file is for; outside `None` where it is none.
pub(super) fn seal(key: String, path: Option<&Path>, problems: &mut Vec<Problem>) -> Option<Option<Arc<Seal>>> {
    let Some(path) = path else { return Some(None) };
    match Seal::new(&secret_lines(&key, path, problems)?) {
        Ok(seal) => Some(Some(Arc::new(seal))),
        Err(not_a_key) => complain(problems, key, not_a_key.to_string()),
    }
}

/// An address and nothing more: paths are joined to it, and secrets have keys of their own where they cannot be printed.
pub(super) fn bare_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

fn api_url(key: &str, text: &str, problems: &mut Vec<Problem>) -> Option<Url> {
    bare_url(text).filter(|url| !url.path().contains("waInstance")).or_else(|| {
        complain(
            problems,
            key,
            "expected the apiUrl of the console, such as https://1101.api.green-api.com, without id, method or token",
        )
    })
}

/// What applies where the file says nothing.
impl Default for Events {
    fn default() -> Self {
        events(file::Events::default(), &mut Vec::new())
    }
}

/// What applies where the file says nothing.
impl Default for GreenApi {
    fn default() -> Self {
        green_api(&file::GreenApi::default(), &mut Vec::new())
    }
}

fn green_api(file: &file::GreenApi, problems: &mut Vec<Problem>) -> GreenApi {
    let key = |name: &str| format!("green_api.{name}");
    let mut timed = |name: &str, value, range| seconds(&key(name), value, range, problems);
    let connect_timeout = timed("connect_timeout_seconds", file.connect_timeout_seconds, 1..=60);
    let delete_timeout = timed("delete_timeout_seconds", file.delete_timeout_seconds, 1..=300);
    let receive_grace = timed("receive_grace_seconds", file.receive_grace_seconds, 1..=300);
    let misconfigured_retry = timed("misconfigured_retry_seconds", file.misconfigured_retry_seconds, 1..=86_400);
    let watch_interval = timed("watch_interval_seconds", file.watch_interval_seconds, 0..=86_400);
    let loss_warn_after = timed("loss_warn_after_seconds", file.loss_warn_after_seconds, 1..=86_398);
    // What is out of its own range is told, and is no reason to complain of others.
    let warn_after_valid = Some(file.loss_warn_after_seconds).filter(|warn| (1..=86_398).contains(warn));
    let after_warning = warn_after_valid.map_or(2, |warn| warn + 1);
    let loss_alarm_after = timed("loss_alarm_after_seconds", file.loss_alarm_after_seconds, after_warning..=86_399);
    let retry_min = number(&key("retry_min_ms"), file.retry_min_ms, 1..=60_000, problems);
    let retry_min_valid = Some(retry_min).filter(|min| (1..=60_000).contains(min)).unwrap_or(1);
    let retry_max = number(&key("retry_max_ms"), file.retry_max_ms, retry_min_valid..=3_600_000, problems);
    let per_second_max = file.connections_per_second_max;
    let connections_per_second = number(&key("connections_per_second_max"), per_second_max, 1..=100_000, problems);
    GreenApi {
        connect_timeout,
        connect_interval: Duration::from_secs(1) / connections_per_second.max(1),
        delete_timeout,
        receive_grace,
        response_bytes_max: number(
            &key("response_bytes_max"),
            file.response_bytes_max,
            64 * 1024..=256 * 1024 * 1024,
            problems,
        ),
        retry_min: Duration::from_millis(retry_min),
        retry_max: Duration::from_millis(retry_max),
        misconfigured_retry,
        overlap_delete: file.overlap_delete,
        watch_interval: (!watch_interval.is_zero()).then_some(watch_interval),
        loss_warn_after,
        loss_alarm_after,
    }
}

/// What applies to instances that say nothing else.
struct InstanceDefaults {
    api_url: Option<Url>,
    has_webhook: bool,
    /// Outside `None` where it is wrong, which was said.
    webhook_token: Option<Option<SecretString>>,
}

fn instances(file: file::GreenApi, defaults: &InstanceDefaults, problems: &mut Vec<Problem>) -> Vec<Instance> {
    let default_timeout = receive_timeout("green_api.receive_timeout_seconds", file.receive_timeout_seconds, problems);
    let mut ids = HashSet::new();
    let mut valid = Vec::with_capacity(file.instances.len());
    for (index, instance) in file.instances.into_iter().enumerate() {
        let key = |name: &str| format!("green_api.instances[{index}].{name}");
        let id = match instance.id {
            Some(0) | None => complain(problems, key("id"), "the idInstance of the console is missing"),
            Some(id) if !ids.insert(id) => complain(problems, key("id"), format!("{id} is there twice")),
            Some(id) => Some(id),
        };
        let token = token(&key, instance.token, instance.token_file.as_deref(), problems);
        let api_url = match &instance.api_url {
            Some(text) => api_url(&key("api_url"), text, problems),
            None => defaults.api_url.clone(),
        };
        let receive_timeout = match instance.receive_timeout_seconds {
            Some(value) => receive_timeout(&key("receive_timeout_seconds"), value, problems),
            None => default_timeout,
        };
        let webhook_token = (instance.webhook_token, instance.webhook_token_file);
        let receive = receive(&key, instance.receive, webhook_token, defaults, problems);
        if let (Some(id), Some(token), Some(api_url), Some(receive)) = (id, token, api_url, receive) {
            valid.push(Instance { id: InstanceId::new(id), token, api_url, receive_timeout, receive });
        }
    }
    valid
}

fn receive(
    key: &impl Fn(&str) -> String,
    receive: file::Receive,
    (token, token_file): (Option<SecretString>, Option<PathBuf>),
    defaults: &InstanceDefaults,
    problems: &mut Vec<Problem>,
) -> Option<Receive> {
    // Checked even where it is not used: steps towards a webhook are taken one at a time.
    let is_given = token.is_some() || token_file.is_some();
    let token = webhook_token(|name| key(&format!("webhook_{name}")), token, token_file, problems);
    match receive {
        file::Receive::Poll => Some(Receive::Poll),
        file::Receive::Webhook if !defaults.has_webhook => {
            complain(problems, key("receive"), "\"webhook\" needs a [webhook] section: where GREEN-API's calls come in")
        }
        file::Receive::Webhook if is_given => token.map(|token| Receive::Webhook { token }),
        file::Receive::Webhook => match defaults.webhook_token.clone()? {
            Some(token) => Some(Receive::Webhook { token }),
            None => complain(
                problems,
                key("webhook_token"),
                "is missing (or webhook.token): make one up, and set it as the instance's webhookUrlToken",
            ),
        },
    }
}

/// GREEN-API takes 5 to 60 (reference §2.1).
fn receive_timeout(key: &str, value: u64, problems: &mut Vec<Problem>) -> Duration {
    seconds(key, value, 5..=60, problems)
}

fn token(
    key: &impl Fn(&str) -> String,
    token: Option<SecretString>,
    file: Option<&Path>,
    problems: &mut Vec<Problem>,
) -> Option<SecretString> {
    let Some(token) = secret(key, "token", token, file, problems)? else {
        return complain(problems, key("token"), "the apiTokenInstance of the console is missing (or token_file)");
    };
    // It becomes a path segment; a placeholder or a stray line break would only show as a 401 later.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    if !token.expose_secret().bytes().all(plain) {
        return complain(problems, key("token"), "is not an apiTokenInstance: letters and digits are expected");
    }
    Some(token)
}

fn events(events: file::Events, problems: &mut Vec<Problem>) -> Events {
    for (index, word) in events.drop.iter().enumerate() {
        if !TYPE_WEBHOOKS.contains(&word.as_str()) {
            let known = TYPE_WEBHOOKS.join(", ");
            problems.push(Problem::new(
                format!("events.drop[{index}]"),
                format!(
                    "unknown type `{word}`, expected one of {known} (for types that are unknown, see events.unknown)"
                ),
            ));
        }
    }
    Events { unknown: events.unknown, drop: events.drop, include_raw: events.include_raw }
}

fn routing(
    routes: BTreeMap<String, String>,
    kafka: &Kafka,
    problems: &mut Vec<Problem>,
) -> BTreeMap<&'static str, Arc<str>> {
    let mut routing = BTreeMap::new();
    for (kind, name) in routes {
        let key = format!("routing.{kind}");
        if topic(&key, &name, problems) && *name == *kafka.dead_letter_topic {
            problems.push(Problem::new(&key, "must not be the topic of dead letters"));
        }
        match KindName::ALL.into_iter().map(KindName::as_str).find(|known| *known == kind) {
            Some(known) => drop(routing.insert(known, name.into())),
            None => {
                let known = KindName::ALL.map(KindName::as_str).join(", ");
                problems.push(Problem::new(key, format!("unknown kind `{kind}`, expected one of {known}")));
            }
        }
    }
    routing
}
