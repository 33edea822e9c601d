//! When the configuration is read again: on SIGHUP, and when it has changed, if that is configured.
//!
//! Reading again covers everything that the configuration is made of, including token files. A new configuration is
//! accepted only as a whole. If it is invalid, the old one stays in use. [`crate::app`] applies it.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tracing::info;

use crate::config::{Config, ConfigError, Fingerprint, Problem};

/// Reads the configuration. Blocks while it reads the files.
pub type Load = Arc<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// When to look for a new configuration.
pub struct Reloads {
    load: Load,
    hang_up: Signal,
    check: Option<Interval>,
    /// A read that is under way, and whether somebody asked for it.
    reading: Option<(JoinHandle<Result<Config, ConfigError>>, bool)>,
    last_seen: Result<Fingerprint, ConfigError>,
}

impl Reloads {
    /// Reads with `load` on SIGHUP and, if `running` asks for it, whenever the result of `load` has changed.
    ///
    /// # Errors
    /// If the process cannot listen to signals.
    pub fn new(running: &Config, load: Load) -> io::Result<Self> {
        let hang_up = signal(SignalKind::hangup())?;
        let check = running.config_check.map(|period| {
            let mut check = interval_at(Instant::now() + period, period);
            check.set_missed_tick_behavior(MissedTickBehavior::Delay);
            check
        });
        Ok(Self { load, hang_up, check, reading: None, last_seen: Ok(running.fingerprint()) })
    }

    /// The next configuration, or why it is refused. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Config, ConfigError> {
        loop {
            let (reading, was_asked_for) = match &mut self.reading {
                Some(under_way) => under_way,
                None => {
                    let is_asked_for = self.occasion().await;
                    let load = Arc::clone(&self.load);
                    // On another thread: a file may be on a disk that hangs, and a stop must still be noticed.
                    self.reading.insert((tokio::task::spawn_blocking(move || load()), is_asked_for))
                }
            };
            let (found, was_asked_for) = (reading.await, *was_asked_for);
            self.reading = None;
            let found = found.unwrap_or_else(|failure| Err(broken_off(&failure)));
            let seen = found.as_ref().map(Config::fingerprint).map_err(Clone::clone);
            if was_asked_for || seen != self.last_seen {
                self.last_seen = seen;
                return found;
            }
        }
    }

    /// Waits for the next time to look. Returns whether somebody asked for it.
    async fn occasion(&mut self) -> bool {
        let check = async {
            match &mut self.check {
                Some(check) => _ = check.tick().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.hang_up.recv() => {
                info!("SIGHUP: the configuration is read again");
                true
            }
            () = check => false,
        }
    }
}

/// A panic while reading changes nothing: the previous configuration stays, and the daemon goes on.
fn broken_off(failure: &JoinError) -> ConfigError {
    let why = if failure.is_panic() { "panicked (the panic is logged above; please report this)" } else { "was ended" };
    let problem = Problem::new("", format!("reading it {why}; the configuration before stays active"));
    ConfigError { origin: "the configuration".to_owned(), problems: vec![problem] }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_panic_while_it_is_read_is_a_refusal_that_is_told_once() {
        let path = std::env::temp_dir().join(format!("chatbridge-reload-{:x}.toml", fastrand::u64(..)));
        let instance = "[[green_api.instances]]\nid = 7\ntoken = 'abc'\n";
        std::fs::write(&path, format!("config_check_seconds = 1\n{instance}")).expect("writable");
        let running = crate::config::load(Some(&path), []).expect("valid");
        std::fs::write(&path, format!("config_check_seconds = 1\n{instance}receive_timeout_seconds = 7\n"))
            .expect("writable");
        let panics = Arc::new(AtomicBool::new(true));
        let (planted, read) = (Arc::clone(&panics), path.clone());
        let load = Arc::new(move || {
            assert!(!planted.load(Ordering::Relaxed), "planted");
            crate::config::load(Some(&read), [])
        });
        let mut reloads = Reloads::new(&running, load).expect("signals");
        let refused = reloads.next().await.expect_err("a refusal").to_string();
        assert!(refused.contains("panicked") && refused.contains("the configuration before stays"), "{refused}");
        let again = tokio::time::timeout(Duration::from_secs(30), reloads.next()).await;
        assert!(again.is_err(), "the same is no news: {again:?}");
        panics.store(false, Ordering::Relaxed);
        assert!(reloads.next().await.is_ok(), "and the next configuration is read");
        std::fs::remove_file(path).expect("ours");
    }
}
