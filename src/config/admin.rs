//! `[admin]`: where the admin server listens, by which names, and how much of everything.

use std::net::SocketAddr;
use std::time::Duration;

use super::fingerprint::Compared;
use super::problem::Checks;
use super::text::{Within, is_made_of, list, listen, text_form};

/// The admin server.
#[derive(Debug, Clone)]
pub struct Admin {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Names by which it may be called, besides those that are always right; lower case.
    pub allowed_hosts: Vec<String>,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections at a time from one address.
    pub connections_per_address_max: usize,
    /// How long a request's head may take, and a connection be idle.
    pub header_timeout: Duration,
    /// How long an answer may stay unread.
    pub write_timeout: Duration,
}

impl Admin {
    /// What applies where the file says nothing, on this address.
    #[must_use]
    pub fn on(listen: SocketAddr) -> Self {
        Text::default().on(listen)
    }
}

text_form! {
    /// `[admin]`, as written.
    #[schemars(rename = "Admin")]
    pub(super) struct Text;

    /// Where the status page (/), /status, /metrics, /livez and /readyz listen.
    listen: String = "127.0.0.1:9464",
    /// Names by which it may be called, besides addresses, names without a dot, and names that nobody can register
    /// (.localhost, .local, .internal, .svc). A request with another name in `Host` is answered with 421.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "Vec<String>")]
    allowed_hosts: Vec<String>,
    /// Connections at a time; one more is closed at once. Fewer where the limit of open files is low.
    connections_max: Within<usize, 1, 10_000> = 64,
    /// Connections at a time from one address; one more is closed at once.
    connections_per_address_max: Within<usize, 1, 10_000> = 48,
    /// How long a caller may take for the head of a request; also how long a connection may be idle.
    header_timeout_seconds: Within<u64, 1, 300> = 10,
    /// How long a caller may leave an answer unread.
    write_timeout_seconds: Within<u64, 1, 300> = 30,
}

impl Text {
    fn on(self, listen: SocketAddr) -> Admin {
        Admin {
            listen,
            allowed_hosts: self.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            connections_max: self.connections_max.0,
            connections_per_address_max: self.connections_per_address_max.0,
            header_timeout: self.header_timeout_seconds.seconds(),
            write_timeout: self.write_timeout_seconds.seconds(),
        }
    }
}

pub(super) fn check(text: Text, checks: &mut Checks<'_>) -> Option<Admin> {
    let mut checks = checks.table("admin");
    let listen = listen(&text.listen, "127.0.0.1:9464", &mut checks);
    for (index, host) in text.allowed_hosts.iter().enumerate() {
        if host.is_empty() || !is_made_of(host, b".-_") {
            let expected = "expected a name without scheme and port, such as chatbridge.example.com";
            checks.complain(format!("allowed_hosts[{index}]"), expected);
        }
    }
    Some(text.on(listen?))
}

impl Compared for Admin {}
