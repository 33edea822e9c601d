//! The trace of an event: W3C Trace Context, made from the event's id alone.
//!
//! The trace id *is* the event's id (`ce_id` without its hyphens), and the id of the span that publishes it is derived
//! from that. So nothing has to be remembered or looked up. A retry, a repeat after a crash, a dead letter and its
//! replay weeks later all carry the same `traceparent`, and whatever consumers do about any of them is in one trace.
//!
//! This has a price: two events with the same id (quota notices may be identical) share a trace. If a crash makes two
//! records of one event, both publishes have the same span id, which backends show as one span or mark as a duplicate.
//!
//! Samplers use the last seven bytes of a trace id, which must be practically random (W3C Trace Context Level 2). In a
//! UUIDv5 these are all bytes of a SHA-1; its fixed bits come before them.

use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use crate::event::EventId;

/// The header, and the attribute of CloudEvents' extension for distributed tracing.
pub const TRACEPARENT: &str = "traceparent";

/// Which traces are recorded, decided by the trace id. The decision is the same for every repeat, and for everyone who
/// uses OpenTelemetry's consistent probability sampling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    percent: u8,
}

impl Sampling {
    /// This share of all traces, 0 to 100 percent.
    #[must_use]
    pub fn percent(percent: u8) -> Self {
        Self { percent: percent.min(100) }
    }

    /// Whether this event's trace is recorded.
    #[must_use]
    pub fn includes(self, event: EventId) -> bool {
        let randomness = u128::from_be_bytes(event.bytes()) & ((1 << 56) - 1);
        let threshold = u128::from(100 - self.percent) * (1 << 56) / 100;
        randomness >= threshold
    }
}

/// A span of an event's trace. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId([u8; 8]);

impl SpanId {
    /// The span that publishes the event to Kafka: the one in its record's header, the same for every repeat.
    #[must_use]
    pub fn publish(event: EventId) -> Self {
        Self::derived(event, "publish")
    }

    /// The span of another step, which began `at`; each time an event is received it has its own.
    #[must_use]
    pub fn of_step(event: EventId, step: &str, at: Timestamp) -> Self {
        Self::derived(event, &format!("{step} {}", at.as_nanosecond()))
    }

    /// The first half of a UUIDv5 cannot be zero: it holds the version.
    fn derived(event: EventId, name: &str) -> Self {
        let hash = Uuid::new_v5(&Uuid::from_bytes(event.bytes()), name.as_bytes());
        Self(hash.as_u64_pair().0.to_be_bytes())
    }

    /// The eight bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// The value of `traceparent` for an event: version, trace, the publishing span, and whether the trace is recorded.
#[must_use]
pub fn traceparent(event: EventId, sampling: Sampling) -> String {
    let flags = u8::from(sampling.includes(event));
    format!("00-{}-{}-{flags:02x}", Uuid::from_bytes(event.bytes()).simple(), SpanId::publish(event))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(content: &str) -> EventId {
        EventId::of("/green-api/1101", content.as_bytes())
    }

    /// Whether the header follows the grammar of W3C Trace Context.
    fn is_valid(header: &str) -> bool {
        let parts: Vec<&str> = header.split('-').collect();
        let is_hex = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        let is_something = |text: &&str| text.bytes().any(|byte| byte != b'0');
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        lengths == [2, 32, 16, 2]
            && parts.iter().all(is_hex)
            && parts[0] == "00"
            && parts[1..3].iter().all(is_something)
            && matches!(parts[3], "00" | "01")
    }

    #[test]
    fn the_header_of_an_event_is_always_this_one() {
        // python3: e = uuid5(uuid5(NAMESPACE_URL, "/green-api/1101"), '{"a":1}'); e.hex, uuid5(e, "publish").hex[:16]
        for (percent, expected) in [
            (100, "00-b8c7cb4879ae5a98ab5b73e5f907f0e7-82548dc404e05a28-01"),
            (0, "00-b8c7cb4879ae5a98ab5b73e5f907f0e7-82548dc404e05a28-00"),
        ] {
            assert_eq!(traceparent(event(r#"{"a":1}"#), Sampling::percent(percent)), expected);
        }
    }

    #[test]
    fn every_header_is_valid_and_every_event_has_its_own_trace() {
        let headers: std::collections::BTreeSet<String> =
            (0..2_000).map(|n| traceparent(event(&n.to_string()), Sampling::percent(50))).collect();
        assert_eq!(headers.len(), 2_000);
        assert!(headers.iter().all(|header| is_valid(header)), "{headers:?}");
        let spans: std::collections::BTreeSet<&str> = headers.iter().map(|header| &header[36..52]).collect();
        assert_eq!(spans.len(), 2_000);
    }

    #[test]
    fn a_share_of_the_traces_is_sampled_and_a_larger_share_holds_the_smaller() {
        let of = |percent| {
            let sampling = Sampling::percent(percent);
            (0..10_000).filter(|n: &u32| sampling.includes(event(&n.to_string()))).collect::<Vec<_>>()
        };
        for (percent, expected) in [(0, 0..=0), (1, 60..=140), (25, 2_300..=2_700), (100, 10_000..=10_000)] {
            let sampled = of(percent);
            assert!(expected.contains(&sampled.len()), "{percent} %: {}", sampled.len());
            let more = of(percent + 10);
            assert!(sampled.iter().all(|n| more.contains(n)), "{percent} %");
        }
    }

    #[test]
    fn each_hand_out_has_a_span_of_its_own() {
        let (one, two) = (Timestamp::from_second(1).expect("a time"), Timestamp::from_second(2).expect("a time"));
        let receive = |at| SpanId::of_step(event("a"), "receive", at);
        assert_eq!(receive(one), receive(one));
        assert_ne!(receive(one), receive(two));
        assert_ne!(receive(one), SpanId::of_step(event("a"), "delete", one));
    }
}
