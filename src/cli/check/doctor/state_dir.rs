//! The state directory: whether this user may write to it, and whether a bridge is using it.
//!
//! A running bridge locks the spool in it. Opening the spool to test the lock could keep a bridge from starting at that
//! moment. So the system's list of locks is read instead.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Access, access, major, minor};

use super::{Finding, Verdict};
use crate::chatapp::keep::reserve::Disk;

const SUBJECT: &str = "chatapp state_dir";
const LOCKS: &str = "/proc/locks";

/// Blocks as long as the disk takes. `spool` is the file that a running bridge has locked, `tokens` the other file that
/// nobody else should read.
pub(super) fn examine(folder: &Path, spool: &str, tokens: &str) -> Finding {
    let shown = folder.display();
    let broken = |found: String, fix: &str| Finding::new(Verdict::Broken, SUBJECT, found, fix);
    const FIX: &str = "give it to the user that the bridge runs as (systemd: StateDirectory=), and check as that user; or \
                       name another directory in chatapp.state_dir";
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => {
            let fix = "name a directory in chatapp.state_dir";
            Finding::new(Verdict::Misconfigured, SUBJECT, format!("{shown} is not a directory"), fix)
        }
        Ok(found) => {
            let use_of_it = match access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
                _ if is_locked(&folder.join(spool)) => "a running bridge uses it",
                Ok(()) => "this user may write to it",
                Err(error) => {
                    return broken(format!("{shown}: this user may not write to it: {}", io::Error::from(error)), FIX);
                }
            };
            let drawback = lies_open(folder, &found, [spool, tokens]).or_else(|| has_little_room(folder));
            match drawback {
                Some((drawback, fix)) => Finding::new(Verdict::Warning, SUBJECT, format!("{shown}: {drawback}"), fix),
                None => Finding::well(SUBJECT, format!("{shown}: {use_of_it}")),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = folder.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("."));
            match access(above, Access::WRITE_OK | Access::EXEC_OK) {
                Ok(()) => Finding::well(SUBJECT, format!("{shown} is not there yet: the bridge makes it at its start")),
                Err(error) => {
                    let error = io::Error::from(error);
                    broken(format!("{shown} is not there, and this user cannot make it: {error}"), FIX)
                }
            }
        }
        Err(error) => broken(format!("{shown}: {error}"), FIX),
    }
}

/// What others may do here, and what to do about it.
fn lies_open(folder: &Path, found: &fs::Metadata, files: [&str; 2]) -> Option<(String, &'static str)> {
    if found.mode() & 0o002 != 0 {
        let fix = "take the right to write from all others (chmod o-w), or name a directory of the bridge's own";
        return Some(("everybody may write to it, and could take the spool away".to_owned(), fix));
    }
    let is_open = |name: &&str| fs::metadata(folder.join(name)).is_ok_and(|file| file.mode() & 0o077 != 0);
    let file = files.into_iter().find(is_open)?;
    Some((
        format!("{file} may be read by others than its owner"),
        "start the bridge, which closes it to them; or chmod 600",
    ))
}

fn has_little_room(folder: &Path) -> Option<(String, &'static str)> {
    let disk = Disk::of(folder).ok().filter(|disk| disk.free < disk.floor())?;
    let found =
        format!("{} bytes are free on its disk, and nothing is added to the spool below {}", disk.free, disk.floor());
    Some((found, "make room on that disk, or name a directory on another one in chatapp.state_dir"))
}

/// As far as the system tells. `false` if it does not.
fn is_locked(file: &Path) -> bool {
    let (Ok(file), Ok(locks)) = (fs::metadata(file), fs::read_to_string(LOCKS)) else { return false };
    let place = format!("{:02x}:{:02x}:{}", major(file.dev()), minor(file.dev()), file.ino());
    // A line looks like `7: OFDLCK ADVISORY  WRITE -1 fe:00:4711 0 EOF`.
    locks.lines().any(|line| line.split_whitespace().any(|word| word == place))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_folder_is_well_where_it_is_ours_can_be_made_or_is_in_use() {
        let folder = std::env::temp_dir().join(format!("chatbridge-state-{:x}", fastrand::u64(..)));
        let look = || {
            let Finding { verdict, found, .. } = examine(&folder, "spool", "tokens");
            (verdict, found.rsplit(": ").next().unwrap_or_default().to_owned())
        };
        let well = |words: &str| (Verdict::Well, words.to_owned());
        assert_eq!(look(), well("the bridge makes it at its start"));
        fs::create_dir(&folder).expect("writable");
        assert_eq!(look(), well("this user may write to it"));
        let spool = File::create(folder.join("spool")).expect("writable");
        let close = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
        let warned = |words: &str| (Verdict::Warning, words.to_owned());
        close(&folder.join("spool"), 0o640);
        assert_eq!(look(), warned("spool may be read by others than its owner"));
        close(&folder.join("spool"), 0o600);
        close(&folder, 0o777);
        assert_eq!(look(), warned("everybody may write to it, and could take the spool away"));
        close(&folder, 0o700);
        assert_eq!(look(), well("this user may write to it"));
        spool.lock().expect("nobody else has it");
        assert_eq!(look(), well("a running bridge uses it"));
        drop(spool);
        assert_eq!(look(), well("this user may write to it"));
        assert_eq!(examine(&folder.join("spool"), "spool", "tokens").verdict, Verdict::Misconfigured);
        assert_eq!(examine(&folder.join("spool/below"), "spool", "tokens").verdict, Verdict::Broken);
        fs::remove_dir_all(&folder).expect("ours");
    }
}
