//! The limits of a session, and the clock it uses.

use std::ops::Add;
use std::time::Duration;

/// A point in time, as the time since the session began. The driver of the session has the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Moment(Duration);

impl Moment {
    /// When the session began.
    pub const START: Self = Self(Duration::ZERO);

    /// This long after the session began.
    #[must_use]
    pub fn after_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after the session began.
    #[must_use]
    pub fn since_start(self) -> Duration {
        self.0
    }

    /// The time since `earlier`; zero if that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

/// The limits of a session. The defaults are for production; tests shorten them.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Name resolution, TCP, TLS and the WebSocket upgrade together.
    pub connect_timeout: Duration,
    /// From the upgrade until the server sends the socket id (`pusher:connection_established`).
    pub handshake_timeout: Duration,
    /// For the authorisation of one channel.
    pub auth_timeout: Duration,
    /// For the renewal of the access token.
    pub renewal_timeout: Duration,
    /// For the answer to one subscription.
    pub subscribe_timeout: Duration,
    /// Concurrent authorisations …
    pub auths_at_a_time_max: usize,
    /// … and the minimum time between their starts.
    pub auth_spacing: Duration,
    /// A ping is sent when nothing came for the server's `activity_timeout`, but for no longer than this …
    pub ping_idle_max: Duration,
    /// … and this long after the previous ping, whatever comes: laravel-websockets counts only pings.
    pub ping_interval_max: Duration,
    /// If nothing comes for this long after a ping, the connection is dead.
    pub pong_timeout: Duration,
    /// If the sink takes nothing for this long, the connection is closed; there is no new one until it does.
    pub stall_max: Duration,
    /// A connection that lasted this long was healthy: waits start from their minimum again.
    pub healthy_after: Duration,
    /// The minimum wait before connecting again, …
    pub retry_min: Duration,
    /// … and the maximum.
    pub retry_max: Duration,
    /// The minimum wait after a server said that this client should not come back unchanged (4000 to 4099), …
    pub slow_retry_min: Duration,
    /// … and the maximum.
    pub slow_retry_max: Duration,
    /// The minimum wait before a refused channel is tried again, …
    pub refused_retry_min: Duration,
    /// … and the maximum.
    pub refused_retry_max: Duration,
    /// For closing the connection.
    pub close_timeout: Duration,
    /// A larger frame ends the connection.
    pub frame_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            handshake_timeout: Duration::from_secs(10),
            auth_timeout: Duration::from_secs(10),
            renewal_timeout: Duration::from_secs(30),
            subscribe_timeout: Duration::from_secs(10),
            auths_at_a_time_max: 4,
            auth_spacing: Duration::from_millis(100),
            ping_idle_max: Duration::from_secs(30),
            ping_interval_max: Duration::from_secs(60),
            pong_timeout: Duration::from_secs(20),
            stall_max: Duration::from_secs(120),
            healthy_after: Duration::from_secs(60),
            retry_min: Duration::from_secs(1),
            retry_max: Duration::from_secs(60),
            slow_retry_min: Duration::from_secs(60),
            slow_retry_max: Duration::from_secs(600),
            refused_retry_min: Duration::from_secs(30),
            refused_retry_max: Duration::from_secs(600),
            close_timeout: Duration::from_secs(2),
            frame_bytes_max: 16 * 1024 * 1024,
        }
    }
}
