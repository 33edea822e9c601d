//! `[green_api]`: how GREEN-API is asked, and which instances there are.

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

use chatbridge_event::event::InstanceId;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use url::Url;

use super::fingerprint::Compared;
use super::problem::Checks;
use super::secrets::{Given, secret};
use super::text::{Within, bare_url, is_made_of, text_form, word};
use super::webhook::webhook_token;

/// The longest poll that GREEN-API holds.
const RECEIVE_TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// How GREEN-API is asked.
#[derive(Debug, Clone)]
pub struct GreenApi {
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// From one new connection to the next, over all instances.
    pub connect_interval: Duration,
    /// How long a delete may take.
    pub delete_timeout: Duration,
    /// How long past `receive_timeout` an answer may take.
    pub receive_grace: Duration,
    /// The largest answer that is read.
    pub response_bytes_max: usize,
    /// The first wait after a failure.
    pub retry_min: Duration,
    /// The longest wait after a failure.
    pub retry_max: Duration,
    /// The wait while an instance is misconfigured: an operator has to act first.
    pub misconfigured_retry: Duration,
    /// Whether the next receive may begin while a delete is still on its way.
    pub overlap_delete: bool,
    /// How often each instance's state and queue length are asked; `None`: never.
    pub watch_interval: Option<Duration>,
    /// From which age of a queue's head on it is a warning.
    pub loss_warn_after: Duration,
    /// From which age of a queue's head on it is an alarm: later than the warning, earlier than GREEN-API's 24 hours.
    pub loss_alarm_after: Duration,
}

/// What applies where the file says nothing.
impl Default for GreenApi {
    fn default() -> Self {
        Text::default().green_api()
    }
}

impl GreenApi {
    /// Longer than any of so many pollers is silent of its own accord: the longest poll that another configuration
    /// could ask for and every wait there is, one after the other, the turns of all instances' connections among them
    /// (a receive's and a delete's), and as much again as the waits that GREEN-API may ask for (a minute at most) and a
    /// busy machine.
    pub(super) fn silence_max(&self, instances: usize) -> Duration {
        let answered = RECEIVE_TIMEOUT_MAX + self.receive_grace + self.connect_timeout + self.delete_timeout;
        let turns = self.connect_interval * (2 * instances as u32);
        answered + turns + self.retry_max + self.misconfigured_retry + Duration::from_secs(120)
    }
}

/// One instance.
#[derive(Debug, Clone)]
pub struct Instance {
    /// Its `idInstance`.
    pub id: InstanceId,
    /// Its `apiTokenInstance`.
    pub token: SecretString,
    /// Its API host, with a path prefix where it has one.
    pub api_url: Url,
    /// How long a poll is held.
    pub receive_timeout: Duration,
    /// How its events come in.
    pub receive: Receive,
}

impl Instance {
    /// Whether a poller of the one would do exactly what a poller of the other does.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.fingerprint() == other.fingerprint()
    }
}

/// How an instance's events come in. GREEN-API does one or the other, never both.
#[derive(Debug, Clone)]
pub enum Receive {
    /// Its queue is polled.
    Poll,
    /// GREEN-API calls the webhook.
    Webhook {
        /// What it proves itself with: its webhookUrlToken, bare.
        token: SecretString,
    },
}

text_form! {
    /// `[green_api]`
    #[schemars(rename = "GreenApi")]
    pub(super) struct Text;

    /// The API host of instances that do not name their own.
    api_url: String = "https://api.green-api.com",
    /// How long GREEN-API holds a poll: 5 to 60.
    receive_timeout_seconds: Within<u64, 5, 60> = 20,
    /// How long past that an answer may take before the connection is given up.
    receive_grace_seconds: Within<u64, 1, 300> = 15,
    /// How long a connection may take.
    connect_timeout_seconds: Within<u64, 1, 60> = 10,
    /// How many connections are opened in a second, over all instances; the others wait for their turn, in order.
    connections_per_second_max: Within<u32, 1, 100_000> = 500,
    /// How long a delete may take.
    delete_timeout_seconds: Within<u64, 1, 300> = 30,
    /// The largest answer that is read; a longer one is dead-lettered, cut.
    response_bytes_max: Within<usize, 65_536, 268_435_456> = 8 * 1024 * 1024,
    /// The first wait after a failure; it doubles, with jitter.
    retry_min_ms: Within<u64, 1, 60_000> = 500,
    /// The longest wait after failures.
    #[schemars(range(min = 1, max = 3_600_000))]
    retry_max_ms: u64 = 30_000_u64,
    /// The wait between tries while an instance is misconfigured.
    misconfigured_retry_seconds: Within<u64, 1, 86_400> = 60,
    /// Whether the next receive may begin while a delete is still on its way: nearly twice the events a second where the
    /// way to GREEN-API is long.
    overlap_delete: bool,
    /// How often each instance's state and queue length are asked; 0 = never.
    watch_interval_seconds: Within<u64, 0, 86_400> = 300,
    /// From which age of a queue's head on it is a warning.
    loss_warn_after_seconds: Within<u64, 1, 86_398> = 6 * 60 * 60,
    /// From which age of a queue's head on it is an alarm; GREEN-API forgets after 86400.
    #[schemars(range(min = 2, max = 86_399))]
    loss_alarm_after_seconds: u64 = 18 * 60 * 60_u64,
    instances: Vec<InstanceText>,
}

text_form! {
    /// `[[green_api.instances]]`
    #[schemars(rename = "Instance")]
    struct InstanceText;

    /// `idInstance` from the console.
    id: Option<u64>,
    /// `apiTokenInstance` from the console.
    token: Option<Given>,
    /// A file holding the token, instead of `token`.
    token_file: Option<PathBuf>,
    /// This instance's own API host.
    api_url: Option<String>,
    /// This instance's own poll time.
    receive_timeout_seconds: Option<Within<u64, 5, 60>>,
    /// How events come in: poll or webhook.
    #[serde(deserialize_with = "word")]
    receive: ReceiveText,
    /// Its webhookUrlToken, with `receive = "webhook"`; without one that of `[webhook]` is expected.
    webhook_token: Option<Given>,
    /// A file holding that token, instead of `webhook_token`.
    webhook_token_file: Option<PathBuf>,
}

/// How an instance's events come in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Receive")]
enum ReceiveText {
    /// By receiveNotification.
    #[default]
    Poll,
    /// GREEN-API calls us: see `[webhook]`.
    Webhook,
}

impl Text {
    pub(super) fn has_instances(&self) -> bool {
        !self.instances.is_empty()
    }

    fn green_api(&self) -> GreenApi {
        GreenApi {
            connect_timeout: self.connect_timeout_seconds.seconds(),
            connect_interval: Duration::from_secs(1) / self.connections_per_second_max.0,
            delete_timeout: self.delete_timeout_seconds.seconds(),
            receive_grace: self.receive_grace_seconds.seconds(),
            response_bytes_max: self.response_bytes_max.0,
            retry_min: self.retry_min_ms.millis(),
            retry_max: Duration::from_millis(self.retry_max_ms),
            misconfigured_retry: self.misconfigured_retry_seconds.seconds(),
            overlap_delete: self.overlap_delete,
            watch_interval: self.watch_interval_seconds.seconds_or_never(),
            loss_warn_after: self.loss_warn_after_seconds.seconds(),
            loss_alarm_after: Duration::from_secs(self.loss_alarm_after_seconds),
        }
    }
}

/// What cannot be read, and the end of the key that seems to be wrong then.
pub(super) const CONSEQUENCES: &[(&str, &str)] = &[
    ("chatapp", "green_api.instances"),
    ("green_api.loss_warn_after_seconds", "green_api.loss_alarm_after_seconds"),
    ("green_api.retry_min_ms", "green_api.retry_max_ms"),
    ("webhook", ".receive"),
    ("webhook", ".webhook_token"),
    ("webhook.token", ".webhook_token"),
    ("webhook.token_file", ".webhook_token"),
];

/// The token of `[webhook]`; outside `None` where it is wrong, which was said.
pub(super) type WebhookToken = Option<Option<SecretString>>;

/// `webhook` is `None` where there is no such section.
pub(super) fn check(text: Text, webhook: Option<WebhookToken>, checks: &mut Checks<'_>) -> (GreenApi, Vec<Instance>) {
    let mut checks = checks.table("green_api");
    let default_url = api_url(&text.api_url, &mut checks);
    let after_warning = text.loss_warn_after_seconds.0 + 1..=86_399;
    checks.within("loss_alarm_after_seconds", text.loss_alarm_after_seconds, &after_warning);
    checks.within("retry_max_ms", text.retry_max_ms, &(text.retry_min_ms.0..=3_600_000));
    let green_api = text.green_api();
    let mut ids = HashSet::new();
    let mut instances = Vec::with_capacity(text.instances.len());
    for (index, text_of_one) in text.instances.into_iter().enumerate() {
        let mut checks = checks.table(format_args!("instances[{index}]"));
        let id = match text_of_one.id {
            Some(0) | None => checks.refuse("id", "the idInstance of the console is missing"),
            Some(id) if !ids.insert(id) => checks.refuse("id", format!("{id} is there twice")),
            Some(id) => Some(InstanceId::new(id)),
        };
        let token = token(text_of_one.token, text_of_one.token_file, &mut checks);
        let api_url = match &text_of_one.api_url {
            Some(text) => api_url(text, &mut checks),
            None => default_url.clone(),
        };
        let receive_timeout = text_of_one.receive_timeout_seconds.unwrap_or(text.receive_timeout_seconds).seconds();
        let own_token = (text_of_one.webhook_token, text_of_one.webhook_token_file);
        let receive = receive(text_of_one.receive, own_token, webhook.as_ref(), &mut checks);
        if let (Some(id), Some(token), Some(api_url), Some(receive)) = (id, token, api_url, receive) {
            instances.push(Instance { id, token, api_url, receive_timeout, receive });
        }
    }
    (green_api, instances)
}

fn api_url(text: &str, checks: &mut Checks<'_>) -> Option<Url> {
    bare_url(text).filter(|url| !url.path().contains("waInstance")).or_else(|| {
        let expected =
            "expected the apiUrl of the console, such as https://1101.api.green-api.com, without id, method or token";
        checks.refuse("api_url", expected)
    })
}

fn token(token: Option<Given>, file: Option<PathBuf>, checks: &mut Checks<'_>) -> Option<SecretString> {
    let Some(token) = secret("token", token, file, checks)? else {
        return checks.refuse("token", "the apiTokenInstance of the console is missing (or token_file)");
    };
    // It becomes a path segment; a placeholder or a stray line break would only show as a 401 later.
    if !is_made_of(token.expose_secret(), b"-_.~") {
        return checks.refuse("token", "is not an apiTokenInstance: letters and digits are expected");
    }
    Some(token)
}

fn receive(
    receive: ReceiveText,
    (token, token_file): (Option<Given>, Option<PathBuf>),
    webhook: Option<&WebhookToken>,
    checks: &mut Checks<'_>,
) -> Option<Receive> {
    // Checked even where it is not used: steps towards a webhook are taken one at a time.
    let own_token = webhook_token("webhook_token", token, token_file, checks);
    match (receive, webhook) {
        (ReceiveText::Poll, _) => Some(Receive::Poll),
        (ReceiveText::Webhook, None) => {
            checks.refuse("receive", "\"webhook\" needs a [webhook] section: where GREEN-API's calls come in")
        }
        (ReceiveText::Webhook, Some(of_all)) => {
            let token = match own_token? {
                Some(token) => Some(token),
                None => of_all.clone()?,
            };
            let missing = "is missing (or webhook.token): make one up, and set it as the instance's webhookUrlToken";
            token.map_or_else(|| checks.refuse("webhook_token", missing), |token| Some(Receive::Webhook { token }))
        }
    }
}

impl Compared for GreenApi {}

/// Another one needs no restart: the instances that changed are started anew.
impl Compared for Instance {
    fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let webhook_token = match &self.receive {
            Receive::Poll => None,
            Receive::Webhook { token } => Some(token),
        };
        std::iter::once(&self.token).chain(webhook_token)
    }
}
