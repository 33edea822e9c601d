//! What the text forms of the sections share: how a table is declared, what its keys take, what a word has to look
//! like.

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use super::problem::{Checks, outside};

/// Declares a table as it is written: of each key what it does, what it takes and, behind `=`, its default where that
/// is not the type's own.
///
/// The doc comments are the text of `docs/configuration.md`; `config.toml` at the root shows the same keys with the
/// same defaults, and a test keeps the two together. No `flatten`, no `untagged`: both would spoil the error messages.
macro_rules! text_form {
    ($(#[$about:meta])* $vis:vis struct $table:ident;
     $($(#[$does:meta])* $key_vis:vis $key:ident: $takes:ty $(= $default:expr)?,)*) => {
        #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        $(#[$about])*
        $vis struct $table {
            $($(#[$does])* $key_vis $key: $takes,)*
        }

        impl Default for $table {
            fn default() -> Self {
                Self { $($key: $crate::config::text::text_form!(@ $($default)?),)* }
            }
        }
    };
    (@) => { Default::default() };
    (@ $default:expr) => { $default.into() };
}
pub(super) use text_form;

/// A number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Within<N, const MIN: u64, const MAX: u64>(pub(super) N);

impl<N, const MIN: u64, const MAX: u64> From<N> for Within<N, MIN, MAX> {
    fn from(number: N) -> Self {
        Self(number)
    }
}

impl<'de, N, const MIN: u64, const MAX: u64> Deserialize<'de> for Within<N, MIN, MAX>
where
    N: Deserialize<'de> + Copy + Display + TryInto<u64>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = N::deserialize(deserializer)?;
        match number.try_into() {
            Ok(value) if (MIN..=MAX).contains(&value) => Ok(Self(number)),
            _ => Err(D::Error::custom(outside(number, &(MIN..=MAX)))),
        }
    }
}

impl<N: JsonSchema, const MIN: u64, const MAX: u64> JsonSchema for Within<N, MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        N::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = N::json_schema(generator);
        schema.insert("minimum".to_owned(), MIN.into());
        schema.insert("maximum".to_owned(), MAX.into());
        schema
    }
}

impl<const MIN: u64, const MAX: u64> Within<u64, MIN, MAX> {
    pub(super) fn millis(self) -> Duration {
        Duration::from_millis(self.0)
    }

    pub(super) fn seconds(self) -> Duration {
        Duration::from_secs(self.0)
    }

    /// 0 is never.
    pub(super) fn seconds_or_never(self) -> Option<Duration> {
        Some(self.seconds()).filter(|duration| !duration.is_zero())
    }
}

/// One of an enum's words. Asked by way of a string, so that it is serde that says which words there are: the `config`
/// crate's own message for an enum only speaks of "variant constructors".
pub(super) fn word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    let word = String::deserialize(deserializer)?;
    T::deserialize(IntoDeserializer::<D::Error>::into_deserializer(word))
}

pub(super) fn optional_word<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    word(deserializer).map(Some)
}

/// A list, or from the environment one string with commas.
pub(super) fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct ListVisitor;

    impl<'de> serde::de::Visitor<'de> for ListVisitor {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of words")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(text.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect())
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Vec<String>, A::Error> {
            Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))
        }
    }

    deserializer.deserialize_any(ListVisitor)
}

/// An address and nothing more: paths are joined to it, and secrets have keys of their own where they cannot be
/// printed.
pub(super) fn bare_url(text: &str) -> Option<Url> {
    Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}

/// Where a listener listens.
pub(super) fn listen(text: &str, example: &str, checks: &mut Checks<'_>) -> Option<SocketAddr> {
    text.parse().ok().or_else(|| checks.refuse("listen", format!("expected address:port, such as {example}")))
}

/// Letters, digits, and these others.
pub(super) fn is_made_of(text: &str, others: &[u8]) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

/// Whether a header takes this as one word.
pub(super) fn is_header_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The names Kafka takes (`org.apache.kafka.common.internals.Topic`).
pub(super) fn topic(key: &str, name: &str, checks: &mut Checks<'_>) -> bool {
    let is_legal = is_made_of(name, b"._-") && (1..=249).contains(&name.len()) && name != "." && name != "..";
    if !is_legal {
        checks.complain(key, "a topic's name has 1 to 249 letters, digits, dots, hyphens or underscores");
    }
    is_legal
}
