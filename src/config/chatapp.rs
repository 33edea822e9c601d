//! `[chatapp]`: who the bridge is at ChatApp, what it hears there, and where it keeps what it heard.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::fingerprint::Compared;
use super::problem::Checks;
use super::secrets::{Given, secret, secret_lines};
use super::text::{Within, bare_url, is_header_word, is_made_of, list, text_form};
use crate::seal::Seal;

/// The longest name that a Pusher server takes.
const CHANNEL_CHARS_MAX: usize = 164;
/// Shorter ones could be guessed: this one is all that stands between anybody and a forged event.
const CALLBACK_SECRET_CHARS_MIN: usize = 16;

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

text_form! {
    /// `[chatapp]`, as written.
    #[schemars(rename = "ChatApp")]
    pub(super) struct Text;

    /// Where ChatApp's API is.
    api_url: String = "https://api.chatapp.online",
    /// Where ChatApp's Pusher server is.
    socket_url: String = "wss://socket.chatapp.online:6001",
    /// The key of ChatApp's app on that server: the same for everybody.
    app_key: String = "ChatsAppApiProdKey",
    /// Who logs in, with `password` and `app_id`; tokens are fetched and kept up by that.
    email: Option<Given>,
    /// Goes with `email`.
    password: Option<Given>,
    /// A file holding the password, instead of `password`.
    password_file: Option<PathBuf>,
    /// The appId of the personal cabinet, such as app_12345_1. Goes with `email`.
    app_id: Option<String>,
    /// An accessToken to begin with; the pair in `state_dir` that grew out of it wins, until this one is changed.
    access_token: Option<Given>,
    /// A file holding that token, instead of `access_token`.
    access_token_file: Option<PathBuf>,
    /// A refreshToken to begin with, which a bridge without a login needs; the pair in `state_dir` that grew out of it wins.
    refresh_token: Option<Given>,
    /// A file holding that token, instead of `refresh_token`.
    refresh_token_file: Option<PathBuf>,
    /// The language ChatApp is asked to answer in: en, ru, pt.
    lang: String = "en",
    /// The Pusher channels to hear, such as private-v1.licenses.123.messengers.grWhatsApp; empty: all there are.
    #[serde(deserialize_with = "list")]
    channels: Vec<String>,
    /// The directory of what must outlive a restart: tokens, and events that Kafka does not have yet.
    state_dir: PathBuf = "/var/lib/chatbridge",
    /// A file holding the key with which the tokens in `state_dir` are sealed (64 hexadecimal digits); without it they lie
    /// there readable for this user and root. Several keys, one a line: the first one seals, each of them opens.
    seal_key_file: Option<PathBuf>,
    /// Bytes that the file of events may occupy which wait on disk for Kafka; at the limit nothing more is read off the
    /// socket.
    spool_bytes_max: Within<u64, 1_048_576, 1_099_511_627_776> = 1024 * 1024 * 1024,
    /// Whether messages that may have been missed are fetched through the API.
    backfill: bool = true,
    /// How often to look through the API for messages that were never pushed; 0 = never.
    reconcile_seconds: Within<u64, 0, 86_400> = 900,
    /// How far a gap is taken to reach back before the last sign of life: clocks differ, and ChatApp has queues.
    gap_overlap_seconds: Within<u64, 0, 86_400> = 120,
    /// Requests a second at the most, all of them together; ChatApp allows 50 per address.
    requests_per_second_max: Within<u32, 1, 50> = 10,
    /// How long a request may take, connecting included.
    request_timeout_seconds: Within<u64, 1, 300> = 30,
    /// The largest answer that is read.
    response_bytes_max: Within<usize, 65_536, 268_435_456> = 8 * 1024 * 1024,
    /// With it, ChatApp may call us as well: POST /chatapp/<this> on the listener of `[webhook]`. Make it up.
    callback_secret: Option<Given>,
    /// A file holding that secret, instead of `callback_secret`.
    callback_secret_file: Option<PathBuf>,
}

/// What cannot be read, and the end of the key that seems to be wrong then.
pub(super) const CONSEQUENCES: &[(&str, &str)] = &[
    ("webhook", "chatapp.callback_secret"),
    ("chatapp.refresh_token", "chatapp.email"),
    ("chatapp.refresh_token_file", "chatapp.email"),
];

/// `None` where something is wrong (then there is a complaint).
pub(super) fn check(text: Text, has_webhook: bool, checks: &mut Checks<'_>) -> Option<ChatApp> {
    let mut checks = checks.table("chatapp");
    let api_url = bare_url(&text.api_url)
        .or_else(|| checks.refuse("api_url", "expected one http or https address such as https://api.chatapp.online"));
    let socket_url = socket_url(&text.socket_url).or_else(|| {
        checks.refuse("socket_url", "expected one ws or wss address such as wss://socket.chatapp.online:6001")
    });
    plain("app_key", &text.app_key, "ChatApp's own is ChatsAppApiProdKey", &mut checks);
    plain("lang", &text.lang, "expected a language such as en, ru or pt", &mut checks);
    if text.state_dir.as_os_str().is_empty() {
        checks.complain("state_dir", "name a directory that this process may write to");
    }
    channels(&text.channels, &mut checks);
    let seal = seal(text.seal_key_file.as_deref(), &mut checks);

    let password = secret("password", text.password, text.password_file, &mut checks);
    let access = secret("access_token", text.access_token, text.access_token_file, &mut checks);
    let refresh = secret("refresh_token", text.refresh_token, text.refresh_token_file, &mut checks);
    let callback = secret("callback_secret", text.callback_secret, text.callback_secret_file, &mut checks);
    // Told already where a file was wrong; nothing is concluded from its absence then.
    let credentials = password.zip(access).zip(refresh).and_then(|((password, access), refresh)| {
        header_word("access_token", access.as_ref(), &mut checks);
        header_word("refresh_token", refresh.as_ref(), &mut checks);
        let login = login(text.email, password, text.app_id, &mut checks)?;
        if login.is_none() && refresh.is_none() {
            let missing = "is missing, with password and app_id: who logs in (or a refresh_token to begin with)";
            return checks.refuse("email", missing);
        }
        Some((login, access, refresh))
    });
    if let Some(Some(callback)) = &callback {
        callback_secret(callback.expose_secret(), has_webhook, &mut checks);
    }
    let (login, access_token, refresh_token) = credentials?;
    Some(ChatApp {
        api_url: api_url?,
        socket_url: socket_url?,
        app_key: text.app_key,
        login,
        access_token,
        refresh_token,
        lang: text.lang,
        channels: text.channels,
        state_dir: text.state_dir,
        seal: seal?,
        spool_bytes_max: text.spool_bytes_max.0,
        backfill: text.backfill,
        reconcile_interval: text.reconcile_seconds.seconds_or_never(),
        gap_overlap: text.gap_overlap_seconds.seconds(),
        requests_per_second_max: text.requests_per_second_max.0,
        request_timeout: text.request_timeout_seconds.seconds(),
        response_bytes_max: text.response_bytes_max.0,
        callback_secret: callback?,
    })
}

/// What the key file is for; outside `None` where it is none.
fn seal(path: Option<&Path>, checks: &mut Checks<'_>) -> Option<Option<Arc<Seal>>> {
    let Some(path) = path else { return Some(None) };
    match Seal::new(&secret_lines("seal_key_file", path, checks)?) {
        Ok(seal) => Some(Some(Arc::new(seal))),
        Err(not_a_key) => checks.refuse("seal_key_file", not_a_key.to_string()),
    }
}

/// All three or none; outside `None` where something is wrong.
fn login(
    email: Option<Given>,
    password: Option<SecretString>,
    app_id: Option<String>,
    checks: &mut Checks<'_>,
) -> Option<Option<Login>> {
    let given = [("email", email.is_some()), ("password", password.is_some()), ("app_id", app_id.is_some())];
    if let (Some(email), Some(password), Some(app_id)) = (email, password, app_id) {
        let email = email.read("email", checks)?;
        if !email.expose_secret().contains('@') {
            return checks.refuse("email", "is not an e-mail address");
        }
        if app_id.trim().is_empty() {
            return checks.refuse("app_id", "is empty: copy the appId of the personal cabinet");
        }
        return Some(Some(Login { email, password, app_id: app_id.trim().to_owned() }));
    }
    if given.iter().all(|(_, is_given)| !is_given) {
        return Some(None);
    }
    for (name, _) in given.into_iter().filter(|(_, is_given)| !is_given) {
        let or_file = if name == "password" { " (or password_file)" } else { "" };
        checks.complain(name, format!("is missing{or_file}: a login is email, password and app_id"));
    }
    None
}

fn channels(channels: &[String], checks: &mut Checks<'_>) {
    let mut seen = HashSet::new();
    for (index, channel) in channels.iter().enumerate() {
        let key = format!("channels[{index}]");
        let is_private = channel.strip_prefix("private-").is_some_and(|rest| !rest.is_empty());
        // The characters that a Pusher server takes.
        if !is_private || channel.len() > CHANNEL_CHARS_MAX || !is_made_of(channel, b"-_=@,.;") {
            let expected = "expected a private channel such as private-v1.licenses.123.messengers.grWhatsApp";
            checks.complain(key, expected);
        } else if !seen.insert(channel) {
            checks.complain(key, "is there twice");
        }
    }
}

fn callback_secret(secret: &str, has_webhook: bool, checks: &mut Checks<'_>) {
    if secret.len() < CALLBACK_SECRET_CHARS_MIN || !is_made_of(secret, b"-_.~") {
        let expected = format!(
            "expected at least {CALLBACK_SECRET_CHARS_MIN} letters, digits, hyphens or underscores, such as `openssl \
             rand -hex 24` makes: it is the last part of the callback URL"
        );
        checks.complain("callback_secret", expected);
    } else if !has_webhook {
        checks.complain("callback_secret", "needs a [webhook] section: where ChatApp's calls come in");
    }
}

/// A word that becomes part of a URL or a header.
fn plain(key: &str, word: &str, expected: &str, checks: &mut Checks<'_>) {
    if word.is_empty() || !is_made_of(word, b"-_") {
        checks.complain(key, expected);
    }
}

fn header_word(key: &str, token: Option<&SecretString>, checks: &mut Checks<'_>) {
    if token.is_some_and(|token| !is_header_word(token.expose_secret())) {
        checks.complain(key, "holds characters no header takes");
    }
}

fn socket_url(text: &str) -> Option<Url> {
    let web = text.strip_prefix("ws").map(|rest| format!("http{rest}"))?;
    // What makes a bare address is the same for both; a WebSocket's is only spelt differently.
    bare_url(&web)?;
    Url::parse(text).ok()
}

impl Compared for ChatApp {
    fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        let login = self.login.iter().flat_map(|login| [&login.email, &login.password]);
        login.chain(&self.access_token).chain(&self.refresh_token).chain(&self.callback_secret)
    }
}
