//! Which frame was in hand when the process ended, so that one that ends it again and again is known.
//!
//! A body may make whoever reads it panic, or want more memory than there is. As it lies on disk, each start would meet it
//! again. So its place is written down before it is read, with the number of lives that have ended at it in a row, and
//! taken back when it was read. After [`LIVES_MAX`] such lives nobody reads it any more.
//!
//! That is one line in a small file beside the spool, written over in place. It is not synced: it has to outlive the
//! process and not the machine, for a machine that loses its power was not brought down by a body. Should the file not be
//! writable, nothing stops; such a body is then met again at each start.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use parking_lot::{Mutex, MutexGuard};
use tracing::warn;

use super::Sequence;

/// So many lives in a row may end with the same frame in hand.
pub const LIVES_MAX: u32 = 3;
/// A place, a number of lives, and what is between and behind them.
const LINE_BYTES: usize = 32;

/// Remembers the frame that is in hand.
pub struct Suspects {
    file: Option<File>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What a life that has ended had in hand.
    suspect: Option<Mark>,
    /// What is being read now.
    in_hand: Option<Mark>,
    has_complained: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    frame: Sequence,
    lives: u32,
}

impl Suspects {
    /// Remembers in the file at `path`, readable for nobody else.
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

    /// `frame` is about to be read; `false` where it must not be. Blocks for as long as the page cache takes.
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

    /// What was taken up is read, and this process is still there.
    pub fn put_down(&self) {
        let mut state = self.state();
        state.in_hand = None;
        self.write(&mut state);
    }

    /// Reading or delivering `frame` panicked, which ends a life as well.
    pub fn blame(&self, frame: Sequence) {
        let mut state = self.state();
        state.suspect = Some(Mark { frame, lives: state.lives(frame) + 1 });
        state.in_hand = None;
        self.write(&mut state);
    }

    /// `frame` is off the disk.
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

/// What an earlier life wrote. Nothing where it is no such line: better read a frame once more than not at all.
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
