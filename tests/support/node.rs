//! The tests' Node programs, each with the packages of the lock file beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use super::needs::{Unavailable, tests_path};
use super::python::{fnv1a, run};

/// Debian 12 has 18; nothing newer is needed.
const NODE_MAJOR_MIN: u32 = 18;
/// Debian 12's npm (9.2) stumbles over overrides of what is not in the registry. This one does not, and runs on any
/// Node 18; it comes the way packages come.
const NPM_FOR_OVERRIDES: &str = "npm@9.9.4";
const NPM_MINOR_MIN: (u32, u32) = (9, 9);

/// The program `script` of a folder below `tests`, ready for its arguments.
pub(crate) fn program(folder: &str, script: &str) -> Result<Command, Unavailable> {
    let folder = tests_path(folder);
    let mut command = Command::new("node");
    command.arg(folder.join(script)).env("NODE_PATH", modules(&folder)?).stdin(Stdio::null());
    Ok(command)
}

/// The folder with the packages that `folder` lists, installed the first time.
fn modules(folder: &Path) -> Result<PathBuf, Unavailable> {
    // Tests run side by side, and the first of them installs for all.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _installing = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let missing = |_| {
        Unavailable::Missing(format!(
            "tests with Node programs need Node {NODE_MAJOR_MIN} or newer and npm: apt-get install nodejs npm"
        ))
    };
    let version = run(Command::new("node").arg("--version")).map_err(missing)?;
    let major = version.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE_MAJOR_MIN) {
        return Err(missing(version));
    }
    let npm_version = run(Command::new("npm").arg("--version")).map_err(missing)?;

    let broken = |error: String| Unavailable::Broken(format!("the Node packages for the tests: {error}"));
    let files = files(folder).map_err(|error| broken(format!("{}: {error}", folder.display())))?;
    let mut wanted = Vec::new();
    for file in &files {
        wanted.extend(fs::read(folder.join(file)).map_err(|error| broken(format!("{}: {error}", file.display())))?);
    }
    // Another list of packages gets another folder; an old one is never repaired.
    let cache = tests_path(".cache/node");
    let home = cache.join(format!("{:016x}", fnv1a(&wanted)));
    let modules = home.join("node_modules");
    if modules.exists() {
        return Ok(modules);
    }
    // Made beside its place and renamed when whole, as the Python environment is.
    let part = cache.join(format!(".{}", std::process::id()));
    let overrides = fs::read_to_string(folder.join("package.json")).is_ok_and(|list| list.contains("\"overrides\""));
    let is_old = minor(&npm_version) < NPM_MINOR_MIN;
    let npm = if overrides && is_old { newer_npm(&cache).map_err(broken)? } else { Command::new("npm") };
    let done = install(&part, folder, &files, npm).and_then(|()| match fs::rename(&part, &home) {
        Err(error) if !modules.exists() => Err(error.to_string()),
        _ => Ok(modules),
    });
    let _ = fs::remove_dir_all(&part);
    done.map_err(broken)
}

/// What npm needs of `folder`: its lists, and the packages that lie in folders of their own within it.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = vec![PathBuf::from("package.json"), PathBuf::from("package-lock.json")];
    for entry in fs::read_dir(folder)? {
        let inner = entry?.path();
        if inner.join("package.json").exists() {
            for file in fs::read_dir(&inner)? {
                files.push(Path::new(inner.file_name().unwrap_or_default()).join(file?.file_name()));
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Major and minor.
fn minor(version: &str) -> (u32, u32) {
    let mut numbers = version.trim().split('.').map(|number| number.parse().unwrap_or_default());
    (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default())
}

/// npm by npm.
fn newer_npm(cache: &Path) -> Result<Command, String> {
    let home = cache.join(NPM_FOR_OVERRIDES);
    if !home.exists() {
        let part = cache.join(format!(".npm-{}", std::process::id()));
        let quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock", "--prefix"];
        fs::create_dir_all(&part).map_err(|error| error.to_string())?;
        run(Command::new("npm").arg("install").args(quiet).arg(&part).arg(NPM_FOR_OVERRIDES))?;
        fs::rename(&part, &home).map_err(|error| error.to_string())?;
    }
    let mut command = Command::new("node");
    command.arg(home.join("node_modules/npm/bin/npm-cli.js"));
    Ok(command)
}

fn install(home: &Path, folder: &Path, files: &[PathBuf], mut npm: Command) -> Result<(), String> {
    for file in files {
        let copy = home.join(file);
        fs::create_dir_all(copy.parent().unwrap_or(home)).map_err(|error| error.to_string())?;
        fs::copy(folder.join(file), copy).map_err(|error| error.to_string())?;
    }
    // Exactly the lock file's packages, and none of their scripts.
    run(npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(home))?;
    Ok(())
}
