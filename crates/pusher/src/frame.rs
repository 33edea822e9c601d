//! Frames: one JSON object each. Its `data` is a string with JSON in it, any other value, or absent.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::auth::Auth;
use super::excerpt::excerpt;
use chatbridge_base::json::Json;

/// Socket ids are short: a longer one is invalid.
const SOCKET_ID_BYTES_MAX: usize = 128;
const ACTIVITY_TIMEOUT_SECONDS_MAX: f64 = 86_400.0;

/// A frame from the server.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ServerFrame {
    /// The connection has a socket id, which authorisations are bound to.
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
    /// A protocol event that we do not know.
    Unknown {
        event: String,
    },
    /// For the application.
    Application(Received),
}

/// An error as the server words it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerError {
    /// `None` if it is absent, `null` or not a number.
    pub code: Option<u16>,
    /// Shortened, and on one line.
    pub message: String,
    /// The channel, if the frame names one.
    pub channel: Option<String>,
}

/// What came for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// An event of any name.
    Event {
        /// The channel; absent for events that are sent to the user and not to a channel.
        channel: Option<String>,
        /// The event's name on the wire.
        event: String,
        /// The JSON text of its data. If that came as a string, this is the string's content, which may not be JSON; if
        /// it was absent, `null`.
        data: String,
    },
    /// A frame that is not a Pusher frame, unchanged.
    Unreadable {
        /// The text of a text frame, or the bytes of a binary frame.
        bytes: Vec<u8>,
    },
}

/// A frame from us.
#[derive(Debug, Clone)]
pub enum ClientFrame {
    /// Asks the server to answer.
    Ping,
    /// Answers the server's ping.
    Pong,
    /// Subscribes to a channel.
    Subscribe {
        /// Its name.
        channel: String,
        /// For this connection.
        auth: Auth,
    },
    /// Ends a subscription.
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

/// Reads one text frame. What cannot be read becomes [`Received::Unreadable`]: an odd frame must not be lost.
pub(super) fn decode(text: &str) -> ServerFrame {
    read(text).unwrap_or_else(|| ServerFrame::Application(Received::Unreadable { bytes: text.into() }))
}

fn read(text: &str) -> Option<ServerFrame> {
    // serde would accept an array for a struct.
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

/// The text in `data`: the content of a string, or any other value unchanged.
fn content(raw: &RawValue) -> String {
    match Json::parse(raw.get()) {
        Some(Json::String(text)) => text.into_owned(),
        _ => raw.get().to_owned(),
    }
}

/// [`Json::parse`] expects valid JSON; a string's content may be anything.
fn parsed(text: &str) -> Option<Json<'_>> {
    serde_json::from_str::<&RawValue>(text).ok()?;
    Json::parse(text)
}

fn error(value: &Json<'_>, data: &str, channel: Option<String>) -> ServerError {
    // Hosted Pusher uses `code`, soketi's refusals use `status`.
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
    /// The text of the frame. It may hold the signature, so it must only go to the socket.
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
