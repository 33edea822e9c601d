//! The parts of ChatApp together: the account, the session, the spool, the books, and the way from the spool to Kafka.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::chatapp::account::Account;
use crate::chatapp::api::Api;
use crate::chatapp::hear::intake::{Ears, Intake};
use crate::chatapp::hear::ledger::Ledger;
use crate::chatapp::hear::standing::Marks;
use crate::chatapp::keep::drain::Drain;
use crate::chatapp::keep::spool::{self, Spool, SpoolError};
use crate::chatapp::keep::suspects::{self, Suspects};
use crate::chatapp::mend::backfill::Limits as FetchLimits;
use crate::chatapp::mend::keeper::{Care, Desk, Keepers};
use crate::chatapp::overview::Overview;
use crate::chatapp::tokens::{TokenFile, Tokens, UnreadableTokens};
use crate::config;
use crate::core::bridge::Bridge;
use crate::core::publish::Publisher;
use crate::redact::Redactor;
use crate::supervisor::supervise;
use crate::watch::telemetry::chatapp::ChatAppTelemetry;
use crate::watch::telemetry::metrics::Metrics;
use chatbridge_base::clock::{Clock, Reading};
use chatbridge_base::retry::Backoff;
use chatbridge_pusher::{Client, Limits, Link, LinkError, Reconnect};

/// The time between two checks for new channels of the account.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(1800);
/// The wait after a check that failed, …
const DISCOVERY_RETRY_MIN: Duration = Duration::from_secs(2);
/// … up to this.
const DISCOVERY_RETRY_MAX: Duration = Duration::from_secs(120);

/// Why ChatApp cannot be received.
#[derive(Debug, thiserror::Error)]
pub enum ChatAppError {
    /// The state directory cannot be used.
    #[error("{path}: {error}; chatapp.state_dir has to be a directory that this user may write to")]
    StateDir {
        /// The directory.
        path: PathBuf,
        /// The cause.
        error: io::Error,
    },
    /// The spool cannot be used.
    #[error("{0}; look at chatapp.state_dir, and whether another chatbridge uses it")]
    Spool(#[from] SpoolError),
    /// The tokens cannot be read.
    #[error(transparent)]
    Tokens(#[from] UnreadableTokens),
    /// The socket's URL is wrong, or TLS cannot be set up.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// TLS towards the API cannot be set up.
    #[error("failed to make the HTTP client (are the system's root certificates installed?): {0}")]
    Http(#[from] reqwest::Error),
}

/// One account at ChatApp.
pub(super) struct ChatApp {
    parts: Arc<Parts>,
    suspects: Arc<Suspects>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

struct Parts {
    channels: Vec<String>,
    link: Link,
    limits: Limits,
    reconnect: Reconnect,
    desk: Desk<Account>,
}

impl ChatApp {
    /// Opens the state on disk. Nothing is received yet. Everything ends with `stop`.
    pub(super) async fn open(
        config: &config::ChatApp,
        redactor: &Redactor,
        metrics: &Arc<Metrics>,
        stop: CancellationToken,
    ) -> Result<Self, ChatAppError> {
        let limits = Limits::default();
        let link = Link::new(&config.socket_url, &config.app_key, None, &limits)?;
        let api = super::chatapp_api(config, redactor)?;
        let opening = config.clone();
        let opened = tokio::task::spawn_blocking(move || open_state(&opening, api)).await;
        let OnDisk { spool, suspects, tokens, api } = opened.unwrap_or_else(|_panicked| {
            let error = io::Error::other("opening what lies there panicked (the panic is logged above)");
            Err(ChatAppError::StateDir { path: config.state_dir.clone(), error })
        })?;
        let telemetry = Arc::new(ChatAppTelemetry::new(Arc::clone(metrics)));
        let reconnect = Reconnect::default();
        let care = Care {
            backfill: config.backfill,
            reconcile_interval: config.reconcile_interval.filter(|_| config.backfill),
            overlap: SignedDuration::try_from(config.gap_overlap).unwrap_or(SignedDuration::MAX),
            limits: FetchLimits::default(),
        };
        let desk = Desk {
            ledger: Arc::new(Ledger::new(Clock::of_this_machine(), reconnect.clone(), Arc::clone(&telemetry))),
            intake: Arc::new(Intake::new(spool.clone(), Arc::clone(&telemetry))),
            history: Arc::new(Account::new(api, tokens)),
            spool,
            care,
            telemetry,
        };
        let parts = Parts { channels: config.channels.clone(), link, limits, reconnect, desk };
        Ok(Self { parts: Arc::new(parts), suspects: Arc::new(suspects), tasks: JoinSet::new(), stop })
    }

    pub(super) fn telemetry(&self) -> Arc<ChatAppTelemetry> {
        Arc::clone(&self.parts.desk.telemetry)
    }

    pub(super) fn overview(&self) -> Arc<Overview> {
        let Desk { telemetry, history, spool, .. } = &self.parts.desk;
        Arc::new(Overview { telemetry: Arc::clone(telemetry), account: Arc::clone(history), spool: spool.clone() })
    }

    pub(super) fn spool(&self) -> Spool {
        self.parts.desk.spool.clone()
    }

    /// Takes in ChatApp's webhook calls.
    pub(super) fn intake(&self) -> Arc<Intake> {
        Arc::clone(&self.parts.desk.intake)
    }

    /// Starts receiving, whether or not Kafka is reachable: events go to disk first.
    pub(super) fn receive(&mut self) {
        let (account, stop) = (Arc::clone(&self.parts.desk.history), self.stop.clone());
        self.supervised("the renewal of ChatApp's tokens", move || {
            let (account, stop) = (Arc::clone(&account), stop.clone());
            async move {
                let _ = stop.run_until_cancelled(account.keep_up()).await;
            }
        });
        let (parts, stop) = (Arc::clone(&self.parts), self.stop.clone());
        self.supervised("the session with ChatApp", move || Arc::clone(&parts).listen(stop.clone()));
    }

    /// Starts delivering.
    pub(super) fn deliver<P: Publisher + 'static>(&mut self, bridge: Arc<Bridge<P>>) {
        let Desk { spool, ledger, telemetry, .. } = &self.parts.desk;
        let (ledger, telemetry) = (Arc::clone(ledger), Arc::clone(telemetry));
        let (spool, suspects) = (spool.clone(), Arc::clone(&self.suspects));
        let drain = Arc::new(Drain { spool, suspects, bridge, ledger, telemetry });
        let stop = self.stop.clone();
        self.supervised("the delivery of ChatApp's events", move || {
            let (drain, stop) = (Arc::clone(&drain), stop.clone());
            async move { drain.run(stop).await }
        });
    }

    /// Returns when everything has ended.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Aborts at once: what was not delivered is on disk.
    pub(super) async fn abort(&mut self) {
        self.tasks.shutdown().await;
    }

    /// How many parts have not ended.
    pub(super) fn busy(&self) -> usize {
        self.tasks.len()
    }

    fn supervised<F, T>(&mut self, what: &'static str, start: F)
    where
        F: Fn() -> T + Send + 'static,
        T: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let panicked = |restart_in: Duration| {
                error!(
                    restart_ms = restart_in.as_millis() as u64,
                    "{what} panicked (the panic is logged above); it is started again, what was received is on disk"
                );
            };
            supervise(panicked, stop, start).await;
        });
    }
}

impl Parts {
    /// Listens to every channel and keeps its state.
    async fn listen(self: Arc<Self>, stop: CancellationToken) {
        let Some(mut channels) = stop.run_until_cancelled(self.channels()).await else { return };
        let mut keepers = Keepers::new(stop.clone());
        let ears = Arc::new(Ears::new(Arc::clone(&self.desk.intake), Arc::clone(&self.desk.ledger)));
        loop {
            for name in &channels {
                self.look_after(name, &mut keepers).await;
            }
            let leave = stop.child_token();
            let session = self.client(channels.clone(), &ears).run(leave.clone());
            tokio::pin!(session);
            let further = tokio::select! {
                () = &mut session => break,
                further = self.further(&channels) => further,
            };
            info!(channels = further.join(", "), "ChatApp has channels that were not there before: connecting anew");
            leave.cancel();
            session.await;
            channels.extend(further);
        }
        // Events that were read are on disk before this process ends. Later ones belong to the gap that the next start
        // finds.
        ears.level().await;
        keepers.ended().await;
    }

    fn client(&self, channels: Vec<String>, ears: &Arc<Ears>) -> Client<Account, Ears, Ears> {
        Client {
            link: self.link.clone(),
            channels,
            limits: self.limits.clone(),
            authorizer: Arc::clone(&self.desk.history),
            sink: Arc::clone(ears),
            observer: Arc::clone(ears),
            reconnect: self.reconnect.clone(),
        }
    }

    /// The channels to listen to: the configured ones, or all that ChatApp names, as soon as it answers.
    async fn channels(&self) -> Vec<String> {
        if !self.channels.is_empty() {
            return self.channels.clone();
        }
        let mut backoff = Backoff::new(DISCOVERY_RETRY_MIN, DISCOVERY_RETRY_MAX);
        loop {
            let why = match self.desk.history.channels().await {
                Ok(channels) if !channels.is_empty() => {
                    info!(channels = channels.join(", "), "these channels are to be heard");
                    return channels;
                }
                Ok(_) => "the account has none; name them in chatapp.channels".to_owned(),
                Err(failure) => failure.to_string(),
            };
            let wait = backoff.next_at_least(DISCOVERY_RETRY_MIN, fastrand::f64());
            warn!(why, retry_seconds = wait.as_secs(), "ChatApp's channels are not known yet, so nothing is heard");
            sleep(wait).await;
        }
    }

    /// Returns when there are new channels. Never returns if the channels are configured.
    async fn further(&self, known: &[String]) -> Vec<String> {
        if !self.channels.is_empty() {
            return std::future::pending().await;
        }
        let (mut pause, mut backoff) = (DISCOVERY_INTERVAL, Backoff::new(DISCOVERY_RETRY_MIN, DISCOVERY_RETRY_MAX));
        loop {
            sleep(pause).await;
            // Other users of the account report the failure.
            let Ok(found) = self.desk.history.channels().await else {
                pause = backoff.next_at_least(DISCOVERY_RETRY_MIN, fastrand::f64());
                continue;
            };
            pause = DISCOVERY_INTERVAL;
            backoff.reset();
            let further: Vec<String> = found.into_iter().filter(|name| !known.contains(name)).collect();
            if !further.is_empty() {
                return further;
            }
        }
    }

    /// The state that an earlier run left, or `None` if the channel is heard for the first time.
    ///
    /// That the channel is ours is written down before any event can come: a crash right after this must find the gap.
    async fn marks(&self, name: &str) -> Result<Option<Marks>, SpoolError> {
        let marks = self.desk.spool.kept(name).await?;
        if marks.is_none() {
            let clock = self.desk.ledger.clock();
            self.desk.spool.keep(name, &Marks::first(clock.boot(), clock.now())).await?;
        }
        Ok(marks)
    }

    async fn look_after(&self, name: &str, keepers: &mut Keepers) {
        if keepers.has(name) {
            return;
        }
        let marks = loop {
            match self.marks(name).await {
                Ok(marks) => break marks,
                Err(failure) => error!(%failure, "how far a channel was heard is not known: tried again"),
            }
            sleep(DISCOVERY_RETRY_MIN).await;
        };
        self.desk.ledger.expect(name, marks);
        keepers.look_after(name, &self.desk);
    }
}

/// The spool, the tokens, and the API that renews them.
struct OnDisk {
    spool: Spool,
    suspects: Suspects,
    tokens: Tokens<Arc<Api>>,
    api: Arc<Api>,
}

/// Opens the state on disk.
fn open_state(config: &config::ChatApp, api: Arc<Api>) -> Result<OnDisk, ChatAppError> {
    make_folder(&config.state_dir).map_err(|error| ChatAppError::StateDir { path: config.state_dir.clone(), error })?;
    if fs::metadata(&config.state_dir).is_ok_and(|folder| folder.mode() & 0o002 != 0) {
        warn!(
            state_dir = %config.state_dir.display(),
            "everybody may write to chatapp.state_dir, and could take the spool away: take that right from them (chmod o-w)"
        );
    }
    let spool = Spool::open(&config.state_dir.join(spool::FILE_NAME), config.spool_bytes_max)?;
    let suspects = Suspects::open(&config.state_dir.join(suspects::FILE_NAME), |frame| spool.holds(frame));
    let tokens = Tokens::open(Arc::clone(&api), TokenFile::of(config), config, Reading::now)?;
    Ok(OnDisk { spool, suspects, tokens, api })
}

/// Creates a folder that only this user can read, if it is missing.
fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}
