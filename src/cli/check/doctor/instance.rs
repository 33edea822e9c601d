//! Judges what an instance reports about itself. Pure.

use super::{Finding, SetSettings, Verdict, push};
use crate::config::{CallPolicy, Config, Instance};
use crate::green_api::examine::{Examined, Settings};
use crate::green_api::queue::QueueError;
use crate::http::is_loopback;

/// The notifications that most bridges need: switch, `typeWebhook`, what it brings. The other switches are deprecated,
/// out of service, or additions to these.
const ESSENTIAL: &[(&str, &str, &str)] = &[
    ("incomingWebhook", "incomingMessageReceived", "messages from contacts"),
    ("outgoingMessageWebhook", "outgoingMessageReceived", "messages sent from the phone"),
    ("outgoingAPIMessageWebhook", "outgoingAPIMessageReceived", "messages sent through the API"),
    ("outgoingWebhook", "outgoingMessageStatus", "statuses of sent messages"),
    ("stateWebhook", "stateInstanceChanged", "changes of the instance's state"),
    ("incomingCallWebhook", "incomingCall", "calls"),
];
/// How many notifications per second one instance can be drained of, over an ordinary connection to GREEN-API.
const DRAIN_PER_SECOND: i64 = 9;

/// Findings about `instance`, the most important first.
pub(super) fn judge(instance: &Instance, examined: &Result<Examined, QueueError>, config: &Config) -> Vec<Finding> {
    let subject = format!("instance {}", instance.id);
    let mut findings = Vec::new();
    match examined {
        Ok(examined) => {
            findings.push(state(&subject, examined.state.as_deref()));
            findings.extend(settings(&subject, instance, &examined.settings, config));
            findings.push(queue(&subject, examined.queue_depth, config));
        }
        Err(failure) => findings.push(unasked(&subject, instance, failure)),
    }
    if instance.api_url.scheme() == "http" && !is_loopback(&instance.api_url) {
        findings.push(Finding::new(
            Verdict::Warning,
            &subject,
            "api_url is http, so the token travels unencrypted",
            "use https in api_url",
        ));
    }
    findings
}

fn unasked(subject: &str, instance: &Instance, failure: &QueueError) -> Finding {
    let host = instance.api_url.host_str().unwrap_or_default();
    // The shard is the id's first four digits. That is a convention and not a rule, so it is only mentioned.
    let shard: String = instance.id.to_string().chars().take(4).collect();
    let hint = match host.split_once('.') {
        Some((have, _)) if have == shard => String::new(),
        _ => format!(" (it often begins with the id's first four digits: https://{shard}.api.green-api.com)"),
    };
    let found = failure.to_string();
    match failure {
        QueueError::Misconfigured { class: "forbidden" | "not_found" | "redirect", .. } => {
            let fix = format!("copy idInstance and apiUrl from the console into id and api_url{hint}");
            Finding::new(Verdict::Misconfigured, subject, found, fix)
        }
        QueueError::Misconfigured { class: "webhook_url_set", .. } => Finding::new(Verdict::Broken, subject, found, ""),
        QueueError::Misconfigured { .. } => Finding::new(Verdict::Misconfigured, subject, found, ""),
        QueueError::Waiting { .. } => Finding::new(Verdict::Broken, subject, found, ""),
        _ => {
            let fix = format!("is {host} the host of the console's apiUrl, and reachable from here?{hint}");
            Finding::new(Verdict::Broken, subject, found, fix)
        }
    }
}

fn state(subject: &str, state: Option<&str>) -> Finding {
    let (verdict, found, fix) = match state {
        Some("authorized") => return Finding::well(subject, "authorized"),
        Some("notAuthorized") => {
            (Verdict::Broken, "not authorised: it has no account", "scan the QR code in the console")
        }
        Some("blocked") => {
            (Verdict::Broken, "blocked: the messenger has banned the account", "link another account in the console")
        }
        Some("pendingPassword") => (Verdict::Broken, "waits for the account's password", "enter it in the console"),
        Some("pendingCode") => (Verdict::Broken, "waits for the confirmation code", "enter it in the console"),
        Some("starting") => (Verdict::Warning, "starting, which takes up to 5 minutes", "check again then"),
        Some("sleepMode") => (Verdict::Warning, "asleep: its phone is off", "switch the phone on"),
        Some("suspended" | "yellowCard") => (
            Verdict::Warning,
            "suspended: the messenger restricts the account for a while",
            "send less; the messenger lifts it by itself",
        ),
        Some(_) => (Verdict::Warning, "in a state this version does not know", "look at it in the console"),
        None => (Verdict::Warning, "still being made", "check again in some minutes"),
    };
    Finding::new(verdict, subject, found, fix)
}

/// One setSettings body repairs everything. It is added to the first finding that it repairs.
fn settings(subject: &str, instance: &Instance, settings: &Settings, config: &Config) -> Vec<Finding> {
    let mut body = SetSettings::new();
    let mut findings = push::judge(subject, instance, settings, config, &mut body);
    findings.push(switches(subject, settings, config, &mut body));
    if !body.is_empty()
        && let Some(first) = findings.iter_mut().find(|finding| finding.fix.is_some())
    {
        first.set_settings = Some(body);
    }
    findings
}

fn switches(subject: &str, settings: &Settings, config: &Config, body: &mut SetSettings) -> Finding {
    let silent = settings.on.is_empty() && !settings.off.is_empty();
    let wanted = wanted(config, |switch| silent || settings.off.contains(switch));
    body.extend(wanted.iter().map(|(switch, _)| (*switch, "yes".to_owned())));
    let named: Vec<String> = wanted.iter().map(|(switch, brings)| format!("{switch} ({brings})")).collect();
    let named = named.join(", ");
    if silent {
        let (verdict, fix) = if named.is_empty() {
            // The usual notifications are dropped on purpose, and nobody has said that the others are missed.
            (Verdict::Warning, "switch on in the instance's settings what you want to have".to_owned())
        } else {
            (Verdict::Broken, format!("switch on in the instance's settings: {named}"))
        };
        return Finding::new(verdict, subject, "every notification is switched off, so nothing ever comes", fix);
    }
    if !named.is_empty() {
        let found = format!("switched off, so none of it comes: {named}");
        Finding::new(Verdict::Warning, subject, found, "switch on in the instance's settings what you want to have")
    } else if settings.on.is_empty() {
        Finding::new(Verdict::NotChecked, subject, "its settings name no switches", "look at them in the console")
    } else {
        Finding::well(subject, "its notifications are switched on")
    }
}

/// The essential switches that `which` is true for, with what they bring. Without those whose events the configuration
/// drops anyway.
fn wanted(config: &Config, which: impl Fn(&str) -> bool) -> Vec<(&'static str, &'static str)> {
    let is_dropped = |kind: &str| {
        config.events.drop.iter().any(|dropped| dropped == kind)
            || kind == "incomingCall" && config.calls.publish == CallPolicy::None
    };
    let essential = ESSENTIAL.iter().filter(|(switch, kind, _)| which(switch) && !is_dropped(kind));
    essential.map(|(switch, _, brings)| (*switch, *brings)).collect()
}

/// The age of waiting notifications is unknown until they are received.
fn queue(subject: &str, depth: Option<i64>, config: &Config) -> Finding {
    let Some(depth) = depth else {
        let found = "how many notifications wait is not said";
        return Finding::new(Verdict::NotChecked, subject, found, "");
    };
    let drain_seconds = depth / DRAIN_PER_SECOND;
    if u64::try_from(drain_seconds).unwrap_or(0) >= config.green_api.loss_warn_after.as_secs() {
        let found = format!(
            "{depth} notifications wait: about {} hours of work, and GREEN-API forgets after 24",
            drain_seconds / 3600
        );
        return Finding::new(Verdict::Warning, subject, found, "start the bridge soon, near GREEN-API");
    }
    let age = if depth == 0 { "" } else { "; their age shows once the bridge runs (/status)" };
    Finding::well(subject, format!("{depth} notifications wait{age}"))
}

#[cfg(test)]
mod tests;
