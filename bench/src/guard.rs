//! Ratios that must not get worse, in about a minute: `make bench ARGS=--guard`, and as a test (tests/guard).
//!
//! Allocations are counted, so they are the same on every machine. The other two are ratios of the same run, the best
//! of two rounds, with room for a machine that is busy with something else.

use crate::bench::Bench;
use crate::contender::Contender;
use crate::drain::Drains;
use crate::idle;
use crate::progress::say;

const ROUNDS: u32 = 2;
/// Allocations an event beyond the minimal loop's.
const ALLOCATIONS_RATIO_MAX: f64 = 1.95;
const CPU_RATIO_MAX: f64 = 2.1;
const SHARE_OF_LIMIT_MIN: f64 = 0.85;

pub(crate) fn run(bench: &Bench) -> bool {
    let [ours, minimal] = Contender::RUST.map(|contender| idle::per_event(bench, contender).allocations);
    let mut held =
        said("allocations an event, of the minimal loop's", ours / minimal, ours / minimal <= ALLOCATIONS_RATIO_MAX);
    let mut drains = Drains::quick();
    for _ in 0..ROUNDS {
        drains.round(bench, &Contender::RUST);
    }
    let (cpu, share) = drains.best();
    held &= said("CPU an event, of the minimal loop's", cpu, cpu <= CPU_RATIO_MAX);
    held &= said("a drain's share of what its steps allow", share, share >= SHARE_OF_LIMIT_MIN);
    held
}

fn said(what: &str, ratio: f64, holds: bool) -> bool {
    say(&format!("{} {what}: {ratio:.2}", if holds { "ok   " } else { "WORSE" }));
    holds
}
