//! What goes wrong when: by the dice, so that one seed makes one plan.

use std::time::Duration;

use chatbridge_lab::chatapp::{self as simulator, Fault, FaultKind, Place};
use fastrand::Rng;

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Act {
    /// To the Pusher server and whoever is connected to it.
    Pusher(simulator::Act),
    /// A request of the bridge's goes wrong.
    Rest(Fault),
    /// SIGKILL.
    KillBridge,
    /// SIGTERM.
    StopBridge,
    StartBridge,
    /// SIGSTOP.
    FreezeBridge,
    ThawBridge,
    FreezeKafka,
    ThawKafka,
    KillKafka,
    StartKafka,
    /// The bridge's time of day is off by so many seconds.
    SetClock(i64),
    FillDisk,
    FreeDisk,
}

/// An act, and when.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Planned {
    pub(super) at: Duration,
    pub(super) act: Act,
}

/// How dense it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Density {
    /// Everything is over after it.
    pub(super) lasts: Duration,
    /// Between two faults of one kind, about so long.
    pub(super) pause: Duration,
    /// A fault that has an end lasts up to so long.
    pub(super) hold_max: Duration,
}

/// Each kind of trouble has a lane: of one kind there is one at a time, of different kinds there may be any number.
type Lane = fn(&mut Rng) -> (Act, Option<Act>);

/// The plan of this seed; without a disk to fill where there is none.
pub(super) fn plan(dice: &mut Rng, density: Density, has_disk: bool) -> Vec<Planned> {
    let lanes: &[(Lane, f64)] = &[(pusher, 0.6), (bridge, 1.0), (kafka, 1.5), (clock, 1.2), (rest, 0.6), (disk, 2.0)];
    let mut plan = Vec::new();
    for (lane, slowness) in lanes {
        let mut lane_dice = dice.fork();
        let mut at = Duration::ZERO;
        loop {
            at += density.pause.mul_f64(slowness * (0.5 + lane_dice.f64()));
            let (act, end) = lane(&mut lane_dice);
            let hold =
                if end.is_some() { density.hold_max.mul_f64(0.1 + 0.9 * lane_dice.f64()) } else { Duration::ZERO };
            if at + hold > density.lasts {
                break;
            }
            plan.push(Planned { at, act });
            at += hold;
            plan.extend(end.map(|act| Planned { at, act }));
        }
    }
    plan.retain(|planned| has_disk || !matches!(planned.act, Act::FillDisk | Act::FreeDisk));
    plan.sort_by_key(|planned| planned.at);
    plan
}

fn pusher(dice: &mut Rng) -> (Act, Option<Act>) {
    use simulator::Act::{Disconnect, ErrorFrame, Reset, Restart, Silence, UnsubscribeSilently};
    let downtime_ms = dice.u64(200..6_000);
    let act = match dice.u8(..10) {
        0..3 => Restart { downtime_ms, killed: dice.bool() },
        3..5 => Silence { duration_ms: dice.u64(500..12_000) },
        5..7 => UnsubscribeSilently,
        7 => Reset,
        8 => Disconnect { code: [4200, 4100, 4009][dice.usize(..3)] },
        _ => ErrorFrame { code: 4301 },
    };
    (Act::Pusher(act), None)
}

fn bridge(dice: &mut Rng) -> (Act, Option<Act>) {
    match dice.u8(..3) {
        0 => (Act::KillBridge, Some(Act::StartBridge)),
        1 => (Act::StopBridge, Some(Act::StartBridge)),
        _ => (Act::FreezeBridge, Some(Act::ThawBridge)),
    }
}

fn kafka(dice: &mut Rng) -> (Act, Option<Act>) {
    match dice.u8(..4) {
        0 => (Act::KillKafka, Some(Act::StartKafka)),
        _ => (Act::FreezeKafka, Some(Act::ThawKafka)),
    }
}

fn clock(dice: &mut Rng) -> (Act, Option<Act>) {
    let seconds = [dice.i64(30..600), dice.i64(3_600..4 * 3_600)][dice.usize(..2)];
    (Act::SetClock(if dice.bool() { seconds } else { -seconds }), Some(Act::SetClock(0)))
}

/// Tokens that end, renewals and logins that fail or are refused, requests that go wrong.
///
/// What makes the bridge log in is rare: it keeps a distance between its logins which grows up to a quarter of an hour,
/// and without a token it hears nothing of the rest.
fn rest(dice: &mut Rng) -> (Act, Option<Act>) {
    let kind = match dice.u8(..6) {
        0 => FaultKind::Status { code: 500 },
        1 => FaultKind::Status { code: 429 },
        2 => FaultKind::InvalidToken,
        3 => FaultKind::Garbled,
        4 => FaultKind::Reset,
        _ => FaultKind::Hang { duration_ms: dice.u64(500..3_000) },
    };
    let times = dice.u32(1..4);
    let fault = |place| (Act::Rest(Fault::new(place, kind.clone()).times(times)), None);
    match dice.u8(..32) {
        0..10 => (Act::Pusher(simulator::Act::ExpireTokens), None),
        10 => (Act::Pusher(simulator::Act::ExpireRefreshTokens), None),
        11..18 if kind != FaultKind::InvalidToken => fault(Place::Refresh),
        11..20 => fault(Place::Login),
        20..25 => fault(Place::Auth),
        _ => fault(if dice.bool() { Place::Messages } else { Place::Chats }),
    }
}

fn disk(_: &mut Rng) -> (Act, Option<Act>) {
    (Act::FillDisk, Some(Act::FreeDisk))
}
