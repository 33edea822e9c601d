//! The authorisation of one channel for one connection: the request, and the meaning of the answer.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::excerpt::excerpt;
use chatbridge_base::json::Json;

/// The key's name and a signature. It is valid for one channel on one connection and not kept longer.
#[derive(Debug, Clone)]
pub struct Auth(SecretString);

/// Why there is no [`Auth`]. The variants are named after what comes next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthFailure {
    /// The access token is not valid for this channel. It is renewed and the channel tried once more, then left alone
    /// for a while.
    #[error("not authorised: {detail}")]
    Forbidden {
        /// What the endpoint said.
        detail: String,
    },
    /// The endpoint cannot be reached, is overloaded or gave a senseless answer: asked again soon.
    #[error("the authorisation endpoint is in trouble: {detail}")]
    Unavailable {
        /// What happened.
        detail: String,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
    },
}

impl Auth {
    /// `<key>:<hex>`, as the endpoint gave it.
    #[must_use]
    pub fn new(auth: String) -> Self {
        Self(auth.into())
    }

    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The body to POST to the endpoint, as `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn form(socket_id: &str, channel: &str) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("socket_id", socket_id).append_pair("channel_name", channel).finish()
    }

    /// Reads an endpoint's HTTP answer.
    ///
    /// # Errors
    /// If it holds no signature. An `error.code` says more than the status: `ApiInvalidTokenError` is about the token,
    /// whatever the status.
    pub fn from_answer(status: u16, retry_after: Option<Duration>, body: &str) -> Result<Self, AuthFailure> {
        let body_is_json = serde_json::from_str::<&serde_json::value::RawValue>(body).is_ok();
        let answer = if body_is_json { Json::parse(body) } else { None }.unwrap_or(Json::Null);
        if status == 200
            && let Some(auth) = answer.get("auth").words()
        {
            return Ok(Self::new(auth.to_owned()));
        }
        let error = answer.get("error");
        let code = error.get("code").words().unwrap_or_default();
        let words = error.get("message").words().or_else(|| answer.get("message").words()).unwrap_or_default();
        let detail = excerpt(format!("{status} {code} {words}").trim());
        if matches!(status, 401 | 403) || code == "ApiInvalidTokenError" {
            Err(AuthFailure::Forbidden { detail })
        } else {
            Err(AuthFailure::Unavailable { detail, retry_after })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_percent_encoded() {
        assert_eq!(
            Auth::form("123.456", "private-v1.licenses.1.messengers.a&b"),
            "socket_id=123.456&channel_name=private-v1.licenses.1.messengers.a%26b"
        );
    }

    #[test]
    fn only_a_200_with_a_signature_authorises() {
        let auth = Auth::from_answer(200, None, r#"{"auth":"key:0a","channel_data":null}"#).expect("authorised");
        assert_eq!(auth.expose(), "key:0a");
        assert!(!format!("{auth:?}").contains("0a"), "a signature is not for logs");
        for (status, body) in
            [(200, ""), (200, "<html>"), (200, "{}"), (201, r#"{"auth":"k:0"}"#), (429, ""), (500, "")]
        {
            let failure = Auth::from_answer(status, None, body).expect_err("no signature");
            assert!(matches!(failure, AuthFailure::Unavailable { .. }), "{status} {body}: {failure:?}");
        }
    }

    #[test]
    fn what_is_about_the_token_says_so_under_any_status() {
        let invalid = r#"{"success":false,"error":{"code":"ApiInvalidTokenError","message":"Invalid token"}}"#;
        for (status, body) in [(401, ""), (403, "Forbidden"), (403, invalid), (400, invalid), (200, invalid)] {
            let failure = Auth::from_answer(status, None, body).expect_err("no signature");
            assert!(matches!(failure, AuthFailure::Forbidden { .. }), "{status} {body}: {failure:?}");
        }
    }
}
