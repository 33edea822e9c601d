//! Notices that GREEN-API has something to push and does not call. Pure: counts and time are passed in.
//!
//! GREEN-API does not report failed calls, but the number of waiting notifications can be asked for. If it stays above
//! zero while no call comes, the calls do not get here. The count itself was wrong at times (github.com/green-api
//! issues 1100, 1108), mostly zero although something waited. So zero proves nothing, and silence is reported as
//! something to check, not as a fact.

use std::time::Duration;

use tokio::time::Instant;

/// How long GREEN-API may stay silent although it reaches us and has something to push: it waits for an answer (180 s),
/// then pauses (60 s), and the count may be old (10 s).
const SILENCE_MAX: Duration = Duration::from_secs(250);

/// One instance's silence.
#[derive(Debug, Default)]
pub(super) struct Uncalled {
    calls: u64,
    /// Since when something has been waiting and no call has come.
    since: Option<Instant>,
    told: bool,
}

/// The result of a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nothing waits.
    NothingWaits,
    /// A call has come since the last look, or one may still come in time.
    Unproven,
    /// GREEN-API does not reach us; true the first time.
    NotCalled { is_news: bool },
}

impl Uncalled {
    /// At `now`, `waiting` notifications wait and `calls` calls have come so far.
    pub(super) fn seen(&mut self, waiting: i64, calls: u64, now: Instant) -> Silence {
        let is_called = std::mem::replace(&mut self.calls, calls) != calls;
        if waiting <= 0 || is_called {
            *self = Self { calls, since: (waiting > 0).then_some(now), told: false };
            return if waiting <= 0 { Silence::NothingWaits } else { Silence::Unproven };
        }
        let since = *self.since.get_or_insert(now);
        if since == now || now.duration_since(since) < SILENCE_MAX {
            return Silence::Unproven;
        }
        Silence::NotCalled { is_news: !std::mem::replace(&mut self.told, true) }
    }
}

#[cfg(test)]
mod tests {
    use super::Silence::*;
    use super::*;

    /// For each look: seconds since the last look, notifications waiting, calls so far, the expected result.
    #[track_caller]
    fn story(looks: &[(u64, i64, u64, Silence)]) {
        let (mut uncalled, mut now) = (Uncalled::default(), Instant::now());
        for (number, (seconds, waiting, calls, silence)) in looks.iter().enumerate() {
            now += Duration::from_secs(*seconds);
            assert_eq!(uncalled.seen(*waiting, *calls, now), *silence, "look {number} of {looks:?}");
        }
    }

    const FIRST: Silence = NotCalled { is_news: true };
    const AGAIN: Silence = NotCalled { is_news: false };

    #[test]
    fn two_looks_without_a_call_between_are_a_silence_that_is_news_once() {
        story(&[(0, 3, 0, Unproven), (300, 3, 0, FIRST), (300, 9, 0, AGAIN), (300, 9, 0, AGAIN)]);
    }

    #[test]
    fn a_call_or_an_empty_queue_ends_it_and_the_next_one_is_news_again() {
        story(&[
            (0, 3, 7, Unproven),
            (300, 3, 8, Unproven),
            (300, 3, 8, FIRST),
            (300, 3, 9, Unproven),
            (300, 3, 9, FIRST),
        ]);
        story(&[
            (0, 3, 0, Unproven),
            (300, 3, 0, FIRST),
            (300, 0, 0, NothingWaits),
            (300, 1, 0, Unproven),
            (300, 1, 0, FIRST),
        ]);
    }

    #[test]
    fn who_looks_often_still_waits_for_a_repeat() {
        story(&[
            (0, 3, 0, Unproven),
            (60, 3, 0, Unproven),
            (60, 3, 0, Unproven),
            (129, 3, 0, Unproven),
            (1, 3, 0, FIRST),
        ]);
    }

    #[test]
    fn a_queue_that_fills_before_a_look_has_had_no_time() {
        story(&[(0, 0, 0, NothingWaits), (300, 5, 0, Unproven), (300, 5, 1, Unproven), (300, 0, 6, NothingWaits)]);
    }
}
