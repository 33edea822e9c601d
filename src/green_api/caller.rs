//! The name that the account knows a caller by, looked up at GREEN-API beside the delivery loop.
//!
//! A name is optional, so it must never hold up the queue. One lookup takes at most [`LOOKUP_MAX`], including the wait
//! for its turn, and after a failure there are no lookups for a while. If the name is not known in time, the call is
//! published without it. The event's id depends on the notification alone, so a repeat is recognised with or without
//! the name. Names are personal: none is logged or used as a label.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::Instant;
use tracing::warn;

use crate::green_api::queue::QueueError;
use crate::watch::telemetry::InstanceTelemetry;
use chatbridge_base::retry::Backoff;
use chatbridge_event::event::{ChatId, ChatType, InstanceId};

/// The most a lookup may delay its call.
pub const LOOKUP_MAX: Duration = Duration::from_secs(2);
/// getContactInfo may be called once a second. Counted from the answer, so that requests cannot bunch up on their way.
const BETWEEN_REQUESTS: Duration = Duration::from_secs(1);
/// After a failure there are no lookups for at least this long, …
const FAILURE_PAUSE_MIN: Duration = Duration::from_secs(2);
/// … and for up to this long after many failures in a row. Otherwise a method that hangs would cost each call two
/// seconds.
const FAILURE_PAUSE_MAX: Duration = Duration::from_secs(60);
/// A renamed contact shows within this time.
const CACHE_TTL: Duration = Duration::from_secs(60 * 60);
/// Callers remembered over all instances: about 20 MB at most.
const CACHED_CALLERS_MAX: u64 = 100_000;
/// Longer names are cut: a name is one line in a chat list.
const NAME_CHARS_MAX: usize = 128;

/// Knows callers by name.
pub trait CallerNames: Send + Sync + 'static {
    /// The caller's name, if it is known in time. Returns within [`LOOKUP_MAX`].
    fn name_of(&self, caller: &ChatId) -> impl Future<Output = Option<String>> + Send;
}

/// Knows no names: used for `calls.caller_lookup = false`.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl CallerNames for Nobody {
    async fn name_of(&self, _caller: &ChatId) -> Option<String> {
        None
    }
}

impl<N: CallerNames> CallerNames for Option<N> {
    async fn name_of(&self, caller: &ChatId) -> Option<String> {
        match self {
            Some(names) => names.name_of(caller).await,
            None => None,
        }
    }
}

/// Where names are looked up: GREEN-API's getContactInfo.
pub trait ContactDirectory: Send + Sync + 'static {
    /// The contact's name, or `None` if it has none or is no contact.
    fn contact_name(&self, chat: &ChatId) -> impl Future<Output = Result<Option<String>, QueueError>> + Send;
}

impl<D: ContactDirectory> ContactDirectory for Arc<D> {
    fn contact_name(&self, chat: &ChatId) -> impl Future<Output = Result<Option<String>, QueueError>> + Send {
        D::contact_name(self, chat)
    }
}

/// Names that were looked up, shared by all instances so that their memory has one limit. Each instance has its own
/// phone book, so each has its own entries.
#[derive(Clone)]
pub struct CallerCache {
    names: Cache<(InstanceId, ChatId), Option<Arc<str>>>,
}

impl Default for CallerCache {
    fn default() -> Self {
        Self { names: Cache::builder().max_capacity(CACHED_CALLERS_MAX).time_to_live(CACHE_TTL).build() }
    }
}

/// The result of a lookup: the metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookupOutcome {
    /// GREEN-API knew the name.
    Found,
    /// GREEN-API knew no name.
    Nameless,
    /// It was looked up before, with or without a name.
    Cached,
    /// The request failed.
    Failed,
    /// No answer in time.
    TimedOut,
    /// Not looked up: the last request was less than a second ago, or failed less than a minute ago.
    Paused,
}

impl LookupOutcome {
    /// The metric's label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Found => "found",
            Self::Nameless => "nameless",
            Self::Cached => "cached",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Paused => "paused",
        }
    }
}

/// One instance's lookups.
pub struct CallerLookup<D> {
    directory: D,
    cache: CallerCache,
    telemetry: Arc<InstanceTelemetry>,
    turn: Mutex<Turn>,
}

/// When the next question may be asked.
struct Turn {
    from: Instant,
    failures: Backoff,
}

impl<D: ContactDirectory> CallerLookup<D> {
    /// Lookups of one instance in `directory`.
    pub fn new(directory: D, cache: CallerCache, telemetry: Arc<InstanceTelemetry>) -> Self {
        let failures = Backoff::new(FAILURE_PAUSE_MIN, FAILURE_PAUSE_MAX);
        let turn = Mutex::new(Turn { from: Instant::now(), failures });
        Self { directory, cache, telemetry, turn }
    }

    async fn ask(&self, caller: &ChatId) -> (Option<Arc<str>>, LookupOutcome) {
        // Do not wait for a turn: a name is not worth delaying the queue behind the call.
        if Instant::now() < self.turn().from {
            return (None, LookupOutcome::Paused);
        }
        let answer = tokio::time::timeout(LOOKUP_MAX, self.directory.contact_name(caller)).await;
        let pause = self.turn().ends(matches!(answer, Ok(Ok(_))));
        match answer {
            Ok(Ok(Some(name))) => (Some(shortened(&name).into()), LookupOutcome::Found),
            Ok(Ok(None)) => (None, LookupOutcome::Nameless),
            Ok(Err(failure)) => {
                // The failure's message may quote the request, and with it the caller's number.
                self.complain(failure.class(), pause);
                (None, LookupOutcome::Failed)
            }
            Err(_) => {
                self.complain("timeout", pause);
                (None, LookupOutcome::TimedOut)
            }
        }
    }

    fn complain(&self, class: &'static str, pause: Duration) {
        warn!(
            instance = %self.telemetry.instance(), class,
            "a caller's name could not be looked up; calls are published without names for {} s (getContactInfo: try it \
             by hand, or set calls.caller_lookup = false)", pause.as_secs()
        );
    }

    fn turn(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock()
    }
}

impl Turn {
    /// Ends a turn. Returns how long there are no lookups now.
    fn ends(&mut self, well: bool) -> Duration {
        let pause = if well {
            self.failures.reset();
            BETWEEN_REQUESTS
        } else {
            self.failures.next_at_least(FAILURE_PAUSE_MIN, fastrand::f64()).min(FAILURE_PAUSE_MAX)
        };
        self.from = Instant::now() + pause;
        pause
    }
}

impl<D: ContactDirectory> CallerNames for CallerLookup<D> {
    async fn name_of(&self, caller: &ChatId) -> Option<String> {
        // getContactInfo does not know groups.
        if caller.chat_type() == Some(ChatType::Group) {
            return None;
        }
        let key = (self.telemetry.instance(), caller.clone());
        let (name, outcome) = match self.cache.names.get(&key) {
            Some(known) => (known, LookupOutcome::Cached),
            None => self.ask(caller).await,
        };
        if matches!(outcome, LookupOutcome::Found | LookupOutcome::Nameless) {
            self.cache.names.insert(key, name.clone());
        }
        self.telemetry.caller_looked_up(outcome.as_str());
        name.map(|name| name.as_ref().to_owned())
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests;
