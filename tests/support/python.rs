//! The Python programs of `tests/consumers`, in an environment made once for `tests/requirements.txt`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::needs::{Unavailable, tests_path};

/// One of the programs in `tests/consumers`, ready for its arguments.
pub(crate) fn consumer(script: &str) -> Result<Command, Unavailable> {
    let mut command = Command::new(python()?);
    command.arg(tests_path("consumers").join(script)).stdin(Stdio::null());
    Ok(command)
}

/// A Python that has the packages of `tests/requirements.txt`.
pub(crate) fn python() -> Result<PathBuf, Unavailable> {
    static MADE: OnceLock<Result<PathBuf, Unavailable>> = OnceLock::new();
    MADE.get_or_init(make).clone()
}

fn make() -> Result<PathBuf, Unavailable> {
    let requirements = tests_path("requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .map_err(|error| Unavailable::Broken(format!("{}: {error}", requirements.display())))?;
    // Debian's python3 has no ensurepip until python3-venv is installed.
    let version =
        run(Command::new("python3").args(["-c", "import sys, venv, ensurepip; print(sys.executable, sys.version)"]))
            .map_err(|_| {
                Unavailable::Missing(
                    "tests with Python clients need python3 with venv: apt-get install python3 python3-venv".into(),
                )
            })?;

    // Another list of packages or another Python gets another environment; an old one is never repaired.
    let cache = tests_path(".cache/python");
    let home = cache.join(format!("{:016x}", fnv1a(&[wanted.as_bytes(), version.as_bytes()].concat())));
    let python = home.join("bin/python");
    if python.exists() {
        return Ok(python);
    }
    // Made beside its place and renamed when whole: an interrupted installation never looks finished, and of two
    // processes the slower one finds the name taken. (An environment may be moved as long as it is used through its
    // bin/python.)
    let part = cache.join(format!(".{}", std::process::id()));
    let done = fs::create_dir_all(&cache)
        .map_err(|error| error.to_string())
        .and_then(|()| install(&part, &requirements))
        .and_then(|()| match fs::rename(&part, &home) {
            Err(error) if !python.exists() => Err(error.to_string()),
            _ => Ok(python),
        });
    let _ = fs::remove_dir_all(&part);
    done.map_err(|error| Unavailable::Broken(format!("the Python environment for the tests: {error}")))
}

fn install(home: &Path, requirements: &Path) -> Result<(), String> {
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(home))?;
    run(Command::new(home.join("bin/python"))
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(requirements))?;
    Ok(())
}

/// What the command prints, or what it says when it fails.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let out = command.stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if out.status.success() {
        return Ok(String::from_utf8_lossy(&out.stdout).into_owned());
    }
    let said = [out.stdout, out.stderr].concat();
    Err(format!("{command:?}: {}\n{}", out.status, String::from_utf8_lossy(&said)))
}

/// FNV-1a: the standard library's hash may change with the compiler, and this names a folder.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}
