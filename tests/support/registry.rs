//! A real schema registry for the tests: Apicurio in memory, spoken to through its Confluent-compatible API.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use super::broker::{available, free_port, watch};
use super::http::ask;
use super::needs::{Unavailable, tests_path};

/// It takes about six seconds to start, on a busy machine many times as long.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(50);
const API: &str = "/apis/ccompat/v7";

/// A registry that has a port and is not running yet, so that a test can see what its absence does.
pub(crate) struct Registry {
    home: PathBuf,
    dir: PathBuf,
    port: u16,
    /// The registry, and before it the watch that ends it when this process is killed.
    processes: Vec<Child>,
}

impl Registry {
    /// Fetches it the first time; needs what the broker needs.
    pub(crate) fn new() -> Result<Self, Unavailable> {
        // Tests run side by side, and the first of them fetches for all: two Mavens at one repository get in each
        // other's way.
        static FETCHED: OnceLock<Result<PathBuf, Unavailable>> = OnceLock::new();
        let home = FETCHED.get_or_init(fetch).clone()?;
        let port = free_port();
        let dir = std::env::temp_dir().join(format!("chatbridge-registry-{}-{port}", std::process::id()));
        fs::create_dir_all(&dir).map_err(|error| Unavailable::Broken(format!("{}: {error}", dir.display())))?;
        Ok(Self { home, dir, port, processes: Vec::new() })
    }

    /// The root of Confluent's API.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}{API}", self.port)
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&mut self) {
        let log = File::create(self.dir.join("log")).expect("writable");
        let errors = log.try_clone().expect("a file");
        let process = available()
            .expect("it was there a moment ago")
            .java()
            .args(["-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"])
            .arg(format!("-Djava.io.tmpdir={}", self.dir.display()))
            .arg("-Dquarkus.http.host=127.0.0.1")
            .arg(format!("-Dquarkus.http.port={}", self.port))
            .arg("-jar")
            .arg(runner(&self.home))
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .expect("java runs");
        let watch = watch(&process, &self.dir).expect("sh runs");
        self.processes = vec![watch, process];
        let deadline = Instant::now() + PATIENCE;
        while self.ask("GET", "/subjects", "").is_none_or(|(status, _)| status != 200) {
            let log = || fs::read_to_string(self.dir.join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "the schema registry does not start; log:\n{}", log());
            thread::sleep(POLL);
        }
    }

    /// Status and body, where it answers.
    pub(crate) fn ask(&self, verb: &str, path: &str, body: &str) -> Option<(u16, String)> {
        ask(&format!("127.0.0.1:{}", self.port), verb, &format!("{API}{path}"), body).ok()
    }
}

/// The folder it lies in, fetched the first time.
fn fetch() -> Result<PathBuf, Unavailable> {
    available()?;
    let out = Command::new(tests_path("kafka/fetch_registry.sh"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Unavailable::Broken(format!("fetch_registry.sh: {error}")))?;
    let home = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    if !out.status.success() || home.is_empty() {
        return Err(Unavailable::Broken(format!("fetch_registry.sh: {}", out.status)));
    }
    Ok(home.into())
}

/// The one jar that starts it.
fn runner(home: &Path) -> PathBuf {
    let entries = fs::read_dir(home).expect("the registry's folder");
    let mut jars = entries.map(|entry| entry.expect("readable").path());
    jars.find(|path| path.to_string_lossy().ends_with("-runner.jar")).expect("a runner jar")
}

impl Drop for Registry {
    fn drop(&mut self) {
        // The watch goes first: once the registry is reaped, its process number may belong to somebody else.
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}
