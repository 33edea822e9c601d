//! How long to wait before connecting again.

use std::time::Duration;

use super::code::Rule;
use super::limits::Limits;
use chatbridge_base::retry::Backoff;

/// The failures since the last healthy connection.
#[derive(Debug, Clone)]
pub(super) struct Reconnects {
    soon: Backoff,
    slow: Backoff,
    retry_min: Duration,
    retry_max: Duration,
    slow_retry_min: Duration,
    slow_retry_max: Duration,
    is_first: bool,
}

impl Reconnects {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            soon: Backoff::new(limits.retry_min, limits.retry_max),
            slow: Backoff::new(limits.slow_retry_min, limits.slow_retry_max),
            retry_min: limits.retry_min,
            retry_max: limits.retry_max,
            slow_retry_min: limits.slow_retry_min,
            slow_retry_max: limits.slow_retry_max,
            is_first: true,
        }
    }

    /// The connection that just ended was healthy.
    pub(super) fn was_healthy(&mut self) {
        self.soon.reset();
        self.slow.reset();
        self.is_first = true;
    }

    /// The wait after one more failure. `chance` lies in 0..1.
    ///
    /// "At once" is only for the first time: otherwise a server that closes again and again would be flooded, and each
    /// connection costs an authorisation for every channel. Even then there is a little jitter, so that not all clients
    /// come back at the same moment.
    pub(super) fn wait(&mut self, rule: Rule, chance: f64) -> Duration {
        let is_first = std::mem::replace(&mut self.is_first, false);
        match rule {
            Rule::AtOnce if is_first => self.soon.next(chance),
            Rule::AtOnce | Rule::BackOff => self.soon.next_at_least(self.retry_min, chance).min(self.retry_max),
            Rule::Slow => self.slow.next_at_least(self.slow_retry_min, chance).min(self.slow_retry_max),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(rule: Rule, chance: f64, count: usize) -> Vec<u64> {
        let mut reconnects = Reconnects::new(&Limits::default());
        (0..count).map(|_| reconnects.wait(rule, chance).as_millis() as u64).collect()
    }

    #[test]
    fn at_once_is_once() {
        assert_eq!(waits(Rule::AtOnce, 0.0, 3), [0, 1000, 1000]);
        assert_eq!(waits(Rule::AtOnce, 0.999_999, 3), [999, 2999, 4999]);
    }

    #[test]
    fn the_network_is_never_hammered_and_never_left_for_long() {
        assert_eq!(waits(Rule::BackOff, 0.0, 3), [1000, 1000, 1000]);
        assert_eq!(waits(Rule::BackOff, 1.0, 8), [2000, 3000, 5000, 9000, 17_000, 33_000, 60_000, 60_000]);
    }

    #[test]
    fn a_refusal_is_asked_again_slowly_and_for_ever() {
        assert_eq!(waits(Rule::Slow, 0.0, 2), [60_000, 60_000]);
        assert_eq!(waits(Rule::Slow, 1.0, 6), [120_000, 180_000, 300_000, 540_000, 600_000, 600_000]);
    }

    #[test]
    fn a_good_connection_lets_it_begin_again() {
        let mut reconnects = Reconnects::new(&Limits::default());
        for rule in [Rule::AtOnce, Rule::BackOff, Rule::Slow, Rule::AtOnce] {
            reconnects.wait(rule, 1.0);
        }
        reconnects.was_healthy();
        assert_eq!(reconnects.wait(Rule::AtOnce, 0.5), Duration::from_millis(500));
        assert_eq!(reconnects.wait(Rule::Slow, 1.0), Duration::from_secs(120));
    }
}
