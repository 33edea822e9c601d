//! Judges what ChatApp and its Pusher server answered. Pure.

use jiff::Timestamp;

use crate::chatapp::account::AccountError;
use crate::chatapp::api::ApiError;
use crate::cli::check::doctor::{Finding, Verdict};
use crate::config::ChatApp;
use crate::http::is_loopback;
use chatbridge_event::event::Channel;
use chatbridge_pusher::{AuthFailure, Cause, LinkError, Refusal, Report};

const ACCOUNT: &str = "chatapp account";
const SOCKET: &str = "chatapp socket";
/// At most this many channels are named in one fix.
const NAMED_MAX: usize = 8;

/// What is known of the account.
#[derive(Debug)]
pub(super) enum Known {
    /// It was asked.
    Asked {
        /// The channels that it lists.
        shown: Result<Vec<String>, AccountError>,
        /// Whether the token is the bridge's own. Otherwise it is the configured one.
        is_stored: bool,
        /// When that token expires, if known.
        ends: Option<Timestamp>,
    },
    /// The existing token has expired.
    Ended(Timestamp),
    /// There is no token.
    NoToken,
    /// It cannot be read.
    Unreadable(String),
}

impl Known {
    fn shown(&self) -> Option<&[String]> {
        match self {
            Self::Asked { shown: Ok(shown), .. } => Some(shown),
            _ => None,
        }
    }

    /// The channels that a bridge would listen to.
    fn channels<'a>(&'a self, config: &'a ChatApp) -> &'a [String] {
        if config.channels.is_empty() { self.shown().unwrap_or_default() } else { &config.channels }
    }

    /// Those of them that a possibly valid token exists for.
    pub(super) fn channels_to_ask(&self, config: &ChatApp) -> Vec<String> {
        match self {
            Self::Asked { shown: Ok(_) | Err(AccountError::Api(ApiError::Refused { .. })), .. } => {
                self.channels(config).to_vec()
            }
            _ => Vec::new(),
        }
    }
}

/// Whether a session has reported everything about the connection and these channels.
pub(super) fn is_enough(reports: &[Report], channels: &[String]) -> bool {
    is_connected(reports) && channels.iter().all(|channel| of_channel(reports, channel).is_some())
        || failure(reports).is_some()
}

fn is_connected(reports: &[Report]) -> bool {
    reports.iter().any(|report| matches!(report, Report::Established { .. })) && failure(reports).is_none()
}

fn failure(reports: &[Report]) -> Option<&Cause> {
    reports.iter().find_map(|report| match report {
        Report::Disconnected { cause, .. } => Some(cause),
        _ => None,
    })
}

/// Subscribed, or refused.
fn of_channel<'r>(reports: &'r [Report], name: &str) -> Option<Result<(), &'r Refusal>> {
    reports.iter().find_map(|report| match report {
        Report::Live { channel } if channel == name => Some(Ok(())),
        Report::Refused { channel, refusal, .. } if channel == name => Some(Err(refusal)),
        _ => None,
    })
}

/// The API, and the token.
pub(super) fn account(config: &ChatApp, known: &Known) -> Finding {
    const MADE_AT_START: &str = "start the bridge, which makes one, and check again";
    let not_asked = |why: String| Finding::new(Verdict::NotChecked, ACCOUNT, why, MADE_AT_START);
    let (shown, is_stored, ends) = match known {
        Known::Asked { shown, is_stored, ends } => (shown, *is_stored, *ends),
        Known::Ended(ended) => {
            let why = "a check makes no token: a bridge that runs would lose its own";
            return not_asked(format!("not asked: the token in state_dir ended at {ended}, and {why}"));
        }
        Known::NoToken => {
            let why = "a check makes none, for there are a hundred logins a day";
            return not_asked(format!("not asked: there is no accessToken in state_dir or configured, and {why}"));
        }
        Known::Unreadable(why) => {
            let fix = "check as the user that the bridge runs as";
            return Finding::new(Verdict::Broken, ACCOUNT, format!("not asked: {why}"), fix);
        }
    };
    let token = if is_stored { "the token in state_dir" } else { "the configured access_token" };
    match shown {
        Ok(shown) if shown.is_empty() && config.channels.is_empty() => {
            let fix = "connect a messenger in the personal cabinet, or name channels in chatapp.channels";
            Finding::new(Verdict::Broken, ACCOUNT, "it answers, and shows no channels", fix)
        }
        Ok(shown) => {
            let until = ends.map_or_else(String::new, |ends| format!(", which is good until {ends}"));
            Finding::well(ACCOUNT, format!("it takes {token}{until}, and shows {} channels", shown.len()))
        }
        Err(AccountError::Token(_) | AccountError::Api(ApiError::InvalidToken)) => {
            let fix = "a bridge renews it by itself, at its start at the latest: start it, and check again; if this stays, \
                       set chatapp.email, password and app_id, or put a new pair into access_token and refresh_token";
            Finding::new(Verdict::Warning, ACCOUNT, format!("ChatApp does not take {token}"), fix)
        }
        Err(AccountError::Api(busy @ ApiError::RateLimited { .. })) => {
            Finding::new(Verdict::NotChecked, ACCOUNT, busy.to_string(), "check again in a minute")
        }
        Err(AccountError::Api(away @ ApiError::Unreachable { .. })) => {
            let fix = "is chatapp.api_url ChatApp's API, and reachable from here?";
            Finding::new(Verdict::Broken, ACCOUNT, away.to_string(), fix)
        }
        Err(AccountError::Api(refusal @ ApiError::Refused { status, .. })) => {
            // The message already says what to do.
            let verdict = if matches!(status, 300..=399 | 404) { Verdict::Misconfigured } else { Verdict::Broken };
            Finding::new(verdict, ACCOUNT, refusal.to_string(), "")
        }
    }
}

/// The Pusher server.
pub(super) fn socket(config: &ChatApp, listened: &Result<Vec<Report>, LinkError>) -> Finding {
    const REACHABLE: &str = "is chatapp.socket_url ChatApp's Pusher server, and reachable from here? Firewalls often close \
                             its port";
    let broken = |found: String, fix: &str| Finding::new(Verdict::Broken, SOCKET, found, fix);
    let reports = match listened {
        Ok(reports) => reports,
        Err(wrong @ LinkError::Url(_)) => {
            return Finding::new(Verdict::Misconfigured, SOCKET, wrong.to_string(), "correct chatapp.socket_url");
        }
        Err(other) => return broken(other.to_string(), ""),
    };
    match failure(reports) {
        Some(cause) => {
            let (verdict, fix) = match cause.code() {
                Some(4001) => (Verdict::Misconfigured, "correct chatapp.app_key: ChatApp's own is ChatsAppApiProdKey"),
                Some(4000 | 4005) => (Verdict::Misconfigured, "correct chatapp.socket_url"),
                Some(4002..=4099) => (Verdict::Broken, "ask ChatApp's support"),
                Some(4100..=4299) => (Verdict::Broken, "check again in a minute"),
                _ => (Verdict::Broken, REACHABLE),
            };
            Finding::new(verdict, SOCKET, cause.to_string(), fix)
        }
        None if is_connected(reports) => {
            Finding::well(SOCKET, format!("{} has named the connection", config.socket_url))
        }
        None => broken("the Pusher server did not name the connection in time".to_owned(), REACHABLE),
    }
}

/// Each channel that a bridge would listen to.
pub(super) fn channels(config: &ChatApp, known: &Known, reports: &[Report]) -> Vec<Finding> {
    known.channels(config).iter().map(|name| channel(name, config, known, reports)).collect()
}

fn channel(name: &str, config: &ChatApp, known: &Known, reports: &[Report]) -> Finding {
    let subject = format!("channel {name}");
    let finding = |verdict, found: String, fix: &str| Finding::new(verdict, &subject, found, fix);
    // Employees' channels are in no list.
    let is_listed_sort = !matches!(Channel::from_name(name), Some(Channel::CompanyUser { .. }));
    let is_stranger = is_listed_sort && known.shown().is_some_and(|shown| !shown.iter().any(|one| one == name));
    let unknown = if is_stranger { ", and the account does not show it" } else { "" };
    let choose = || {
        let shown = known.shown().unwrap_or_default();
        let more = if shown.len() > NAMED_MAX { " …" } else { "" };
        let shown = shown.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
        format!("upper and lower case count; the account shows {shown}{more}")
    };
    match of_channel(reports, name) {
        Some(Ok(())) if is_stranger => {
            finding(Verdict::Warning, format!("authorised and subscribed{unknown}: it may stay silent"), &choose())
        }
        Some(Ok(())) => Finding::well(&subject, "authorised and subscribed"),
        Some(Err(refusal)) if is_stranger => finding(Verdict::Misconfigured, format!("{refusal}{unknown}"), &choose()),
        Some(Err(refusal)) => {
            let fix = match refusal {
                Refusal::NoAuth(AuthFailure::Forbidden { .. }) => {
                    "see in the personal cabinet whether the licence is paid, and this user may see it"
                }
                Refusal::NoToken => "a bridge renews its token by itself: start it, and check again",
                Refusal::ByServer(_) => "do chatapp.app_key and socket_url belong to the same service as api_url?",
                Refusal::NoAuth(AuthFailure::Unavailable { .. }) | Refusal::NoAuthInTime | Refusal::NoAnswer => {
                    "check again in a minute"
                }
            };
            finding(Verdict::Broken, refusal.to_string(), fix)
        }
        None => {
            let verdict = if is_stranger { Verdict::Warning } else { Verdict::NotChecked };
            let fix = if is_stranger { choose() } else { String::new() };
            let why = if known.channels_to_ask(config).is_empty() {
                "not asked, for want of a token or of an answer"
            } else if is_connected(reports) {
                "no answer within the time of a check"
            } else {
                "not asked, for want of a connection"
            };
            finding(verdict, format!("{why}{unknown}"), &fix)
        }
    }
}

/// What others could read on the way.
pub(super) fn unencrypted(config: &ChatApp) -> Vec<Finding> {
    let urls = [
        (
            &config.api_url,
            ACCOUNT,
            "http",
            "api_url is http, so login and tokens travel unencrypted",
            "https in api_url",
        ),
        (&config.socket_url, SOCKET, "ws", "socket_url is ws, so every event travels unencrypted", "wss in socket_url"),
    ];
    urls.into_iter()
        .filter(|(url, _, plain, ..)| url.scheme() == *plain && !is_loopback(url))
        .map(|(_, subject, _, found, fix)| Finding::new(Verdict::Warning, subject, found, format!("use {fix}")))
        .collect()
}

#[cfg(test)]
mod tests;
