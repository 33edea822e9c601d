//! Checks ChatApp as a bridge would find it: the state directory, the API, the Pusher server, each channel.
//!
//! It uses the existing token and makes no other. A running bridge has a connection of its own, which a second one does
//! not disturb.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{Finding, state_dir};
use crate::chatapp::account::Account;
use crate::chatapp::api::Api;
use crate::chatapp::keep::spool;
use crate::chatapp::tokens::{self, Borrowed, Tokens, UnreadableTokens};
use crate::config::ChatApp;
use chatbridge_base::clock::Reading;
use chatbridge_pusher::{
    Auth, AuthFailure, Authorizer, Client, EventSink, Limits, Link, LinkError, Observer, ReceivedFrame, Reconnect,
    Report,
};

mod verdict;

use verdict::Known;

/// The time limit for everything at the Pusher server.
const LISTEN_MAX: Duration = Duration::from_secs(10);

pub(super) async fn examine(config: &ChatApp, api: Arc<Api>) -> Vec<Finding> {
    let (folder, borrowed) = on_disk(config, Arc::clone(&api)).await;
    let (known, account) = match borrowed {
        Ok(Borrowed::Token { tokens, is_stored }) => {
            let ends = tokens.view().access_ends;
            let account = Account::new(api, tokens);
            let shown = account.channels().await;
            (Known::Asked { shown, is_stored, ends }, Some(Arc::new(account)))
        }
        Ok(Borrowed::Ended(ends)) => (Known::Ended(ends), None),
        Ok(Borrowed::Nothing) => (Known::NoToken, None),
        Err(unreadable) => (Known::Unreadable(unreadable.to_string()), None),
    };
    let channels = known.channels_to_ask(config);
    let listened = match account {
        Some(account) => listen(config, channels, account).await,
        None => listen(config, channels, Arc::new(Nobody)).await,
    };
    let mut findings = vec![folder, verdict::account(config, &known), verdict::socket(config, &listened)];
    findings.extend(verdict::channels(config, &known, &listened.unwrap_or_default()));
    findings.extend(verdict::unencrypted(config));
    findings
}

async fn on_disk(config: &ChatApp, api: Arc<Api>) -> (Finding, Result<Borrowed<Arc<Api>>, UnreadableTokens>) {
    let config = config.clone();
    let looking = tokio::task::spawn_blocking(move || {
        let borrowed = Tokens::borrow(api, &config, Reading::now);
        (state_dir::examine(&config.state_dir, spool::FILE_NAME, tokens::FILE_NAME), borrowed)
    });
    looking.await.unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}

/// What a session for these channels reported until it had reported enough or the time was over. The session is closed
/// then.
async fn listen<A: Authorizer>(
    config: &ChatApp,
    channels: Vec<String>,
    authorizer: Arc<A>,
) -> Result<Vec<Report>, LinkError> {
    let limits = Limits::default();
    let link = Link::new(&config.socket_url, &config.app_key, None, &limits)?;
    let notes = Arc::new(Notes(watch::Sender::default()));
    let mut told = notes.0.subscribe();
    let stop = CancellationToken::new();
    let client = Client {
        link,
        channels: channels.clone(),
        limits,
        authorizer,
        sink: Arc::new(Nowhere),
        observer: notes,
        reconnect: Reconnect::default(),
    };
    let enough = async {
        // On a timeout, use what was reported until then.
        let _ = timeout(LISTEN_MAX, told.wait_for(|reports| verdict::is_enough(reports, &channels))).await;
        stop.cancel();
        told.borrow().clone()
    };
    let (reports, ()) = tokio::join!(enough, client.run(stop.clone()));
    Ok(reports)
}

/// Collects the reports of the session.
struct Notes(watch::Sender<Vec<Report>>);

impl Observer for Notes {
    fn heard(&self, _: Reading) {}

    fn reported(&self, report: &Report, _: Reading) {
        self.0.send_modify(|reports| reports.push(report.clone()));
    }
}

/// Ignores events: the bridge gets them over a connection of its own.
struct Nowhere;

impl EventSink for Nowhere {
    async fn accept(&self, _: ReceivedFrame) {}
}

/// Without a token, only the connection itself can be tried.
struct Nobody;

impl Authorizer for Nobody {
    async fn authorise(&self, _: &str, _: &str) -> Result<Auth, AuthFailure> {
        Err(AuthFailure::Forbidden { detail: "there is no token".to_owned() })
    }

    async fn renew_token(&self) -> bool {
        false
    }
}
