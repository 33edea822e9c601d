//! Waits longer after each failure. Pure: the caller sleeps, and passes the random number in.

use std::time::Duration;

/// Exponential backoff with full jitter: each wait is drawn from zero to a ceiling that doubles up to a maximum.
///
/// Full jitter, because ten thousand pollers that lost the same host must not come back in step.
#[derive(Debug, Clone)]
pub struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// From `min` up to `max`. A `max` below `min` counts as `min`.
    #[must_use]
    pub fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), failures: 0 }
    }

    /// The wait after one more failure. `chance` lies in 0..1.
    pub fn next(&mut self, chance: f64) -> Duration {
        let doubling = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let ceiling = self.min.saturating_mul(doubling).min(self.max);
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(chance.clamp(0.0, 1.0))
    }

    /// Like [`Backoff::next`], but never below `least`, for answers that ask for a pause.
    pub fn next_at_least(&mut self, least: Duration, chance: f64) -> Duration {
        least + self.next(chance)
    }

    /// After a success the next failure starts from the beginning.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum_and_starts_over_after_a_success() {
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(30));
        let ceilings: Vec<u64> = (0..9).map(|_| backoff.next(1.0).as_millis() as u64).collect();
        assert_eq!(ceilings, [500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000]);
        backoff.reset();
        assert_eq!(backoff.next(0.5), Duration::from_millis(250));
        assert_eq!(backoff.next(0.0), Duration::ZERO);
    }

    #[test]
    fn no_number_of_failures_overflows() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        for _ in 0..100 {
            assert!(backoff.next(1.0) <= Duration::from_secs(60));
        }
    }

    #[test]
    fn a_least_wait_is_kept() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        assert_eq!(backoff.next_at_least(Duration::from_secs(5), 0.0), Duration::from_secs(5));
    }
}
