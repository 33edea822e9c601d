//! Ids, each a type of its own.

use std::fmt;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use sha1::{Digest as _, Sha1};
use uuid::{Builder, Uuid};

use super::ChatType;

/// GREEN-API's `idInstance`: ten digits, twelve for instances made since July 2026.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[schemars(transparent, extend("pattern" = "^[0-9]+$"))]
pub struct InstanceId(#[schemars(with = "String")] u64);

impl InstanceId {
    /// Wraps the number the console shows.
    #[must_use]
    pub fn new(id: u64) -> Self {
        Self(id)
    }

    /// The plain number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Instances are strings to consumers: JavaScript must not round them.
impl Serialize for InstanceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A chat, exactly as upstream names it. Never empty.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("minLength" = 1))]
pub struct ChatId(String);

impl ChatId {
    /// `None` for an empty id.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        (!id.is_empty()).then(|| Self(id.to_owned()))
    }

    /// The id as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Classified by the forms
    #[must_use]
    pub fn chat_type(&self) -> Option<ChatType> {
        match self.0.rsplit_once('@') {
            Some((_, "c.us" | "s.whatsapp.net" | "lid")) => Some(ChatType::Private),
            Some((_, "g.us")) => Some(ChatType::Group),
            Some(_) => None,
            // Telegram and MAX: decimal; negative is a group or a channel, and only chatType tells which.
            None if self.0.starts_with('-') && is_digits(&self.0[1..]) => Some(ChatType::Group),
            None if is_digits(&self.0) => Some(ChatType::Private),
            None => None,
        }
    }
}

/// Phone numbers do not belong into logs, so the id does not print itself.
impl fmt::Debug for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChatId(…)")
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `ce_id`: the same event has the same id however often and by whatever road it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "uuid"))]
pub struct EventId(
    #[serde(serialize_with = "hyphenated")]
    #[schemars(with = "String")]
    Uuid,
);

impl EventId {
    /// UUIDv5 of `content` in the namespace UUIDv5(URL, `source`): any language's uuid library makes the same one.
    ///
    /// `content` is the canonical body (RFC 8785, see [`chatbridge_base::json::Json::write_canonical`]), what
    /// [`crate::normalize::chatapp::identity`] says of ChatApp's, or the bytes as they came where they are not JSON. The
    /// receipt takes no part: whether it survives a redelivery is undocumented.
    #[must_use]
    pub fn of(source: &str, content: &[u8]) -> Self {
        let namespace = uuid_v5(&Uuid::NAMESPACE_URL, source.as_bytes());
        Self(uuid_v5(&namespace, content))
    }

    /// UUIDv5 of `name` in the namespace of this id.
    #[must_use]
    pub fn within(self, name: &str) -> Self {
        Self(uuid_v5(&self.0, name.as_bytes()))
    }

    /// The sixteen bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// An id that was made before.
    #[must_use]
    pub fn from_uuid(id: Uuid) -> Self {
        Self(id)
    }
}

/// `Uuid::new_v5` with a hash that is several times as quick: of all there is to understanding an event, hashing its body
/// would otherwise take the longest.
fn uuid_v5(namespace: &Uuid, name: &[u8]) -> Uuid {
    let hash: [u8; 20] = Sha1::new().chain_update(namespace).chain_update(name).finalize().into();
    let mut first = [0; 16];
    first.copy_from_slice(&hash[..16]);
    Builder::from_sha1_bytes(first).into_uuid()
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

fn hyphenated<S: Serializer>(id: &Uuid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&id.hyphenated())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chats_are_classified_by_the_form_of_their_id() {
        use ChatType::*;
        for (id, expected) in [
            ("79001234567@c.us", Some(Private)),
            ("79001234567:3@c.us", Some(Private)),
            ("79001234567@s.whatsapp.net", Some(Private)),
            ("120650379300963@lid", Some(Private)),
            ("79099197688-1506012221@g.us", Some(Group)),
            ("10000000", Some(Private)),
            ("-69308615655644", Some(Group)),
            ("-", None),
            ("status@broadcast", None),
            ("somebody", None),
        ] {
            assert_eq!(ChatId::new(id).and_then(|id| id.chat_type()), expected, "{id}");
        }
        assert_eq!(ChatId::new(""), None);
    }

    #[test]
    fn the_event_id_is_the_one_any_uuid_library_makes() {
        // python3: uuid.uuid5(uuid.uuid5(uuid.NAMESPACE_URL, "/green-api/1101"), '{"a":1}')
        let id = EventId::of("/green-api/1101", br#"{"a":1}"#);
        assert_eq!(id.to_string(), "b8c7cb48-79ae-5a98-ab5b-73e5f907f0e7");
    }
}
