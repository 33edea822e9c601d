//! The file descriptors of this process: how many are allowed, and whether they have run out.
//!
//! Every connection and every open file takes one. Delivery comes first; the listeners get what is left (`budget`).

use std::fs::File;
use std::io;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use prometheus::IntGauge;
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use serde_with::skip_serializing_none;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub mod budget;

/// How often to check whether a descriptor is free.
const TRY: Duration = Duration::from_secs(1);
/// If descriptors were free for this long, the shortage is over. Before that they may come and go.
const OVER: Duration = Duration::from_secs(60);
/// More than enough. Some systems allow a thousand million.
const RAISED_TO_MAX: u64 = 1 << 20;

/// Raises the limit of open files to the highest the system allows. Returns the new limit, if there is one.
#[must_use]
pub fn raise_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let most = maximum.unwrap_or(RAISED_TO_MAX).min(RAISED_TO_MAX);
    let now = current?;
    if now >= most {
        return current;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum }) {
        Ok(()) => Some(most),
        // A sandbox may forbid this. Then the limit stays as it is.
        Err(_) => current,
    }
}

/// Whose limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exhausted {
    /// This process's own.
    Process,
    /// The whole machine's.
    Machine,
}

impl Exhausted {
    fn of(error: &io::Error) -> Option<Self> {
        match Errno::from_io_error(error)? {
            Errno::MFILE => Some(Self::Process),
            Errno::NFILE => Some(Self::Machine),
            _ => None,
        }
    }

    fn fix(self) -> &'static str {
        match self {
            Self::Process => {
                "raise the limit of open files: LimitNOFILE= of the systemd unit, `ulimit -n` elsewhere; or lower \
                 connections_max of [admin] and [webhook]"
            }
            Self::Machine => {
                "the machine as a whole has too many open files: raise the sysctl fs.file-max, or look who \
                              holds them"
            }
        }
    }
}

/// What `/status` shows of the file descriptors.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DescriptorsView {
    /// How many there may be; absent where there is no limit.
    pub limit: Option<u64>,
    /// Whose limit was reached, if one was within the last minute.
    pub exhausted: Option<Exhausted>,
    /// Since when they lack.
    pub exhausted_seconds: Option<u64>,
    /// What to do about it.
    pub fix: Option<&'static str>,
}

/// A shortage of descriptors.
#[derive(Debug, Clone, Copy)]
struct Episode {
    whose: Exhausted,
    began: Instant,
    last: Instant,
}

/// Knows whether file descriptors have run out, whoever noticed it.
pub struct Descriptors {
    limit: Option<u64>,
    episode: Mutex<Option<Episode>>,
    /// 1 while they have run out.
    gauge: IntGauge,
}

impl Descriptors {
    /// `limit` is the limit of open files; `gauge` is 1 while descriptors have run out.
    #[must_use]
    pub fn new(limit: Option<u64>, gauge: IntGauge) -> Self {
        Self { limit, episode: Mutex::default(), gauge }
    }

    /// Whether this error means that descriptors have run out. If so, this is logged, once per shortage.
    pub fn ran_out(&self, error: &io::Error) -> bool {
        let Some(whose) = Exhausted::of(error) else { return false };
        let now = Instant::now();
        let mut episode = self.episode();
        match &mut *episode {
            Some(episode) => (episode.whose, episode.last) = (whose, now),
            None => {
                *episode = Some(Episode { whose, began: now, last: now });
                self.gauge.set(1);
                warn!(
                    limit = self.limit,
                    fix = whose.fix(),
                    "file descriptors have run out: new connections, to GREEN-API and Kafka as well, fail until some are \
                     free"
                );
            }
        }
        true
    }

    /// Checks regularly whether a descriptor is free, until `stop`: libraries that find none do not report it here.
    pub async fn watch(&self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(TRY)).await.is_some() {
            // A folder that always exists. Whether it may be read does not matter: the descriptor is allocated first.
            if let Err(error) = File::open("/") {
                self.ran_out(&error);
            }
            self.is_it_over();
        }
    }

    fn is_it_over(&self) {
        let mut episode = self.episode();
        if let Some(Episode { began, last, .. }) = *episode
            && last.elapsed() >= OVER
        {
            info!(lacking_seconds = (last - began).as_secs(), "there are file descriptors again");
            self.gauge.set(0);
            *episode = None;
        }
    }

    /// The current state.
    #[must_use]
    pub fn view(&self) -> DescriptorsView {
        let episode = *self.episode();
        DescriptorsView {
            limit: self.limit,
            exhausted: episode.map(|episode| episode.whose),
            exhausted_seconds: episode.map(|episode| episode.began.elapsed().as_secs()),
            fix: episode.map(|episode| episode.whose.fix()),
        }
    }

    fn episode(&self) -> MutexGuard<'_, Option<Episode>> {
        self.episode.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.raw_os_error())
    }

    #[tokio::test(start_paused = true)]
    async fn an_episode_lasts_until_nothing_lacked_for_a_minute() {
        let descriptors = Descriptors::new(Some(64), IntGauge::new("exhausted", "test").expect("a name"));
        assert!(!descriptors.ran_out(&error(Errno::CONNABORTED)));
        assert_eq!(descriptors.view().exhausted, None);
        for (errno, whose) in [(Errno::MFILE, Exhausted::Process), (Errno::NFILE, Exhausted::Machine)] {
            assert!(descriptors.ran_out(&error(errno)));
            assert_eq!(descriptors.view().exhausted, Some(whose));
            tokio::time::advance(OVER - Duration::from_secs(1)).await;
            descriptors.is_it_over();
        }
        assert_eq!(descriptors.view().exhausted_seconds, Some(118), "one episode, from the first to now");
        tokio::time::advance(Duration::from_secs(1)).await;
        descriptors.is_it_over();
        assert_eq!(
            descriptors.view(),
            DescriptorsView { limit: Some(64), exhausted: None, exhausted_seconds: None, fix: None }
        );
    }
}
