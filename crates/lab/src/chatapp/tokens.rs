//! Access and refresh tokens as a value: who may make them, how long they live, which are void.

use std::collections::VecDeque;

use fastrand::Rng;
use subtle::ConstantTimeEq;

use super::config::Login;

/// Pairs that are remembered; the oldest is forgotten, and so void.
const PAIRS_MAX: usize = 10_000;
const DAY_SECONDS: u64 = 24 * 60 * 60;
/// How long tokens live.
const ACCESS_SECONDS: u64 = DAY_SECONDS;
const REFRESH_SECONDS: u64 = 14 * DAY_SECONDS;

/// All tokens of the cabinet. Moments are UNIX seconds.
pub(super) struct Tokens {
    logins_per_day_max: usize,
    login: Login,
    dice: Rng,
    pairs: VecDeque<Pair>,
    logins_at: VecDeque<u64>,
}

/// What `make` and `refresh` answer.
#[derive(Clone)]
pub(super) struct Pair {
    pub(super) access: String,
    pub(super) access_end: u64,
    pub(super) refresh: String,
    pub(super) refresh_end: u64,
}

/// Why there is no new pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoToken {
    WrongLogin,
    /// As many in the last 24 hours as allowed.
    TooManyLogins,
    /// The refresh token is unknown, too old or void.
    Invalid,
}

impl Tokens {
    pub(super) fn new(logins_per_day_max: usize, login: Login, seed: u64) -> Self {
        let dice = Rng::with_seed(seed ^ 0x746f_6b65_6e73);
        Self { logins_per_day_max, login, dice, pairs: VecDeque::new(), logins_at: VecDeque::new() }
    }

    /// `v1.tokens.make`. A wrong login counts as well: the limit is there against trying.
    pub(super) fn make(&mut self, login: &Login, now: u64) -> Result<Pair, NoToken> {
        while self.logins_at.front().is_some_and(|at| at + DAY_SECONDS <= now) {
            self.logins_at.pop_front();
        }
        if self.logins_at.len() >= self.logins_per_day_max {
            return Err(NoToken::TooManyLogins);
        }
        self.logins_at.push_back(now);
        if *login != self.login {
            return Err(NoToken::WrongLogin);
        }
        Ok(self.add(now))
    }

    /// `v1.tokens.refresh`. The old access token lives on to its own end; the old refresh token is void from now on,
    /// which catches a client that loses the new pair. What the service does is open.
    pub(super) fn refresh(&mut self, token: &str, now: u64) -> Result<Pair, NoToken> {
        let is_it = |pair: &&mut Pair| same(&pair.refresh, token) && now < pair.refresh_end;
        let old = self.pairs.iter_mut().find(is_it).ok_or(NoToken::Invalid)?;
        old.refresh_end = 0;
        Ok(self.add(now))
    }

    /// Whether an access token is good.
    pub(super) fn knows(&self, access: &str, now: u64) -> bool {
        self.pairs.iter().any(|pair| same(&pair.access, access) && now < pair.access_end)
    }

    /// Every access token there is ends.
    pub(super) fn expire_access(&mut self) {
        self.pairs.iter_mut().for_each(|pair| pair.access_end = 0);
    }

    /// Every refresh token there is ends.
    pub(super) fn expire_refresh(&mut self) {
        self.pairs.iter_mut().for_each(|pair| pair.refresh_end = 0);
    }

    fn add(&mut self, now: u64) -> Pair {
        self.pairs.retain(|pair| now < pair.access_end || now < pair.refresh_end);
        if self.pairs.len() >= PAIRS_MAX {
            self.pairs.pop_front();
        }
        let pair = Pair {
            access: self.token(),
            access_end: now + ACCESS_SECONDS,
            refresh: self.token(),
            refresh_end: now + REFRESH_SECONDS,
        };
        self.pairs.push_back(pair.clone());
        pair
    }

    /// Like the older ones: what a header or a file might stumble over is in it.
    fn token(&mut self) -> String {
        let tail: String =
            (0..53).map(|_| if self.dice.u8(..20) == 0 { '.' } else { self.dice.alphanumeric() }).collect();
        format!("$2y$10${tail}")
    }
}

fn same(left: &str, right: &str) -> bool {
    left.as_bytes().ct_eq(right.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(logins_per_day_max: usize) -> Tokens {
        Tokens::new(logins_per_day_max, Login::default(), 1)
    }

    #[test]
    fn a_pair_lives_as_long_as_it_says() {
        let mut tokens = tokens(9);
        let pair = tokens.make(&Login::default(), 1_000).expect("the login is right");
        assert_eq!((pair.access_end, pair.refresh_end), (1_000 + DAY_SECONDS, 1_000 + 14 * DAY_SECONDS));
        assert!(tokens.knows(&pair.access, pair.access_end - 1));
        assert!(!tokens.knows(&pair.access, pair.access_end));
        assert!(!tokens.knows(&pair.refresh, 1_000), "the other one is for refreshing only");
        assert_eq!(tokens.refresh(&pair.refresh, pair.refresh_end).err(), Some(NoToken::Invalid));
    }

    #[test]
    fn a_refresh_gives_a_new_pair_each_time_and_voids_the_old_token() {
        let mut tokens = tokens(9);
        let first = tokens.make(&Login::default(), 0).expect("a pair");
        let second = tokens.refresh(&first.refresh, 1).expect("a pair");
        assert!(second.access != first.access && second.refresh != first.refresh);
        assert!(tokens.knows(&first.access, 1) && tokens.knows(&second.access, 1));
        assert_eq!(tokens.refresh(&first.refresh, 2).err(), Some(NoToken::Invalid));
        assert!(tokens.refresh(&second.refresh, 2).is_ok());
    }

    #[test]
    fn so_many_logins_in_any_day_and_wrong_ones_count() {
        let mut tokens = tokens(2);
        let wrong = Login { password: "no".to_owned(), ..Login::default() };
        assert_eq!(tokens.make(&wrong, 0).err(), Some(NoToken::WrongLogin));
        let pair = tokens.make(&Login::default(), 5).expect("a pair");
        assert_eq!(tokens.make(&Login::default(), DAY_SECONDS - 1).err(), Some(NoToken::TooManyLogins));
        assert!(tokens.refresh(&pair.refresh, 6).is_ok(), "refreshing is no login");
        assert!(tokens.make(&Login::default(), DAY_SECONDS).is_ok());
        assert_eq!(tokens.make(&Login::default(), DAY_SECONDS).err(), Some(NoToken::TooManyLogins));
    }

    #[test]
    fn all_can_be_made_to_end_at_once() {
        let mut tokens = tokens(9);
        let pair = tokens.make(&Login::default(), 0).expect("a pair");
        tokens.expire_access();
        assert!(!tokens.knows(&pair.access, 0));
        let next = tokens.refresh(&pair.refresh, 0).expect("refreshing still works");
        tokens.expire_refresh();
        assert_eq!(tokens.refresh(&next.refresh, 0).err(), Some(NoToken::Invalid));
        assert!(tokens.knows(&next.access, 0));
    }
}
