//! ChatApp's channels: the places its events are sent to.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

/// Names of channels have at most 164 characters in all.
const PART_BYTES_MAX: usize = 100;

/// A channel of ChatApp.
///
/// To consumers it is the words it is made of; one of them is missing where the other kind of channel has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(into = "Words")]
#[schemars(with = "Words")]
pub enum Channel {
    /// A messenger of a licence: messages and what becomes of chats.
    Messenger {
        /// `licenseId`.
        license: ChannelPart,
        /// `messengerType`, in the vendor's spelling.
        messenger: ChannelPart,
    },
    /// A company: its employees.
    Company(ChannelPart),
    /// A user: quick responses.
    User(ChannelPart),
    /// What an employee of a company may see; only the newer vendor page knows it.
    CompanyUser {
        /// The company.
        company: ChannelPart,
        /// The employee.
        user: ChannelPart,
    },
    /// It came by a road that has no name, and names none itself.
    Unnamed,
}

/// One word of a channel's name: never empty, never long, and fit for a URI as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct ChannelPart(String);

impl ChannelPart {
    /// `None` for what cannot stand in the name of a channel.
    #[must_use]
    pub fn new(word: &str) -> Option<Self> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_=@,.;".contains(&byte);
        (!word.is_empty() && word.len() <= PART_BYTES_MAX && word.bytes().all(fits)).then(|| Self(word.to_owned()))
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Channel {
    /// The channel that these words name, as `meta` gives them.
    #[must_use]
    pub fn of(license: Option<&str>, messenger: Option<&str>, company: Option<&str>, user: Option<&str>) -> Self {
        let part = |word: Option<&str>| word.and_then(ChannelPart::new);
        match (part(license), part(messenger), part(company), part(user)) {
            (Some(license), Some(messenger), ..) => Self::Messenger { license, messenger },
            (.., Some(company), Some(user)) => Self::CompanyUser { company, user },
            (.., Some(company), None) => Self::Company(company),
            (.., None, Some(user)) => Self::User(user),
            _ => Self::Unnamed,
        }
    }

    /// From the name it is subscribed to by.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.strip_prefix("private-v1.")?;
        let (sort, rest) = name.split_once('.')?;
        let channel = match (sort, rest.split_once(".messengers."), rest.split_once(".users.")) {
            ("licenses", Some((license, messenger)), _) => Self::of(Some(license), Some(messenger), None, None),
            ("companies", _, Some((company, user))) => Self::of(None, None, Some(company), Some(user)),
            ("companies", _, None) => Self::of(None, None, Some(rest), None),
            ("users", ..) => Self::of(None, None, None, Some(rest)),
            _ => Self::Unnamed,
        };
        // A word that does not fit would leave a name of another sort.
        (channel.name().as_deref() == Some(&format!("private-v1.{name}"))).then_some(channel)
    }

    /// The name it is subscribed to by.
    #[must_use]
    pub fn name(&self) -> Option<String> {
        Some(match self {
            Self::Messenger { license, messenger } => format!("private-v1.licenses.{license}.messengers.{messenger}"),
            Self::Company(company) => format!("private-v1.companies.{company}"),
            Self::User(user) => format!("private-v1.users.{user}"),
            Self::CompanyUser { company, user } => format!("private-v1.companies.{company}.users.{user}"),
            Self::Unnamed => return None,
        })
    }

    /// What `ce_source` says of it behind `/chatapp/`, for tables.
    #[must_use]
    pub fn short(&self) -> String {
        self.uri().trim_start_matches("/chatapp").trim_start_matches('/').to_owned()
    }

    /// `ce_source`.
    pub(super) fn uri(&self) -> String {
        match self {
            Self::Messenger { license, messenger } => format!("/chatapp/{license}/{messenger}"),
            Self::Company(company) => format!("/chatapp/companies/{company}"),
            Self::User(user) => format!("/chatapp/users/{user}"),
            Self::CompanyUser { company, user } => format!("/chatapp/companies/{company}/users/{user}"),
            Self::Unnamed => "/chatapp".to_owned(),
        }
    }

    /// The other way round, of what stands behind `/chatapp`.
    pub(super) fn from_uri(path: &str) -> Option<Self> {
        let words: Vec<&str> = path.split('/').collect();
        let channel = match *words.as_slice() {
            [""] => Self::Unnamed,
            ["", "companies", company] => Self::of(None, None, Some(company), None),
            ["", "users", user] => Self::of(None, None, None, Some(user)),
            ["", "companies", company, "users", user] => Self::of(None, None, Some(company), Some(user)),
            ["", license, messenger] => Self::of(Some(license), Some(messenger), None, None),
            _ => return None,
        };
        (channel.uri() == format!("/chatapp{path}")).then_some(channel)
    }

    /// The key of its events that belong to no chat.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Messenger { license, messenger } => format!("license:{license}:{messenger}"),
            Self::Company(company) | Self::CompanyUser { company, .. } => format!("company:{company}"),
            Self::User(user) => format!("user:{user}"),
            Self::Unnamed => "chatapp".to_owned(),
        }
    }
}

/// For people.
impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name().as_deref().unwrap_or("unnamed"))
    }
}

/// A channel as consumers see it.
#[skip_serializing_none]
#[derive(Serialize, JsonSchema)]
struct Words {
    /// The licence.
    license: Option<ChannelPart>,
    /// The messenger of that licence, in ChatApp's word: `grWhatsApp`, `caWhatsApp`, `telegram` …
    messenger: Option<ChannelPart>,
    /// Events of a company: which.
    company: Option<ChannelPart>,
    /// Events of a user: who.
    user: Option<ChannelPart>,
}

impl From<Channel> for Words {
    fn from(channel: Channel) -> Self {
        let none = Self { license: None, messenger: None, company: None, user: None };
        match channel {
            Channel::Messenger { license, messenger } => {
                Self { license: Some(license), messenger: Some(messenger), ..none }
            }
            Channel::Company(company) => Self { company: Some(company), ..none },
            Channel::User(user) => Self { user: Some(user), ..none },
            Channel::CompanyUser { company, user } => Self { company: Some(company), user: Some(user), ..none },
            Channel::Unnamed => none,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_is_found_again_by_its_name_and_by_its_uri() {
        for (name, uri, key) in [
            ("private-v1.licenses.1229.messengers.grWhatsApp", "/chatapp/1229/grWhatsApp", "license:1229:grWhatsApp"),
            ("private-v1.companies.2224", "/chatapp/companies/2224", "company:2224"),
            ("private-v1.users.685", "/chatapp/users/685", "user:685"),
            ("private-v1.companies.2224.users.685", "/chatapp/companies/2224/users/685", "company:2224"),
        ] {
            let channel = Channel::from_name(name).expect(name);
            assert_eq!(channel.name().as_deref(), Some(name));
            assert_eq!(channel.uri(), uri);
            assert_eq!(Channel::from_uri(uri.strip_prefix("/chatapp").expect(uri)), Some(channel.clone()));
            assert_eq!(channel.key(), key);
        }
        assert_eq!(Channel::from_uri(""), Some(Channel::Unnamed));
    }

    #[test]
    fn what_is_no_name_names_no_channel() {
        let long = format!("private-v1.users.{}", "6".repeat(PART_BYTES_MAX + 1));
        for name in [
            "",
            "presence-v1.users.685",
            "private-v1.users.",
            "private-v1.users.6 85",
            "private-v1.licenses.1229",
            "private-v1.licenses.1229.messengers.",
            "private-v1.teams.1",
            "private-v1.companies..users.685",
            &long,
        ] {
            assert_eq!(Channel::from_name(name), None, "{name}");
        }
        for path in ["/", "/1229", "/users/", "/1229/tele/gram", "x", "/1229/теле"] {
            assert_eq!(Channel::from_uri(path), None, "{path}");
        }
    }
}
