//! The words of the Pusher protocol, version 7, in the dialects of four servers. Pure.

use serde_json::{Value, json};

use super::config::{Dialect, PusherApp};

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    Ping,
    Pong,
    Subscribe {
        channel: String,
        auth: Option<String>,
    },
    Unsubscribe {
        channel: String,
    },
    /// An event of its own (`client-…`) or nothing known: ignored.
    Other,
    /// Not a frame.
    Garbage,
}

impl Said {
    pub(super) fn parse(text: &str) -> Self {
        let Ok(frame) = serde_json::from_str::<Value>(text) else { return Self::Garbage };
        let word = |name: &str| frame["data"][name].as_str().map(str::to_owned);
        match (frame["event"].as_str(), word("channel")) {
            (None, _) => Self::Garbage,
            (Some("pusher:ping"), _) => Self::Ping,
            (Some("pusher:pong"), _) => Self::Pong,
            (Some("pusher:subscribe"), Some(channel)) => Self::Subscribe { channel, auth: word("auth") },
            (Some("pusher:unsubscribe"), Some(channel)) => Self::Unsubscribe { channel },
            (Some("pusher:subscribe" | "pusher:unsubscribe"), None) => Self::Garbage,
            (Some(_), _) => Self::Other,
        }
    }
}

/// Why a socket is not welcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unwelcome {
    pub(super) code: u16,
    pub(super) message: String,
}

impl Unwelcome {
    pub(super) fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Whether a path and query are those of a client that may come in.
pub(super) fn welcome(app: &PusherApp, path: &str, query: &str) -> Result<(), Unwelcome> {
    let parameter = |name: &str| {
        let found = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned())
    };
    let key = path.strip_prefix("/app/").ok_or_else(|| Unwelcome::new(4005, "Path not found"))?;
    if key != app.key {
        return Err(Unwelcome::new(4001, format!("App key {key} does not exist.")));
    }
    match parameter("protocol").as_deref() {
        Some("7") => {}
        None | Some("") => return Err(Unwelcome::new(4008, "No protocol version supplied")),
        Some(_) => return Err(Unwelcome::new(4007, "Unsupported protocol version")),
    }
    match parameter("version") {
        Some(version) if !version.starts_with(|first: char| first.is_ascii_digit()) => {
            Err(Unwelcome::new(4006, "Invalid version string format"))
        }
        _ => Ok(()),
    }
}

/// How a connection ends that we end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goodbye {
    /// With a close frame of this code.
    Close(u16),
    /// The TCP connection ends, no more.
    Eof,
    /// The TCP connection is reset.
    Reset,
}

/// What a server does about a silent client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Closes, 4201.
    Close,
    /// Unsubscribes it from everything and says nothing.
    Unsubscribe,
    /// Pings when half the time is over, and closes at its end with an error before.
    PingThenClose,
}

impl Dialect {
    pub(super) fn established(self, socket_id: &str) -> String {
        let timeout = if self == Self::Pusher { 120 } else { 30 };
        let data = json!({"socket_id": socket_id, "activity_timeout": timeout}).to_string();
        json!({"event": "pusher:connection_established", "data": data}).to_string()
    }

    pub(super) fn pong(self) -> String {
        match self {
            Self::Soketi | Self::Pusher => json!({"event": "pusher:pong", "data": {}}),
            Self::LaravelWebsockets | Self::Reverb => json!({"event": "pusher:pong"}),
        }
        .to_string()
    }

    pub(super) fn subscribed(self, channel: &str) -> String {
        let mut frame = json!({"event": "pusher_internal:subscription_succeeded", "channel": channel});
        if matches!(self, Self::Pusher | Self::Reverb) {
            frame["data"] = json!("{}");
        }
        frame.to_string()
    }

    /// A bad signature: only some name the channel.
    pub(super) fn refused(self, channel: &str) -> String {
        match self {
            Self::Soketi | Self::Pusher => {
                let data = json!({"type": "AuthError", "error": "The connection is unauthorized.", "status": 401});
                json!({"event": "pusher:subscription_error", "channel": channel, "data": data}).to_string()
            }
            Self::LaravelWebsockets => self.error(4009, "Invalid Signature"),
            Self::Reverb => self.error(4009, "Connection is unauthorized"),
        }
    }

    pub(super) fn error(self, code: u16, message: &str) -> String {
        let data = json!({"code": code, "message": message});
        let data = if self == Self::Reverb { json!(data.to_string()) } else { data };
        json!({"event": "pusher:error", "data": data}).to_string()
    }

    /// What follows the error that tells a socket it is not welcome; `None`: it is left open.
    pub(super) fn after_unwelcome(self, code: u16) -> Option<Goodbye> {
        match (self, code) {
            (Self::Soketi | Self::Pusher, _) => Some(Goodbye::Close(code)),
            (Self::LaravelWebsockets, 4100) => Some(Goodbye::Eof),
            (Self::Reverb, 4001) => Some(Goodbye::Eof),
            (Self::LaravelWebsockets | Self::Reverb, _) => None,
        }
    }

    /// One socket too many.
    pub(super) fn over_capacity(self) -> Unwelcome {
        let code = if self == Self::Reverb { 4004 } else { 4100 };
        Unwelcome::new(code, "The current concurrent connections quota has been reached.")
    }

    pub(super) fn at_silence(self) -> Silence {
        match self {
            Self::Soketi => Silence::Close,
            Self::LaravelWebsockets => Silence::Unsubscribe,
            Self::Reverb | Self::Pusher => Silence::PingThenClose,
        }
    }

    /// Whether whatever a client says, or WebSocket's own ping, shows that it is there; others only count what they say
    /// to it themselves, and a pong is such.
    pub(super) fn counts_what_it_hears(self) -> bool {
        matches!(self, Self::Reverb | Self::Pusher)
    }

    /// What an orderly end of the server sends.
    pub(super) fn at_shutdown(self) -> Goodbye {
        match self {
            Self::Soketi | Self::Pusher => Goodbye::Close(4200),
            Self::LaravelWebsockets | Self::Reverb => Goodbye::Eof,
        }
    }
}

pub(super) fn ping() -> String {
    json!({"event": "pusher:ping", "data": {}}).to_string()
}

/// An event; its data is text in a string, unless told otherwise.
pub(super) fn event(channel: &str, name: &str, body: &str, as_object: bool) -> String {
    let data = match serde_json::from_str::<Value>(body) {
        Ok(object) if as_object => object,
        _ => json!(body),
    };
    json!({"event": name, "channel": channel, "data": data}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_come_in() {
        let app = PusherApp { key: "k".to_owned(), ..PusherApp::default() };
        let code = |app: &PusherApp, path, query| welcome(app, path, query).map_err(|unwelcome| unwelcome.code);
        assert_eq!(code(&app, "/app/k", "protocol=7&client=js&version=8.6.0&flash=false"), Ok(()));
        assert_eq!(code(&app, "/app/k", "protocol=7"), Ok(()));
        assert_eq!(code(&app, "/app/other", "protocol=7"), Err(4001));
        assert_eq!(code(&app, "/apps/k", "protocol=7"), Err(4005));
        assert_eq!(code(&app, "/app/k", "version=1"), Err(4008));
        assert_eq!(code(&app, "/app/k", "protocol=4"), Err(4007));
        assert_eq!(code(&app, "/app/k", "protocol=7&version=eight"), Err(4006));
    }

    #[test]
    fn what_clients_say() {
        let subscribe = r#"{"event":"pusher:subscribe","data":{"auth":"k:ff","channel":"private-a"}}"#;
        let said = Said::Subscribe { channel: "private-a".to_owned(), auth: Some("k:ff".to_owned()) };
        assert_eq!(Said::parse(subscribe), said);
        assert_eq!(Said::parse(r#"{"event":"pusher:ping","data":{}}"#), Said::Ping);
        assert_eq!(Said::parse(r#"{"event":"pusher:ping"}"#), Said::Ping);
        assert_eq!(Said::parse(r#"{"event":"client-typing"}"#), Said::Other);
        for garbage in ["", "[]", "{}", r#"{"event":"pusher:subscribe","data":"{}"}"#] {
            assert_eq!(Said::parse(garbage), Said::Garbage, "{garbage}");
        }
    }

    #[test]
    fn dialects_differ_where_the_reference_says_so() {
        let parse = |text: String| serde_json::from_str::<Value>(&text).expect("JSON");
        for dialect in [Dialect::Soketi, Dialect::LaravelWebsockets, Dialect::Reverb, Dialect::Pusher] {
            let established = parse(dialect.established("1.2"));
            let data: Value = serde_json::from_str(established["data"].as_str().expect("text")).expect("JSON");
            assert_eq!(data["activity_timeout"], if dialect == Dialect::Pusher { 120 } else { 30 });
            assert_eq!(data["socket_id"], "1.2");
            let refused = parse(dialect.refused("private-a"));
            match dialect {
                Dialect::Soketi | Dialect::Pusher => assert_eq!(refused["channel"], "private-a"),
                Dialect::LaravelWebsockets => assert_eq!(refused["data"]["code"], 4009),
                Dialect::Reverb => assert!(refused["data"].as_str().is_some_and(|data| data.contains("4009"))),
            }
        }
        assert_eq!(parse(Dialect::Pusher.subscribed("a"))["data"], "{}");
        assert_eq!(parse(Dialect::Soketi.subscribed("a")).get("data"), None);
    }

    #[test]
    fn data_is_text_unless_told_otherwise() {
        let frame = |as_object| serde_json::from_str::<Value>(&event("c", "e", r#"{"a":1}"#, as_object)).expect("JSON");
        assert_eq!(frame(false), json!({"event": "e", "channel": "c", "data": "{\"a\":1}"}));
        assert_eq!(frame(true)["data"], json!({"a": 1}));
    }
}
