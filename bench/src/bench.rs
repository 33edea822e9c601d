//! What every scenario needs: the programs, a real Kafka, simulated upstreams.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::signal::unix::{SignalKind, signal};

use crate::contender::{Job, Programs};
use crate::kafka;
use crate::progress::say;
use crate::support::broker::Broker;
use crate::support::needs::Unavailable;
use crate::upstream::Upstream;

/// What every scenario needs.
pub(crate) struct Bench {
    pub(crate) programs: Programs,
    pub(crate) broker: Broker,
    pub(crate) brokers: String,
    /// Of logs and configurations; gone with the run, unless that fails.
    pub(crate) dir: PathBuf,
}

impl Bench {
    /// With `all` contenders, or chatbridge and the minimal loop.
    pub(crate) fn start(all: bool) -> Result<Self, Unavailable> {
        let dir = std::env::temp_dir().join(format!("chatbridge-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir).map_err(|error| Unavailable::Broken(format!("{}: {error}", dir.display())))?;
        leave_nothing_when_interrupted(dir.clone());
        let found = Programs::find(&dir, all).and_then(|programs| Ok((programs, Broker::start()?)));
        let (programs, broker) = found.inspect_err(|_| {
            let _ = std::fs::remove_dir_all(&dir);
        })?;
        let brokers = broker.bootstrap();
        kafka::create(&brokers, &["dead-letters".to_owned()]);
        Ok(Self { programs, broker, brokers, dir })
    }

    pub(crate) fn upstream(&self, instances: u64, round_trip_ms: u64) -> Upstream {
        self.upstream_from(1, instances, round_trip_ms)
    }

    pub(crate) fn upstream_from(&self, first: u64, instances: u64, round_trip_ms: u64) -> Upstream {
        Upstream::start(&self.programs.chatbridge, &self.dir, first, instances, round_trip_ms)
    }

    /// A topic of its own for a run.
    pub(crate) fn topic(&self, name: &str) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let topic = format!("{name}-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        kafka::create(&self.brokers, std::slice::from_ref(&topic));
        topic
    }

    pub(crate) fn job<'a>(&'a self, topic: &'a str, targets: &'a str) -> Job<'a> {
        Job { brokers: &self.brokers, topic, targets, dir: &self.dir }
    }

    /// So many bodies of the upstream's instances, in turn.
    pub(crate) fn bodies(&self, upstream: &Upstream, events: u64) -> Vec<String> {
        let mut command = Command::new(&self.programs.chatbridge);
        command.args(["simulate", "--print", &events.to_string()]);
        for id in &upstream.instances {
            command.args(["--instance", &format!("{id}:x")]);
        }
        let printed = command.output().expect("the simulator prints").stdout;
        String::from_utf8(printed).expect("JSON").lines().map(str::to_owned).collect()
    }
}

/// Milliseconds by the clock that the simulator and the broker go by.
pub(crate) fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or_default()
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking() {
            say(&format!("failed; everybody's logs are in {}", self.dir.display()));
        } else {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

/// Whatever was started is watched, and ends when this process does.
fn leave_nothing_when_interrupted(dir: PathBuf) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    std::thread::spawn(move || {
        runtime.block_on(async {
            let mut terminate = signal(SignalKind::terminate()).expect("a signal to wait for");
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        });
        // The terminal told our children too: that they go is no failure to speak of.
        std::panic::set_hook(Box::new(|_| {}));
        let _ = std::fs::remove_dir_all(dir);
        std::process::exit(130);
    });
}
