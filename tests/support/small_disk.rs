//! A disk of its own for those who are started on it, small enough to be filled: a tmpfs in a mount namespace that
//! nobody else sees. Root makes one as it is, everybody else inside a user namespace, where that is allowed.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::needs::Unavailable;

const FILLER: &str = "of-others";

/// What `unshare` is told, and `nsenter`.
struct Way {
    make: &'static [&'static str],
    enter: &'static [&'static str],
}

const WAYS: [Way; 2] = [
    Way { make: &["--mount"], enter: &["--mount"] },
    Way { make: &["--user", "--map-root-user", "--mount"], enter: &["--user", "--mount", "--preserve-credentials"] },
];

/// Gone with the test, and everything on it.
pub(crate) struct SmallDisk {
    /// Holds the namespace.
    holder: Child,
    way: &'static Way,
    /// Where it is mounted.
    at: PathBuf,
}

impl SmallDisk {
    /// Mounted at `at`, which is made, for those whom [`Self::command`] starts.
    pub(crate) fn mount(at: &Path, mebibytes: u32) -> Result<Self, Unavailable> {
        fs::create_dir_all(at).map_err(|error| Unavailable::Broken(format!("{}: {error}", at.display())))?;
        WAYS.iter().find_map(|way| Self::by(way, at, mebibytes)).ok_or_else(|| {
            let needs =
                "tests of a full disk: be root, or have user namespaces allowed (unshare, nsenter of util-linux)";
            Unavailable::Missing(needs.to_owned())
        })
    }

    fn by(way: &'static Way, at: &Path, mebibytes: u32) -> Option<Self> {
        let holder = Command::new("unshare")
            .args(way.make)
            .args([
                "sh",
                "-c",
                r#"mount -t tmpfs -o size="$2"m,mode=700 tmpfs "$1" && echo mounted && read -r _"#,
                "sh",
            ])
            .arg(at)
            .arg(mebibytes.to_string())
            // Its end is the holder's end, however this process dies.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut disk = Self { holder, way, at: at.to_owned() };
        let mut line = String::new();
        BufReader::new(disk.holder.stdout.take()?).read_line(&mut line).ok()?;
        (line.trim() == "mounted").then_some(disk)
    }

    /// Starts `program` where the disk is.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let holder = self.holder.id().to_string();
        command.args(["--target", &holder]).args(self.way.enter).args(["--", program]);
        command
    }

    /// Takes all that is free.
    pub(crate) fn fill(&self) {
        let filled = File::create(self.filler()).and_then(|mut file| {
            let block = [1; 64 * 1024];
            loop {
                file.write_all(&block)?;
            }
        });
        let full =
            filled.map_or_else(|error: io::Error| error.kind(), |never: std::convert::Infallible| match never {});
        assert_eq!(full, io::ErrorKind::StorageFull);
    }

    /// Gives back what was taken.
    pub(crate) fn free(&self) {
        drop(fs::remove_file(self.filler()));
    }

    fn filler(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.at.strip_prefix("/").expect("an absolute path")).join(FILLER)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
