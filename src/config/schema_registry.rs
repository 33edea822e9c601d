//! `[schema_registry]`: its words into values that can only be valid.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::secrets::secret;
use super::validate::{bare_url, complain, seconds};
use super::{CloudEventsMode, Credentials, Problem, SchemaRegistry, file};

/// `None` where there is no registry, or where something is wrong with it (then `problems` has grown).
pub(super) fn schema_registry(
    file: file::SchemaRegistry,
    mode: CloudEventsMode,
    problems: &mut Vec<Problem>,
) -> Option<SchemaRegistry> {
    let request_timeout =
        seconds("schema_registry.request_timeout_seconds", file.request_timeout_seconds, 1..=300, problems);
    let has_credentials = file.username.is_some()
        || file.password.is_some()
        || file.password_file.is_some()
        || file.token.is_some()
        || file.token_file.is_some();
    let Some(text) = &file.url else {
        if has_credentials || !file.register {
            // Whoever sets these expects framed values, and would get plain ones.
            return complain(problems, "schema_registry.url", "is missing: the other keys are about that registry");
        }
        return None;
    };
    if mode == CloudEventsMode::Structured {
        problems.push(Problem::new(
            "kafka.cloudevents_mode",
            "must be \"binary\" with a schema registry: what is framed is the event, not a CloudEvents envelope",
        ));
    }
    let url = url(text, problems);
    let register = file.register;
    let credentials = credentials(file, problems);
    Some(SchemaRegistry { url: url?, register, credentials: credentials?, request_timeout })
}

fn url(text: &str, problems: &mut Vec<Problem>) -> Option<Url> {
    bare_url(text).or_else(|| {
        complain(
            problems,
            "schema_registry.url",
            "expected one http or https address such as http://localhost:8081, without user or password",
        )
    })
}

fn credentials(file: file::SchemaRegistry, problems: &mut Vec<Problem>) -> Option<Credentials> {
    let key = |name: &str| format!("schema_registry.{name}");
    let password = secret(key, "password", file.password, file.password_file.as_deref(), problems);
    let token = secret(key, "token", file.token, file.token_file.as_deref(), problems);
    match (file.username, password?, token?) {
        (None, None, None) => Some(Credentials::None),
        (Some(username), Some(password), None) if !username.contains(':') => {
            Some(Credentials::Basic { username, password })
        }
        (Some(_), Some(_), None) => complain(problems, "schema_registry.username", "cannot hold a colon"),
        (Some(_), None, _) => complain(problems, "schema_registry.password", "is missing (or password_file)"),
        (None, Some(_), _) => complain(problems, "schema_registry.username", "is missing"),
        (None, None, Some(token)) if is_header_text(&token) => Some(Credentials::Bearer(token)),
        (None, None, Some(_)) => complain(problems, "schema_registry.token", "holds characters no header takes"),
        (Some(_), Some(_), Some(_)) => {
            complain(problems, "schema_registry.token", "there is a password as well: keep one")
        }
    }
}

fn is_header_text(token: &SecretString) -> bool {
    token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())
}
