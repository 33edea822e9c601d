//! The host names by which the admin server may be called. Pure.
//!
//! A web page can point its own name at the address of this machine (DNS rebinding). A browser that reaches this
//! listener would then give `/status` to that page. Such a request has the page's name in `Host`.

use std::net::IpAddr;

/// Domains in which nobody can register a public name.
const PRIVATE: [&str; 4] = [".localhost", ".local", ".internal", ".svc"];

/// The accepted host names.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    allowed: Vec<String>,
}

impl Hosts {
    /// These names, and those that are always accepted. `allowed` is in lower case.
    pub(super) fn new(allowed: Vec<String>) -> Self {
        Self { allowed }
    }

    /// Whether a request for this host, with or without a port, is accepted: an IP address, a name that no web page can
    /// have, or one of the allowed names.
    pub(super) fn admit(&self, host: &str) -> bool {
        if host.parse::<IpAddr>().is_ok() {
            return true;
        }
        let bare = match host.rsplit_once(':') {
            Some((bare, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => bare,
            _ => host,
        };
        if let Some(address) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return address.parse::<IpAddr>().is_ok();
        }
        let name = bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase();
        bare.parse::<IpAddr>().is_ok()
            || !name.contains('.')
            || PRIVATE.iter().any(|domain| name.ends_with(domain))
            || self.allowed.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_private_names_and_those_that_are_allowed_are_ours() {
        let hosts = Hosts::new(vec!["status.example.com".to_owned()]);
        for (host, admitted) in [
            ("127.0.0.1:9464", true),
            ("127.0.0.1", true),
            ("10.1.2.3:9464", true),
            ("[::1]:9464", true),
            ("[2001:db8::1]", true),
            ("::1", true),
            ("localhost:9464", true),
            ("LOCALHOST", true),
            ("localhost.:9464", true),
            ("", true),
            ("chatbridge:9464", true),
            ("chatbridge.monitoring.svc:9464", true),
            ("chatbridge.monitoring.svc.cluster.local:9464", true),
            ("status.example.com", true),
            ("Status.Example.Com:443", true),
            ("status.example.com.", true),
            ("example.com", false),
            ("evil.status.example.com", false),
            ("status.example.com.evil.net", false),
            ("localhost.evil.net:9464", false),
            ("127.0.0.1.evil.net", false),
            ("[evil.net]:9464", false),
            ("evil.net:127.0.0.1", false),
        ] {
            assert_eq!(hosts.admit(host), admitted, "{host}");
        }
    }
}
