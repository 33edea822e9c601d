//! `[admin]`: where the admin server listens, by which names, and how much of everything.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::Problem;
use super::file::list;
use super::validate::{complain, number, seconds};

/// `[admin]`, as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Admin")]
pub(super) struct File {
    /// Where the status page (/), /status, /metrics, /livez and /readyz listen.
    listen: String,
    /// Names by which it may be called, besides addresses, names without a dot, and names that nobody can register
    /// (.localhost, .local, .internal, .svc). A request with another name in `Host` is answered with 421.
    #[serde(deserialize_with = "list")]
    #[schemars(with = "Vec<String>")]
    allowed_hosts: Vec<String>,
    /// Connections at a time; one more is closed at once. Fewer where the limit of open files is low.
    #[schemars(range(min = 1, max = 10_000))]
    connections_max: usize,
    /// Connections at a time from one address; one more is closed at once.
    #[schemars(range(min = 1, max = 10_000))]
    connections_per_address_max: usize,
    /// How long a caller may take for the head of a request; also how long a connection may be idle.
    #[schemars(range(min = 1, max = 300))]
    header_timeout_seconds: u64,
    /// How long a caller may leave an answer unread.
    #[schemars(range(min = 1, max = 300))]
    write_timeout_seconds: u64,
}

impl Default for File {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:9464".to_owned(),
            allowed_hosts: Vec::new(),
            connections_max: 64,
            connections_per_address_max: 48,
            header_timeout_seconds: 10,
            write_timeout_seconds: 30,
        }
    }
}

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
        let file = File { listen: listen.to_string(), ..File::default() };
        admin(file, &mut Vec::new()).expect("an address as it is written is an address")
    }
}

pub(super) fn admin(file: File, problems: &mut Vec<Problem>) -> Option<Admin> {
    let listen = match file.listen.parse() {
        Ok(listen) => Some(listen),
        Err(_) => complain(problems, "admin.listen", "expected address:port, such as 127.0.0.1:9464"),
    };
    for (index, host) in file.allowed_hosts.iter().enumerate() {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if host.is_empty() || !host.bytes().all(legal) {
            let expected = "expected a name without scheme and port, such as chatbridge.example.com";
            problems.push(Problem::new(format!("admin.allowed_hosts[{index}]"), expected));
        }
    }
    let mut limited = |name, value| number(&format!("admin.{name}"), value, 1..=10_000, problems);
    let connections_max = limited("connections_max", file.connections_max);
    let connections_per_address_max = limited("connections_per_address_max", file.connections_per_address_max);
    let mut timed = |name, value| seconds(&format!("admin.{name}"), value, 1..=300, problems);
    let header_timeout = timed("header_timeout_seconds", file.header_timeout_seconds);
    let write_timeout = timed("write_timeout_seconds", file.write_timeout_seconds);
    Some(Admin {
        listen: listen?,
        allowed_hosts: file.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
        connections_max,
        connections_per_address_max,
        header_timeout,
        write_timeout,
    })
}
