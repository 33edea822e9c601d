//! `[chatapp]`: who the bridge is at ChatApp, what it hears there, and where it keeps what it heard.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::secrets::{given_secret, secret};
use super::validate::{bare_url, complain, number, seal, seconds};
use super::{Problem, file};
use crate::seal::Seal;

/// The longest name that a Pusher server takes (reference chatapp §5.6).
const CHANNEL_CHARS_MAX: usize = 164;
/// Shorter ones could be guessed: this one is all that stands between anybody and a forged event.
const CALLBACK_SECRET_CHARS_MIN: usize = 16;

/// `[chatapp]`, as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "ChatApp")]
pub(super) struct File {
    /// Where ChatApp's API is.
    api_url: String,
    /// Where ChatApp's Pusher server is.
    socket_url: String,
    /// The key of ChatApp's app on that server: the same for everybody.
    app_key: String,
    /// Who logs in, with `password` and `app_id`; tokens are fetched and kept up by that.
    #[schemars(with = "Option<String>")]
    email: Option<SecretString>,
    /// Goes with `email`.
    #[schemars(with = "Option<String>")]
    password: Option<SecretString>,
    /// A file holding the password, instead of `password`.
    password_file: Option<PathBuf>,
    /// The appId of the personal cabinet, such as app_12345_1. Goes with `email`.
    app_id: Option<String>,
    /// An accessToken to begin with; the pair in `state_dir` that grew out of it wins, until this one is changed.
    #[schemars(with = "Option<String>")]
    access_token: Option<SecretString>,
    /// A file holding that token, instead of `access_token`.
    access_token_file: Option<PathBuf>,
    /// A refreshToken to begin with, which a bridge without a login needs; the pair in `state_dir` that grew out of it wins.
    #[schemars(with = "Option<String>")]
    refresh_token: Option<SecretString>,
    /// A file holding that token, instead of `refresh_token`.
    refresh_token_file: Option<PathBuf>,
    /// The language ChatApp is asked to answer in: en, ru, pt.
    lang: String,
    /// The Pusher channels to hear, such as private-v1.licenses.123.messengers.grWhatsApp; empty: all there are.
    #[serde(deserialize_with = "file::list")]
    channels: Vec<String>,
    /// The directory of what must outlive a restart: tokens, and events that Kafka does not have yet.
    state_dir: PathBuf,
    /// A file holding the key with which the tokens in `state_dir` are sealed (64 hexadecimal digits); without it they lie
    /// there readable for this user and root. Several keys, one a line: the first one seals, each of them opens.
    seal_key_file: Option<PathBuf>,
    /// Bytes that the file of events may occupy which wait on disk for Kafka; at the limit nothing more is read off the
    /// socket.
    #[schemars(range(min = 1_048_576, max = 1_099_511_627_776_u64))]
    spool_bytes_max: u64,
    /// Whether messages that may have been missed are fetched through the API.
    backfill: bool,
    /// How often to look through the API for messages that were never pushed; 0 = never.
    #[schemars(range(min = 0, max = 86_400))]
    reconcile_seconds: u64,
    /// How far a gap is taken to reach back before the last sign of life: clocks differ, and ChatApp has queues.
    #[schemars(range(min = 0, max = 86_400))]
    gap_overlap_seconds: u64,
    /// Requests a second at the most, all of them together; ChatApp allows 50 per address.
    #[schemars(range(min = 1, max = 50))]
    requests_per_second_max: u32,
    /// How long a request may take, connecting included.
    #[schemars(range(min = 1, max = 300))]
    request_timeout_seconds: u64,
    /// The largest answer that is read.
    #[schemars(range(min = 65_536, max = 268_435_456))]
    response_bytes_max: usize,
    /// With it, ChatApp may call us as well: POST /chatapp/<this> on the listener of `[webhook]`. Make it up.
    #[schemars(with = "Option<String>")]
    callback_secret: Option<SecretString>,
    /// A file holding that secret, instead of `callback_secret`.
    callback_secret_file: Option<PathBuf>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            api_url: "https://api.chatapp.online".to_owned(),
            socket_url: "wss://socket.chatapp.online:6001".to_owned(),
            app_key: "ChatsAppApiProdKey".to_owned(),
            email: None,
            password: None,
            password_file: None,
            app_id: None,
            access_token: None,
            access_token_file: None,
            refresh_token: None,
            refresh_token_file: None,
            lang: "en".to_owned(),
            channels: Vec::new(),
            state_dir: PathBuf::from("/var/lib/chatbridge"),
            seal_key_file: None,
            spool_bytes_max: 1024 * 1024 * 1024,
            backfill: true,
            reconcile_seconds: 900,
            gap_overlap_seconds: 120,
            requests_per_second_max: 10,
            request_timeout_seconds: 30,
            response_bytes_max: 8 * 1024 * 1024,
            callback_secret: None,
            callback_secret_file: None,
        }
    }
}

/// Who the bridge is at ChatApp, and what it hears there.
#[derive(Debug, Clone)]
pub struct ChatApp {
    /// Where the API is.
    pub api_url: Url,
    /// Where the Pusher server is: `ws` or `wss`.
    pub socket_url: Url,
    /// The key of ChatApp's app there.
    pub app_key: String,
    /// Who logs in; there is this, or a [`ChatApp::refresh_token`], or both.
    pub login: Option<Login>,
    /// An accessToken to begin with.
    pub access_token: Option<SecretString>,
    /// A refreshToken to begin with.
    pub refresh_token: Option<SecretString>,
    /// The language ChatApp answers in.
    pub lang: String,
    /// The channels to hear; empty: all there are.
    pub channels: Vec<String>,
    /// Where tokens and spool lie.
    pub state_dir: PathBuf,
    /// What the tokens there are sealed with.
    pub seal: Option<Arc<Seal>>,
    /// Bytes that the spool's file may occupy.
    pub spool_bytes_max: u64,
    /// Whether messages that may have been missed are fetched.
    pub backfill: bool,
    /// How often to look for messages that were never pushed; `None`: never.
    pub reconcile_interval: Option<Duration>,
    /// How far a gap reaches back before the last sign of life.
    pub gap_overlap: Duration,
    /// Requests a second at the most.
    pub requests_per_second_max: u32,
    /// How long a request may take.
    pub request_timeout: Duration,
    /// The largest answer that is read.
    pub response_bytes_max: usize,
    /// The last segment of the callback URL; `None`: ChatApp does not call.
    pub callback_secret: Option<SecretString>,
}

/// What `POST /v1/tokens` wants to see.
#[derive(Debug, Clone)]
pub struct Login {
    /// Whose account it is.
    pub email: SecretString,
    /// Its password.
    pub password: SecretString,
    /// Through which app of the cabinet.
    pub app_id: String,
}

impl ChatApp {
    /// Everything that `Debug` hides, in an order that never changes.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let login = self.login.iter().flat_map(|login| [&login.email, &login.password]);
        login.chain(&self.access_token).chain(&self.refresh_token).chain(&self.callback_secret)
    }
}

/// `None` where something is wrong (then `problems` has grown).
pub(super) fn chatapp(file: File, has_webhook: bool, problems: &mut Vec<Problem>) -> Option<ChatApp> {
    let key = |name: &str| format!("chatapp.{name}");
    let api_url = bare_url(&file.api_url).or_else(|| {
        complain(problems, key("api_url"), "expected one http or https address such as https://api.chatapp.online")
    });
    let socket_url = socket_url(&file.socket_url).or_else(|| {
        let expected = "expected one ws or wss address such as wss://socket.chatapp.online:6001";
        complain(problems, key("socket_url"), expected)
    });
    let app_key = plain(key("app_key"), file.app_key, "ChatApp's own is ChatsAppApiProdKey", problems);
    let lang = plain(key("lang"), file.lang, "expected a language such as en, ru or pt", problems);
    if file.state_dir.as_os_str().is_empty() {
        problems.push(Problem::new(key("state_dir"), "name a directory that this process may write to"));
    }
    channels(&file.channels, problems);
    let seal = seal(key("seal_key_file"), file.seal_key_file.as_deref(), problems);

    let password = secret(key, "password", file.password, file.password_file.as_deref(), problems);
    let access = secret(key, "access_token", file.access_token, file.access_token_file.as_deref(), problems);
    let refresh = secret(key, "refresh_token", file.refresh_token, file.refresh_token_file.as_deref(), problems);
    let callback = secret(key, "callback_secret", file.callback_secret, file.callback_secret_file.as_deref(), problems);
    // Told already where a file was wrong; nothing is concluded from its absence then.
    let credentials = password.zip(access).zip(refresh).and_then(|((password, access), refresh)| {
        header_text(key("access_token"), access.as_ref(), problems);
        header_text(key("refresh_token"), refresh.as_ref(), problems);
        let login = login(file.email, password, file.app_id, problems)?;
        if login.is_none() && refresh.is_none() {
            let missing = "is missing, with password and app_id: who logs in (or a refresh_token to begin with)";
            return complain(problems, key("email"), missing);
        }
        Some((login, access, refresh))
    });
    if let Some(callback) = &callback {
        callback_secret(callback.as_ref(), has_webhook, problems);
    }

    let mut timed = |name: &str, value, range| seconds(&key(name), value, range, problems);
    let reconcile_interval = timed("reconcile_seconds", file.reconcile_seconds, 0..=86_400);
    let gap_overlap = timed("gap_overlap_seconds", file.gap_overlap_seconds, 0..=86_400);
    let request_timeout = timed("request_timeout_seconds", file.request_timeout_seconds, 1..=300);
    let spool = 1024 * 1024..=1024 * 1024 * 1024 * 1024;
    let spool_bytes_max = number(&key("spool_bytes_max"), file.spool_bytes_max, spool, problems);
    let requests = file.requests_per_second_max;
    let requests_per_second_max = number(&key("requests_per_second_max"), requests, 1..=50, problems);
    let response = 64 * 1024..=256 * 1024 * 1024;
    let response_bytes_max = number(&key("response_bytes_max"), file.response_bytes_max, response, problems);
    let (login, access_token, refresh_token) = credentials?;
    Some(ChatApp {
        api_url: api_url?,
        socket_url: socket_url?,
        app_key,
        login,
        access_token,
        refresh_token,
        lang,
        channels: file.channels,
        state_dir: file.state_dir,
        seal: seal?,
        spool_bytes_max,
        backfill: file.backfill,
        reconcile_interval: (!reconcile_interval.is_zero()).then_some(reconcile_interval),
        gap_overlap,
        requests_per_second_max,
        request_timeout,
        response_bytes_max,
        callback_secret: callback?,
    })
}

/// All three or none; outside `None` where something is wrong.
fn login(
    email: Option<SecretString>,
    password: Option<SecretString>,
    app_id: Option<String>,
    problems: &mut Vec<Problem>,
) -> Option<Option<Login>> {
    let given = [("email", email.is_some()), ("password", password.is_some()), ("app_id", app_id.is_some())];
    if let (Some(email), Some(password), Some(app_id)) = (email, password, app_id) {
        let email = given_secret("chatapp.email", &email, problems)?;
        if !email.expose_secret().contains('@') {
            return complain(problems, "chatapp.email", "is not an e-mail address");
        }
        if app_id.trim().is_empty() {
            return complain(problems, "chatapp.app_id", "is empty: copy the appId of the personal cabinet");
        }
        return Some(Some(Login { email, password, app_id: app_id.trim().to_owned() }));
    }
    if given.iter().all(|(_, is_given)| !is_given) {
        return Some(None);
    }
    for (name, _) in given.into_iter().filter(|(_, is_given)| !is_given) {
        let or_file = if name == "password" { " (or password_file)" } else { "" };
        let message = format!("is missing{or_file}: a login is email, password and app_id");
        problems.push(Problem::new(format!("chatapp.{name}"), message));
    }
    None
}

fn channels(channels: &[String], problems: &mut Vec<Problem>) {
    let mut seen = HashSet::new();
    for (index, channel) in channels.iter().enumerate() {
        let key = || format!("chatapp.channels[{index}]");
        // The characters of §5.6.
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=@,.;".contains(&byte);
        let is_private = channel.strip_prefix("private-").is_some_and(|rest| !rest.is_empty());
        if !is_private || channel.len() > CHANNEL_CHARS_MAX || !channel.bytes().all(legal) {
            let expected = "expected a private channel such as private-v1.licenses.123.messengers.grWhatsApp";
            problems.push(Problem::new(key(), expected));
        } else if !seen.insert(channel) {
            problems.push(Problem::new(key(), "is there twice"));
        }
    }
}

fn callback_secret(secret: Option<&SecretString>, has_webhook: bool, problems: &mut Vec<Problem>) {
    let Some(secret) = secret.map(ExposeSecret::expose_secret) else { return };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let key = "chatapp.callback_secret";
    if secret.len() < CALLBACK_SECRET_CHARS_MIN || !secret.bytes().all(plain) {
        let expected = format!(
            "expected at least {CALLBACK_SECRET_CHARS_MIN} letters, digits, hyphens or underscores, such as `openssl \
             rand -hex 24` makes: it is the last part of the callback URL"
        );
        problems.push(Problem::new(key, expected));
    } else if !has_webhook {
        problems.push(Problem::new(key, "needs a [webhook] section: where ChatApp's calls come in"));
    }
}

/// A word that becomes part of a URL or a header.
fn plain(key: String, word: String, expected: &str, problems: &mut Vec<Problem>) -> String {
    if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        problems.push(Problem::new(key, expected));
    }
    word
}

fn header_text(key: String, token: Option<&SecretString>, problems: &mut Vec<Problem>) {
    let is_header_text = |token: &SecretString| token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic());
    if token.is_some_and(|token| !is_header_text(token)) {
        problems.push(Problem::new(key, "holds characters no header takes"));
    }
}

fn socket_url(text: &str) -> Option<Url> {
    let web = text.strip_prefix("ws").map(|rest| format!("http{rest}"))?;
    // What makes a bare address is the same for both; a WebSocket's is only spelt differently.
    bare_url(&web)?;
    Url::parse(text).ok()
}
