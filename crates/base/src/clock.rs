//! Two clocks. One is the time of day, which may be wrong and may be set at any moment. The other counts from the start
//! of the machine and only goes forward.
//!
//! Consumers are given times of day, and ChatApp is asked for them. But a time of day that was read while the clock was
//! wrong stays wrong. So the bridge remembers moments by the other clock. It converts them to a time of day only when
//! it reports them, using the time of day at that moment.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// How far back a stretch reaches if its beginning is unknown: as long as published events are remembered.
pub const LOOK_BACK_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Clocks that differ by no more than this count as equal: such small steps do no harm.
const APART_MAX: SignedDuration = SignedDuration::from_secs(2);
/// This program did not exist before 2025-01-01. A clock that shows an earlier time has not been set yet.
const FIRST_DAY: Timestamp = Timestamp::constant(1_735_689_600, 0);

/// Both clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The time of day.
    pub wall: Timestamp,
    /// Since the machine was started. On Linux the time for which it slept counts.
    pub up: SignedDuration,
}

/// When something was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum When {
    /// By the time of day of an earlier start of the machine, so that there is no other clock to ask. All of these were
    /// before the others.
    Wall {
        /// That time.
        at: Timestamp,
        /// The latest that this clock is known to have said.
        said: Timestamp,
    },
    /// So long after the machine was started.
    Up(SignedDuration),
}

/// Reads the clocks, and knows which start of the machine one of them counts from.
#[derive(Clone)]
pub struct Clock {
    read: Arc<dyn Fn() -> Reading + Send + Sync>,
    boot: Option<Arc<str>>,
}

impl Clock {
    /// This machine's clock. Reads a file of the kernel's.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
        Self { read: Arc::new(Reading::now), boot: boot.ok().map(|boot| boot.trim().into()) }
    }

    /// A clock that a test controls. `boot` names the start of the machine.
    pub fn held(boot: &str, read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), boot: Some(boot.into()) }
    }

    /// Both clocks, now.
    #[must_use]
    pub fn now(&self) -> Reading {
        (self.read)()
    }

    /// A name that changes with each start of the machine, or `None` if there is none.
    #[must_use]
    pub fn boot(&self) -> Option<&str> {
        self.boot.as_deref()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("boot", &self.boot).finish_non_exhaustive()
    }
}

impl Reading {
    /// This machine's clocks, now.
    #[must_use]
    pub fn now() -> Self {
        // Other systems have no clock that counts the time for which the machine slept.
        let clock = if cfg!(target_os = "linux") { ClockId::Boottime } else { ClockId::Monotonic };
        let up = clock_gettime(clock);
        let nanoseconds = i32::try_from(up.tv_nsec).unwrap_or_default();
        Self { wall: Timestamp::now(), up: SignedDuration::new(up.tv_sec, nanoseconds) }
    }

    /// The reading so much earlier.
    #[must_use]
    pub fn before(self, by: SignedDuration) -> Self {
        Self { wall: earlier(self.wall, by), up: self.up.saturating_sub(by) }
    }

    /// The time of day at `up`, judged by the present time of day.
    #[must_use]
    pub fn wall_at(self, up: SignedDuration) -> Timestamp {
        earlier(self.wall, self.up.saturating_sub(up))
    }

    /// The difference between the clocks. It changes only when the time of day is set.
    #[must_use]
    pub fn offset(self) -> SignedDuration {
        self.wall.duration_since(Timestamp::UNIX_EPOCH).saturating_sub(self.up)
    }

    /// By how much the time of day has advanced against the other clock since their difference was `offset`. Either it
    /// was set, or the machine stood still for that long, as a stopped virtual machine does. The two cannot be told
    /// apart.
    pub fn ahead_since(self, offset: SignedDuration) -> SignedDuration {
        self.offset().saturating_sub(offset).clamp(SignedDuration::ZERO, LOOK_BACK_MAX)
    }

    /// Whether the time of day was set since the clocks differed by `offset`.
    #[must_use]
    pub fn was_set_since(self, offset: SignedDuration) -> bool {
        self.offset().saturating_sub(offset).abs() > APART_MAX
    }

    /// Whether the time of day can be right.
    pub fn is_dated(self) -> bool {
        self.wall >= FIRST_DAY
    }
}

impl When {
    /// So much earlier, if the moment is known by the clock that only goes forward.
    pub fn earlier(self, by: SignedDuration) -> Self {
        match self {
            Self::Up(up) => Self::Up(up.saturating_sub(by)),
            Self::Wall { .. } => self,
        }
    }

    /// The time of day of `now` at which a stretch begins. A beginning that cannot be right is replaced by the earliest
    /// time that is looked at.
    #[must_use]
    pub fn beginning(self, now: Reading) -> Timestamp {
        match self {
            Self::Up(up) => now.wall_at(up),
            Self::Wall { at, said } if at >= FIRST_DAY && said.duration_since(now.wall) <= APART_MAX => at,
            Self::Wall { .. } => earlier(now.wall, LOOK_BACK_MAX),
        }
    }

    /// The time of day of `now` at which a stretch ends.
    #[must_use]
    pub fn end(self, now: Reading) -> Timestamp {
        match self {
            Self::Up(up) => now.wall_at(up),
            Self::Wall { at, .. } => at.min(now.wall),
        }
    }
}

/// So much earlier. Stops at the earliest or latest time that can be represented.
fn earlier(wall: Timestamp, by: SignedDuration) -> Timestamp {
    let limit = if by.is_negative() { Timestamp::MAX } else { Timestamp::MIN };
    wall.checked_sub(by).unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(hours: i64) -> SignedDuration {
        SignedDuration::from_hours(hours)
    }

    fn reading(wall_hours: i64, up_hours: i64) -> Reading {
        Reading { wall: FIRST_DAY + hours(wall_hours), up: hours(up_hours) }
    }

    #[test]
    fn what_happened_is_dated_by_what_the_time_of_day_is_now() {
        let ahead = reading(14, 100);
        let right = reading(13, 101);
        assert_eq!(right.wall_at(ahead.up), FIRST_DAY + hours(12));
        assert!(right.was_set_since(ahead.offset()));
        assert!(!reading(15, 101).was_set_since(ahead.offset()));
        assert_eq!(right.wall_at(SignedDuration::MIN), Timestamp::MIN);
        assert_eq!(right.wall_at(SignedDuration::MAX), Timestamp::MAX);
    }

    #[test]
    fn a_time_of_day_from_before_the_start_is_believed_where_it_can_be_right() {
        let now = reading(1000, 5);
        let said = |at: Timestamp| When::Wall { at, said: at };
        let wall = |hours_ago: i64| said(now.wall - hours(hours_ago));
        assert_eq!(wall(2).beginning(now), now.wall - hours(2));
        // The clock had been ahead, and had just said so.
        let ahead = When::Wall { at: now.wall - hours(2), said: now.wall + hours(1) };
        for not_credible in [ahead, wall(-1), wall(1001), said(Timestamp::UNIX_EPOCH), said(Timestamp::MAX)] {
            assert_eq!(not_credible.beginning(now), now.wall - LOOK_BACK_MAX, "{not_credible:?}");
        }
        assert_eq!(wall(-1).end(now), now.wall);
        assert!(wall(-1) < When::Up(hours(-9999)), "the machine was started after it");
    }

    #[test]
    fn this_machines_clocks_go_on() {
        let clock = Clock::of_this_machine();
        let (first, second) = (clock.now(), clock.now());
        assert!(first.up <= second.up && !second.was_set_since(first.offset()));
    }
}
