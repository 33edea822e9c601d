//! Tells systemd the state of the process if systemd started it (`NOTIFY_SOCKET`); otherwise every call does nothing.

use std::env;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use crate::watch::telemetry::status::StatusBoard;

const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// The service manager that wants to know the state of this process.
#[derive(Debug, Default)]
pub struct Systemd {
    /// `sd_notify` builds the messages but only writes to a socket that is a file. Older versions of systemd use an
    /// abstract socket.
    socket: Option<SocketAddr>,
    is_trouble_told: AtomicBool,
}

impl Systemd {
    /// The one named by the environment, if any.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::at(&env::var_os(NOTIFY_SOCKET).unwrap_or_default())
    }

    /// The one that listens at `name`: a path, or `@` and an abstract name. None if it is empty.
    fn at(name: &OsStr) -> Self {
        let nobody = Self::default();
        if name.is_empty() {
            return nobody;
        }
        match address(name) {
            Ok(socket) => Self { socket: Some(socket), ..nobody },
            Err(error) => {
                nobody.trouble(&error);
                nobody
            }
        }
    }

    /// Started: the configuration was read and the admin server listens. Kafka may still be away, and `Type=notify`
    /// must not kill a bridge that waits for it; `status` says what it is doing.
    pub fn ready(&self, status: &str) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// The configuration is being read again, until [`Systemd::ready`] is called.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => self.trouble(&error),
        }
    }

    /// What the process is doing, for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.tell(&[NotifyState::Status(status)]);
    }

    /// The process is stopping.
    pub fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// Feeds the watchdog, twice as often as it asks for, while the runtime works and every poller moves. If a poller
    /// has been still for longer than `silence_max`, the watchdog is not fed any more and systemd restarts the process.
    /// That costs at most one repeat per instance, while an instance that is not polled loses its events.
    pub async fn watchdog(self: Arc<Self>, board: Arc<StatusBoard>, silence_max: Duration, stop: CancellationToken) {
        let Some(asked) = sd_notify::watchdog_enabled() else { return };
        let mut ticks = tokio::time::interval((asked / 2).max(Duration::from_millis(100)));
        let ticking = async {
            loop {
                ticks.tick().await;
                match board.stalled(silence_max) {
                    None => self.tell(&[NotifyState::Watchdog]),
                    Some(instance) => error!(
                        %instance, silent_seconds_max = silence_max.as_secs(),
                        "the instance's poller is stuck, so systemd's watchdog is left to restart the process: please \
                         report this line and what is logged before it"
                    ),
                }
            }
        };
        stop.run_until_cancelled(ticking).await;
    }

    fn tell(&self, states: &[NotifyState]) {
        let Some(socket) = &self.socket else { return };
        let mut message = String::new();
        for state in states {
            // Writing to a string cannot fail.
            let _ = writeln!(message, "{state}");
        }
        let sent = UnixDatagram::unbound().and_then(|from| from.send_to_addr(message.as_bytes(), socket));
        if let Err(error) = sent {
            self.trouble(&error);
        }
    }

    /// Logged once: it does not change, and the watchdog would log it every few seconds.
    fn trouble(&self, error: &io::Error) {
        if self.is_trouble_told.swap(true, Ordering::Relaxed) {
            return debug!(%error, "systemd could not be told");
        }
        warn!(
            %error,
            fix = "set Type=exec in the unit and take WatchdogSec out of it, or mend NOTIFY_SOCKET",
            "systemd cannot be told that the bridge has started and runs; with Type=notify it stops a unit that says \
             nothing until TimeoutStartSec"
        );
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'/', ..] => SocketAddr::from_pathname(name),
        #[cfg(target_os = "linux")]
        [b'@', name @ ..] => <SocketAddr as std::os::linux::net::SocketAddrExt>::from_abstract_name(name),
        _ => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("NOTIFY_SOCKET={} is neither a path nor an abstract name that begins with @", name.display()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_hears_at_a_path_and_at_an_abstract_name() {
        let name = format!("chatbridge-notify-{}-{:x}", std::process::id(), fastrand::u64(..));
        let path = env::temp_dir().join(&name);
        for place in [path.to_string_lossy().into_owned(), format!("@{name}")] {
            let address = address(OsStr::new(&place)).expect("an address");
            let manager = UnixDatagram::bind_addr(&address).expect("it can be bound");
            manager.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket has timeouts");
            let systemd = Systemd::at(OsStr::new(&place));
            systemd.ready("waiting");
            systemd.stopping();
            for expected in ["READY=1\nSTATUS=waiting\n", "STOPPING=1\n"] {
                let mut heard = [0; 100];
                let length = manager.recv(&mut heard).expect("a message");
                assert_eq!(String::from_utf8_lossy(&heard[..length]), expected, "{place}");
            }
        }
        drop(std::fs::remove_file(path));
    }

    #[test]
    fn trouble_is_told_once() {
        for (place, is_told_at_once) in [("", false), ("vsock:2:1234", true), ("/nowhere/at/all", false)] {
            let systemd = Systemd::at(OsStr::new(place));
            let is_told = || systemd.is_trouble_told.load(Ordering::Relaxed);
            assert_eq!(is_told(), is_told_at_once, "{place}");
            systemd.ready("waiting");
            assert_eq!(is_told(), !place.is_empty(), "{place}");
        }
    }
}
