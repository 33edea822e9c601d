//! ChatApp's metrics. They are registered only when ChatApp is configured, so that other users do not see zeros that
//! mean nothing to them.

use jiff::Timestamp;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::super::metrics::{Metrics, Registrar};

/// The metrics that only ChatApp has.
pub struct ChatAppMetrics {
    pub(super) connected: IntGauge,
    pub(super) subscribed: IntGaugeVec,
    disconnects: IntCounterVec,
    pub(super) frames: IntCounterVec,
    pub(super) wrapped: IntCounter,
    pub(super) without_items: IntCounter,
    pub(super) foreign: IntCounter,
    pub(super) published: IntCounterVec,
    pub(super) dead_letters: IntCounterVec,
    pub(super) dropped: IntCounterVec,
    pub(super) repeats_suppressed: IntCounterVec,
    pub(super) gaps: IntCounterVec,
    pub(super) backfilled: IntCounterVec,
    pub(super) reconciled: IntCounterVec,
    pub(super) backfill_pending: IntGaugeVec,
    pub(super) backfill_failures: IntCounterVec,
    spool: SpoolFamilies,
    token_ends: IntGaugeVec,
}

/// The state of the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolGauges {
    /// Frames that Kafka does not have yet.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The size of the file on its disk.
    pub file_bytes: u64,
    /// How long the oldest frame has waited.
    pub oldest_seconds: i64,
    /// Whether it takes more frames.
    pub takes_frames: bool,
}

impl ChatAppMetrics {
    pub(super) fn new(all: &Metrics) -> Self {
        let r = all.registrar();
        let channel = &["channel"];
        Self {
            connected: r.gauge("chatapp_connected", "Whether there is a connection to ChatApp's Pusher server"),
            subscribed: r.gauges(
                "chatapp_channel_subscribed",
                "Whether events of the channel are pushed to us",
                channel,
            ),
            disconnects: r.counters(
                "chatapp_disconnects_total",
                "Connections to ChatApp's Pusher server that ended, or could not be had",
                &["cause", "code"],
            ),
            frames: r.counters("chatapp_frames_total", "Bodies taken into the spool, by the road they came", &["road"]),
            wrapped: r.counter("chatapp_wrapped_bodies_total", "Bodies that came inside payload"),
            without_items: r.counter("chatapp_bodies_without_items_total", "Bodies in which no items were found"),
            foreign: r.counter("chatapp_foreign_bodies_total", "Events that name another channel than they came over"),
            published: r.counters(
                "chatapp_events_published_total",
                "Events acknowledged by Kafka",
                &["channel", "kind"],
            ),
            dead_letters: r.counters(
                "chatapp_dead_letters_total",
                "Dead letters acknowledged by Kafka",
                &["channel", "reason"],
            ),
            dropped: r.counters(
                "chatapp_events_dropped_total",
                "Events not published because the configuration says so",
                &["channel", "reason"],
            ),
            repeats_suppressed: r.counters(
                "chatapp_repeats_suppressed_total",
                "Events that had come before, by this or another road, and were not published again",
                channel,
            ),
            gaps: r.counters(
                "chatapp_gaps_total",
                "Stretches of time in which events may have been missed; each is an event of kind gap",
                &["channel", "reason"],
            ),
            backfilled: r.counters(
                "chatapp_backfilled_total",
                "Messages of gaps that were fetched, and were new",
                channel,
            ),
            reconciled: r.counters(
                "chatapp_reconciled_total",
                "Messages that were never pushed though the channel was subscribed, and were found by looking",
                channel,
            ),
            backfill_pending: r.gauges(
                "chatapp_backfill_pending",
                "Whether messages of a gap are still to be fetched",
                channel,
            ),
            backfill_failures: r.counters(
                "chatapp_backfill_failures_total",
                "Fetchings of a gap's messages that did not get everything",
                channel,
            ),
            spool: SpoolFamilies::new(&r),
            token_ends: token_ends(&r),
        }
    }

    pub(super) fn disconnected(&self, cause: &'static str, code: Option<u16>) {
        self.disconnects.with_label_values(&[cause, &code_label(code)]).inc();
    }

    pub(super) fn refresh(&self, spool: SpoolGauges, access_ends: Option<Timestamp>, refresh_ends: Option<Timestamp>) {
        self.spool.set(spool);
        for (token, ends) in [("access", access_ends), ("refresh", refresh_ends)] {
            match ends {
                Some(ends) => self.token_ends.with_label_values(&[token]).set(ends.as_second()),
                // An unknown time has no series. If it is gone already, that is fine.
                None => drop(self.token_ends.remove_label_values(&[token])),
            }
        }
    }
}

fn token_ends(r: &Registrar) -> IntGaugeVec {
    r.gauges("chatapp_token_expiry_timestamp_seconds", "Until when the token counts, as UNIX time", &["token"])
}

/// What is on disk.
struct SpoolFamilies {
    frames: IntGauge,
    bytes: IntGauge,
    file_bytes: IntGauge,
    oldest: IntGauge,
    takes: IntGauge,
}

impl SpoolFamilies {
    fn new(r: &Registrar) -> Self {
        Self {
            frames: r.gauge("chatapp_spool_frames", "Bodies on disk that Kafka does not have yet"),
            bytes: r.gauge("chatapp_spool_bytes", "Their bytes"),
            file_bytes: r.gauge(
                "chatapp_spool_file_bytes",
                "What the spool's file occupies on its disk; chatapp.spool_bytes_max limits it",
            ),
            oldest: r.gauge("chatapp_spool_oldest_seconds", "How long the oldest of them has waited"),
            takes: r.gauge(
                "chatapp_spool_takes_frames",
                "Whether the spool takes more: 0 when it is full, or the disk takes nothing",
            ),
        }
    }

    fn set(&self, spool: SpoolGauges) {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.frames.set(whole(spool.frames));
        self.bytes.set(whole(spool.bytes));
        self.file_bytes.set(whole(spool.file_bytes));
        self.oldest.set(spool.oldest_seconds);
        self.takes.set(i64::from(spool.takes_frames));
    }
}

/// The numbers that mean something, so that a server cannot invent series.
fn code_label(code: Option<u16>) -> String {
    match code {
        None => "none".to_owned(),
        Some(code @ (1000..=1015 | 4000..=4009 | 4100 | 4200..=4202 | 4301)) => code.to_string(),
        Some(4000..=4099) => "40xx".to_owned(),
        Some(4100..=4199) => "41xx".to_owned(),
        Some(4200..=4299) => "42xx".to_owned(),
        Some(_) => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_cannot_invent_series() {
        let labels: std::collections::HashSet<String> = (0..=u16::MAX).map(|code| code_label(Some(code))).collect();
        assert!(labels.len() < 40, "{labels:?}");
        assert_eq!(code_label(Some(4201)), "4201");
        assert_eq!(code_label(Some(4099)), "40xx");
        assert_eq!(code_label(None), "none");
    }
}
