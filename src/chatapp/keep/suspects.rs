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

use super::frame::Sequence;

/// The name of the file, beside the spool.
pub const FILE_NAME: &str = "spool.suspect";
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
    /// Uses the file at `path`, readable by its owner only. What it says of a frame that is not on disk any more, as
    /// `is_there` knows, does not count: a new spool gives the same numbers again.
    #[must_use]
    pub fn open(path: &Path, is_there: impl Fn(Sequence) -> bool) -> Self {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        let read = opened.and_then(|file| {
            let suspect = read(&file)?.filter(|mark| is_there(mark.frame));
            Ok((file, suspect))
        });
        let (file, suspect) = match read {
            Ok((file, suspect)) => (Some(file), suspect),
            Err(error) => {
                warn!(path = %path.display(), %error, "a body that ends the bridge is not known at the next start");
                (None, None)
            }
        };
        Self { file, state: Mutex::new(State { suspect, ..State::default() }) }
    }

    /// Whether the bridge has ended so often in a row at `frame` that it must not be read any more.
    #[must_use]
    pub fn is_given_up(&self, frame: Sequence) -> bool {
        let mut state = self.state();
        state.blame_in_hand();
        state.lives(frame) >= LIVES_MAX
    }

    /// Does `work` with `frame`, which is remembered meanwhile: if the process ends, or `work` panics, the frame is
    /// blamed. `work` must not wait for anything else. Blocks on the page cache.
    pub fn watch<T>(&self, frame: Sequence, work: impl FnOnce() -> T) -> T {
        self.take_up(frame);
        let done = work();
        self.put_down();
        done
    }

    fn take_up(&self, frame: Sequence) {
        let mut state = self.state();
        state.blame_in_hand();
        let lives = state.lives(frame);
        state.in_hand = Some(Mark { frame, lives: lives + 1 });
        self.write(&mut state);
    }

    fn put_down(&self) {
        let mut state = self.state();
        state.in_hand = None;
        self.write(&mut state);
    }

    /// Delivering `frame` panicked, which counts like the end of a process.
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
            warn!(%error, "a body that ends the bridge is not known at the next start");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    /// What is still in hand when the next one is looked at had panicked.
    fn blame_in_hand(&mut self) {
        if let Some(mark) = self.in_hand.take() {
            self.suspect = Some(mark);
        }
    }

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
    Ok(numbers
        .and_then(|(frame, lives)| Some(Mark { frame: Sequence(frame.parse().ok()?), lives: lives.parse().ok()? })))
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
            Suspects::open(&self.0, |_| true)
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
            assert!(!suspects.is_given_up(Sequence(6)), "{life}: another one is read as ever");
            suspects.watch(Sequence(6), || {});
            assert!(!suspects.is_given_up(Sequence(7)), "{life}");
            suspects.take_up(Sequence(7));
        }
        let suspects = home.open();
        assert!(suspects.is_given_up(Sequence(7)));
        assert!(!suspects.is_given_up(Sequence(8)));
        suspects.watch(Sequence(8), || {});
        assert!(home.open().is_given_up(Sequence(7)), "it is remembered while others are read");
        suspects.settled(Sequence(8));
        assert!(home.open().is_given_up(Sequence(7)));
        suspects.settled(Sequence(7));
        assert!(!home.open().is_given_up(Sequence(7)));
    }

    #[test]
    fn lives_count_in_a_row_and_only_where_something_was_in_hand() {
        let home = Home::new();
        for _ in 0..LIVES_MAX * 2 {
            home.open().watch(Sequence(7), || {});
        }
        for frame in [7, 7, 8, 7, 7, 7] {
            let suspects = home.open();
            assert!(!suspects.is_given_up(Sequence(frame)), "another one came between");
            suspects.take_up(Sequence(frame));
        }
        assert!(home.open().is_given_up(Sequence(7)));
    }

    #[test]
    fn a_panic_counts_as_the_end_of_a_life() {
        let home = Home::new();
        let suspects = home.open();
        suspects.blame(Sequence(7));
        for _ in 1..LIVES_MAX {
            assert!(!suspects.is_given_up(Sequence(7)));
            let work = std::panic::AssertUnwindSafe(|| suspects.watch(Sequence(7), || panic!("planted")));
            assert!(std::panic::catch_unwind(work).is_err());
            // The frames before it are read again first.
            suspects.watch(Sequence(6), || {});
        }
        assert!(suspects.is_given_up(Sequence(7)) && home.open().is_given_up(Sequence(7)));
    }

    #[test]
    fn a_file_that_says_nothing_or_cannot_be_had_stops_nobody() {
        let home = Home::new();
        for content in ["", "\n", "7", "7 3", "x y\n", "99999999999999999999999 1\n", "\u{fffd}"] {
            std::fs::write(&home.0, content).expect("writable");
            assert!(!home.open().is_given_up(Sequence(7)), "{content:?}");
        }
        std::fs::write(&home.0, "00000000000000000007 0000000003\n").expect("writable");
        assert!(home.open().is_given_up(Sequence(7)));
        assert!(!Suspects::open(&home.0, |_| false).is_given_up(Sequence(7)), "that spool is gone");
        let nowhere = Suspects::open(Path::new("/proc/nowhere/spool.suspect"), |_| true);
        for _ in 0..=LIVES_MAX {
            nowhere.watch(Sequence(7), || {});
        }
    }
}
