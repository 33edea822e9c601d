//! `[schema_registry]`: where the schema of events is registered.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::fingerprint::Compared;
use super::kafka::CloudEventsMode;
use super::problem::Checks;
use super::secrets::{Given, secret};
use super::text::{Within, bare_url, is_header_word, text_form};

/// Where the schema of events is registered.
#[derive(Debug, Clone)]
pub struct SchemaRegistry {
    /// The root of Confluent's API.
    pub url: Url,
    /// Whether to register the schema, or only to find it there.
    pub register: bool,
    /// Who asks.
    pub credentials: Credentials,
    /// How long a request may take.
    pub request_timeout: Duration,
}

/// What an HTTP service wants to see.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// Nothing.
    None,
    /// Basic authentication.
    Basic {
        /// Whose password it is.
        username: String,
        /// The password.
        password: SecretString,
    },
    /// A bearer token.
    Bearer(SecretString),
}

text_form! {
    /// `[schema_registry]`
    #[schemars(rename = "SchemaRegistry")]
    pub(super) struct Text;

    /// The address of a registry with Confluent's API; without one there is no framing.
    url: Option<String>,
    /// Whether to register the schema, or only to find it there.
    register: bool = true,
    /// For Basic authentication, with `password` or `password_file`.
    username: Option<String>,
    /// Goes with `username`.
    password: Option<Given>,
    /// A file holding the password, instead of `password`.
    password_file: Option<PathBuf>,
    /// For Bearer authentication.
    token: Option<Given>,
    /// A file holding the token, instead of `token`.
    token_file: Option<PathBuf>,
    /// How long a request may take, connecting included.
    request_timeout_seconds: Within<u64, 1, 300> = 10,
}

/// `None` where there is no registry, or where something is wrong with it (then there is a complaint).
pub(super) fn check(text: Text, mode: CloudEventsMode, checks: &mut Checks<'_>) -> Option<SchemaRegistry> {
    let Some(url) = &text.url else {
        let has_credentials = text.username.is_some()
            || text.password.is_some()
            || text.password_file.is_some()
            || text.token.is_some()
            || text.token_file.is_some();
        if has_credentials || !text.register {
            // Whoever sets these expects framed values, and would get plain ones.
            checks.complain("schema_registry.url", "is missing: the other keys are about that registry");
        }
        return None;
    };
    if mode == CloudEventsMode::Structured {
        let message =
            "must be \"binary\" with a schema registry: what is framed is the event, not a CloudEvents envelope";
        checks.complain("kafka.cloudevents_mode", message);
    }
    let mut checks = checks.table("schema_registry");
    let url = bare_url(url).or_else(|| {
        let expected = "expected one http or https address such as http://localhost:8081, without user or password";
        checks.refuse("url", expected)
    });
    let (register, request_timeout) = (text.register, text.request_timeout_seconds.seconds());
    let credentials = credentials(text, &mut checks);
    Some(SchemaRegistry { url: url?, register, credentials: credentials?, request_timeout })
}

fn credentials(text: Text, checks: &mut Checks<'_>) -> Option<Credentials> {
    let password = secret("password", text.password, text.password_file, checks);
    let token = secret("token", text.token, text.token_file, checks);
    match (text.username, password?, token?) {
        (None, None, None) => Some(Credentials::None),
        (Some(username), Some(password), None) if !username.contains(':') => {
            Some(Credentials::Basic { username, password })
        }
        (Some(_), Some(_), None) => checks.refuse("username", "cannot hold a colon"),
        (Some(_), None, _) => checks.refuse("password", "is missing (or password_file)"),
        (None, Some(_), _) => checks.refuse("username", "is missing"),
        (None, None, Some(token)) if is_header_word(token.expose_secret()) => Some(Credentials::Bearer(token)),
        (None, None, Some(_)) => checks.refuse("token", "holds characters no header takes"),
        (Some(_), Some(_), Some(_)) => checks.refuse("token", "there is a password as well: keep one"),
    }
}

impl Compared for SchemaRegistry {
    fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        match &self.credentials {
            Credentials::None => None,
            Credentials::Basic { password: secret, .. } | Credentials::Bearer(secret) => Some(secret),
        }
        .into_iter()
    }
}
