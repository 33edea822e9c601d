//! ChatApp's tokens: gives out a valid accessToken at any time.
//!
//! A new pair is durable before it is used, because the refreshToken that made it may be worthless afterwards. Only one
//! pair is made at a time, in a task of its own: if the caller gives up, the task is not dropped between ChatApp's
//! answer and the disk. Logins are spaced out across restarts, because there are only a hundred a day.

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

/// How often [`Tokens::keep_up`] checks.
const KEEP_UP_INTERVAL: Duration = Duration::from_secs(60);
/// The minimum wait after ChatApp did not answer, …
const AWAY_MIN: Duration = Duration::from_secs(1);
/// … and the maximum.
const AWAY_MAX: Duration = Duration::from_secs(60);
/// The minimum wait after a refused refreshToken when there is no login, …
const REFUSED_MIN: Duration = Duration::from_secs(5);
/// … and the maximum. A refusal may be due to trouble at ChatApp, and trying costs nothing.
const REFUSED_MAX: Duration = Duration::from_secs(15 * 60);
/// The maximum wait after a login without an answer. If ChatApp counts such logins after all, the hundred of a day last
/// for eight hours.
const LOGIN_AWAY_MAX: Duration = Duration::from_secs(5 * 60);

/// An accessToken and its number.
#[derive(Debug, Clone)]
pub struct AccessToken {
    text: SecretString,
    generation: u64,
}

impl AccessToken {
    /// The text that requests send.
    #[must_use]
    pub fn text(&self) -> &SecretString {
        &self.text
    }
}

/// Why there is no accessToken. The variants differ in what comes next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Ask again after the wait; nothing is tried before.
    #[error("no token for the next {} s: {why}", wait.as_secs())]
    Waiting {
        /// How long.
        wait: Duration,
        /// What happened, and what can be done about it.
        why: String,
    },
    /// Somebody has to act: there is nothing left to try.
    #[error("{0}")]
    NeedsOperator(String),
    /// There is a new pair, but it cannot be stored; storing is tried again with each call.
    #[error("{place} cannot be written, and tokens are not used before they are safe: {detail}")]
    NotStored {
        /// Where they are stored.
        place: String,
        /// What the disk says.
        detail: String,
    },
}

/// The token file cannot be read: check the directory and its permissions, or the key that the file is sealed with.
#[derive(Debug, thiserror::Error)]
#[error("{place} cannot be read: {error}; look at chatapp.state_dir, its rights, and chatapp.seal_key_file")]
pub struct UnreadableTokens {
    place: String,
    error: io::Error,
}

/// The state of the tokens, for operators.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenView {
    /// When the accessToken expires, if known.
    pub access_ends: Option<Timestamp>,
    /// When the refreshToken expires, if known.
    pub refresh_ends: Option<Timestamp>,
    /// The user of the personal cabinet, if ChatApp told it.
    pub cabinet_user: Option<String>,
    /// The last failure; `None` after a pair was made.
    pub trouble: Option<String>,
}

/// The tokens of one account. Clones share them.
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
    /// The state that is shown and given out.
    shown: Mutex<Shown>,
    /// Held while the next pair is made.
    work: tokio::sync::Mutex<Work>,
}

struct Shown {
    state: State,
    generation: u64,
    trouble: Option<String>,
}

struct Work {
    refreshing: Refreshing,
    /// No login before this time, counted from boot.
    login_paused_until: Option<SignedDuration>,
    /// A new pair that is not on disk yet.
    unstored: Option<State>,
    /// Waits after ChatApp did not answer, and after a refusal.
    away: Backoff,
    refused: Backoff,
    login_away: Backoff,
}

impl<E: TokenEndpoint> Tokens<E> {
    /// Starts with what `store` holds, or else with what `config` gives. Blocks on the disk.
    ///
    /// # Errors
    /// If the store cannot be read. Contents that make no sense are ignored, with a warning.
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

    /// An accessToken that is valid as far as is known.
    ///
    /// # Errors
    /// [`TokenError`]. This waits for nothing but ChatApp's answer.
    pub async fn access(&self) -> Result<AccessToken, TokenError> {
        self.get(None).await
    }

    /// A token other than `refused`, which ChatApp did not accept: the current one if it differs, or a new one.
    ///
    /// # Errors
    /// [`TokenError`]
    pub async fn renewed(&self, refused: &AccessToken) -> Result<AccessToken, TokenError> {
        self.get(Some(refused.generation)).await
    }

    /// Renews the pair in time even if nobody asks; never returns.
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

    /// The state of the tokens.
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
        // In a task of its own: between ChatApp's answer and the disk it must not be dropped along with the caller.
        match tokio::spawn(async move { inner.make(refused).await }).await {
            Ok(made) => made,
            Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
            // The runtime is shutting down, and the caller with it.
            Err(_) => std::future::pending().await,
        }
    }
}

impl<E: TokenEndpoint> Inner<E> {
    fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock()
    }

    /// The current token, if nothing needs to be done, or if it is being renewed and is still valid for a while.
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

    /// Takes steps until there is a token, or nothing left to try.
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

    /// The inner `Err` means that the login failed, and that this was logged.
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
        // ChatApp neither made a pair nor refused, so this does not count towards the daily limit.
        if let ApiError::RateLimited { .. } | ApiError::Unreachable { .. } = error {
            let wait = work.login_away.next_at_least(least(&error), fastrand::f64());
            work.login_paused_until = Some(self.up_in(wait));
            // If this cannot be stored, the login stays counted.
            let _ = self.count(work, before.logins).await;
        }
        Ok(Err(()))
    }

    /// Stores the logins and leaves everything else unchanged.
    async fn count(&self, work: &mut Work, logins: Logins) -> Result<(), TokenError> {
        let state = State { logins, ..self.shown().state.clone() };
        let counted = self.keep(work, state, false).await;
        if counted.is_err() {
            work.unstored = None;
        }
        counted
    }

    /// Stores the state, and only then makes it current.
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

    /// The current token, even though it should have been replaced.
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

    /// The time after `wait`, counted from boot.
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

/// The minimum wait before ChatApp is asked again, limited so that an answer cannot make us wait for a day.
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
