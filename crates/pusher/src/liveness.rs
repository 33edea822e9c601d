//! Whether the server is still there, and our pings that show it that we are.

use std::time::Duration;

use super::limits::{Limits, Moment};

/// If a server asks for more frequent pings, it still gets no more than this.
const PING_IDLE_MIN: Duration = Duration::from_secs(5);

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pulse {
    Fine,
    Ping,
    Dead,
}

/// The pings of one connection.
#[derive(Debug, Clone)]
pub(super) struct Liveness {
    idle: Duration,
    interval_max: Duration,
    pong_timeout: Duration,
    heard_at: Moment,
    pinged_at: Moment,
    /// The first ping since the last frame.
    unanswered_since: Option<Moment>,
}

impl Liveness {
    pub(super) fn new(activity_timeout: Option<Duration>, limits: &Limits, now: Moment) -> Self {
        let asked = activity_timeout.unwrap_or(limits.ping_idle_max).max(PING_IDLE_MIN);
        Self {
            idle: asked.min(limits.ping_idle_max),
            interval_max: limits.ping_interval_max,
            pong_timeout: limits.pong_timeout,
            heard_at: now,
            pinged_at: now,
            unanswered_since: None,
        }
    }

    /// Any frame is a sign of life.
    pub(super) fn heard(&mut self, now: Moment) {
        self.heard_at = now;
        self.unanswered_since = None;
    }

    /// Nothing was read for this long, so this time does not count as silence.
    pub(super) fn was_not_listening(&mut self, duration: Duration) {
        self.unanswered_since = self.unanswered_since.map(|since| since + duration);
    }

    /// What is due. While we are not reading, we cannot tell whether the server is dead.
    pub(super) fn pulse(&mut self, listening: bool, now: Moment) -> Pulse {
        if listening && self.dead_at().is_some_and(|at| at <= now) {
            return Pulse::Dead;
        }
        if self.ping_at() > now {
            return Pulse::Fine;
        }
        self.pinged_at = now;
        self.unanswered_since.get_or_insert(now);
        Pulse::Ping
    }

    pub(super) fn deadline(&self, listening: bool) -> Moment {
        match self.dead_at() {
            Some(dead_at) if listening => dead_at.min(self.ping_at()),
            _ => self.ping_at(),
        }
    }

    fn ping_at(&self) -> Moment {
        (self.heard_at.max(self.pinged_at) + self.idle).min(self.pinged_at + self.interval_max)
    }

    fn dead_at(&self) -> Option<Moment> {
        self.unanswered_since.map(|since| since + self.pong_timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn liveness(activity_timeout: u64) -> Liveness {
        Liveness::new(Some(Duration::from_secs(activity_timeout)), &Limits::default(), Moment::START)
    }

    #[test]
    fn the_interval_is_the_servers_within_bounds() {
        for (asked, given) in [(0, 5), (4, 5), (12, 12), (30, 30), (120, 30)] {
            assert_eq!(liveness(asked).deadline(true), at(given), "activity_timeout {asked}");
        }
        assert_eq!(Liveness::new(None, &Limits::default(), Moment::START).deadline(true), at(30));
    }

    #[test]
    fn whatever_comes_a_ping_goes_out_every_minute() {
        let mut liveness = liveness(30);
        let mut pings = Vec::new();
        for second in 0..=180 {
            liveness.heard(at(second));
            if liveness.pulse(true, at(second)) == Pulse::Ping {
                pings.push(second);
            }
        }
        assert_eq!(pings, [60, 120, 180]);
    }

    #[test]
    fn silence_after_a_ping_is_death_and_any_frame_is_life() {
        let mut one = liveness(30);
        assert_eq!(one.pulse(true, at(30)), Pulse::Ping);
        assert_eq!(one.pulse(true, at(49)), Pulse::Fine);
        assert_eq!(one.deadline(true), at(50));
        assert_eq!(one.pulse(true, at(50)), Pulse::Dead);
        one.heard(at(50));
        assert_eq!(one.pulse(true, at(50)), Pulse::Fine);
        assert_eq!(one.deadline(true), at(80));
    }

    #[test]
    fn further_pings_do_not_put_death_off() {
        let mut often = liveness(5);
        assert_eq!([5, 10, 15, 20].map(|second| often.pulse(true, at(second))), [Pulse::Ping; 4]);
        assert_eq!(often.pulse(true, at(25)), Pulse::Dead);
    }

    #[test]
    fn who_does_not_listen_goes_on_pinging_and_does_not_judge() {
        let mut paused = liveness(30);
        assert_eq!([30, 60, 90].map(|second| paused.pulse(false, at(second))), [Pulse::Ping; 3]);
        paused.was_not_listening(Duration::from_secs(65));
        assert_eq!(paused.pulse(true, at(95)), Pulse::Fine);
        assert_eq!(paused.deadline(true), at(115));
        assert_eq!(paused.pulse(true, at(115)), Pulse::Dead);
    }
}
