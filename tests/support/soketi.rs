//! A real Pusher server for the tests, soketi, and the application behind it with Pusher's own SDK.
//!
//! soketi is AGPL-3.0: a program that tests run as it is, from npm. Nothing of it is linked or shipped. Everything here
//! blocks; a server takes about a second to start.

use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::needs::Unavailable;
use super::node;
use super::process::{free_port, watch};

const PATIENCE: Duration = Duration::from_secs(180);

/// The app, as soketi and its application know it.
pub(crate) const KEY: &str = "ChatsAppApiTestKey";
pub(crate) const SECRET: &str = "canary-secret";
/// What the authorisation endpoint wants to see.
pub(crate) const TOKEN: &str = "canary$2y$10$token";

/// A soketi on a port of its own, running or not.
pub(crate) struct Soketi {
    options: Value,
    port: u16,
    dir: PathBuf,
    running: Option<Running>,
}

struct Running {
    process: Child,
    /// Ends it when this process is killed.
    watch: Child,
}

impl Soketi {
    /// One app, [`KEY`] and [`SECRET`]. `more`: soketi's own configuration, its keys dotted.
    pub(crate) fn start(more: Value) -> Result<Self, Unavailable> {
        let port = free_port();
        let dir = std::env::temp_dir().join(format!("chatbridge-soketi-{}-{port}", std::process::id()));
        fs::create_dir_all(&dir).map_err(|error| Unavailable::Broken(format!("{}: {error}", dir.display())))?;
        let mut options = json!({
            "port": port,
            "metrics.port": free_port(),
            "cluster.port": free_port(),
            "appManager.array.apps.0.id": "1001",
            "appManager.array.apps.0.key": KEY,
            "appManager.array.apps.0.secret": SECRET,
        });
        merge(&mut options, more);
        let mut soketi = Self { options, port, dir, running: None };
        soketi.run()?;
        Ok(soketi)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// On the same port, with `change` made to its configuration.
    pub(crate) fn restart(&mut self, change: Value) {
        self.kill();
        merge(&mut self.options, change);
        self.run().expect("it started before");
    }

    fn run(&mut self) -> Result<(), Unavailable> {
        let broken = |error: String| Unavailable::Broken(format!("soketi: {error}"));
        let mut process = node::program("pusher", "soketi.js")?
            .arg(self.options.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| broken(error.to_string()))?;
        let stdout = process.stdout.take();
        let watch = watch(&process, &self.dir).map_err(|error| broken(error.to_string()))?;
        self.running = Some(Running { process, watch });
        first_line(stdout, |line| line == "ready").map_err(broken)?;
        Ok(())
    }

    /// SIGTERM, and waits for the end: it says goodbye with 4200.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        if let Some(mut running) = self.running.take() {
            let _ = running.process.wait();
            running.end();
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(running) = self.running.take() {
            running.end();
        }
    }

    /// SIGSTOP: connections stay open, and nothing answers.
    pub(crate) fn freeze(&self) {
        self.signal("STOP");
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.running.as_ref().expect("it runs").process.id().to_string();
        let status = Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, name]).arg(id).status();
        assert!(status.is_ok_and(|status| status.success()), "SIG{name}");
    }
}

impl Drop for Soketi {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Running {
    fn end(mut self) {
        // The watch goes first: once the process is reaped, its number may belong to somebody else.
        for process in [&mut self.watch, &mut self.process] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// The application: authorises and publishes. Ends with this process.
pub(crate) struct Application {
    process: Child,
    url: String,
}

impl Application {
    /// Behind the soketi of this port. `ca`: the file with the authority that signed its certificate, where it has TLS.
    pub(crate) fn start(soketi_port: u16, secret: &str, ca: Option<&str>) -> Result<Self, Unavailable> {
        let broken = |error: String| Unavailable::Broken(format!("application.js: {error}"));
        let options = json!({"port": soketi_port, "key": KEY, "secret": secret, "ca": ca});
        let mut process = node::program("pusher", "application.js")?
            .args([&options.to_string(), TOKEN])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .map_err(|error| broken(error.to_string()))?;
        let stdout = process.stdout.take();
        let mut application = Self { process, url: String::new() };
        let port = first_line(stdout, |line| line.parse::<u16>().is_ok()).map_err(broken)?;
        application.url = format!("http://127.0.0.1:{port}");
        Ok(application)
    }

    /// Where channels are authorised.
    pub(crate) fn auth_url(&self) -> String {
        format!("{}/broadcasting/auth", self.url)
    }

    /// Where events are published, as JSON: `channel`, `event`, and of `data` one event each.
    pub(crate) fn publish_url(&self) -> String {
        format!("{}/publish", self.url)
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn merge(options: &mut Value, change: Value) {
    let (Value::Object(options), Value::Object(change)) = (options, change) else { panic!("objects") };
    options.extend(change);
}

/// Waits for the first line that is `wanted`; whatever else is printed, then and later, is read and let go.
fn first_line(stdout: Option<ChildStdout>, wanted: fn(&str) -> bool) -> Result<String, String> {
    let (found, line) = mpsc::channel();
    let stdout = stdout.ok_or("has no output")?;
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(io::Result::ok) {
            if wanted(&line) {
                let _ = found.send(line);
            }
        }
    });
    line.recv_timeout(PATIENCE).map_err(|_| "did not start; what it said stands above".to_owned())
}
