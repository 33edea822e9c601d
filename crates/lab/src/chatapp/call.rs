//! Which call a request is. Pure.

use axum::http::Method;
use percent_encoding::percent_decode_str;

use super::channel::Line;
use super::fault::Place;

/// One call of the REST API or of the authorisation endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    MakeTokens,
    RefreshTokens,
    CheckTokens,
    Me,
    Licences,
    Companies,
    AllChats,
    Chats(Line),
    Messages(Line, String),
    /// Of which there are none.
    Callbacks,
    Authorise,
}

impl Call {
    /// `None`: there is no such path, or not with this verb.
    pub(super) fn parse(method: &Method, path: &str) -> Option<Self> {
        let segments = path.strip_prefix('/')?.split('/').map(|segment| percent_decode_str(segment).decode_utf8());
        let segments: Vec<_> = segments.collect::<Result<_, _>>().ok()?;
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let line = |licence: &str, messenger: &str| {
            Some(Line { licence: licence.parse().ok()?, messenger: messenger.to_owned() })
        };
        Some(match (method.as_str(), segments.as_slice()) {
            ("POST", ["v1", "tokens"]) => Self::MakeTokens,
            ("POST", ["v1", "tokens", "refresh"]) => Self::RefreshTokens,
            ("GET", ["v1", "tokens", "check"]) => Self::CheckTokens,
            ("GET", ["v1", "me"]) => Self::Me,
            ("GET", ["v1", "licenses"]) => Self::Licences,
            ("GET", ["v1", "companies"]) => Self::Companies,
            ("GET", ["v1", "chats"]) => Self::AllChats,
            ("GET", ["v1", "callbackUrls"]) => Self::Callbacks,
            ("GET", ["v1", "licenses", licence, "messengers", messenger, "chats"]) => {
                Self::Chats(line(licence, messenger)?)
            }
            ("GET", ["v1", "licenses", licence, "messengers", messenger, "chats", chat, "messages"]) => {
                Self::Messages(line(licence, messenger)?, (*chat).to_owned())
            }
            ("POST", ["broadcasting", "auth"]) => Self::Authorise,
            _ => return None,
        })
    }

    /// The place its faults are at.
    pub(super) fn place(&self) -> Place {
        match self {
            Self::MakeTokens => Place::Login,
            Self::RefreshTokens => Place::Refresh,
            Self::AllChats | Self::Chats(_) => Place::Chats,
            Self::Messages(..) => Place::Messages,
            Self::Authorise => Place::Auth,
            _ => Place::Rest,
        }
    }

    /// Whether it asks for an access token; the two that give one do not.
    pub(super) fn needs_token(&self) -> bool {
        !matches!(self, Self::MakeTokens | Self::RefreshTokens)
    }

    /// The channel it is about.
    pub(super) fn line(&self) -> Option<&Line> {
        match self {
            Self::Chats(line) | Self::Messages(line, _) => Some(line),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chat_ids_come_raw_or_encoded() {
        let line = Line { licence: 1229, messenger: "grWhatsApp".to_owned() };
        let get = |path: &str| Call::parse(&Method::GET, path);
        for chat in ["79990000001@c.us", "79990000001%40c.us"] {
            let path = format!("/v1/licenses/1229/messengers/grWhatsApp/chats/{chat}/messages");
            assert_eq!(get(&path), Some(Call::Messages(line.clone(), "79990000001@c.us".to_owned())));
        }
        assert_eq!(get("/v1/licenses/1229/messengers/grWhatsApp/chats"), Some(Call::Chats(line)));
        assert_eq!(get("/v1/licenses/x/messengers/grWhatsApp/chats"), None);
        assert_eq!(get("/v1/tokens"), None, "the wrong verb");
        assert_eq!(get("/v1/licenses/"), None);
    }
}
