//! A disk of its own for one process, small enough to be filled: a tmpfs in a mount namespace that nobody else sees.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::needs::Unavailable;

const FILLER: &str = "filler";

/// Gone with the test, and everything on it.
pub(crate) struct SmallDisk {
    /// Holds the namespace.
    holder: Child,
    /// Where it is mounted.
    at: PathBuf,
}

impl SmallDisk {
    /// Mounted at `at` for those whom [`Self::command`] starts.
    pub(crate) fn mount(at: &Path, megabytes: u32) -> Result<Self, Unavailable> {
        let missing = |why: &str| {
            Unavailable::Missing(format!("a full disk needs user namespaces (unshare, nsenter of util-linux): {why}"))
        };
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            .arg(r#"mount -t tmpfs -o size="$2"m tmpfs "$1" && echo mounted && read -r _"#)
            .arg("sh")
            .arg(at)
            .arg(megabytes.to_string())
            // Its end is the holder's end, however this process dies.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| missing(&error.to_string()))?;
        let mut line = String::new();
        let said = holder.stdout.take().map(|stdout| BufReader::new(stdout).read_line(&mut line));
        let disk = Self { holder, at: at.to_owned() };
        match said {
            Some(Ok(_)) if line.trim() == "mounted" => Ok(disk),
            _ => Err(missing("they are not allowed here")),
        }
    }

    /// Starts `program` where the disk is.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let holder = self.holder.id().to_string();
        command.args(["--target", &holder, "--user", "--mount", "--preserve-credentials", "--"]).arg(program);
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
