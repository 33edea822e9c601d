//! The real binary as a child process: started, watched through its admin server and its log, killed, stopped.
//!
//! Everything here blocks; in an async test use a runtime with several threads.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The program.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_chatbridge");
/// For what takes a second: only what never comes takes so long, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// An answer of the admin server takes milliseconds.
const ANSWER_MAX: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// A folder with a configuration; gone with the test.
pub(crate) struct Home {
    dir: PathBuf,
}

impl Home {
    /// The instances, as (id, token), poll at `api_url` and publish to `brokers`; `more` is further TOML, top level
    /// keys first.
    pub(crate) fn new(api_url: &str, instances: &[(u64, String)], brokers: &str, more: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("chatbridge-{}-{:x}", std::process::id(), fastrand::u64(..)));
        fs::create_dir_all(&dir).expect("the temporary directory takes folders");
        let mut config = format!(
            "{more}\n[kafka]\nbrokers = \"{brokers}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
             [green_api]\napi_url = \"{api_url}\"\nreceive_timeout_seconds = 5\nretry_min_ms = 50\nretry_max_ms = 400\n\
             misconfigured_retry_seconds = 1\nwatch_interval_seconds = 1\n"
        );
        for (id, token) in instances {
            config.push_str(&format!("[[green_api.instances]]\nid = {id}\ntoken = \"{token}\"\n"));
        }
        fs::write(dir.join("config.toml"), config).expect("writable");
        Self { dir }
    }

    /// The configuration, for another command than `run`.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Everything the last bridge here logged, also when it has ended.
    pub(crate) fn log_text(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A running bridge. Dropping it kills the process.
pub(crate) struct Bridge {
    child: Child,
    admin: String,
    log: PathBuf,
}

impl Bridge {
    /// Starts `chatbridge run`, returns when its admin server listens.
    pub(crate) fn start(home: &Home, environment: &[(&str, &str)]) -> Self {
        Self::start_by(Command::new(BINARY), home, environment)
    }

    /// The same, after the shell's `ulimit` with each of these arguments.
    pub(crate) fn start_under(home: &Home, ulimits: &[&str], environment: &[(&str, &str)]) -> Self {
        // What other tests of this process have open is inherited where librdkafka opened it, and would count.
        let close = "for fd in /proc/self/fd/*; do fd=${fd##*/}; [ \"$fd\" -le 2 ] || eval \"exec $fd>&-\"; done";
        let limits: String = ulimits.iter().map(|ulimit| format!("ulimit {ulimit} && ")).collect();
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("{close}; {limits}exec \"$0\" \"$@\""), BINARY]);
        Self::start_by(shell, home, environment)
    }

    /// The same, by a command that ends up as [`BINARY`].
    pub(crate) fn start_by(command: Command, home: &Home, environment: &[(&str, &str)]) -> Self {
        let mut bridge = Self::launch(command, home, environment);
        bridge.admin = bridge.wait("the admin server", Self::told_address);
        bridge
    }

    /// What `command` starts, which is the binary or ends up as it. It may end again before it has begun.
    pub(crate) fn launch(mut command: Command, home: &Home, environment: &[(&str, &str)]) -> Self {
        let log = File::create(home.log()).expect("writable");
        let child = command
            .args(["run", "--log-format", "json", "--config"])
            .arg(home.config())
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the binary starts");
        Self { child, admin: String::new(), log: home.log() }
    }

    fn told_address(&self) -> Option<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("admin server listens"))?;
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        line["address"].as_str().map(str::to_owned)
    }

    /// How it ended, if it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("our child")
    }

    /// Returns when it can be asked.
    pub(crate) fn wait_for_admin(&mut self) {
        self.admin = self.wait("the admin server", Self::told_address);
    }

    /// Polls until `found` finds something.
    pub(crate) fn wait<T>(&mut self, what: &str, found: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            let ended = self.child.try_wait().expect("our child");
            assert!(ended.is_none() && Instant::now() < deadline, "no {what} ({ended:?}); log:\n{}", self.log());
            thread::sleep(POLL);
        }
    }

    pub(crate) fn wait_until_ready(&mut self) {
        self.wait("readiness", |bridge| (bridge.get("/readyz").0 == 200).then_some(()));
    }

    /// Address of the admin server.
    pub(crate) fn admin(&self) -> &str {
        &self.admin
    }

    /// Status and body of a GET on the admin server.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut answer = String::new();
        let address = self.admin().parse().expect("an address");
        TcpStream::connect_timeout(&address, ANSWER_MAX)
            .and_then(|mut stream| {
                stream.set_read_timeout(Some(ANSWER_MAX))?;
                write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
                stream.read_to_string(&mut answer)
            })
            .unwrap_or_else(|error| panic!("GET {path}: {error}; log:\n{}", self.log()));
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        (status, body.to_owned())
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.get("/status").1).expect("/status is JSON")
    }

    /// The sum of a metric over all its labels that contain `labels`.
    pub(crate) fn metric(&self, name: &str, labels: &str) -> f64 {
        self.get("/metrics")
            .1
            .lines()
            .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])))
            .filter(|line| line.contains(labels))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Everything logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }

    /// SIGTERM, then its end.
    pub(crate) fn terminate(self) -> ExitStatus {
        self.signal("TERM");
        self.ended()
    }

    /// Its end, told already.
    pub(crate) fn ended(mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not stop; log:\n{}", self.log());
            thread::sleep(POLL);
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        // The shell's own kill: a program of that name is not on every machine.
        let sent = Command::new("sh").args(["-c", &format!("kill -s {name} {}", self.pid())]).status();
        assert!(sent.expect("a shell is there").success());
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
