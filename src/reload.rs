//! When the configuration is read again: on SIGHUP, and where asked, when it has changed.
//!
//! Reading again covers everything the configuration is made of, token files included. What was read is whole and
//! valid, or it is refused whole and the old one runs on; what becomes of it is [`crate::app`]'s business.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use crate::config::{Config, ConfigError, Fingerprint};

/// Reads the configuration.
pub type Load = Box<dyn Fn() -> Result<Config, ConfigError> + Send>;

/// The occasions for another configuration.
pub struct Reloads {
    load: Load,
    hang_up: Signal,
    check_interval: Option<Duration>,
    last_seen: Result<Fingerprint, ConfigError>,
}

impl Reloads {
    /// Reads by `load` whenever SIGHUP comes and, where `running` asks for it, whenever what `load` gives has changed.
    ///
    /// # Errors
    /// Where the process may not listen to signals.
    pub fn new(running: &Config, load: Load) -> io::Result<Self> {
        let hang_up = signal(SignalKind::hangup())?;
        Ok(Self { load, hang_up, check_interval: running.config_check, last_seen: Ok(running.fingerprint()) })
    }

    /// The next configuration to live by, or why what was found is refused. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Config, ConfigError> {
        loop {
            let asked = match self.check_interval {
                None => self.hang_up.recv().await.is_some(),
                Some(interval) => {
                    tokio::select! {
                        asked = self.hang_up.recv() => asked.is_some(),
                        () = tokio::time::sleep(interval) => false,
                    }
                }
            };
            if asked {
                info!("SIGHUP: the configuration is read again");
            }
            let found = (self.load)();
            let seen = found.as_ref().map(Config::fingerprint).map_err(Clone::clone);
            if asked || seen != self.last_seen {
                self.last_seen = seen;
                return found;
            }
        }
    }
}
