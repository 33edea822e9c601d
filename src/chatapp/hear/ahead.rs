//! How far the disk is behind the socket, and so up to when we have really heard. Pure.

use chatbridge_base::clock::Reading;

/// Frames are read while those before them are still being written, many with one `fsync`. What was heard counts when
/// everything that came before it is durable.
///
/// The disk takes frames in their order, so as soon as any `n` of them are known to be durable the first `n` are.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// Frames that were read.
    read: u64,
    /// Frames of which the disk has said that it has them.
    durable: u64,
    /// A time that counts when so many are. Later ones wait for the next turn, or none would ever come under load.
    awaited: Option<(u64, Reading)>,
}

impl Ahead {
    /// One more was read.
    pub(crate) fn read(&mut self) {
        self.read += 1;
    }

    /// We heard up to `at`; that time, where it counts already.
    pub(crate) fn heard(&mut self, at: Reading) -> Option<Reading> {
        if self.is_level() {
            return Some(at);
        }
        self.awaited.get_or_insert((self.read, at));
        None
    }

    /// The disk has one more; the time that counts by that.
    pub(crate) fn durable(&mut self) -> Option<Reading> {
        self.durable += 1;
        self.awaited.take_if(|(frames, _)| *frames <= self.durable).map(|(_, at)| at)
    }

    /// Whether the disk has everything that was read.
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
