//! How far the disk is behind the socket, and so the time up to which everything received is durable. Pure.

use chatbridge_base::clock::Reading;

/// Frames are read while earlier ones are still being written, many with one `fsync`. A heard time counts once every
/// frame read before it is durable.
///
/// The disk writes frames in order. So when `n` of them are known to be durable, the first `n` are.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// Frames read.
    read: u64,
    /// Frames that the disk has confirmed.
    durable: u64,
    /// A heard time, and the number of durable frames at which it counts. Later times wait until this one is done:
    /// replacing it would mean that under load no time ever counts.
    awaited: Option<(u64, Reading)>,
}

impl Ahead {
    /// One more frame was read.
    pub(crate) fn read(&mut self) {
        self.read += 1;
    }

    /// Everything was received up to `at`. Returns that time if it counts already.
    pub(crate) fn heard(&mut self, at: Reading) -> Option<Reading> {
        if self.is_level() {
            return Some(at);
        }
        self.awaited.get_or_insert((self.read, at));
        None
    }

    /// One more frame is durable. Returns the heard time that now counts, if any.
    pub(crate) fn durable(&mut self) -> Option<Reading> {
        assert!(self.durable < self.read, "the disk has no frame that was not read");
        self.durable += 1;
        self.awaited.take_if(|(frames, _)| *frames <= self.durable).map(|(_, at)| at)
    }

    /// Whether everything that was read is durable.
    pub(crate) fn is_level(&self) -> bool {
        self.durable == self.read
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::*;

    fn at(second: i64) -> Reading {
        let wall = Timestamp::from_second(1_760_000_000 + second).expect("a time");
        Reading { wall, up: SignedDuration::from_secs(second) }
    }

    #[test]
    fn what_was_heard_counts_when_the_disk_has_what_came_before_it() {
        let mut ahead = Ahead::default();
        assert_eq!(ahead.heard(at(1)), Some(at(1)), "nothing lies before it");
        ahead.read();
        ahead.read();
        assert_eq!(ahead.heard(at(2)), None);
        ahead.read();
        assert_eq!(ahead.heard(at(3)), None);
        assert_eq!(ahead.durable(), None);
        assert_eq!(ahead.durable(), Some(at(2)), "the third came after it");
        assert_eq!(ahead.heard(at(4)), None);
        assert_eq!(ahead.durable(), Some(at(4)));
        assert!(ahead.is_level());
        assert_eq!(ahead.heard(at(5)), Some(at(5)));
    }

    #[test]
    fn it_moves_on_though_the_disk_never_catches_up() {
        let mut ahead = Ahead::default();
        ahead.read();
        let mut counted = Vec::new();
        for second in 0..10 {
            ahead.read();
            counted.extend(ahead.heard(at(second)));
            counted.extend(ahead.durable());
        }
        assert!(!ahead.is_level());
        assert!(counted.len() >= 4 && counted.is_sorted_by_key(|at: &Reading| at.up), "{counted:?}");
    }
}
