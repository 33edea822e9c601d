//! Carries a notification into Kafka, whichever way it was received.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

use super::caller::{CallerNames, Nobody};
use crate::core::bridge::Bridge;
use crate::core::prepared::Prepared;
use crate::core::publish::Publisher;
use crate::core::settled::Settled;
use crate::watch::telemetry::InstanceTelemetry;
use chatbridge_event::event::Notification;

/// Callers of older calls are not looked up.
const CALL_FRESH_MAX: SignedDuration = SignedDuration::from_secs(60);

/// Carries one instance's notifications to Kafka, and counts the outcomes.
pub struct Carrier<P, N = Nobody> {
    bridge: Arc<Bridge<P>>,
    caller_names: N,
    telemetry: Arc<InstanceTelemetry>,
}

impl<P: Publisher> Carrier<P> {
    /// A carrier over `bridge`.
    pub fn new(bridge: Arc<Bridge<P>>, telemetry: Arc<InstanceTelemetry>) -> Self {
        Self { bridge, caller_names: Nobody, telemetry }
    }
}

impl<P, M> Carrier<P, M> {
    /// Looks up callers through `caller_names`.
    pub fn with_caller_names<N: CallerNames>(self, caller_names: N) -> Carrier<P, N> {
        let Self { bridge, telemetry, .. } = self;
        Carrier { bridge, caller_names, telemetry }
    }

    /// The instance's telemetry.
    pub fn telemetry(&self) -> &InstanceTelemetry {
        &self.telemetry
    }
}

impl<P: Publisher, N: CallerNames> Carrier<P, N> {
    /// Parses a notification and decides where it goes.
    pub fn take(&self, notification: Notification) -> Prepared {
        let prepared = self.bridge.prepare(notification, Timestamp::now());
        self.telemetry.received(&prepared);
        prepared
    }

    /// Delivers it, however long that takes.
    pub async fn deliver(&self, mut prepared: Prepared) -> Settled {
        self.name_caller(&mut prepared).await;
        if prepared.event().is_some_and(|event| event.foreign) && self.telemetry.foreign_instance() {
            warn!(
                instance = %self.telemetry.instance(),
                "a notification names another instance than the one it was received for; published under the latter \
                 (said once; counted in chatbridge_foreign_instance_total)"
            );
        }
        self.bridge.deliver(&prepared, &*self.telemetry).await
    }

    /// A repeat of what was settled last: Kafka has it, so it is not published again.
    pub fn repeated(&self, already: Settled) -> Settled {
        self.telemetry.repeat_suppressed();
        already
    }

    /// Takes at most two seconds and cannot fail: without a name the call is delivered as it came.
    async fn name_caller(&self, prepared: &mut Prepared) {
        // A call from a backlog is no longer ringing, and the notifications behind it have waited long enough.
        let is_stale = prepared.event_time().is_some_and(|time| Timestamp::now().duration_since(time) > CALL_FRESH_MAX);
        if let Some(caller) = prepared.caller().filter(|_| !is_stale)
            && let Some(name) = self.caller_names.name_of(&caller).await
        {
            prepared.set_caller_name(name);
        }
    }
}
