//! A bad network for the tests: Shopify's toxiproxy between two parties, slow, silent or cut off when told to.
//!
//! One process holds all proxies of a test. Everything here blocks.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::broker::{free_port, watch};
use super::http::ask;
use super::needs::{Unavailable, tests_path};

const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// A running toxiproxy. Dropping it ends the process and every connection through it.
#[derive(Debug)]
pub(crate) struct Toxiproxy {
    api: String,
    dir: PathBuf,
    process: Child,
    /// Ends it when this process is killed.
    watch: Child,
}

/// One address in front of another.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    api: String,
    name: String,
    address: String,
}

/// What can be wrong with a network.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Toxic {
    /// Everything comes later by so much, up to `jitter_ms` more or less.
    Latency { ms: u32, jitter_ms: u32 },
    /// Half open: nothing comes through but the other side's end, should it close. Taking this away closes the
    /// connections it held, as bytes are missing from them.
    Silence,
    /// Nothing comes through, and after so long the connection ends.
    Timeout { ms: u32 },
    /// TCP reset, so long after the first bytes.
    Reset { ms: u32 },
    /// No more than so much.
    Bandwidth { kilobytes_per_second: u32 },
    /// The connection ends after so many bytes.
    Limit { bytes: u32 },
    /// A connection that one side closed stays open for the other for so long.
    SlowClose { ms: u32 },
}

/// Which way the bytes go that a [`Toxic`] harms.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    /// From the client to the server: requests.
    Upstream,
    /// From the server to the client: answers.
    Downstream,
}

impl Toxiproxy {
    /// Builds it the first time, which takes about a minute and needs Go.
    pub(crate) fn start() -> Result<Self, Unavailable> {
        // Tests run side by side, and the first of them builds for all.
        static BUILT: OnceLock<Result<String, Unavailable>> = OnceLock::new();
        let server = BUILT.get_or_init(build).clone()?;
        let mut attempt = 1;
        loop {
            match Self::launch(&server) {
                Ok(toxiproxy) => return Ok(toxiproxy),
                // Its port may have been taken meanwhile.
                Err(_) if attempt < 3 => attempt += 1,
                Err(error) => return Err(Unavailable::Broken(format!("toxiproxy: {error}"))),
            }
        }
    }

    fn launch(server: &str) -> io::Result<Self> {
        let port = free_port();
        let dir = std::env::temp_dir().join(format!("chatbridge-toxiproxy-{}-{port}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let log = File::create(dir.join("log"))?;
        let process = Command::new(server)
            .args(["-host", "127.0.0.1", "-port", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let watch = watch(&process, &dir)?;
        let mut toxiproxy = Self { api: format!("127.0.0.1:{port}"), dir, process, watch };
        let deadline = Instant::now() + PATIENCE;
        loop {
            match ask(&toxiproxy.api, "GET", "/version", "") {
                // Somebody else on that port would have ended ours.
                Ok(_) if toxiproxy.process.try_wait()?.is_none() => return Ok(toxiproxy),
                Err(_) if toxiproxy.process.try_wait()?.is_none() && Instant::now() < deadline => thread::sleep(POLL),
                answer => {
                    let log = fs::read_to_string(toxiproxy.dir.join("log")).unwrap_or_default();
                    return Err(io::Error::other(format!("does not start: {answer:?}\n{log}")));
                }
            }
        }
    }

    /// A new address in front of `upstream` (`host:port`, which need not answer yet), harmless at first.
    pub(crate) fn proxy(&self, name: &str, upstream: &str) -> Proxy {
        let listen = format!("127.0.0.1:{}", free_port());
        let body = json!({"name": name, "listen": listen, "upstream": upstream, "enabled": true});
        let made = call(&self.api, "POST", "/proxies", &body);
        let address = made["listen"].as_str().expect("an address").to_owned();
        Proxy { api: self.api.clone(), name: name.to_owned(), address }
    }
}

impl Drop for Toxiproxy {
    fn drop(&mut self) {
        // The watch goes first: once the process is reaped, its number may belong to somebody else.
        for process in [&mut self.watch, &mut self.process] {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Proxy {
    /// `host:port` for the client.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Harms new connections and those that are there, until [`Self::remove`] or [`Self::clear`]. One of a kind for
    /// each direction; the same again replaces it.
    pub(crate) fn add(&self, toxic: Toxic, direction: Direction) {
        self.remove(toxic, direction);
        let body = json!({
            "name": toxic.name(direction),
            "type": toxic.kind(),
            "stream": direction.as_str(),
            "toxicity": 1.0,
            "attributes": toxic.attributes(),
        });
        call(&self.api, "POST", &format!("/proxies/{}/toxics", self.name), &body);
    }

    /// Takes this harm away, whatever its figures are.
    pub(crate) fn remove(&self, toxic: Toxic, direction: Direction) {
        self.remove_named(&toxic.name(direction));
    }

    /// Takes every harm away.
    pub(crate) fn clear(&self) {
        let toxics = call(&self.api, "GET", &format!("/proxies/{}/toxics", self.name), &Value::Null);
        for toxic in toxics.as_array().expect("a list") {
            self.remove_named(toxic["name"].as_str().expect("a name"));
        }
    }

    /// Ends every connection and refuses new ones, until [`Self::enable`].
    pub(crate) fn disable(&self) {
        self.switch(false);
    }

    /// The same address takes connections again.
    pub(crate) fn enable(&self) {
        self.switch(true);
    }

    fn switch(&self, enabled: bool) {
        call(&self.api, "POST", &format!("/proxies/{}", self.name), &json!({"enabled": enabled}));
    }

    fn remove_named(&self, toxic: &str) {
        let path = format!("/proxies/{}/toxics/{toxic}", self.name);
        let (status, body) = ask(&self.api, "DELETE", &path, "").expect("toxiproxy answers");
        assert!(matches!(status, 200..=299 | 404), "toxiproxy: {status} {body}");
    }
}

impl Toxic {
    /// toxiproxy's word.
    fn kind(self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Silence | Self::Timeout { .. } => "timeout",
            Self::Reset { .. } => "reset_peer",
            Self::Bandwidth { .. } => "bandwidth",
            Self::Limit { .. } => "limit_data",
            Self::SlowClose { .. } => "slow_close",
        }
    }

    fn attributes(self) -> Value {
        match self {
            Self::Latency { ms, jitter_ms } => json!({"latency": ms, "jitter": jitter_ms}),
            Self::Silence => json!({"timeout": 0}),
            Self::Timeout { ms } | Self::Reset { ms } => json!({"timeout": ms}),
            Self::Bandwidth { kilobytes_per_second } => json!({"rate": kilobytes_per_second}),
            Self::Limit { bytes } => json!({"bytes": bytes}),
            Self::SlowClose { ms } => json!({"delay": ms}),
        }
    }

    fn name(self, direction: Direction) -> String {
        format!("{}_{}", self.kind(), direction.as_str())
    }
}

impl Direction {
    fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }
}

fn call(api: &str, verb: &str, path: &str, body: &Value) -> Value {
    // Nobody reads what comes with a GET, and what is not read resets the connection.
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let (status, answer) = ask(api, verb, path, &body).expect("toxiproxy answers");
    assert!((200..300).contains(&status), "toxiproxy: {verb} {path}: {status} {answer}");
    serde_json::from_str(&answer).expect("toxiproxy answers in JSON")
}

/// The path of the program, built the first time.
fn build() -> Result<String, Unavailable> {
    let out = Command::new(tests_path("kafka/fetch_toxiproxy.sh"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Unavailable::Broken(format!("fetch_toxiproxy.sh: {error}")))?;
    let path = String::from_utf8_lossy(&out.stdout).trim().to_owned();
    match out.status.code() {
        Some(0) => Ok(path),
        // As in the script: there is no Go.
        Some(69) => Err(Unavailable::Missing(
            "tests with a bad network need Go (1.19 or newer): apt-get install golang-go".into(),
        )),
        _ => Err(Unavailable::Broken(format!("fetch_toxiproxy.sh: {}", out.status))),
    }
}
