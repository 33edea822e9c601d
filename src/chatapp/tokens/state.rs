//! What is known of tokens and logins, its form on disk, and what is to be done next: no clock, no wires, no disk.

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::chatapp::api::Granted;
use crate::config;

/// An accessToken is renewed so long before its end: a channel cannot be subscribed with one that has just ended.
pub(super) const REFRESH_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// Between two logins: 1, 2, 4 … minutes, at the most this. 99 a day, for there may be 100 (§2.3).
const LOGIN_WAIT_MAX: SignedDuration = SignedDuration::from_mins(15);
/// A login after so long is the first of its kind again.
const LOGINS_FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// Between two tries of a refreshToken that was refused, where there is no login.
pub(super) const REFUSED_REFRESH_WAIT: SignedDuration = SignedDuration::from_mins(15);

/// Of an accessToken that comes without its end (§2.2).
const ACCESS_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// What a token just made is good for, whatever it says: until then, ChatApp has the word.
const LIFE_MIN: SignedDuration = SignedDuration::from_mins(10);

const VERSION: u32 = 1;
const NAMESPACE: Uuid = Uuid::from_u128(0x6a1d_56a7_3f0b_4f3e_9d27_0c5b_8a44_71ce);

/// A pair of tokens.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) access: Option<SecretString>,
    pub(super) access_ends: Option<Timestamp>,
    pub(super) refresh: Option<SecretString>,
    pub(super) refresh_ends: Option<Timestamp>,
    pub(super) cabinet_user: Option<String>,
}

/// How often was logged in, lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Logins {
    count: u32,
    last: Option<Timestamp>,
}

/// All that is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) pair: Option<Pair>,
    pub(super) logins: Logins,
}

/// What to do for somebody who wants an accessToken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Give them the one there is.
    Use,
    /// Make a new pair with the refreshToken.
    Refresh,
    /// Make a new pair with the login.
    LogIn,
    /// Nothing before then: ask again.
    WaitUntil(Timestamp),
    /// There is nothing that could be done.
    Nothing,
}

/// Whether the refreshToken may be tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Refreshing {
    /// Nothing speaks against it.
    #[default]
    Open,
    /// ChatApp is away or busy: not before then, and a login would fare no better.
    PausedUntil(Timestamp),
    /// It was refused; not before then, and only because it costs nothing.
    RefusedUntil(Timestamp),
}

/// What else counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    pub(super) now: Timestamp,
    /// The accessToken was refused.
    pub(super) is_stale: bool,
    pub(super) refreshing: Refreshing,
    pub(super) can_log_in: bool,
}

pub(super) fn next_step(state: &State, at: Circumstances) -> Step {
    let Circumstances { now, is_stale, refreshing, can_log_in } = at;
    let pair = state.pair.as_ref().filter(|_| !is_stale);
    if pair.is_some_and(|pair| pair.is_good_beyond(now + REFRESH_BEFORE)) {
        return Step::Use;
    }
    // What is to be done is left undone while the token is still good.
    let or_use = |step| if pair.is_some_and(|pair| pair.is_good_at(now)) { Step::Use } else { step };
    let can_refresh = state.pair.as_ref().is_some_and(|pair| pair.can_refresh_at(now));
    let login_at = state.logins.next_at(now);
    match refreshing {
        Refreshing::PausedUntil(until) if can_refresh && until > now => or_use(Step::WaitUntil(until)),
        Refreshing::RefusedUntil(until) if can_refresh && until > now => match can_log_in {
            true if login_at <= now => or_use(Step::LogIn),
            true => or_use(Step::WaitUntil(until.min(login_at))),
            false => or_use(Step::WaitUntil(until)),
        },
        _ if can_refresh => Step::Refresh,
        _ => match can_log_in {
            true if login_at <= now => or_use(Step::LogIn),
            true => or_use(Step::WaitUntil(login_at)),
            false => or_use(Step::Nothing),
        },
    }
}

impl Logins {
    /// When the next login may be.
    fn next_at(self, now: Timestamp) -> Timestamp {
        // A clock that was wrong, and ahead, must not lock anybody out.
        let is_credible = |last: &Timestamp| last.duration_since(now) <= LOGIN_WAIT_MAX;
        let Some(last) = self.last.filter(is_credible) else { return now };
        let minutes = 1_i64.checked_shl(self.count.saturating_sub(1)).filter(|minutes| (1..=15).contains(minutes));
        let wait = minutes.map_or(LOGIN_WAIT_MAX, SignedDuration::from_mins);
        last + wait
    }

    /// One more, whatever comes of it: a pair that is refused at once would otherwise be fetched for ever.
    pub(super) fn one_more(&mut self, now: Timestamp) {
        let is_long_ago = self.last.is_none_or(|last| now.duration_since(last) >= LOGINS_FORGOTTEN_AFTER);
        self.count = if is_long_ago { 1 } else { self.count.saturating_add(1) };
        self.last = Some(now);
    }
}

impl Pair {
    /// What the configuration gives to begin with.
    pub(super) fn given(config: &config::ChatApp) -> Option<Self> {
        let (access, refresh) = (config.access_token.clone(), config.refresh_token.clone());
        let is_given = access.is_some() || refresh.is_some();
        is_given.then_some(Self { access, access_ends: None, refresh, refresh_ends: None, cabinet_user: None })
    }

    /// Good for so long that nothing needs to be done. An end that nobody told is learnt by renewing, if that can be.
    pub(super) fn is_good_beyond(&self, time: Timestamp) -> bool {
        self.access.is_some() && self.access_ends.map_or(self.refresh.is_none(), |ends| ends > time)
    }

    /// Not known to have ended.
    pub(super) fn is_good_at(&self, time: Timestamp) -> bool {
        self.access.is_some() && self.access_ends.is_none_or(|ends| ends > time)
    }

    fn can_refresh_at(&self, time: Timestamp) -> bool {
        self.refresh.is_some() && self.refresh_ends.is_none_or(|ends| ends > time)
    }

    pub(super) fn granted(granted: Granted, before: Option<&Self>, now: Timestamp) -> Self {
        let cabinet_user = granted.cabinet_user.or_else(|| before.and_then(|pair| pair.cabinet_user.clone()));
        // By a clock that is ahead every pair has ended when it comes, and would be renewed at each question.
        let at_least = |ends: Timestamp| ends.max(now + LIFE_MIN);
        // An answer without a new refreshToken leaves the old one as the only one there is.
        let (refresh, refresh_ends) = match (granted.refresh, before) {
            (Some(refresh), _) => (Some(refresh), granted.refresh_ends.map(at_least)),
            (None, Some(before)) => (before.refresh.clone(), before.refresh_ends),
            (None, None) => (None, None),
        };
        let access_ends = Some(at_least(granted.access_ends.unwrap_or(now + ACCESS_LIFE)));
        Self { access: Some(granted.access), access_ends, refresh, refresh_ends, cabinet_user }
    }
}

/// Whose tokens these are: a file that grew out of another account, or out of other tokens, is not this bridge's.
pub(super) fn origin(config: &config::ChatApp) -> String {
    let exposed = |secret: Option<&SecretString>| secret.map(|secret| secret.expose_secret().to_owned());
    let login = config.login.as_ref();
    let parts = (
        config.api_url.as_str(),
        exposed(login.map(|login| &login.email)),
        login.map(|login| &login.app_id),
        exposed(config.access_token.as_ref()),
        exposed(config.refresh_token.as_ref()),
    );
    Uuid::new_v5(&NAMESPACE, format!("{parts:?}").as_bytes()).to_string()
}

/// The file, version 1.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    origin: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pair: Option<WrittenPair>,
    logins: Logins,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct WrittenPair {
    access_token: Option<String>,
    access_token_ends: Option<Timestamp>,
    refresh_token: Option<String>,
    refresh_token_ends: Option<Timestamp>,
    cabinet_user: Option<String>,
}

impl State {
    pub(super) fn to_json(&self, origin: &str) -> String {
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        let pair = self.pair.as_ref().map(|pair| WrittenPair {
            access_token: pair.access.as_ref().map(text),
            access_token_ends: pair.access_ends,
            refresh_token: pair.refresh.as_ref().map(text),
            refresh_token_ends: pair.refresh_ends,
            cabinet_user: pair.cabinet_user.clone(),
        });
        let written = Written { version: VERSION, origin: origin.to_owned(), pair, logins: self.logins };
        serde_json::to_string_pretty(&written).expect("texts and times")
    }

    /// `None` where that is no such file. A pair of another origin is left out; logins count whoever made them.
    pub(super) fn from_json(text: &str, mine: &str) -> Option<Self> {
        let written: Written =
            serde_json::from_str(text).ok().filter(|written: &Written| written.version == VERSION)?;
        let pair = written.pair.filter(|_| written.origin == mine).map(|pair| Pair {
            access: pair.access_token.map(SecretString::from),
            access_ends: pair.access_token_ends,
            refresh: pair.refresh_token.map(SecretString::from),
            refresh_ends: pair.refresh_token_ends,
            cabinet_user: pair.cabinet_user,
        });
        Some(Self { pair, logins: written.logins })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    /// Ends in seconds from now; `None`: no such token.
    fn state(access: Option<i64>, refresh: Option<i64>) -> State {
        let token = |text: &str, ends: Option<i64>| ends.map(|_| SecretString::from(text.to_owned()));
        let pair = Pair {
            access: token("a", access),
            access_ends: access.map(at),
            refresh: token("r", refresh),
            refresh_ends: refresh.map(at),
            cabinet_user: None,
        };
        State { pair: Some(pair), logins: Logins::default() }
    }

    fn circumstances() -> Circumstances {
        Circumstances { now: at(0), is_stale: false, refreshing: Refreshing::Open, can_log_in: false }
    }

    #[test]
    fn what_comes_next() {
        let plain = circumstances();
        let login = Circumstances { can_log_in: true, ..plain };
        let refused = |at: Circumstances, seconds| {
            let refreshing = Refreshing::RefusedUntil(self::at(seconds));
            Circumstances { refreshing, ..at }
        };
        let away =
            |at: Circumstances, seconds| Circumstances { refreshing: Refreshing::PausedUntil(self::at(seconds)), ..at };
        let stale = |at: Circumstances| Circumstances { is_stale: true, ..at };
        for (access, refresh, circumstances, expected) in [
            // Good, and good for long enough.
            (Some(301), Some(900), plain, Step::Use),
            (Some(301), None, plain, Step::Use),
            // About to end, or ended, or refused.
            (Some(300), Some(900), plain, Step::Refresh),
            (Some(-1), Some(900), plain, Step::Refresh),
            (None, Some(900), plain, Step::Refresh),
            (Some(9999), Some(900), stale(plain), Step::Refresh),
            (Some(9999), Some(900), stale(login), Step::Refresh),
            // About to end with nothing to renew it: good as long as it lasts.
            (Some(10), Some(0), plain, Step::Use),
            (Some(10), None, plain, Step::Use),
            (Some(10), Some(0), login, Step::Use),
            // The refreshToken has ended too, or there is none.
            (Some(0), Some(0), plain, Step::Nothing),
            (Some(0), Some(0), login, Step::LogIn),
            (None, None, login, Step::LogIn),
            (Some(9999), None, stale(login), Step::LogIn),
            (Some(9999), None, stale(plain), Step::Nothing),
            // It was refused a moment ago.
            (Some(0), Some(900), refused(plain, 60), Step::WaitUntil(at(60))),
            (Some(10), Some(900), refused(plain, 60), Step::Use),
            (Some(10), Some(900), stale(refused(plain, 60)), Step::WaitUntil(at(60))),
            (Some(0), Some(900), refused(login, 60), Step::LogIn),
            (Some(0), Some(900), refused(plain, 0), Step::Refresh),
            // ChatApp is away: a login would only cost one of a hundred.
            (Some(0), Some(900), away(login, 60), Step::WaitUntil(at(60))),
            (Some(10), Some(900), away(login, 60), Step::Use),
            (Some(0), Some(900), away(login, 0), Step::Refresh),
            (Some(0), Some(0), away(login, 60), Step::LogIn),
        ] {
            assert_eq!(
                next_step(&state(access, refresh), circumstances),
                expected,
                "{access:?} {refresh:?} {circumstances:?}"
            );
        }
        assert_eq!(next_step(&State::default(), plain), Step::Nothing);
        assert_eq!(next_step(&State::default(), login), Step::LogIn);
        // A pair whose ends nobody told.
        let mut unknown = state(Some(0), Some(0));
        unknown.pair.as_mut().map(|pair| (pair.access_ends, pair.refresh_ends) = (None, None)).expect("a pair");
        assert_eq!(next_step(&unknown, plain), Step::Refresh);
        assert_eq!(next_step(&unknown, away(plain, 60)), Step::Use);
        assert_eq!(next_step(&unknown, stale(away(plain, 60))), Step::WaitUntil(at(60)));
        unknown.pair.as_mut().map(|pair| pair.refresh = None).expect("a pair");
        assert_eq!(next_step(&unknown, plain), Step::Use);
    }

    #[test]
    fn a_login_waits_for_its_time_whatever_became_of_the_one_before() {
        let mut state = State::default();
        let login = Circumstances { can_log_in: true, ..circumstances() };
        state.logins.one_more(at(0));
        assert_eq!(next_step(&state, login), Step::WaitUntil(at(60)));
        assert_eq!(next_step(&state, Circumstances { now: at(60), ..login }), Step::LogIn);
        // Of two waits the shorter one.
        state.pair = self::state(None, Some(900)).pair;
        let both = |seconds| Circumstances { refreshing: Refreshing::RefusedUntil(at(seconds)), ..login };
        assert_eq!(next_step(&state, both(30)), Step::WaitUntil(at(30)));
        assert_eq!(next_step(&state, both(90)), Step::WaitUntil(at(60)));
    }

    #[test]
    fn no_day_sees_a_hundred_logins() {
        let (mut logins, mut made) = (Logins::default(), Vec::new());
        for second in 0..3 * 24 * 3600 {
            if logins.next_at(at(second)) <= at(second) {
                logins.one_more(at(second));
                made.push(second);
            }
        }
        let minutes: Vec<i64> = made.iter().take(7).map(|second| second / 60).collect();
        assert_eq!(minutes, [0, 1, 3, 7, 15, 30, 45]);
        assert!(made.windows(100).all(|hundred| hundred[99] - hundred[0] >= 24 * 3600));
        // After an hour without one it begins anew.
        let last = *made.last().expect("some");
        logins.one_more(at(last + 3600));
        assert_eq!(logins.next_at(at(last + 3600)), at(last + 3660));
    }

    #[test]
    fn a_clock_that_was_far_ahead_locks_nobody_out() {
        let mut logins = Logins::default();
        logins.one_more(at(1_000_000));
        assert_eq!(logins.next_at(at(0)), at(0));
        logins.one_more(at(0));
        assert_eq!(logins.next_at(at(0)), at(120));
    }

    #[test]
    fn the_file_holds_all_of_it_and_a_pair_of_another_origin_is_not_taken() {
        let mut written = state(Some(10), Some(20));
        written.logins.one_more(at(5));
        let mine = "one";
        let text = written.to_json(mine);
        let read = State::from_json(&text, mine).expect("the file");
        assert_eq!(read.to_json(mine), text);
        let pair = read.pair.expect("a pair");
        assert_eq!(pair.access.expect("a token").expose_secret(), "a");
        assert_eq!((pair.access_ends, pair.refresh_ends), (Some(at(10)), Some(at(20))));
        let anothers = State::from_json(&text, "another").expect("the file");
        assert!(anothers.pair.is_none());
        assert_eq!(anothers.logins, written.logins);
        for wrong in
            ["", "{", "[]", "{}", &text.replacen("\"version\": 1", "\"version\": 2", 1), &text[..text.len() / 2]]
        {
            assert!(State::from_json(wrong, mine).is_none(), "{wrong}");
        }
    }
}
