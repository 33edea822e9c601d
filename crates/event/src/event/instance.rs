//! The block of the instance kinds: state, connection, phone, quota.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

/// Block of the instance kinds.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Instance {
    /// `instance_state` and `instance_socket`: what the instance is now.
    pub state: Option<InstanceState>,
    /// Upstream's word for it.
    pub status: Option<String>,
    /// `instance_device`: the phone.
    pub device: Option<Device>,
    /// `quota_exceeded`: the limit.
    pub quota: Option<Quota>,
}

/// What an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceState {
    /// Works.
    Authorized,
    /// Has no account: somebody has to link one.
    NotAuthorized,
    /// Banned by the messenger.
    Blocked,
    /// Is starting, up to five minutes.
    Starting,
    /// Its phone is off; no longer sent.
    SleepMode,
    /// Sending is suspended; formerly `yellowCard`.
    Suspended,
    /// Telegram, MAX: waits for the password.
    PendingPassword,
    /// Telegram, MAX: waits for the code.
    PendingCode,
    /// Is connected to the messenger.
    Online,
    /// Is not connected to the messenger.
    Offline,
    /// A word this version does not know, or none; see `status`.
    Unknown,
}

impl InstanceState {
    /// From upstream's word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "authorized" => Self::Authorized,
            "notAuthorized" => Self::NotAuthorized,
            "blocked" => Self::Blocked,
            "starting" => Self::Starting,
            "sleepMode" => Self::SleepMode,
            "suspended" | "yellowCard" => Self::Suspended,
            "pendingPassword" => Self::PendingPassword,
            "pendingCode" => Self::PendingCode,
            "online" => Self::Online,
            "offline" => Self::Offline,
            _ => Self::Unknown,
        }
    }

    /// Our word, as in the record.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authorized => "authorized",
            Self::NotAuthorized => "not_authorized",
            Self::Blocked => "blocked",
            Self::Starting => "starting",
            Self::SleepMode => "sleep_mode",
            Self::Suspended => "suspended",
            Self::PendingPassword => "pending_password",
            Self::PendingCode => "pending_code",
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Unknown => "unknown",
        }
    }
}

/// The phone an instance runs on. Out of service upstream.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Device {
    /// `android`, `iphone` …
    pub platform: Option<String>,
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// The version of its operating system.
    pub os_version: Option<String>,
    /// The version of the messenger on it.
    pub app_version: Option<String>,
    /// Its battery's charge.
    pub battery: Option<i64>,
}

/// A limit of the tariff.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Quota {
    /// What is limited: an API method, or `correspondents`.
    pub method: Option<String>,
    /// How much was used.
    pub used: Option<i64>,
    /// How much there is.
    pub total: Option<i64>,
    /// Whether the limit is reached.
    pub state: QuotaState,
    /// Upstream's word for it.
    pub status: Option<String>,
    /// In upstream's words; it may list the chats that remain allowed.
    pub description: Option<String>,
}

/// Whether a limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuotaState {
    /// It is.
    Exceeded,
    /// Not yet.
    Allowed,
    /// A word this version does not know, or none; see `status`.
    Unknown,
}

impl QuotaState {
    /// From upstream's word, whose middle part is spelt `QUOTE` or `QUOTA`.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            _ if word.ends_with("_EXCEEDED") => Self::Exceeded,
            _ if word.ends_with("_ALLOWED") => Self::Allowed,
            _ => Self::Unknown,
        }
    }
}
