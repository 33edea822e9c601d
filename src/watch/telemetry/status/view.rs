//! What `/status` shows of an instance.

use jiff::Timestamp;
use serde::Serialize;
use serde_with::skip_serializing_none;

use crate::watch::telemetry::loss_radar::{Forecast, LossLevel};
use crate::watch::telemetry::words::{LastError, LastEvent, Phase};
use chatbridge_event::event::InstanceId;

/// What `/status` shows of an instance.
#[skip_serializing_none]
#[derive(Debug, Clone, Serialize)]
pub struct InstanceView {
    /// The instance.
    pub instance: InstanceId,
    /// What its poller is doing.
    pub phase: Phase,
    /// The instance's own state, where known.
    pub state: Option<String>,
    /// How many notifications wait at GREEN-API, as it said lately.
    pub queue_depth: Option<i64>,
    /// How many of these are left, now that some have been deleted; arrivals since are not known.
    pub waiting: Option<u64>,
    /// Age of the latest head of the queue, until an answer shows the queue to be empty: a bound on how old the oldest
    /// notification is that is not yet in Kafka.
    pub head_age_seconds: i64,
    /// Until GREEN-API's 24 hours take it, at least.
    pub seconds_until_loss: i64,
    /// How serious that is.
    pub loss_level: LossLevel,
    /// Notifications deleted per second, over the last minute.
    pub drain_rate_per_second: f64,
    /// How long deleting what waits takes at that rate, new arrivals aside; absent where that is not known, or nothing
    /// is deleted.
    pub drain_seconds: Option<u64>,
    /// Whether what waits is reached in time at that rate; absent where nobody knows how much waits.
    pub drain_forecast: Option<Forecast>,
    /// Notifications received by this process.
    pub received: u64,
    /// Notifications deleted by this process.
    pub deleted: u64,
    /// The latest notification.
    pub last_event: Option<LastEvent>,
    /// The latest failure; it stays visible after things went well again, with its time.
    pub last_error: Option<LastError>,
    /// When it last looked as if somebody else were reading the instance; later errors do not hide it.
    pub rival_suspected_at: Option<Timestamp>,
}
