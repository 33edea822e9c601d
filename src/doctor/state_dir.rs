//! The folder of what must outlive a restart: whether this user may write to it, and whether a bridge is using it.
//!
//! The spool in it is locked by whoever has opened it, and opening it to see would keep a bridge from starting just then.
//! The system's list of locks tells without.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Access, access, major, minor};

use super::{Finding, Verdict};

const SUBJECT: &str = "chatapp state_dir";
const LOCKS: &str = "/proc/locks";

/// Blocks for as long as the disk takes. `spool` is the name of the file that a running bridge has locked.
pub(super) fn examine(folder: &Path, spool: &str) -> Finding {
    let shown = folder.display();
    let broken = |found: String, fix: &str| Finding::new(Verdict::Broken, SUBJECT, found, fix);
    const FIX: &str = "give it to the user that the bridge runs as (systemd: StateDirectory=), and check as that user; or \
                       name another directory in chatapp.state_dir";
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => {
            let fix = "name a directory in chatapp.state_dir";
            Finding::new(Verdict::Misconfigured, SUBJECT, format!("{shown} is not a directory"), fix)
        }
        Ok(_) if is_locked(&folder.join(spool)) => Finding::well(SUBJECT, format!("{shown}: a running bridge uses it")),
        Ok(_) => match access(folder, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
            Ok(()) => Finding::well(SUBJECT, format!("{shown}: this user may write to it")),
            Err(error) => broken(format!("{shown}: this user may not write to it: {}", io::Error::from(error)), FIX),
        },
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

/// As far as the system tells; `false` where it does not.
fn is_locked(file: &Path) -> bool {
    let (Ok(file), Ok(locks)) = (fs::metadata(file), fs::read_to_string(LOCKS)) else { return false };
    let place = format!("{:02x}:{:02x}:{}", major(file.dev()), minor(file.dev()), file.ino());
    // Such as `7: OFDLCK ADVISORY  WRITE -1 fe:00:4711 0 EOF`.
    locks.lines().any(|line| line.split_whitespace().any(|word| word == place))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_folder_is_well_where_it_is_ours_can_be_made_or_is_in_use() {
        let folder = std::env::temp_dir().join(format!("chatbridge-state-{:x}", fastrand::u64(..)));
        let look = || {
            let Finding { verdict, found, .. } = examine(&folder, "spool");
            (verdict, found.rsplit(": ").next().unwrap_or_default().to_owned())
        };
        let well = |words: &str| (Verdict::Well, words.to_owned());
        assert_eq!(look(), well("the bridge makes it at its start"));
        fs::create_dir(&folder).expect("writable");
        assert_eq!(look(), well("this user may write to it"));
        let spool = File::create(folder.join("spool")).expect("writable");
        assert_eq!(look(), well("this user may write to it"));
        spool.lock().expect("nobody else has it");
        assert_eq!(look(), well("a running bridge uses it"));
        drop(spool);
        assert_eq!(look(), well("this user may write to it"));
        assert_eq!(examine(&folder.join("spool"), "spool").verdict, Verdict::Misconfigured);
        assert_eq!(examine(&folder.join("spool/below"), "spool").verdict, Verdict::Broken);
        fs::remove_dir_all(&folder).expect("ours");
    }
}
