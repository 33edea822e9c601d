//! Compares where an instance sends its events with where the configuration expects them. Pure.

use secrecy::ExposeSecret as _;
use url::Url;

use super::{Finding, SetSettings, Verdict};
use crate::config::{Config, Instance, Receive, bare_token};
use crate::green_api::examine::Settings;
use crate::http::is_loopback;
use chatbridge_event::event::InstanceId;

const URL: &str = "webhookUrl";
const TOKEN: &str = "webhookUrlToken";
/// The token itself is never shown, not even for copying.
const TOKEN_PLACEHOLDER: &str =
    "<webhook_token of this instance in the configuration, or webhook.token where it has none>";

/// Findings about `webhookUrl` and `webhookUrlToken`. Settings that have to be changed go into `body`.
pub(super) fn judge(
    subject: &str,
    instance: &Instance,
    settings: &Settings,
    config: &Config,
    body: &mut SetSettings,
) -> Vec<Finding> {
    let broken = |found: String, fix: &str| Finding::new(Verdict::Broken, subject, found, fix);
    let Receive::Webhook { token } = &instance.receive else {
        if settings.webhook_url.is_none() {
            return Vec::new();
        }
        body.extend([(URL, String::new()), (TOKEN, String::new())]);
        let found = "webhookUrl is set, so events go there and the queue refuses".to_owned();
        return vec![broken(found, "clear webhookUrl in the instance's settings; it takes up to 5 minutes")];
    };

    let expected = Expected {
        public_url: config.webhook.as_ref().and_then(|webhook| webhook.public_url.as_ref()),
        id: instance.id,
    };
    let mut findings = Vec::new();
    match settings.webhook_url.as_ref().map(|url| expected.place(url.expose_secret())) {
        None => {
            body.insert(URL, expected.url());
            let found = "webhookUrl is empty: nothing is pushed, and by this configuration nobody polls";
            findings.push(broken(
                found.to_owned(),
                "set webhookUrl in the instance's settings; until then events wait, for 24 hours",
            ));
        }
        Some(Place::Elsewhere(origin)) => {
            body.insert(URL, expected.url());
            let found = format!("webhookUrl, at {origin}, is not {}", expected.url());
            findings
                .push(broken(found, "set webhookUrl in the instance's settings; what is pushed meanwhile goes there"));
        }
        Some(Place::HereInTheClear) => findings.push(Finding::new(
            Verdict::Warning,
            subject,
            "webhookUrl is http, so webhookUrlToken and events travel unencrypted",
            "use https: a reverse proxy, or webhook.tls_cert_file",
        )),
        Some(Place::Here) => {}
    }
    let theirs = settings.webhook_url_token.as_ref().map(|theirs| bare_token(theirs.expose_secret()));
    if theirs != Some(token.expose_secret()) {
        body.insert(TOKEN, TOKEN_PLACEHOLDER.to_owned());
        let is = if theirs.is_none() { "is not set" } else { "is not the configuration's" };
        let found = format!("webhookUrlToken {is}, so every call is refused with 401");
        findings.push(broken(
            found,
            "set webhookUrlToken in the instance's settings to the webhook_token of the configuration",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::well(
            subject,
            "its events are pushed here: webhookUrl and webhookUrlToken are as configured",
        ));
    }
    findings
}

/// What cannot be checked from here, if GREEN-API has to reach us.
pub(super) fn listener(config: &Config) -> Option<Finding> {
    let webhook = config.webhook.as_ref()?;
    let first = config.instances.iter().find(|instance| matches!(instance.receive, Receive::Webhook { .. }))?;
    let url = Expected { public_url: webhook.public_url.as_ref(), id: first.id }.url();
    Some(Finding::new(
        Verdict::NotChecked,
        "webhook",
        format!(
            "whether GREEN-API reaches {} is not to be told from here",
            webhook.public_url.as_ref().map_or_else(|| webhook.listen.to_string(), Url::to_string)
        ),
        format!(
            "from outside, while the bridge runs: curl -i -X POST '{url}' is answered with 401 (403 where webhook.allow_from has it so)"
        ),
    ))
}

/// Where a `webhookUrl` leads.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Here,
    /// Here, but unencrypted.
    HereInTheClear,
    /// Elsewhere. Holds only scheme, host and port, because the rest may be secret.
    Elsewhere(String),
}

struct Expected<'a> {
    public_url: Option<&'a Url>,
    id: InstanceId,
}

impl Expected<'_> {
    fn url(&self) -> String {
        let base = self.public_url.map_or("https://<the name GREEN-API reaches webhook.listen by>", Url::as_str);
        format!("{}/green-api/{}", base.trim_end_matches('/'), self.id)
    }

    /// Whether `path` is one that is served, apart from a prefix that the proxy removes.
    fn is_path(&self, path: &str) -> bool {
        let id = self.id.to_string();
        let bare = path.strip_suffix(&id).and_then(|path| path.strip_suffix('/'));
        let bare = bare.or_else(|| path.strip_suffix('/')).unwrap_or(path);
        bare.strip_suffix("/green-api")
            .is_some_and(|prefix| self.public_url.is_none_or(|public| public.path().trim_end_matches('/') == prefix))
    }

    fn place(&self, webhook_url: &str) -> Place {
        let Ok(url) = Url::parse(webhook_url.trim()) else { return Place::Elsewhere("no address at all".to_owned()) };
        let is_host = match self.public_url {
            Some(public) => public.origin() == url.origin(),
            None => url.scheme() == "https" || url.scheme() == "http",
        };
        if !is_host || !self.is_path(url.path()) {
            return Place::Elsewhere(url.origin().ascii_serialization());
        }
        if url.scheme() == "https" || is_loopback(&url) { Place::Here } else { Place::HereInTheClear }
    }
}

#[cfg(test)]
mod tests;
