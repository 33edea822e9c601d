//! What the simulator is told before it starts. The defaults are the service as far as it is known; what is open in
//! the documents, or cannot be waited for by a test, is a setting.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use crate::kit::journal::JournalConfig;

/// Everything the simulator can be told; [`Default`] is one licence with two messengers on free loopback ports.
#[derive(Clone, Debug)]
pub struct ChatAppSimulatorConfig {
    /// Where REST, the authorisation endpoint, Pusher's HTTP API and the control endpoint listen.
    pub listen: SocketAddr,
    /// Where the Pusher server listens for WebSockets.
    pub socket_listen: SocketAddr,
    /// Whose cabinet it is.
    pub login: Login,
    /// The Pusher application.
    pub app: PusherApp,
    /// The licences that exist; a channel is one of their messengers.
    pub licences: Vec<Licence>,
    /// The one company.
    pub company: u64,
    /// The one user: `cabinetUserId` of the tokens, and the user channel.
    pub user: u64,
    /// `v1.tokens.make` in any 24 hours; the service allows 100.
    pub logins_per_day_max: usize,
    /// REST requests and channel authorisations together, of everybody (50 per address).
    pub requests_per_second_max: u32,
    /// Added to each request before it is looked at.
    pub latency: Duration,
    /// The Pusher server's ways.
    pub socket: SocketConfig,
    /// The largest body a POST may carry, in bytes.
    pub body_bytes_max: usize,
    /// What is remembered of everything that happened.
    pub journal: JournalConfig,
    /// Seed of the dice thrown for faults, tokens and socket ids.
    pub seed: u64,
}

impl Default for ChatAppSimulatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            socket_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            login: Login::default(),
            app: PusherApp::default(),
            licences: vec![Licence::new(1229, ["grWhatsApp", "telegram"])],
            company: 2224,
            user: 685,
            logins_per_day_max: 100,
            requests_per_second_max: 50,
            latency: Duration::ZERO,
            socket: SocketConfig::default(),
            body_bytes_max: 16 * 1024 * 1024,
            journal: JournalConfig::default(),
            seed: 0,
        }
    }
}

/// What `v1.tokens.make` wants to see.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Login {
    /// `email`.
    pub email: String,
    /// `password`; absent from every `Debug` output.
    pub password: String,
    /// `appId`.
    pub app_id: String,
}

impl Default for Login {
    fn default() -> Self {
        Self {
            email: "simulated@example.invalid".to_owned(),
            password: "simulated".to_owned(),
            app_id: "app_685_1".to_owned(),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Login").finish_non_exhaustive()
    }
}

/// The application as a Pusher server knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct PusherApp {
    /// In the paths of the HTTP API; SDKs want a number.
    pub id: String,
    /// Public.
    pub key: String,
    /// What signatures are made with; absent from every `Debug` output.
    pub secret: String,
}

impl Default for PusherApp {
    fn default() -> Self {
        Self { id: "1001".to_owned(), key: "ChatsAppApiProdKey".to_owned(), secret: "simulated".to_owned() }
    }
}

impl fmt::Debug for PusherApp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PusherApp").field("id", &self.id).field("key", &self.key).finish_non_exhaustive()
    }
}

/// A licence and its messengers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Licence {
    /// `licenseId`.
    pub id: u64,
    /// Messenger types, their case as in paths and channels.
    pub messengers: Vec<String>,
}

impl Licence {
    /// A licence with these messengers.
    pub fn new<M: Into<String>>(id: u64, messengers: impl IntoIterator<Item = M>) -> Self {
        Self { id, messengers: messengers.into_iter().map(Into::into).collect() }
    }
}

/// The Pusher server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketConfig {
    /// Whose ways it has.
    pub dialect: Dialect,
    /// How long a client may be silent (120 s); what happens then is the dialect's.
    pub silence_max: Duration,
    /// Open sockets; the next one is told 4100 or its like.
    pub connections_max: usize,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self { dialect: Dialect::default(), silence_max: Duration::from_secs(120), connections_max: 1_000 }
    }
}

/// Whose behaviour the Pusher server has. Which one ChatApp runs is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// soketi 1.6.
    #[default]
    Soketi,
    /// beyondcode/laravel-websockets 2.x.
    LaravelWebsockets,
    /// laravel/reverb.
    Reverb,
    /// Pusher's own service.
    Pusher,
}
