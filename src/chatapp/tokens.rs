//! ChatApp's tokens: an accessToken that is good whenever somebody asks for one.
//!
//! A new pair is durable before it is used, for the refreshToken that made it may be worth nothing afterwards. One is
//! made at a time, by a task that nobody's impatience can drop between ChatApp's answer and the disk. Logins keep their
//! distance across restarts, since a hundred a day is all there are.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use secrecy::SecretString;
use tracing::{error, info, warn};

use super::api::{ApiError, Granted};
use crate::config::{ChatApp, Login};
use chatbridge_base::clock::Reading;
use chatbridge_base::retry::Backoff;

mod borrowed;
mod endpoint;
mod file;
mod state;

pub use borrowed::Borrowed;
pub use endpoint::TokenEndpoint;
pub use file::{FILE_NAME, TokenFile, TokenStore};
use state::{Circumstances, Logins, Pair, REFRESH_BEFORE, Refreshing, State, Step, next_step};

/// How often [`Tokens::keep_up`] looks.
const KEEP_UP_INTERVAL: Duration = Duration::from_secs(60);
/// The least wait after ChatApp did not answer, …
const AWAY_MIN: Duration = Duration::from_secs(1);
/// … and what more there may be.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// The least wait after a refreshToken was refused, where there is no login, …
const REFUSED_MIN: Duration = Duration::from_secs(5);
/// … and what more there may be. Refusals may come of ChatApp's own trouble, and asking costs nothing.
const REFUSED_MAX: Duration = Duration::from_secs(15 * 60);
/// What more there may be after a login that got no answer. Should ChatApp count such logins after all, there may be a
/// hundred a day: so many take eight hours.
const LOGIN_AWAY_MAX: Duration = Duration::from_secs(5 * 60);

/// An accessToken, and which of them it is.
#[derive(Debug, Clone)]
pub struct AccessToken {
    text: SecretString,
    generation: u64,
}

impl AccessToken {
    /// What requests carry.
    #[must_use]
    pub fn text(&self) -> &SecretString {
        &self.text
    }
}

/// Why there is no accessToken, by what comes next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Ask again then; before, nothing is tried.
    #[error("no token for the next {} s: {why}", wait.as_secs())]
    Waiting {
        /// For how long.
        wait: Duration,
        /// What happened, and what could be done about it.
        why: String,
    },
    /// Somebody has to act: there is nothing that could be tried.
    #[error("{0}")]
    NeedsOperator(String),
    /// There is a new pair, and it cannot be written down; it is tried again whenever somebody asks.
    #[error("{place} cannot be written, and tokens are not used before they are safe: {detail}")]
    NotStored {
        /// Where they belong.
        place: String,
        /// What the disk says.
        detail: String,
    },
}

/// The file of tokens cannot be read: look at the directory and its rights, or at the key that it is sealed with.
#[derive(Debug, thiserror::Error)]
#[error("{place} cannot be read: {error}; look at chatapp.state_dir, its rights, and chatapp.seal_key_file")]
pub struct UnreadableTokens {
    place: String,
    error: io::Error,
}

/// How the tokens are, for those who watch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenView {
    /// Until when the accessToken counts, where that is known.
    pub access_ends: Option<Timestamp>,
    /// Until when the refreshToken does.
    pub refresh_ends: Option<Timestamp>,
    /// The user of the personal cabinet, where ChatApp told it.
    pub cabinet_user: Option<String>,
    /// What went wrong last; `None` since a pair was made.
    pub trouble: Option<String>,
}

/// The tokens of one account. Clones are the same ones.
pub struct Tokens<E> {
    inner: Arc<Inner<E>>,
}

type Clock = Box<dyn Fn() -> Reading + Send + Sync>;

struct Inner<E> {
    endpoint: E,
    store: Arc<dyn TokenStore>,
    login: Option<Login>,
    origin: String,
    clock: Clock,
    /// What everybody sees.
    shown: Mutex<Shown>,
    /// Whoever holds it makes the next pair.
    work: tokio::sync::Mutex<Work>,
}

struct Shown {
    state: State,
    generation: u64,
    trouble: Option<String>,
}

struct Work {
    refreshing: Refreshing,
    /// No login before then, since the machine was started.
    login_paused_until: Option<SignedDuration>,
    /// A pair that was made and is not on disk yet.
    unstored: Option<State>,
    /// Waits after a ChatApp that was away, and after a refusal.
    away: Backoff,
    refused: Backoff,
    login_away: Backoff,
}

impl<E: TokenEndpoint> Tokens<E> {
    /// Takes up what `store` holds, or what `config` gives to begin with. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// Where it cannot be read. What is there but makes no sense counts as nothing, with a warning.
    pub fn open(
        endpoint: E,
        store: impl TokenStore,
        config: &ChatApp,
        clock: impl Fn() -> Reading + Send + Sync + 'static,
    ) -> Result<Self, UnreadableTokens> {
        let origin = state::origin(config);
        let bytes = store.load().map_err(|error| UnreadableTokens { place: store.place(), error })?;
        let read = bytes.map(|bytes| std::str::from_utf8(&bytes).ok().and_then(|text| State::from_json(text, &origin)));
        if matches!(read, Some(None)) {
            warn!(file = store.place(), "these are no tokens of this version, so they count as none");
        }
        let mut state = read.flatten().unwrap_or_default();
        if state.pair.is_none() {
            state.pair = Pair::given(config);
        }
        Ok(Self::with(state, endpoint, store, config.login.clone(), origin, clock))
    }

    fn with(
        state: State,
        endpoint: E,
        store: impl TokenStore,
        login: Option<Login>,
        origin: String,
        clock: impl Fn() -> Reading + Send + Sync + 'static,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                endpoint,
                store: Arc::new(store),
                login,
                origin,
                clock: Box::new(clock),
                shown: Mutex::new(Shown { state, generation: 0, trouble: None }),
                work: tokio::sync::Mutex::new(Work::new()),
            }),
        }
    }

    /// An accessToken that is good, as far as is known.
    ///
    /// # Errors
    /// [`TokenError`]; nothing is waited for but ChatApp's answer.
    pub async fn access(&self) -> Result<AccessToken, TokenError> {
        self.get(None).await
    }

    /// Another one than `refused`, which ChatApp did not take: the present one, where that is another, or a new one.
    ///
    /// # Errors
    /// [`TokenError`]
    pub async fn renewed(&self, refused: &AccessToken) -> Result<AccessToken, TokenError> {
        self.get(Some(refused.generation)).await
    }

    /// Keeps the pair alive though nobody asks for it; never returns.
    pub async fn keep_up(&self) {
        let mut told = None;
        loop {
            let (mut pause, mut trouble) = (KEEP_UP_INTERVAL, None);
            match self.access().await {
                Ok(_) => {}
                Err(TokenError::Waiting { wait, why }) => {
                    if told.as_ref() != Some(&why) {
                        warn!(retry_seconds = wait.as_secs(), "ChatApp: there is no token: {why}");
                    }
                    pause = pause.min(wait).max(AWAY_MIN);
                    trouble = Some(why);
                }
                Err(error) => {
                    let error = error.to_string();
                    if told.as_ref() != Some(&error) {
                        error!("ChatApp: {error}");
                    }
                    trouble = Some(error);
                }
            }
            told = trouble;
            tokio::time::sleep(pause).await;
        }
    }

    /// How they are.
    #[must_use]
    pub fn view(&self) -> TokenView {
        let shown = self.inner.shown();
        let pair = shown.state.pair.as_ref();
        TokenView {
            access_ends: pair.and_then(|pair| pair.access_ends),
            refresh_ends: pair.and_then(|pair| pair.refresh_ends),
            cabinet_user: pair.and_then(|pair| pair.cabinet_user.clone()),
            trouble: shown.trouble.clone(),
        }
    }

    async fn get(&self, refused: Option<u64>) -> Result<AccessToken, TokenError> {
        if let Some(token) = self.inner.at_hand(refused) {
            return Ok(token);
        }
        let inner = Arc::clone(&self.inner);
        // On its own: between ChatApp's answer and the disk it must not be dropped with whoever asked.
        match tokio::spawn(async move { inner.make(refused).await }).await {
            Ok(made) => made,
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            // The runtime ends, and whoever asked with it.
            Err(_) => std::future::pending().await,
        }
    }
}

impl<E: TokenEndpoint> Inner<E> {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock()
    }

    /// The present token, where nothing needs to be done, or somebody is doing it and there is time.
    fn at_hand(&self, refused: Option<u64>) -> Option<AccessToken> {
        let now = (self.clock)();
        let shown = self.shown();
        let pair = shown.state.pair.as_ref().filter(|_| refused != Some(shown.generation))?;
        let is_being_renewed = || pair.is_good_at(now) && self.work.try_lock().is_err();
        if !pair.is_good_for(REFRESH_BEFORE, now) && !is_being_renewed() {
            return None;
        }
        shown.token()
    }

    /// Does what is to be done until there is a token, or nothing left to do.
    async fn make(&self, refused: Option<u64>) -> Result<AccessToken, TokenError> {
        let mut work = self.work.lock().await;
        if let Some(state) = work.unstored.take()
            && let Err(error) = self.keep(&mut work, state, true).await
        {
            return self.good_enough(refused).ok_or(error);
        }
        loop {
            let now = (self.clock)();
            let (state, step) = {
                let shown = self.shown();
                let is_stale = refused == Some(shown.generation);
                let can_log_in = self.login.is_some();
                let Work { refreshing, login_paused_until, .. } = *work;
                let at = Circumstances { now, is_stale, refreshing, can_log_in, login_paused_until };
                (shown.state.clone(), next_step(&shown.state, at))
            };
            let made = match (step, &self.login, state.pair.as_ref().and_then(|pair| pair.refresh.as_ref())) {
                (Step::Use, ..) => {
                    let token = self.shown().token();
                    return token.ok_or_else(|| self.nothing());
                }
                (Step::Wait(wait), ..) => return Err(TokenError::Waiting { wait, why: self.why() }),
                (Step::Refresh, _, Some(refresh)) => {
                    let made = self.endpoint.refresh(refresh).await;
                    made.map_err(|error| self.refresh_failed(&mut work, &error))
                }
                (Step::LogIn, Some(login), _) => self.log_in(&mut work, login, &state, now).await?,
                _ => return Err(self.nothing()),
            };
            let Ok(granted) = made else { continue };
            *work = Work::new();
            let State { logins, pair } = self.shown().state.clone();
            let pair = Pair::granted(granted, pair.as_ref(), now);
            info!(until = ?pair.access_ends, "ChatApp: a new pair of tokens");
            if let Err(error) = self.keep(&mut work, State { pair: Some(pair), logins }, true).await {
                return self.good_enough(refused).ok_or(error);
            }
        }
    }

    /// `Ok` with nothing in it: it did not work, and has been told.
    async fn log_in(
        &self,
        work: &mut Work,
        login: &Login,
        before: &State,
        now: Reading,
    ) -> Result<Result<Granted, ()>, TokenError> {
        let mut counted = before.clone();
        counted.logins.one_more(now);
        self.count(work, counted.logins).await?;
        let error = match self.endpoint.log_in(login).await {
            Ok(granted) => return Ok(Ok(granted)),
            Err(error) => error,
        };
        self.login_failed(&error);
        // ChatApp has made no pair and refused none: that takes nothing from what it allows in a day.
        if let ApiError::RateLimited { .. } | ApiError::Unreachable { .. } = error {
            let wait = work.login_away.next_at_least(least(&error), fastrand::f64());
            work.login_paused_until = Some(self.up_in(wait));
            // A disk that does not take it back leaves it counted.
            let _ = self.count(work, before.logins).await;
        }
        Ok(Err(()))
    }

    /// Whatever else is kept stays.
    async fn count(&self, work: &mut Work, logins: Logins) -> Result<(), TokenError> {
        let state = State { logins, ..self.shown().state.clone() };
        let counted = self.keep(work, state, false).await;
        if counted.is_err() {
            work.unstored = None;
        }
        counted
    }

    /// Makes it durable, and only then the one that counts.
    async fn keep(&self, work: &mut Work, state: State, is_new_pair: bool) -> Result<(), TokenError> {
        let (store, text) = (Arc::clone(&self.store), state.to_json(&self.origin));
        let stored = tokio::task::spawn_blocking(move || store.store(&text))
            .await
            .unwrap_or_else(|failed| Err(io::Error::other(failed.to_string())));
        if let Err(error) = stored {
            work.unstored = Some(state);
            let error = TokenError::NotStored { place: self.store.place(), detail: error.to_string() };
            let before = self.shown().trouble.replace(error.to_string());
            if before != Some(error.to_string()) {
                error!("ChatApp: {error}");
            }
            return Err(error);
        }
        let mut shown = self.shown();
        shown.state = state;
        if is_new_pair {
            shown.generation += 1;
            shown.trouble = None;
        }
        Ok(())
    }

    /// The present token, though it should have been replaced.
    fn good_enough(&self, refused: Option<u64>) -> Option<AccessToken> {
        let now = (self.clock)();
        let shown = self.shown();
        let pair = shown.state.pair.as_ref().filter(|_| refused != Some(shown.generation))?;
        if pair.is_good_at(now) { shown.token() } else { None }
    }

    fn refresh_failed(&self, work: &mut Work, error: &ApiError) {
        let why = match error {
            ApiError::InvalidToken | ApiError::Refused { .. } => {
                let wait = work.refused.next_at_least(REFUSED_MIN, fastrand::f64()).min(REFUSED_MAX);
                work.refreshing = Refreshing::RefusedUntil(self.up_in(wait));
                format!("the refreshToken is refused ({error}){}", self.way_out())
            }
            ApiError::RateLimited { .. } | ApiError::Unreachable { .. } => {
                let wait = work.away.next_at_least(least(error), fastrand::f64());
                work.refreshing = Refreshing::PausedUntil(self.up_in(wait));
                format!("tokens cannot be renewed: {error}")
            }
        };
        warn!("ChatApp: {why}");
        self.shown().trouble = Some(why);
    }

    fn login_failed(&self, error: &ApiError) {
        let why = match error {
            ApiError::InvalidToken | ApiError::Refused { .. } => {
                format!("the login is refused ({error}): check chatapp.email, password and app_id")
            }
            ApiError::RateLimited { .. } | ApiError::Unreachable { .. } => format!("nobody could log in: {error}"),
        };
        warn!("ChatApp: {why}");
        self.shown().trouble = Some(why);
    }

    /// In so long, since the machine was started.
    fn up_in(&self, wait: Duration) -> SignedDuration {
        (self.clock)().up.saturating_add(wait.try_into().unwrap_or(SignedDuration::MAX))
    }

    fn why(&self) -> String {
        let before = "it has just been logged in, and ChatApp does not take the new token".to_owned();
        self.shown().trouble.clone().unwrap_or(before)
    }

    fn nothing(&self) -> TokenError {
        let why = format!("ChatApp's tokens have ended, and none can be made{}", self.way_out());
        self.shown().trouble = Some(why.clone());
        TokenError::NeedsOperator(why)
    }

    fn way_out(&self) -> &'static str {
        match self.login {
            Some(_) => "",
            None => {
                ": set chatapp.email, password and app_id, or put a new pair into chatapp.access_token and \
                     chatapp.refresh_token"
            }
        }
    }
}

impl Work {
    fn new() -> Self {
        Self {
            refreshing: Refreshing::Open,
            login_paused_until: None,
            unstored: None,
            away: Backoff::new(AWAY_MIN, AWAY_MAX),
            refused: Backoff::new(REFUSED_MIN, REFUSED_MAX),
            login_away: Backoff::new(AWAY_MIN, LOGIN_AWAY_MAX),
        }
    }
}

/// The least wait before ChatApp is asked again; nobody makes us wait for a day.
fn least(error: &ApiError) -> Duration {
    match error {
        ApiError::RateLimited { retry_after: Some(wait) } => (*wait).clamp(AWAY_MIN, AWAY_MAX),
        _ => AWAY_MIN,
    }
}

impl Shown {
    fn token(&self) -> Option<AccessToken> {
        let text = self.state.pair.as_ref()?.access.clone()?;
        Some(AccessToken { text, generation: self.generation })
    }
}

impl<E> Clone for Tokens<E> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<E> fmt::Debug for Tokens<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
