//! The existing token, for commands that run beside the bridge: a new pair would make the bridge's pair worthless, and
//! there are only a hundred logins a day.

use std::io;

use jiff::Timestamp;

use super::state::{self, Pair, State};
use super::{TokenEndpoint, TokenFile, TokenStore, Tokens, UnreadableTokens};
use crate::config::ChatApp;
use chatbridge_base::clock::Reading;

/// What there is to call ChatApp with.
#[derive(Debug)]
pub enum Borrowed<E> {
    /// A token that has not expired, as far as is known. It cannot be renewed, because it comes without a refreshToken
    /// or login.
    Token {
        /// Holds only that token.
        tokens: Tokens<E>,
        /// Whether it is the bridge's own from `state_dir`; otherwise it is the configured one.
        is_stored: bool,
    },
    /// The token has expired.
    Ended(Timestamp),
    /// There is no token.
    Nothing,
}

impl<E: TokenEndpoint> Tokens<E> {
    /// The token that [`Tokens::open`] would start with. Nothing is written or renewed. Blocks on the disk.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn borrow(
        endpoint: E,
        config: &ChatApp,
        clock: impl Fn() -> Reading + Send + Sync + 'static,
    ) -> Result<Borrowed<E>, UnreadableTokens> {
        let file = TokenFile::of(config);
        let bytes = file.peek().map_err(|error| UnreadableTokens { place: file.place(), error })?;
        let origin = state::origin(config);
        let read = bytes.and_then(|bytes| State::from_json(std::str::from_utf8(&bytes).ok()?, &origin));
        let stored = read.and_then(|state| state.pair);
        let is_stored = stored.is_some();
        let pair = stored.or_else(|| Pair::given(config)).filter(|pair| pair.access.is_some());
        let Some(pair) = pair else { return Ok(Borrowed::Nothing) };
        if let Some(ends) = pair.access_ends.filter(|ends| *ends <= clock().wall) {
            return Ok(Borrowed::Ended(ends));
        }
        let pair = Some(Pair { refresh: None, refresh_ends: None, ..pair });
        let state = State { pair, ..State::default() };
        Ok(Borrowed::Token { tokens: Self::with(state, endpoint, Closed, None, origin, clock), is_stored })
    }
}

/// A store that stores nothing.
struct Closed;

impl TokenStore for Closed {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn store(&self, _: &str) -> io::Result<()> {
        Err(io::Error::other("borrowed tokens are not replaced"))
    }

    fn place(&self) -> String {
        "borrowed".to_owned()
    }
}
