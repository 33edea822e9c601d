//! Telemetry of ChatApp: the connection, each channel, and what came over them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

mod channel;
mod metrics;

pub use channel::{ChannelState, ChannelTelemetry, ChannelView, GapView, InFlight};
pub use metrics::{ChatAppMetrics, SpoolGauges};

use super::metrics::Metrics;
use super::status::WaitsForKafka;
use chatbridge_event::event::Channel;
use parking_lot::Mutex;

/// Stands for all channels that were not subscribed: calls may name any channel, and labels must be bounded.
const OTHER: &str = "other";

/// The telemetry of one account.
pub struct ChatAppTelemetry {
    all: Arc<Metrics>,
    metrics: Arc<ChatAppMetrics>,
    connection: Mutex<Connection>,
    channels: Mutex<BTreeMap<Channel, Arc<ChannelTelemetry>>>,
    other: Arc<ChannelTelemetry>,
}

/// The state of the connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connection {
    /// When it was made, if there is one.
    pub connected_since: Option<Timestamp>,
    /// Why the last connection ended, or the next one fails; `None` since the server has named one.
    pub trouble: Option<String>,
}

impl ChatAppTelemetry {
    /// Counted in `all`. Make only one in a process.
    #[must_use]
    pub fn new(all: Arc<Metrics>) -> Self {
        let metrics = Arc::new(ChatAppMetrics::new(&all));
        let other = Arc::new(ChannelTelemetry::new(OTHER, Arc::clone(&all), Arc::clone(&metrics)));
        Self { all, metrics, connection: Mutex::default(), channels: Mutex::default(), other }
    }

    /// The channel is to be kept subscribed: from now on it is shown.
    pub fn expect(&self, channel: &Channel) -> Arc<ChannelTelemetry> {
        let new = || {
            let telemetry = ChannelTelemetry::new(&channel.short(), Arc::clone(&self.all), Arc::clone(&self.metrics));
            telemetry.expected();
            Arc::new(telemetry)
        };
        Arc::clone(self.channels.lock().entry(channel.clone()).or_insert_with(new))
    }

    /// The telemetry of a channel; one for all channels that are not [expected](Self::expect).
    #[must_use]
    pub fn of(&self, channel: Option<&Channel>) -> Arc<ChannelTelemetry> {
        let known = channel.and_then(|channel| self.channels.lock().get(channel).cloned());
        known.unwrap_or_else(|| Arc::clone(&self.other))
    }

    /// Every expected channel, by name.
    #[must_use]
    pub fn channels(&self) -> Vec<(Channel, Arc<ChannelTelemetry>)> {
        self.channels.lock().iter().map(|(channel, telemetry)| (channel.clone(), Arc::clone(telemetry))).collect()
    }

    /// The state of the connection.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connection.lock().clone()
    }

    /// The server has sent the socket id.
    pub fn connected(&self, at: Timestamp) {
        *self.connection.lock() = Connection { connected_since: Some(at), trouble: None };
        self.metrics.connected.set(1);
    }

    /// There is no connection, for this reason.
    pub fn disconnected(&self, cause: &'static str, code: Option<u16>, trouble: String) {
        *self.connection.lock() = Connection { connected_since: None, trouble: Some(trouble) };
        self.metrics.connected.set(0);
        self.metrics.disconnected(cause, code);
    }

    /// The session has ended.
    pub fn stopped(&self) {
        *self.connection.lock() = Connection::default();
        self.metrics.connected.set(0);
    }

    /// Something was received, by that road.
    pub fn frame_received(&self, road: &'static str) {
        self.metrics.frames.with_label_values(&[road]).inc();
    }

    /// A body came inside `payload`.
    pub fn wrapped_body(&self) {
        self.metrics.wrapped.inc();
    }

    /// A body had no items.
    pub fn body_without_items(&self) {
        self.metrics.without_items.inc();
    }

    /// A body named another channel than the one it came over.
    pub fn foreign_body(&self) {
        self.metrics.foreign.inc();
    }

    /// The current state of the spool, and when the tokens expire.
    pub fn refresh(&self, spool: SpoolGauges, access_ends: Option<Timestamp>, refresh_ends: Option<Timestamp>) {
        self.metrics.refresh(spool, access_ends, refresh_ends);
    }
}

impl WaitsForKafka for ChatAppTelemetry {
    fn waits_for_kafka(&self) -> Vec<Duration> {
        let channels = self.channels.lock();
        channels.values().chain([&self.other]).filter_map(|channel| channel.waiting_for_kafka()).collect()
    }
}

#[cfg(test)]
mod tests;
