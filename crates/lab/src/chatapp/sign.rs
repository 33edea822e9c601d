//! The signatures of the Pusher protocol: of a channel for a socket, of a request to the HTTP API.

use md5::{Digest as _, Md5};
use ring::hmac;

use super::config::PusherApp;
use crate::kit::hex;

/// How far a request's clock may be from ours, in seconds (Pusher's own limit).
const CLOCK_SKEW_SECONDS_MAX: u64 = 600;

impl PusherApp {
    /// `auth` of a private channel: `<key>:<hex>`.
    pub(super) fn authorise(&self, socket_id: &str, channel: &str) -> String {
        let tag = hmac::sign(&self.hmac_key(), format!("{socket_id}:{channel}").as_bytes());
        format!("{}:{}", self.key, hex::encode(tag.as_ref()))
    }

    /// Whether `auth` is what [`Self::authorise`] gave.
    pub(super) fn recognises(&self, auth: &str, socket_id: &str, channel: &str) -> bool {
        let Some((key, signature)) = auth.split_once(':') else { return false };
        key == self.key && self.signed(signature, &format!("{socket_id}:{channel}"))
    }

    /// Checks a request to the HTTP API.
    pub(super) fn check(&self, request: &ApiRequest<'_>) -> Result<(), &'static str> {
        let value = |name: &str| request.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        if value("auth_key") != Some(&self.key) {
            return Err("unknown auth_key");
        }
        let stamp: u64 = value("auth_timestamp").and_then(|text| text.parse().ok()).ok_or("no auth_timestamp")?;
        if stamp.abs_diff(request.unix_seconds) > CLOCK_SKEW_SECONDS_MAX {
            return Err("auth_timestamp is not of now");
        }
        if !request.body.is_empty() && value("body_md5") != Some(&hex::encode(&Md5::digest(request.body))) {
            return Err("body_md5 is not the body's");
        }
        let signature = value("auth_signature").ok_or("no auth_signature")?;
        if self.signed(signature, &request.to_sign()) { Ok(()) } else { Err("wrong auth_signature") }
    }

    fn signed(&self, signature: &str, text: &str) -> bool {
        hex::decode(signature).is_some_and(|tag| hmac::verify(&self.hmac_key(), text.as_bytes(), &tag).is_ok())
    }

    fn hmac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes())
    }
}

/// What the signature of a request to the HTTP API is about.
pub(super) struct ApiRequest<'r> {
    pub(super) method: &'r str,
    pub(super) path: &'r str,
    pub(super) query: &'r [(String, String)],
    pub(super) body: &'r [u8],
    pub(super) unix_seconds: u64,
}

impl ApiRequest<'_> {
    /// Verb, path, and the query's parameters sorted, without the signature itself.
    fn to_sign(&self) -> String {
        let mut parameters: Vec<_> = self
            .query
            .iter()
            .filter(|(key, _)| key != "auth_signature")
            .map(|(key, value)| format!("{}={value}", key.to_ascii_lowercase()))
            .collect();
        parameters.sort();
        format!("{}\n{}\n{}", self.method, self.path, parameters.join("&"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(key: &str, secret: &str) -> PusherApp {
        PusherApp { key: key.to_owned(), secret: secret.to_owned(), ..PusherApp::default() }
    }

    #[test]
    fn the_check_value_of_the_reference() {
        let auth = app("k", "s").authorise("123.456", "private-v1.users.685");
        assert_eq!(auth, "k:655f39329d3fe448e4116c0f91221657e919406eee6d525eee46213acd4ff65e");
    }

    #[test]
    fn a_signature_is_good_for_its_socket_channel_key_and_secret_alone() {
        let app = app("k", "s");
        let auth = app.authorise("1.2", "private-a");
        assert!(app.recognises(&auth, "1.2", "private-a"));
        for (app, auth, socket, channel) in [
            (&app, auth.as_str(), "1.3", "private-a"),
            (&app, &auth, "1.2", "private-b"),
            (&self::app("other", "s"), &auth, "1.2", "private-a"),
            (&self::app("k", "t"), &auth, "1.2", "private-a"),
            (&app, &auth[2..], "1.2", "private-a"),
            (&app, "k:zz", "1.2", "private-a"),
            (&app, "", "1.2", "private-a"),
        ] {
            assert!(!app.recognises(auth, socket, channel), "{auth} {socket} {channel}");
        }
    }

    /// The worked example of Pusher's HTTP API documentation.
    #[test]
    fn the_http_apis_own_example() {
        let app = app("278d425bdf160c739803", "7ad3773142a6692b25b8");
        let body = br#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
        let query = |md5: &str| {
            [
                ("auth_key", "278d425bdf160c739803"),
                ("auth_timestamp", "1353088179"),
                ("auth_version", "1.0"),
                ("body_md5", md5),
                ("auth_signature", "da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
        };
        let check = |query: &[(String, String)], body: &[u8], unix_seconds| {
            app.check(&ApiRequest { method: "POST", path: "/apps/3/events", query, body, unix_seconds })
        };
        let good = query("ec365a775a4cd0599faeb73354201b6f");
        assert_eq!(check(&good, body, 1_353_088_179), Ok(()));
        assert_eq!(check(&good, b"{}", 1_353_088_179), Err("body_md5 is not the body's"));
        assert_eq!(check(&good, body, 1_353_088_179 + 601), Err("auth_timestamp is not of now"));
        let forged = query("99914b932bd37a50b983c5e7c90ae93b");
        assert_eq!(check(&forged, b"{}", 1_353_088_179), Err("wrong auth_signature"));
        assert_eq!(check(&[], body, 0), Err("unknown auth_key"));
    }
}
