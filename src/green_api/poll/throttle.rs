//! How far apart receives have to be, judged by the "too many requests" answers so far. Pure.
//!
//! After an outage a long queue is drained as fast as answers come. That may be faster than GREEN-API allows: 100
//! requests a second for each method of an instance. A refusal costs a second or more, and the next burst would be
//! refused again. So after a refusal receives are spaced out for a while.

use std::time::Duration;

use tokio::time::Instant;

/// The first distance: it gives two thirds of the allowed rate.
const GAP_MIN: Duration = Duration::from_millis(15);
/// The longest distance; it doubles with each refusal.
const GAP_MAX: Duration = Duration::from_secs(1);
/// After this long without a refusal the distance is halved, and finally dropped.
const EASE: Duration = Duration::from_secs(30);

/// The distance between one instance's receives.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    gap: Duration,
    changed_at: Option<Instant>,
    asked_at: Option<Instant>,
}

impl Throttle {
    /// A receive was sent.
    pub(super) fn asked(&mut self, at: Instant) {
        self.asked_at = Some(at);
    }

    /// A request was refused as one too many.
    pub(super) fn refused(&mut self, now: Instant) {
        self.gap = (self.gap(now) * 2).clamp(GAP_MIN, GAP_MAX);
        self.changed_at = Some(now);
    }

    /// The distance to keep now.
    pub(super) fn gap(&mut self, now: Instant) -> Duration {
        while let Some(changed_at) = self.changed_at.filter(|at| now.duration_since(*at) >= EASE) {
            self.gap /= 2;
            self.changed_at = Some(changed_at + EASE);
            if self.gap < GAP_MIN {
                (self.gap, self.changed_at) = (Duration::ZERO, None);
            }
        }
        self.gap
    }

    /// How long the next receive has to wait.
    pub(super) fn turn(&mut self, now: Instant) -> Duration {
        let gap = self.gap(now);
        self.asked_at.map_or(Duration::ZERO, |asked_at| gap.saturating_sub(now.duration_since(asked_at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_doubles_the_distance_and_calm_takes_it_away() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        throttle.asked(start);
        assert_eq!(throttle.turn(start), Duration::ZERO);
        let gaps: Vec<u128> = (0..8)
            .map(|_| {
                throttle.refused(start);
                throttle.gap(start).as_millis()
            })
            .collect();
        assert_eq!(gaps, [15, 30, 60, 120, 240, 480, 960, 1000]);
        let eased: Vec<u128> = (1..=8).map(|n| throttle.gap(start + EASE * n).as_millis()).collect();
        assert_eq!(eased, [500, 250, 125, 62, 31, 15, 0, 0]);
    }

    #[test]
    fn a_receive_waits_for_what_is_left_of_the_distance() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        throttle.refused(start);
        throttle.asked(start);
        assert_eq!(throttle.turn(start + Duration::from_millis(5)), Duration::from_millis(10));
        assert_eq!(throttle.turn(start + Duration::from_millis(50)), Duration::ZERO);
    }
}
