//! The state of tokens and logins, its form on disk, and what to do next: no clock, no network, no disk.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::chatapp::api::Granted;
use crate::config;
use chatbridge_base::clock::Reading;

/// An accessToken is renewed this long before it expires: a channel cannot be subscribed with an expired one.
pub(super) const REFRESH_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// The wait between two logins is 1, 2, 4 … minutes, and at most this. That makes 99 a day; 100 are allowed.
const LOGIN_WAIT_MAX: SignedDuration = SignedDuration::from_mins(15);
/// After this long without a login the waits begin anew.
const LOGINS_FORGOTTEN_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// The assumed lifetime of an accessToken without an expiry time.
const ACCESS_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// A new token is used for this long, whatever its expiry time and our clock say: until then only ChatApp decides.
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
    /// When this process got it, counted from boot.
    pub(super) made_at: Option<SignedDuration>,
}

/// The number of recent logins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Logins {
    count: u32,
    /// By the time of day, for the next process.
    last: Option<Timestamp>,
    /// Counted from boot, for this process.
    #[serde(skip)]
    last_up: Option<SignedDuration>,
}

/// Everything that is stored.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) pair: Option<Pair>,
    pub(super) logins: Logins,
}

/// What to do when an accessToken is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Use the current one.
    Use,
    /// Make a new pair with the refreshToken.
    Refresh,
    /// Make a new pair with the login.
    LogIn,
    /// Wait this long, then ask again.
    Wait(Duration),
    /// Nothing can be done.
    Nothing,
}

/// Whether the refreshToken may be tried. Times are counted from boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Refreshing {
    /// It may be tried.
    #[default]
    Open,
    /// ChatApp is away or busy: do not try before then. A login would fail as well.
    PausedUntil(SignedDuration),
    /// It was refused: try again then, only because trying costs nothing.
    RefusedUntil(SignedDuration),
}

/// Other circumstances.
#[derive(Debug, Clone, Copy)]
pub(super) struct Circumstances {
    pub(super) now: Reading,
    /// The accessToken was refused.
    pub(super) is_stale: bool,
    pub(super) refreshing: Refreshing,
    pub(super) can_log_in: bool,
    /// No login before this time, counted from boot, because ChatApp did not answer the last one.
    pub(super) login_paused_until: Option<SignedDuration>,
}

pub(super) fn next_step(state: &State, at: Circumstances) -> Step {
    let Circumstances { now, is_stale, refreshing, can_log_in, login_paused_until } = at;
    let pair = state.pair.as_ref().filter(|_| !is_stale);
    if pair.is_some_and(|pair| pair.is_good_for(REFRESH_BEFORE, now)) {
        return Step::Use;
    }
    // While the token is still valid, it is used instead.
    let or_use = |step| if pair.is_some_and(|pair| pair.is_good_at(now)) { Step::Use } else { step };
    let wait_until = |until: SignedDuration| or_use(Step::Wait(left(until, now)));
    let can_refresh = state.pair.as_ref().is_some_and(|pair| pair.can_refresh_at(now));
    let login_at = login_paused_until.map_or(now.up, |paused| paused.max(now.up)).max(state.logins.next_at(now));
    match refreshing {
        Refreshing::PausedUntil(until) if can_refresh && until > now.up => wait_until(until),
        Refreshing::RefusedUntil(until) if can_refresh && until > now.up => match can_log_in {
            true if login_at <= now.up => or_use(Step::LogIn),
            true => wait_until(until.min(login_at)),
            false => wait_until(until),
        },
        _ if can_refresh => Step::Refresh,
        _ => match can_log_in {
            true if login_at <= now.up => or_use(Step::LogIn),
            true => wait_until(login_at),
            false => or_use(Step::Nothing),
        },
    }
}

fn left(until: SignedDuration, now: Reading) -> Duration {
    Duration::try_from(until.saturating_sub(now.up)).unwrap_or_default()
}

impl Logins {
    /// When the next login is allowed, counted from boot.
    fn next_at(self, now: Reading) -> SignedDuration {
        let minutes = 1_i64.checked_shl(self.count.saturating_sub(1)).filter(|minutes| (1..=15).contains(minutes));
        let wait = minutes.map_or(LOGIN_WAIT_MAX, SignedDuration::from_mins);
        self.ago(now).map_or(now.up, |ago| now.up.saturating_sub(ago).saturating_add(wait))
    }

    /// How long ago the last login was, as far as is known.
    fn ago(self, now: Reading) -> Option<SignedDuration> {
        let by_wall = || self.last.map(|last| now.wall.duration_since(last));
        let ago = self.last_up.map(|last| now.up.saturating_sub(last)).or_else(by_wall);
        // A login in the future was recorded by a wrong clock: ignore it, so that it blocks nobody.
        ago.filter(|ago| !ago.is_negative())
    }

    /// Counts one more login. This happens before the login, so that it counts even if the bridge crashes.
    pub(super) fn one_more(&mut self, now: Reading) {
        let is_long_ago = self.last.is_none() || self.ago(now).is_some_and(|ago| ago >= LOGINS_FORGOTTEN_AFTER);
        self.count = if is_long_ago { 1 } else { self.count.saturating_add(1) };
        self.last = Some(now.wall);
        self.last_up = Some(now.up);
    }
}

impl Pair {
    /// The pair from the configuration, if any.
    pub(super) fn given(config: &config::ChatApp) -> Option<Self> {
        let (access, refresh) = (config.access_token.clone(), config.refresh_token.clone());
        let is_given = access.is_some() || refresh.is_some();
        let (access_ends, refresh_ends, cabinet_user, made_at) = (None, None, None, None);
        is_given.then_some(Self { access, access_ends, refresh, refresh_ends, cabinet_user, made_at })
    }

    /// Whether it is valid for long enough. If the expiry time is unknown, it is renewed to learn it, if possible.
    pub(super) fn is_good_for(&self, rest: SignedDuration, now: Reading) -> bool {
        let lasts = |ends: Timestamp| ends.duration_since(now.wall) > rest || self.is_fresh_for(rest, now);
        self.access.is_some() && self.access_ends.map_or(self.refresh.is_none(), lasts)
    }

    /// Whether it is not known to have expired.
    pub(super) fn is_good_at(&self, now: Reading) -> bool {
        let is_fresh = self.is_fresh_for(SignedDuration::ZERO, now);
        self.access.is_some() && (is_fresh || self.access_ends.is_none_or(|ends| ends > now.wall))
    }

    fn can_refresh_at(&self, now: Reading) -> bool {
        let is_fresh = self.is_fresh_for(SignedDuration::ZERO, now);
        self.refresh.is_some() && (is_fresh || self.refresh_ends.is_none_or(|ends| ends > now.wall))
    }

    /// If our clock is ahead, every new pair looks expired and would be renewed with each request.
    fn is_fresh_for(&self, rest: SignedDuration, now: Reading) -> bool {
        self.made_at.is_some_and(|made_at| made_at + LIFE_MIN > now.up + rest)
    }

    pub(super) fn granted(granted: Granted, before: Option<&Self>, now: Reading) -> Self {
        let cabinet_user = granted.cabinet_user.or_else(|| before.and_then(|pair| pair.cabinet_user.clone()));
        // An answer without a new refreshToken: the old one stays.
        let (refresh, refresh_ends) = match (granted.refresh, before) {
            (Some(refresh), _) => (Some(refresh), granted.refresh_ends),
            (None, Some(before)) => (before.refresh.clone(), before.refresh_ends),
            (None, None) => (None, None),
        };
        let access_ends = Some(granted.access_ends.unwrap_or(now.wall + ACCESS_LIFE));
        let made_at = Some(now.up);
        Self { access: Some(granted.access), access_ends, refresh, refresh_ends, cabinet_user, made_at }
    }
}

/// Identifies whose tokens these are: a file for another account or other configured tokens is not used.
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

/// Version 1 of the file.
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

    /// `None` if this is not such a file. A pair of another origin is ignored; logins always count.
    pub(super) fn from_json(text: &str, mine: &str) -> Option<Self> {
        let written: Written =
            serde_json::from_str(text).ok().filter(|written: &Written| written.version == VERSION)?;
        let pair = written.pair.filter(|_| written.origin == mine).map(|pair| Pair {
            access: pair.access_token.map(SecretString::from),
            access_ends: pair.access_token_ends,
            refresh: pair.refresh_token.map(SecretString::from),
            refresh_ends: pair.refresh_token_ends,
            cabinet_user: pair.cabinet_user,
            made_at: None,
        });
        Some(Self { pair, logins: written.logins })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn up(seconds: i64) -> SignedDuration {
        SignedDuration::from_secs(1_000_000 + seconds)
    }

    fn at(seconds: i64) -> Reading {
        Reading { wall: wall(seconds), up: up(seconds) }
    }

    /// Ends in seconds from now; `None`: no such token.
    fn state(access: Option<i64>, refresh: Option<i64>) -> State {
        let token = |text: &str, ends: Option<i64>| ends.map(|_| SecretString::from(text.to_owned()));
        let pair = Pair {
            access: token("a", access),
            access_ends: access.map(wall),
            refresh: token("r", refresh),
            refresh_ends: refresh.map(wall),
            cabinet_user: None,
            made_at: None,
        };
        State { pair: Some(pair), logins: Logins::default() }
    }

    fn circumstances() -> Circumstances {
        let (is_stale, can_log_in, login_paused_until) = (false, false, None);
        Circumstances { now: at(0), is_stale, refreshing: Refreshing::Open, can_log_in, login_paused_until }
    }

    #[test]
    fn what_comes_next() {
        let plain = circumstances();
        let login = Circumstances { can_log_in: true, ..plain };
        let refused = |at: Circumstances, seconds| {
            let refreshing = Refreshing::RefusedUntil(up(seconds));
            Circumstances { refreshing, ..at }
        };
        let away =
            |at: Circumstances, seconds| Circumstances { refreshing: Refreshing::PausedUntil(up(seconds)), ..at };
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
            (Some(0), Some(900), refused(plain, 60), Step::Wait(Duration::from_secs(60))),
            (Some(10), Some(900), refused(plain, 60), Step::Use),
            (Some(10), Some(900), stale(refused(plain, 60)), Step::Wait(Duration::from_secs(60))),
            (Some(0), Some(900), refused(login, 60), Step::LogIn),
            (Some(0), Some(900), refused(plain, 0), Step::Refresh),
            // ChatApp is away: a login would only cost one of a hundred.
            (Some(0), Some(900), away(login, 60), Step::Wait(Duration::from_secs(60))),
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
        assert_eq!(next_step(&unknown, stale(away(plain, 60))), Step::Wait(Duration::from_secs(60)));
        unknown.pair.as_mut().map(|pair| pair.refresh = None).expect("a pair");
        assert_eq!(next_step(&unknown, plain), Step::Use);
    }

    #[test]
    fn a_login_waits_for_its_time_whatever_became_of_the_one_before() {
        let mut state = State::default();
        let login = Circumstances { can_log_in: true, ..circumstances() };
        state.logins.one_more(at(0));
        assert_eq!(next_step(&state, login), Step::Wait(Duration::from_secs(60)));
        assert_eq!(next_step(&state, Circumstances { now: at(60), ..login }), Step::LogIn);
        // Of two waits the shorter one.
        state.pair = self::state(None, Some(900)).pair;
        let both = |seconds| Circumstances { refreshing: Refreshing::RefusedUntil(up(seconds)), ..login };
        assert_eq!(next_step(&state, both(30)), Step::Wait(Duration::from_secs(30)));
        assert_eq!(next_step(&state, both(90)), Step::Wait(Duration::from_secs(60)));
    }

    #[test]
    fn no_day_sees_a_hundred_logins() {
        let (mut logins, mut made) = (Logins::default(), Vec::new());
        for second in 0..3 * 24 * 3600 {
            if logins.next_at(at(second)) <= up(second) {
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
        assert_eq!(logins.next_at(at(last + 3600)), up(last + 3660));
    }

    /// As another process finds it.
    fn stored(logins: Logins) -> Logins {
        Logins { last_up: None, ..logins }
    }

    #[test]
    fn a_time_of_day_that_was_ahead_locks_nobody_out() {
        for ahead in [10, 600, 1_000_000] {
            let mut logins = Logins::default();
            logins.one_more(Reading { wall: wall(ahead), up: up(0) });
            let mut logins = stored(logins);
            assert_eq!(logins.next_at(at(0)), up(0), "{ahead}");
            logins.one_more(at(0));
            assert_eq!(logins.next_at(at(0)), up(120), "and it counts with the one before");
        }
    }

    #[test]
    fn in_one_process_logins_keep_their_distance_whatever_the_time_of_day_is_set_to() {
        for set in [-1_000_000, -3, 3, 1_000_000] {
            let mut logins = Logins::default();
            logins.one_more(at(0));
            let now = Reading { wall: wall(set), up: up(3) };
            assert_eq!(logins.next_at(now), up(60), "{set}");
            logins.one_more(now);
            assert_eq!(logins.next_at(now), up(123), "{set}");
        }
    }

    #[test]
    fn a_login_that_got_no_answer_is_waited_for_by_itself() {
        let login = Circumstances { can_log_in: true, login_paused_until: Some(up(7)), ..circumstances() };
        let mut state = State::default();
        assert_eq!(next_step(&state, login), Step::Wait(Duration::from_secs(7)));
        state.logins.one_more(at(0));
        assert_eq!(next_step(&state, login), Step::Wait(Duration::from_secs(60)), "the longer of both");
        assert_eq!(next_step(&State::default(), Circumstances { now: at(7), ..login }), Step::LogIn);
    }

    #[test]
    fn a_new_pair_is_good_for_a_while_by_any_time_of_day_and_is_written_down_as_chatapp_says() {
        let granted = Granted {
            access: "a".to_owned().into(),
            access_ends: Some(wall(-99)),
            refresh: Some("r".to_owned().into()),
            refresh_ends: Some(wall(-9)),
            cabinet_user: None,
        };
        let pair = Pair::granted(granted, None, at(0));
        assert_eq!((pair.access_ends, pair.refresh_ends), (Some(wall(-99)), Some(wall(-9))));
        for (seconds, is_good_for_long, is_good) in
            [(0, true, true), (299, true, true), (300, false, true), (600, false, false)]
        {
            let now = Reading { wall: wall(1_000_000), up: up(seconds) };
            assert_eq!(pair.is_good_for(REFRESH_BEFORE, now), is_good_for_long, "{seconds}");
            assert_eq!((pair.is_good_at(now), pair.can_refresh_at(now)), (is_good, is_good), "{seconds}");
        }
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
        assert_eq!((pair.access_ends, pair.refresh_ends), (Some(wall(10)), Some(wall(20))));
        let anothers = State::from_json(&text, "another").expect("the file");
        assert!(anothers.pair.is_none());
        assert_eq!(anothers.logins, stored(written.logins));
        for wrong in
            ["", "{", "[]", "{}", &text.replacen("\"version\": 1", "\"version\": 2", 1), &text[..text.len() / 2]]
        {
            assert!(State::from_json(wrong, mine).is_none(), "{wrong}");
        }
    }
}
