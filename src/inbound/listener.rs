//! Telemetry of a listener's connections, the same for all listeners.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::{IntCounterVec, IntGauge};
use tracing::warn;

use crate::reminder::Reminder;

/// The same trouble is told again after this long, not at every connection.
const REMINDER: Duration = Duration::from_secs(60);

/// Why a connection was closed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnedAway {
    /// The listener has its maximum number of connections.
    Full,
    /// This address has its maximum number of connections.
    AddressFull,
    /// This address may not connect.
    Forbidden,
}

impl TurnedAway {
    /// The metric's label.
    fn as_str(self) -> &'static str {
        match self {
            Self::Full => "turned_away",
            Self::AddressFull => "address_full",
            Self::Forbidden => "forbidden",
        }
    }
}

/// What was logged recently.
#[derive(Debug, Default)]
pub(super) struct Reminders(Mutex<HashMap<&'static str, Reminder>>);

impl Reminders {
    /// Whether it is time to log this, the first time or again.
    pub(super) fn is_due(&self, what: &'static str) -> bool {
        self.0.lock().entry(what).or_insert(Reminder::every(REMINDER)).is_due()
    }
}

/// Counts and logs one listener's connections.
pub struct ListenerTelemetry {
    /// The listener's section of the configuration.
    section: &'static str,
    connections: IntGauge,
    /// Counted by reason.
    refused: IntCounterVec,
    pub(super) reminders: Reminders,
}

impl ListenerTelemetry {
    /// For the listener of this section, counting in these metrics.
    #[must_use]
    pub fn new(section: &'static str, connections: &IntGauge, refused: &IntCounterVec) -> Self {
        let (connections, refused) = (connections.clone(), refused.clone());
        Self { section, connections, refused, reminders: Reminders::default() }
    }

    /// A connection was accepted; counted as open until the guard is dropped.
    #[must_use]
    pub fn connected(&self) -> Connected {
        self.connections.inc();
        Connected(self.connections.clone())
    }

    /// A connection was closed at once.
    pub fn turned_away(&self, why: TurnedAway, peer: SocketAddr) {
        let class = why.as_str();
        self.count(class);
        if !self.reminders.is_due(class) {
            return;
        }
        let section = self.section;
        match why {
            TurnedAway::Full => warn!(
                %peer, class,
                "a connection to the {section} listener was closed at once: there are as many as may be; look who holds \
                 them, else raise {section}.connections_max"
            ),
            TurnedAway::AddressFull => warn!(
                %peer, class,
                "a connection to the {section} listener was closed at once: this address has as many as one may have; if \
                 it stands for many callers, as a reverse proxy does, raise {section}.connections_per_address_max{}",
                if section == WEBHOOK { " or name it in webhook.trusted_proxies" } else { "" }
            ),
            TurnedAway::Forbidden => warn!(
                %peer, class,
                "a connection to the {section} listener was closed at once: this address may not call; if it is \
                 GREEN-API, add it to {section}.allow_from, if it is a proxy of yours, to {section}.trusted_proxies"
            ),
        }
    }

    /// A TLS handshake failed. Network scanners cause this all day, so it is counted but not logged.
    pub fn no_tls(&self) {
        self.count("no_tls");
    }

    /// A connection could not be accepted, for another reason than a lack of file descriptors.
    pub fn not_accepted(&self, error: &io::Error) {
        if self.reminders.is_due("not_accepted") {
            warn!(%error, "a connection to the {} listener could not be accepted", self.section);
        }
    }

    /// A request named a host that is not accepted.
    pub fn foreign_host(&self, host: &str) {
        const CLASS: &str = "host";
        self.count(CLASS);
        if self.reminders.is_due(CLASS) {
            warn!(
                host,
                class = CLASS,
                "a request to the {section} listener was refused, for a web page may have led a browser here by a name \
                 of its own; if the name is yours, add it to {section}.allowed_hosts",
                section = self.section
            );
        }
    }

    fn count(&self, class: &'static str) {
        self.refused.with_label_values(&[class]).inc();
    }
}

/// The section of the webhook's listener.
pub const WEBHOOK: &str = "webhook";
/// The section of the admin server's listener.
pub const ADMIN: &str = "admin";

/// A connection that is open.
pub struct Connected(IntGauge);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.dec();
    }
}
