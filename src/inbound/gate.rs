//! Who may call: by address, by token. Pure.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};
use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use crate::config::{Webhook, bare_token};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Decides by address.
pub(crate) struct Gate {
    allow_from: Vec<IpNet>,
    trusted_proxies: Vec<IpNet>,
}

impl Gate {
    pub(crate) fn new(settings: &Webhook) -> Self {
        Self { allow_from: settings.allow_from.clone(), trusted_proxies: settings.trusted_proxies.clone() }
    }

    /// Whether the client of this connection, or the one in front of our proxies, may call.
    pub(crate) fn admits(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        self.allow_from.is_empty()
            || self.caller(peer, headers).is_some_and(|caller| contains(&self.allow_from, caller))
    }

    /// The nearest address that is not one of our proxies: anything further away is only claimed. `None` if one of our
    /// proxies wrote something that is no address.
    fn caller(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        let mut caller = peer.to_canonical();
        let lines: Vec<&str> = headers.get_all(FORWARDED_FOR).iter().map(|line| line.to_str().unwrap_or("?")).collect();
        let mut further = lines.iter().rev().flat_map(|line| line.rsplit(','));
        while contains(&self.trusted_proxies, caller) {
            let Some(next) = further.next() else { break };
            caller = address(next.trim())?.to_canonical();
        }
        Some(caller)
    }
}

/// With or without a port, which some proxies add.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))
}

fn contains(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address))
}

/// The token that the call presents, under any authorisation scheme.
pub(crate) fn presented(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok().map(bare_token)
}

/// Compares in constant time; the token's length is no secret.
pub(crate) fn is_token(token: &SecretString, presented: &str) -> bool {
    token.expose_secret().as_bytes().ct_eq(presented.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (name.parse().expect("a name"), HeaderValue::from_str(line).expect("text"))).collect()
    }

    fn gate(allow_from: &[&str], trusted_proxies: &[&str]) -> Gate {
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a network")).collect();
        Gate { allow_from: networks(allow_from), trusted_proxies: networks(trusted_proxies) }
    }

    #[test]
    fn an_address_counts_only_as_far_as_proxies_of_ours_vouch_for_it() {
        let allowed = ["192.0.2.0/24", "2001:db8::/32"];
        let proxies = ["10.0.0.0/8", "127.0.0.1/32"];
        for (peer, forwarded, admitted) in [
            ("192.0.2.7", &[][..], true),
            ("198.51.100.1", &[], false),
            ("::ffff:192.0.2.7", &[], true),
            ("2001:db8::5", &[], true),
            // A stranger says whose call he forwards: nobody asked him.
            ("198.51.100.1", &["192.0.2.7"], false),
            ("10.1.1.1", &["192.0.2.7"], true),
            ("10.1.1.1", &["198.51.100.1"], false),
            ("127.0.0.1", &["192.0.2.7, 10.2.2.2"], true),
            ("127.0.0.1", &["192.0.2.7", "10.2.2.2"], true),
            // The caller wrote the first entry himself; our proxy added the second.
            ("10.1.1.1", &["192.0.2.7, 198.51.100.1"], false),
            ("10.1.1.1", &["198.51.100.1, 192.0.2.7"], true),
            ("10.1.1.1", &["192.0.2.7:4711"], true),
            ("10.1.1.1", &["[2001:db8::5]:4711"], true),
            ("10.1.1.1", &["[2001:db8::5]"], true),
            ("10.1.1.1", &["unknown"], false),
            ("10.1.1.1", &["192.0.2.7, "], false),
            // Nobody but proxies: the furthest one is the caller.
            ("10.1.1.1", &[], false),
        ] {
            let headers = headers(FORWARDED_FOR, forwarded);
            let peer = peer.parse().expect("an address");
            assert_eq!(gate(&allowed, &proxies).admits(peer, &headers), admitted, "{peer} {forwarded:?}");
            assert!(gate(&[], &proxies).admits(peer, &headers), "no list lets everybody in: {peer}");
        }
    }

    #[test]
    fn a_token_counts_in_either_scheme_and_only_whole() {
        let token = SecretString::from("s3cret");
        for (header, right) in [
            ("s3cret", true),
            ("Bearer s3cret", true),
            ("Basic s3cret", true),
            ("bearer  s3cret ", true),
            ("Bearer s3cre", false),
            ("Bearer s3cret2", false),
            ("Bearers3cret", false),
            ("Digest s3cret", false),
            ("", false),
        ] {
            let headers = headers("authorization", &[header]);
            let presented = presented(&headers).expect("there");
            assert_eq!(is_token(&token, presented), right, "{header}");
        }
        assert_eq!(presented(&HeaderMap::new()), None);
    }
}
