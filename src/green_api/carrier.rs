//! A notification in hand and its way into Kafka, however it came in.

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

/// Whoever called longer ago than this is not looked up.
const CALL_FRESH_MAX: SignedDuration = SignedDuration::from_secs(60);

/// Carries one instance's notifications to Kafka, and tells what became of them.
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
    /// Asks `caller_names` who calls.
    pub fn with_caller_names<N: CallerNames>(self, caller_names: N) -> Carrier<P, N> {
        let Self { bridge, telemetry, .. } = self;
        Carrier { bridge, caller_names, telemetry }
    }

    /// Where all of it is told.
    pub fn telemetry(&self) -> &InstanceTelemetry {
        &self.telemetry
    }
}

impl<P: Publisher, N: CallerNames> Carrier<P, N> {
    /// Takes a notification in hand: understood and decided about.
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

    /// It is what was settled last: Kafka has it, and gets it no second time.
    pub fn repeated(&self, already: Settled) -> Settled {
        self.telemetry.repeat_suppressed();
        already
    }

    /// Takes two seconds at the most and cannot fail: without a name the call is delivered as it came.
    async fn name_caller(&self, prepared: &mut Prepared) {
        // A call out of a backlog rings no more, and what waits behind it has waited long enough.
        let is_stale = prepared.event_time().is_some_and(|time| Timestamp::now().duration_since(time) > CALL_FRESH_MAX);
        if let Some(caller) = prepared.caller().filter(|_| !is_stale)
            && let Some(name) = self.caller_names.name_of(&caller).await
        {
            prepared.set_caller_name(name);
        }
    }
}
