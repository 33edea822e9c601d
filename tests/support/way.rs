//! The two ways in which events come in, and what the second needs at both ends.

use std::fs;

use super::bridge::Home;
use super::broker::free_port;

/// How GREEN-API's events come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The bridge asks for them.
    Poll,
    /// GREEN-API calls the bridge's webhook.
    Push,
}

impl Way {
    pub(crate) const BOTH: [Self; 2] = [Self::Poll, Self::Push];

    /// Has every instance of this configuration received so.
    pub(crate) fn write(self, home: &Home) {
        const BLOCK: &str = "[[green_api.instances]]\n";
        const BY_WEBHOOK: &str = "[[green_api.instances]]\nreceive = \"webhook\"\n";
        let text = fs::read_to_string(home.config()).expect("it is there").replace(BY_WEBHOOK, BLOCK);
        let text = if self == Self::Push { text.replace(BLOCK, BY_WEBHOOK) } else { text };
        fs::write(home.config(), text).expect("writable");
    }
}

/// Where a bridge will be called, the same after each restart, and what its callers prove themselves with.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    address: String,
    token: String,
}

impl Webhook {
    pub(crate) fn new() -> Self {
        let (address, token) = (format!("127.0.0.1:{}", free_port()), format!("{:032x}", fastrand::u128(..)));
        Self { address, token }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// `webhookUrlToken` of every instance.
    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// `webhookUrl` of an instance.
    pub(crate) fn url(&self, instance: u64) -> String {
        url_at(&self.address, instance)
    }

    /// Its section of the configuration.
    pub(crate) fn section(&self) -> String {
        let Self { address, token } = self;
        format!("[webhook]\nlisten = \"{address}\"\ntoken = \"{token}\"\n")
    }
}

/// `webhookUrl` of an instance whose calls take another way to the webhook.
pub(crate) fn url_at(address: &str, instance: u64) -> String {
    format!("http://{address}/green-api/{instance}")
}
