//! Up to when each channel was heard, and which gaps it has. It observes the session and wakes the tasks that tell and
//! fill gaps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tracing::{debug, error, info, warn};

use super::standing::{Marks, Standing, Unfetched, Unheard};
use crate::watch::telemetry::chatapp::{ChannelState, ChatAppTelemetry};
use chatbridge_base::clock::{Clock, Reading};
use chatbridge_event::event::{Channel, GapReason};
use chatbridge_pusher::{Cause, Observer, Reconnect, Report, Rule};

/// The state of all channels of one account.
pub struct Ledger {
    channels: Mutex<BTreeMap<String, Arc<Entry>>>,
    clock: Clock,
    reconnect: Reconnect,
    telemetry: Arc<ChatAppTelemetry>,
}

/// The state of one channel.
pub(crate) struct Entry {
    standing: Mutex<Standing>,
    /// There is a gap to tell or to fetch.
    changed: Notify,
}

impl Ledger {
    /// An empty ledger that uses `clock`. `reconnect` is asked for a new connection when a subscription seems to have
    /// ended silently.
    #[must_use]
    pub fn new(clock: Clock, reconnect: Reconnect, telemetry: Arc<ChatAppTelemetry>) -> Self {
        Self { channels: Mutex::default(), clock, reconnect, telemetry }
    }

    /// The clock this ledger uses.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Adds a channel with the marks of an earlier run; `None`: it was never heard.
    pub fn expect(&self, channel: &str, marks: Option<Marks>) {
        let new = || {
            let standing = Standing::resumed(marks, self.clock.boot(), self.clock.now());
            Arc::new(Entry { standing: Mutex::new(standing), changed: Notify::new() })
        };
        self.channels().entry(channel.to_owned()).or_insert_with(new);
    }

    /// A message of that channel and time was never pushed, although the channel was subscribed.
    pub fn missed(&self, channel: Option<&Channel>, time: Option<Timestamp>) {
        let (Some(name), Some(time)) = (channel.and_then(Channel::name), time) else { return };
        let Some(entry) = self.entry(&name) else { return };
        let is_silent = entry.standing().missed(time, self.clock.now());
        if is_silent {
            warn!(channel = name, %time, "ChatApp did not push a message of a subscribed channel, nor anything since: it is subscribed anew");
            self.reconnect.ask();
        } else {
            debug!(channel = name, %time, "a message was never pushed, and was found by looking");
        }
    }

    pub(crate) fn entry(&self, channel: &str) -> Option<Arc<Entry>> {
        self.channels().get(channel).cloned()
    }

    /// An event was pushed on a channel.
    pub(crate) fn pushed(&self, channel: &str) {
        if let Some(entry) = self.entry(channel) {
            entry.standing().pushed(self.clock.now());
        }
    }

    fn channels(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Entry>>> {
        self.channels.lock()
    }

    fn state(&self, channel: &str, state: ChannelState, at: Timestamp) {
        self.telemetry.of(Channel::from_name(channel).as_ref()).is(state, at);
    }

    fn lost(&self, channel: &str, reason: GapReason) {
        if let Some(entry) = self.entry(channel) {
            entry.standing().lost(reason);
        }
    }
}

impl Entry {
    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock()
    }

    /// Returns when there is a gap to tell.
    pub(crate) async fn unheard(&self) -> Unheard {
        self.until(Standing::unheard).await
    }

    /// Returns when there is a gap whose messages are to be fetched.
    pub(crate) async fn unfetched(&self) -> Unfetched {
        self.until(Standing::unfetched).await
    }

    /// A gap was told; see [`Standing::told`].
    pub(crate) fn told(&self, gap: Unheard, now: Reading, is_to_be_fetched: bool) {
        self.standing().told(gap, now, is_to_be_fetched);
        self.changed.notify_waiters();
    }

    /// See [`Standing::look_at_clock`].
    pub(crate) fn look_at_clock(&self, now: Reading) -> bool {
        let has_more_to_do = self.standing().look_at_clock(now);
        if has_more_to_do {
            self.changed.notify_waiters();
        }
        has_more_to_do
    }

    async fn until<T>(&self, wanted: impl Fn(&Standing) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            if let Some(wanted) = wanted(&self.standing()) {
                return wanted;
            }
            changed.await;
        }
    }
}

impl Observer for Ledger {
    fn heard(&self, at: Reading) {
        for entry in self.channels().values() {
            entry.standing().heard(at);
        }
    }

    fn reported(&self, report: &Report, at: Reading) {
        match report {
            Report::Connecting => debug!("connecting to ChatApp's Pusher server"),
            Report::Established { .. } => {
                self.telemetry.connected(at.wall);
                info!("connected to ChatApp's Pusher server");
            }
            Report::Live { channel } => {
                self.state(channel, ChannelState::Subscribed, at.wall);
                info!(channel, "subscribed");
                if let Some(entry) = self.entry(channel) {
                    entry.standing().live(at);
                    entry.changed.notify_waiters();
                }
            }
            Report::Lost { channel } => {
                self.state(channel, ChannelState::Waiting, at.wall);
                self.lost(channel, GapReason::Disconnected);
            }
            Report::Refused { channel, refusal, retry_in } => {
                self.state(channel, ChannelState::Refused, at.wall);
                self.lost(channel, GapReason::Refused);
                self.telemetry.of(Channel::from_name(channel).as_ref()).failed("refused", &refusal.to_string());
                warn!(
                    channel, %refusal, retry_seconds = retry_in.as_secs(),
                    "a channel cannot be subscribed; the others are not touched"
                );
            }
            Report::Disconnected { cause, rule, retry_in } => self.disconnected(cause, *rule, *retry_in),
            Report::TokenRefused => warn!("ChatApp does not take the access token; a new one is asked for"),
            Report::ServerError(failure) => {
                warn!(code = failure.code, message = failure.message, "ChatApp's Pusher server reports an error");
            }
            Report::UnknownFrame { event } => debug!(event, "the Pusher server said something unknown"),
            Report::Stalled { lasting } => warn!(
                seconds = lasting.as_secs(),
                "the spool takes nothing, so nothing is read of ChatApp: see whether Kafka takes records and the disk has room"
            ),
            Report::Stopped => self.telemetry.stopped(),
        }
    }
}

impl Ledger {
    fn disconnected(&self, cause: &Cause, rule: Rule, retry_in: Duration) {
        self.telemetry.disconnected(cause.class(), cause.code(), cause.to_string());
        let retry_ms = u64::try_from(retry_in.as_millis()).unwrap_or(u64::MAX);
        if rule == Rule::Slow {
            error!(%cause, retry_ms, "no connection to ChatApp's Pusher server, and none before somebody acts: see the cause");
        } else {
            warn!(%cause, retry_ms, "no connection to ChatApp's Pusher server");
        }
    }
}
