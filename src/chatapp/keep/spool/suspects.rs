//! Which frame was in hand when the process ended, to detect a frame that ends it again and again.
//!
//! A body may cause a panic, or need more memory than there is. It is still on disk at the next start, which would end
//! the same way. So the frame's place is written down before the frame is read, with the number of processes in a row
//! that ended at it, and erased afterwards. After [`LIVES_MAX`] of them the frame is not read any more.
//!
//! This is one line in a small file beside the spool, overwritten in place. It is not synced: it has to survive the
//! process but not the machine, because a power loss is not caused by a body. If the file cannot be written, the bridge
//! goes on without it; such a body is then read again at each start.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use parking_lot::{Mutex, MutexGuard};
use tracing::warn;

use super::Sequence;

/// How many processes in a row may end with the same frame in hand.
pub const LIVES_MAX: u32 = 3;
/// A place, a number of lives, and separators.
const LINE_BYTES: usize = 32;

/// Remembers the frame that is in hand.
pub struct Suspects {
    file: Option<File>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The frame that an ended process had in hand.
    suspect: Option<Mark>,
    /// The frame that is being read now.
    in_hand: Option<Mark>,
    has_complained: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    frame: Sequence,
    lives: u32,
}

impl Suspects {
    /// Uses the file at `path`, readable by its owner only.
    pub(super) fn open(path: &Path) -> Self {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let read = opened.and_then(|file| {
            let suspect = read(&file)?;
            Ok((file, suspect))
        });
        let (file, suspect) = match read {
            Ok((file, suspect)) => (Some(file), suspect),
            Err(error) => {
                warn!(path = %path.display(), %error, "a body that ends the bridge will not be known at the next start");
                (None, None)
            }
        };
        Self { file, state: Mutex::new(State { suspect, ..State::default() }) }
    }

    /// `frame` is about to be read; `false` if it must not be. Blocks on the page cache.
    #[must_use]
    pub fn take_up(&self, frame: Sequence) -> bool {
        let mut state = self.state();
        let lives = state.lives(frame);
        if lives >= LIVES_MAX {
            return false;
        }
        state.in_hand = Some(Mark { frame, lives: lives + 1 });
        self.write(&mut state);
        true
    }

    /// The frame was read, and the process is still running.
    pub fn put_down(&self) {
        let mut state = self.state();
        state.in_hand = None;
        self.write(&mut state);
    }

    /// Reading or delivering `frame` panicked, which counts like the end of a process.
    pub fn blame(&self, frame: Sequence) {
        let mut state = self.state();
        state.suspect = Some(Mark { frame, lives: state.lives(frame) + 1 });
        state.in_hand = None;
        self.write(&mut state);
    }

    /// `frame` was removed from the disk.
    pub fn settled(&self, frame: Sequence) {
        let mut state = self.state();
        if state.suspect.is_some_and(|suspect| suspect.frame == frame) {
            state.suspect = None;
            self.write(&mut state);
        }
    }

    fn write(&self, state: &mut State) {
        let Some(file) = &self.file else { return };
        let line = match state.in_hand.or(state.suspect) {
            Some(Mark { frame: Sequence(frame), lives }) => format!("{frame:020} {lives:010}\n"),
            None => format!("{:>1$}\n", "", LINE_BYTES - 1),
        };
        if let Err(error) = file.write_all_at(line.as_bytes(), 0)
            && !std::mem::replace(&mut state.has_complained, true)
        {
            warn!(%error, "a body that ends the bridge will not be known at the next start");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn lives(&self, frame: Sequence) -> u32 {
        self.suspect.filter(|suspect| suspect.frame == frame).map_or(0, |suspect| suspect.lives)
    }
}

/// What an earlier process wrote. `None` if the line is invalid: reading a frame once too often is better than never.
fn read(file: &File) -> io::Result<Option<Mark>> {
    let mut line = [0; LINE_BYTES];
    let length = file.read_at(&mut line, 0)?;
    let line = std::str::from_utf8(&line[..length]).unwrap_or_default();
    let numbers = line.strip_suffix('\n').and_then(|line| line.split_once(' '));
    Ok(numbers.and_then(|(frame, lives)| Some(Mark { frame: Sequence(frame.parse().ok()?), lives: lives.parse().ok()? })))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Home(std::path::PathBuf);

    impl Home {
        fn new() -> Self {
            let name = format!("chatbridge-suspects-{}-{:x}", std::process::id(), fastrand::u64(..));
            Self(std::env::temp_dir().join(name))
        }

        /// As a new life finds it.
        fn open(&self) -> Suspects {
            Suspects::open(&self.0)
        }
    }

    impl Drop for Home {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    #[test]
    fn what_was_in_hand_when_three_lives_ended_is_not_taken_up_again_until_it_is_off_the_disk() {
        let home = Home::new();
        for life in 1..=LIVES_MAX {
            let suspects = home.open();
            assert!(suspects.take_up(Sequence(6)), "{life}: another one is read as ever");
            suspects.put_down();
            assert!(suspects.take_up(Sequence(7)), "{life}");
        }
        let suspects = home.open();
        assert!(!suspects.take_up(Sequence(7)));
        assert!(suspects.take_up(Sequence(8)));
        suspects.put_down();
        assert!(!home.open().take_up(Sequence(7)), "it is remembered while others are read");
        suspects.settled(Sequence(8));
        assert!(!home.open().take_up(Sequence(7)));
        suspects.settled(Sequence(7));
        assert!(home.open().take_up(Sequence(7)));
    }

    #[test]
    fn lives_count_in_a_row_and_only_where_something_was_in_hand() {
        let home = Home::new();
        for _ in 0..LIVES_MAX * 2 {
            let suspects = home.open();
            assert!(suspects.take_up(Sequence(7)));
            suspects.put_down();
        }
        for frame in [7, 7, 8, 7, 7] {
            assert!(home.open().take_up(Sequence(frame)), "another one came between");
        }
        assert!(home.open().take_up(Sequence(7)));
        assert!(!home.open().take_up(Sequence(7)));
    }

    #[test]
    fn a_panic_counts_as_the_end_of_a_life() {
        let home = Home::new();
        let suspects = home.open();
        for _ in 0..LIVES_MAX {
            assert!(suspects.take_up(Sequence(7)));
            suspects.blame(Sequence(7));
        }
        assert!(!suspects.take_up(Sequence(7)) && !home.open().take_up(Sequence(7)));
    }

    #[test]
    fn a_file_that_says_nothing_or_cannot_be_had_stops_nobody() {
        let home = Home::new();
        for content in ["", "\n", "7", "7 3", "x y\n", "99999999999999999999999 1\n", "\u{fffd}"] {
            std::fs::write(&home.0, content).expect("writable");
            assert!(home.open().take_up(Sequence(7)), "{content:?}");
        }
        std::fs::write(&home.0, "00000000000000000007 0000000003\n").expect("writable");
        assert!(!home.open().take_up(Sequence(7)));
        let nowhere = Suspects::open(Path::new("/proc/nowhere/spool.suspect"));
        for _ in 0..=LIVES_MAX {
            assert!(nowhere.take_up(Sequence(7)));
        }
    }
}
