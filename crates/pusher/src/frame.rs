//! Frames: one JSON object each, its `data` a string of JSON, a value or absent.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::auth::Auth;
use super::excerpt::excerpt;
use chatbridge_base::json::Json;

/// Names of connections are short: longer ones are nonsense.
const SOCKET_ID_BYTES_MAX: usize = 128;
const ACTIVITY_TIMEOUT_SECONDS_MAX: f64 = 86_400.0;

/// What a server says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ServerFrame {
    /// The connection has a name, which authorisations are bound to.
    Established {
        socket_id: String,
        activity_timeout: Option<Duration>,
    },
    /// `pusher:error`.
    Error(ServerError),
    Ping,
    Pong,
    Subscribed {
        channel: String,
    },
    /// `pusher:subscription_error`.
    NotSubscribed {
        channel: String,
        error: ServerError,
    },
    /// Of the protocol, and nothing we know.
    Unknown {
        event: String,
    },
    /// For the application.
    Application(Received),
}

/// An error as a server words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// Absent, `null` or no number: none.
    pub code: Option<u16>,
    /// Shortened, on one line.
    pub message: String,
    /// Where the frame names one.
    pub channel: Option<String>,
}

/// What came for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// An event, whatever its name.
    Event {
        /// The channel; absent on events that are meant for the user rather than for a channel.
        channel: Option<String>,
        /// The event's name on the wire.
        event: String,
        /// The JSON text of its data: the content where it came as a string, which then may be no JSON at all; `null`
        /// where it was absent.
        data: String,
    },
    /// A frame that is no Pusher frame, as it came.
    Unreadable {
        /// A text frame's text, a binary frame's bytes.
        bytes: Vec<u8>,
    },
}

/// What we say.
#[derive(Debug, Clone)]
pub enum ClientFrame {
    /// Are you there?
    Ping,
    /// I am here.
    Pong,
    /// One channel, please.
    Subscribe {
        /// Its name.
        channel: String,
        /// For this connection.
        auth: Auth,
    },
    /// No more of it.
    Unsubscribe {
        /// Its name.
        channel: String,
    },
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    event: &'a RawValue,
    #[serde(borrow, default)]
    channel: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

/// Reads one text frame. What cannot be read is [`Received::Unreadable`]: odd is not lost.
pub(super) fn decode(text: &str) -> ServerFrame {
    read(text).unwrap_or_else(|| ServerFrame::Application(Received::Unreadable { bytes: text.into() }))
}

fn read(text: &str) -> Option<ServerFrame> {
    // serde would take an array for a struct.
    let wire: Wire<'_> = text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok())??;
    let Json::String(event) = Json::parse(wire.event.get())? else { return None };
    let channel = wire.channel.and_then(|raw| Json::parse(raw.get())?.words().map(str::to_owned));
    let data = wire.data.map_or_else(|| "null".to_owned(), content);
    if !event.starts_with("pusher:") && !event.starts_with("pusher_internal:") {
        let event = event.into_owned();
        return Some(ServerFrame::Application(Received::Event { channel, event, data }));
    }
    let value = parsed(&data).unwrap_or(Json::Null);
    Some(match (&*event, channel) {
        ("pusher:connection_established", _) => ServerFrame::Established {
            socket_id: value.get("socket_id").words().filter(|id| is_socket_id(id))?.to_owned(),
            activity_timeout: value.get("activity_timeout").number().and_then(seconds),
        },
        ("pusher:ping", _) => ServerFrame::Ping,
        ("pusher:pong", _) => ServerFrame::Pong,
        ("pusher:error", channel) => ServerFrame::Error(error(&value, &data, channel)),
        ("pusher_internal:subscription_succeeded" | "pusher:subscription_succeeded", Some(channel)) => {
            ServerFrame::Subscribed { channel }
        }
        ("pusher:subscription_error", Some(channel)) => {
            ServerFrame::NotSubscribed { error: error(&value, &data, Some(channel.clone())), channel }
        }
        _ => ServerFrame::Unknown { event: excerpt(&event) },
    })
}

/// The text that `data` holds: a string's content, any other value as it came.
fn content(raw: &RawValue) -> String {
    match Json::parse(raw.get()) {
        Some(Json::String(text)) => text.into_owned(),
        _ => raw.get().to_owned(),
    }
}

/// [`Json::parse`] reads what is known to be JSON; a string's content is not.
fn parsed(text: &str) -> Option<Json<'_>> {
    serde_json::from_str::<&RawValue>(text).ok()?;
    Json::parse(text)
}

fn error(value: &Json<'_>, data: &str, channel: Option<String>) -> ServerError {
    // Hosted Pusher says `code`, soketi's refusals `status`.
    let code = value.get("code").integer().or_else(|| value.get("status").integer());
    let message = value.get("message").words().or_else(|| value.get("error").words()).unwrap_or(data);
    ServerError { code: code.and_then(|code| u16::try_from(code).ok()), message: excerpt(message), channel }
}

fn is_socket_id(id: &str) -> bool {
    id.len() <= SOCKET_ID_BYTES_MAX && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn seconds(number: f64) -> Option<Duration> {
    (number > 0.0).then(|| Duration::from_secs_f64(number.min(ACTIVITY_TIMEOUT_SECONDS_MAX)))
}

impl ClientFrame {
    /// The text frame. It holds the signature, so it is for the socket alone.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Ping => json!({"event": "pusher:ping", "data": {}}),
            Self::Pong => json!({"event": "pusher:pong", "data": {}}),
            Self::Subscribe { channel, auth } => {
                json!({"event": "pusher:subscribe", "data": {"channel": channel, "auth": auth.expose()}})
            }
            Self::Unsubscribe { channel } => json!({"event": "pusher:unsubscribe", "data": {"channel": channel}}),
        }
        .to_string()
    }
}

#[cfg(test)]
mod tests;
