//! When the configuration is read again: on SIGHUP, and where asked, when it has changed.
//!
//! Reading again covers everything the configuration is made of, token files included. What was read is whole and
//! valid, or it is refused whole and the old one runs on; what becomes of it is [`crate::app`]'s business.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};
use tracing::info;

use crate::config::{Config, ConfigError, Fingerprint};

/// Reads the configuration. Blocks, for as long as its files do.
pub type Load = Arc<dyn Fn() -> Result<Config, ConfigError> + Send + Sync>;

/// The occasions for another configuration.
pub struct Reloads {
    load: Load,
    hang_up: Signal,
    check: Option<Interval>,
    /// Under way, and whether somebody asked for it.
    reading: Option<(JoinHandle<Result<Config, ConfigError>>, bool)>,
    last_seen: Result<Fingerprint, ConfigError>,
}

impl Reloads {
    /// Reads by `load` whenever SIGHUP comes and, where `running` asks for it, whenever what `load` gives has changed.
    ///
    /// # Errors
    /// Where the process may not listen to signals.
    pub fn new(running: &Config, load: Load) -> io::Result<Self> {
        let hang_up = signal(SignalKind::hangup())?;
        let check = running.config_check.map(|period| {
            let mut check = interval_at(Instant::now() + period, period);
            check.set_missed_tick_behavior(MissedTickBehavior::Delay);
            check
        });
        Ok(Self { load, hang_up, check, reading: None, last_seen: Ok(running.fingerprint()) })
    }

    /// The next configuration to live by, or why what was found is refused. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Config, ConfigError> {
        loop {
            let (reading, was_asked_for) = match &mut self.reading {
                Some(under_way) => under_way,
                None => {
                    let is_asked_for = self.occasion().await;
                    let load = Arc::clone(&self.load);
                    // Elsewhere: a file may lie on a disk that hangs, and a stop has to be heard meanwhile.
                    self.reading.insert((tokio::task::spawn_blocking(move || load()), is_asked_for))
                }
            };
            let (found, was_asked_for) = (reading.await, *was_asked_for);
            self.reading = None;
            let found = found.unwrap_or_else(|failure| std::panic::resume_unwind(failure.into_panic()));
            let seen = found.as_ref().map(Config::fingerprint).map_err(Clone::clone);
            if was_asked_for || seen != self.last_seen {
                self.last_seen = seen;
                return found;
            }
        }
    }

    /// Waits for the next time to look; whether somebody asked for it.
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
