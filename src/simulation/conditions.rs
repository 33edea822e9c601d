//! The conditions of one history, drawn from its seed: which answers to the open questions about upstream hold, how
//! often which fault occurs, and when.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

use crate::config::{CallPolicy, Calls, Events, UnknownPolicy};
use crate::core::policy::Policy;
use chatbridge_lab::green_api::{Receipts, Redelivery, SpentReceipt};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// How long upstream keeps an event.
pub(super) const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);

/// A stretch of virtual time, measured from the beginning of the history.
pub(super) type Stretch = Range<Duration>;

/// One history's rules and faults.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    pub(super) instances: usize,
    pub(super) events_per_instance: usize,
    /// Events are queued within this time. Zero means all at once.
    pub(super) arrival: Duration,
    pub(super) redelivery: Redelivery,
    pub(super) receipts: Receipts,
    pub(super) spent_receipt: SpentReceipt,
    /// Whether upstream hands nothing out to a poll whose client is gone.
    pub(super) notices_dropped_polls: bool,
    /// Where a proxy that cuts answers always cuts, if it does so at a fixed place.
    pub(super) cuts_at: Option<usize>,
    /// Whether the next receive begins before a delete is answered.
    pub(super) overlap_delete: bool,
    pub(super) receive_faults: f64,
    pub(super) delete_faults: f64,
    pub(super) publish_faults: f64,
    /// The odds that an event is queued twice, word for word.
    pub(super) duplicates: f64,
    /// The odds that an event is not JSON.
    pub(super) undecodable: f64,
    pub(super) latency_max: Duration,
    pub(super) endings: Endings,
    pub(super) rival: Rival,
    pub(super) kafka_away: Vec<Stretch>,
    pub(super) misconfigured: Vec<Stretch>,
    pub(super) value_bytes_max: usize,
    pub(super) unknown: UnknownPolicy,
    pub(super) drops_statuses: bool,
    pub(super) calls: CallPolicy,
    /// No fault after this time, or earlier if nothing is left that could go wrong.
    pub(super) faults_end: Duration,
}

/// How the lives of a process end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endings {
    /// Only when the history ends.
    None,
    /// By graceful stops only.
    Stops,
    /// By stops and kills.
    All,
}

/// Who else reads the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rival {
    /// Nobody.
    None,
    /// A reader that receives and does not delete.
    Receives,
    /// A reader that deletes what it receives. Those events are its own loss.
    Deletes,
}

impl Conditions {
    pub(super) fn draw(dice: &mut Rng) -> Self {
        let rates = [0.0, 0.02, 0.1, 0.3, 0.6];
        let pause = Duration::from_secs(dice.u64(1..=60));
        let long_outage = dice.u8(..100) == 0;
        // One history in eight has no faults except stops. No repeat is allowed there.
        let is_gentle = dice.u8(..8) == 0;
        let rate = |dice: &mut Rng| if is_gentle { 0.0 } else { one_of(dice, &rates) };
        let faults_end = if long_outage { 31 * HOUR } else { 30 * MINUTE };
        Self {
            instances: if long_outage { 1 } else { dice.usize(1..=3) },
            events_per_instance: dice.usize(2..=16),
            arrival: one_of(dice, &[Duration::ZERO, MINUTE, 10 * MINUTE]),
            redelivery: one_of(
                dice,
                &[Redelivery::SameHead, Redelivery::SameHeadAfter(pause), Redelivery::NextUnacked(pause)],
            ),
            receipts: one_of(dice, &[Receipts::Stable, Receipts::NewPerHandOut, Receipts::NewAndOldOnesValid]),
            spent_receipt: one_of(dice, &[SpentReceipt::ResultFalse, SpentReceipt::AlreadyGone]),
            notices_dropped_polls: dice.bool(),
            cuts_at: dice.bool().then(|| dice.usize(1..200)),
            receive_faults: rate(dice),
            delete_faults: rate(dice),
            publish_faults: rate(dice),
            duplicates: one_of(dice, &[0.0, 0.0, 0.1, 0.5]),
            undecodable: one_of(dice, &[0.0, 0.0, 0.05, 0.3]),
            latency_max: Duration::from_millis(one_of(dice, &[0, 5, 50, 2_000])),
            endings: match dice.u8(..8) {
                0 => Endings::None,
                1 => Endings::Stops,
                _ if is_gentle => Endings::Stops,
                _ => Endings::All,
            },
            rival: match dice.u8(..20) {
                _ if is_gentle => Rival::None,
                0 => Rival::Receives,
                1 => Rival::Deletes,
                _ => Rival::None,
            },
            kafka_away: match (long_outage, is_gentle) {
                // Mostly from before anything is settled, and for longer than upstream keeps events.
                (true, _) => vec![stretch(dice, MINUTE, 25 * HOUR..30 * HOUR)],
                (false, true) => Vec::new(),
                (false, false) => {
                    (0..dice.u8(..3)).map(|_| stretch(dice, 10 * MINUTE, Duration::ZERO..10 * MINUTE)).collect()
                }
            },
            misconfigured: if is_gentle {
                Vec::new()
            } else {
                (0..dice.u8(..2)).map(|_| stretch(dice, 10 * MINUTE, Duration::ZERO..10 * MINUTE)).collect()
            },
            value_bytes_max: one_of(dice, &[usize::MAX, usize::MAX, 4_000, 1_000, 400]),
            unknown: one_of(dice, &[UnknownPolicy::Publish, UnknownPolicy::Drop, UnknownPolicy::DeadLetter]),
            drops_statuses: dice.u8(..4) == 0,
            calls: one_of(dice, &[CallPolicy::All, CallPolicy::All, CallPolicy::None, CallPolicy::Outcome]),
            overlap_delete: dice.bool(),
            faults_end,
        }
    }

    pub(super) fn policy(&self) -> Policy {
        let drop = if self.drops_statuses { vec!["outgoingMessageStatus".to_owned()] } else { Vec::new() };
        let events = Events { unknown: self.unknown, drop, ..Events::default() };
        Policy::new(events, Calls { publish: self.calls, ..Calls::default() })
    }

    /// Whether Kafka is unreachable for longer than upstream keeps events. Nothing else may let an event expire.
    pub(super) fn may_expire(&self) -> bool {
        self.kafka_away.iter().any(|away| away.end - away.start >= RETENTION)
    }

    /// How long an event is hidden after it was handed out.
    pub(super) fn redelivery_pause(&self) -> Duration {
        match self.redelivery {
            Redelivery::SameHead => Duration::ZERO,
            Redelivery::SameHeadAfter(pause) | Redelivery::NextUnacked(pause) => pause,
        }
    }
}

/// The end of the stretch that holds `now`, if there is one.
pub(super) fn end_of(stretches: &[Stretch], now: Duration) -> Option<Duration> {
    stretches.iter().filter(|stretch| stretch.contains(&now)).map(|stretch| stretch.end).max()
}

pub(super) fn one_of<T: Copy>(dice: &mut Rng, choices: &[T]) -> T {
    choices[dice.usize(..choices.len())]
}

/// Up to `max`, in whole milliseconds.
pub(super) fn up_to(dice: &mut Rng, max: Duration) -> Duration {
    Duration::from_millis(dice.u64(..=u64::try_from(max.as_millis()).unwrap_or(u64::MAX)))
}

fn stretch(dice: &mut Rng, begins_within: Duration, lasts: Range<Duration>) -> Stretch {
    let begin = up_to(dice, begins_within);
    begin..begin + lasts.start + up_to(dice, lasts.end - lasts.start)
}
