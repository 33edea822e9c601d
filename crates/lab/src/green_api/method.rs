//! The methods the simulator answers, and how often each may be called.

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::kit::rate::Rate;

/// A GREEN-API method; in a [`super::Fault`] also all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Every method.
    #[default]
    Any,
    /// `receiveNotification`
    Receive,
    /// `deleteNotification`
    Delete,
    /// `getStateInstance`
    State,
    /// `getStatusInstance`
    Status,
    /// `getSettings`
    Settings,
    /// `setSettings`
    SetSettings,
    /// `getContactInfo`
    Contact,
    /// `getWebhooksCount`
    Count,
    /// No method: a request *to* the `webhookUrl`.
    Push,
}

impl Method {
    /// How many variants there are, for a table indexed by [`Method::index`].
    const COUNT: usize = 10;

    /// The method behind a path segment. The pages of 2021–2023 capitalise it, today's do not.
    pub(super) fn from_path(word: &str) -> Option<Self> {
        Some(match word {
            "receiveNotification" | "ReceiveNotification" => Self::Receive,
            "deleteNotification" | "DeleteNotification" => Self::Delete,
            "getStateInstance" | "GetStateInstance" => Self::State,
            "getStatusInstance" | "GetStatusInstance" => Self::Status,
            "getSettings" | "GetSettings" => Self::Settings,
            "setSettings" | "SetSettings" => Self::SetSettings,
            "getContactInfo" | "GetContactInfo" => Self::Contact,
            "getWebhooksCount" | "GetWebhooksCount" => Self::Count,
            _ => return None,
        })
    }

    /// The one verb that reaches the method; any other gets nginx's 404.
    pub(super) fn verb(self) -> hyper::Method {
        match self {
            Self::Delete => hyper::Method::DELETE,
            Self::Contact | Self::SetSettings => hyper::Method::POST,
            _ => hyper::Method::GET,
        }
    }

    /// Whether a fault declared for `self` applies to a call of `called`. A push is nobody's call.
    pub(super) fn covers(self, called: Self) -> bool {
        self == called || (self == Self::Any && called != Self::Push)
    }

    fn is_queue(self) -> bool {
        matches!(self, Self::Receive | Self::Delete)
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Requests per second, by method.
#[derive(Clone, Copy, Debug)]
pub(super) struct RateLimits {
    pub(super) queue_per_second_max: u32,
    pub(super) other_per_second_max: u32,
}

/// Counts the calls of one instance.
#[derive(Debug, Default)]
pub(super) struct Rates([Rate; Method::COUNT]);

impl Rates {
    /// Counts one call; false when it is one too many (429).
    pub(super) fn admits(&mut self, method: Method, limits: RateLimits, now: Instant) -> bool {
        let max = if method.is_queue() { limits.queue_per_second_max } else { limits.other_per_second_max };
        self.0[method.index()].admits(max, now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_hundred_receives_a_second_and_one_of_the_others() {
        let limits = RateLimits { queue_per_second_max: 100, other_per_second_max: 1 };
        let (mut rates, now) = (Rates::default(), Instant::now());
        assert!((0..100).all(|_| rates.admits(Method::Receive, limits, now)));
        assert!(!rates.admits(Method::Receive, limits, now));
        assert!(rates.admits(Method::Delete, limits, now), "each method has its own count");
        assert!(rates.admits(Method::State, limits, now));
        assert!(!rates.admits(Method::State, limits, now + Duration::from_millis(999)));
        assert!(rates.admits(Method::State, limits, now + Duration::from_secs(1)));
        assert!(rates.admits(Method::Receive, limits, now + Duration::from_secs(1)));
    }

    #[test]
    fn names_are_read_in_both_spellings() {
        assert_eq!(Method::from_path("ReceiveNotification"), Some(Method::Receive));
        assert_eq!(Method::from_path("receiveNotification"), Some(Method::Receive));
        assert_eq!(Method::from_path("receivenotification"), None);
        assert_eq!(Method::Push.index() + 1, Method::COUNT);
    }
}
