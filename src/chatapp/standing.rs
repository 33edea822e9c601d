//! How one channel stands: heard until when, missing what. Pure; the reckoning of reference chatapp §7.

use jiff::{SignedDuration, Timestamp};

use chatbridge_event::event::GapReason;

/// A stretch of time that was not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unheard {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) reason: GapReason,
}

/// What is known of one channel.
#[derive(Debug)]
pub(super) struct Standing {
    /// Up to here nothing that was sent to us is missing, but for what `unheard` says; `None`: never heard.
    heard_until: Option<Timestamp>,
    /// Why it is not subscribed; `None`: it is.
    away: Option<GapReason>,
    /// Heard no event of it since.
    pushed_at: Option<Timestamp>,
    /// A gap that nobody has told yet.
    unheard: Option<Unheard>,
    /// A gap whose messages are to be fetched.
    unfetched: Option<Unheard>,
}

impl Standing {
    /// As an earlier run left it.
    pub(super) fn new(heard_until: Option<Timestamp>) -> Self {
        Self { heard_until, away: Some(GapReason::NotRunning), pushed_at: None, unheard: None, unfetched: None }
    }

    /// It is subscribed from now on. `overlap` is how far a gap reaches back before the last sign of life.
    ///
    /// A channel that was never heard has no gap: what came before is not ours. Another one is not heard yet either: who
    /// learns late of a subscription may have lost it meanwhile.
    pub(super) fn live(&mut self, at: Timestamp, overlap: SignedDuration) {
        let reason = self.away.take().unwrap_or(GapReason::Disconnected);
        if let Some(heard) = self.heard_until {
            let begins = (heard - overlap).min(at);
            // One that nobody told yet grows.
            self.unheard = Some(Unheard { from: begins, to: at, reason }.joined(self.unheard));
        }
        self.heard_until.get_or_insert(at);
        self.pushed_at = None;
    }

    /// It is subscribed no more.
    pub(super) fn lost(&mut self, reason: GapReason) {
        // The first reason is the reason.
        self.away.get_or_insert(reason);
    }

    /// Something came over the connection: everything sent before it has come, too.
    pub(super) fn heard(&mut self, at: Timestamp) {
        if self.away.is_none() {
            self.heard_until = self.heard_until.max(Some(at));
        }
    }

    /// An event of it came.
    pub(super) fn pushed(&mut self, at: Timestamp) {
        self.pushed_at = self.pushed_at.max(Some(at));
    }

    /// A message of that time was found that was never pushed. Whether the subscription is to be distrusted: nothing has
    /// come over it since, so it may have ended without a word. What was missed then is a gap as soon as it is subscribed
    /// again.
    pub(super) fn missed(&mut self, time: Timestamp) -> bool {
        let is_silent = self.away.is_none() && self.pushed_at.is_none_or(|pushed| pushed < time);
        if is_silent {
            self.away = Some(GapReason::Silence);
            self.heard_until = self.heard_until.min(Some(time));
        }
        is_silent
    }

    /// Whether it is subscribed.
    pub(super) fn is_live(&self) -> bool {
        self.away.is_none()
    }

    /// The gap to be told, if there is one.
    pub(super) fn unheard(&self) -> Option<Unheard> {
        self.unheard
    }

    /// That gap was told, and its messages are to be fetched, or not. Where it has grown meanwhile, the whole of it is
    /// another one.
    pub(super) fn told(&mut self, gap: Unheard, is_to_be_fetched: bool) {
        if self.unheard == Some(gap) {
            self.unheard = None;
        }
        if is_to_be_fetched {
            self.unfetched = Some(gap.joined(self.unfetched));
        }
    }

    /// The gap whose messages are to be fetched, if there is one.
    pub(super) fn unfetched(&self) -> Option<Unheard> {
        self.unfetched
    }

    /// Messages of that gap are to be fetched, as an earlier run left it.
    pub(super) fn left_unfetched(&mut self, gap: Unheard) {
        self.unfetched = Some(gap.joined(self.unfetched));
    }

    /// Nothing more will be fetched of that gap; where it has grown meanwhile, the whole of it is another one.
    pub(super) fn fetched(&mut self, gap: Unheard) {
        if self.unfetched == Some(gap) {
            self.unfetched = None;
        }
    }

    /// Until when everything was heard, or was told to be a gap.
    pub(super) fn told_until(&self) -> Option<Timestamp> {
        self.heard_until.filter(|_| self.unheard.is_none())
    }

    /// Until when every message was heard, or was fetched, or was told to be missing.
    pub(super) fn fetched_until(&self) -> Option<Timestamp> {
        self.told_until().filter(|_| self.unfetched.is_none())
    }
}

impl Unheard {
    /// From the earlier beginning of both to the later end.
    fn joined(self, earlier: Option<Self>) -> Self {
        earlier.map_or(self, |earlier| Self {
            from: earlier.from.min(self.from),
            to: earlier.to.max(self.to),
            reason: earlier.reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OVERLAP: SignedDuration = SignedDuration::from_secs(10);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_760_000_000 + second).expect("a time")
    }

    fn gap(from: i64, to: i64, reason: GapReason) -> Option<Unheard> {
        Some(Unheard { from: at(from), to: at(to), reason })
    }

    #[test]
    fn what_was_never_heard_has_no_gap() {
        let mut channel = Standing::new(None);
        channel.live(at(0), OVERLAP);
        assert_eq!(channel.unheard(), None);
        assert_eq!(channel.told_until(), Some(at(0)));
    }

    #[test]
    fn a_restart_is_a_gap_from_the_last_sign_of_life() {
        let mut channel = Standing::new(Some(at(100)));
        assert!(!channel.is_live());
        channel.heard(at(150));
        channel.live(at(200), OVERLAP);
        assert_eq!(
            channel.unheard(),
            gap(90, 200, GapReason::NotRunning),
            "a frame before the subscription says nothing"
        );
        assert_eq!(channel.told_until(), None, "a crash now has to find it again");
        let unheard = channel.unheard().expect("a gap");
        channel.told(unheard, true);
        assert_eq!(channel.told_until(), Some(at(100)), "that it is subscribed may be old news");
        channel.heard(at(200));
        assert_eq!(channel.told_until(), Some(at(200)));
        assert_eq!(channel.fetched_until(), None, "a crash now has to find out that nothing was fetched");
        channel.fetched(unheard);
        assert_eq!(channel.fetched_until(), Some(at(200)));
    }

    #[test]
    fn every_sign_of_life_moves_the_next_gap() {
        let mut channel = Standing::new(None);
        channel.live(at(0), OVERLAP);
        for second in [5, 60, 30] {
            channel.heard(at(second));
        }
        channel.lost(GapReason::Disconnected);
        channel.lost(GapReason::Refused);
        channel.heard(at(90));
        channel.live(at(100), OVERLAP);
        assert_eq!(channel.unheard(), gap(50, 100, GapReason::Disconnected));
    }

    #[test]
    fn a_gap_that_nobody_told_grows_and_one_that_grew_meanwhile_stays() {
        let mut channel = Standing::new(Some(at(0)));
        channel.live(at(50), OVERLAP);
        let first = channel.unheard().expect("a gap");
        channel.lost(GapReason::Disconnected);
        channel.live(at(80), OVERLAP);
        channel.told(first, true);
        assert_eq!(channel.unheard(), gap(-10, 80, GapReason::NotRunning));
        channel.told(channel.unheard().expect("a gap"), true);
        assert_eq!(channel.unfetched(), gap(-10, 80, GapReason::NotRunning));
        channel.fetched(first);
        assert_eq!(channel.unfetched(), gap(-10, 80, GapReason::NotRunning), "fetched was only what it began as");
    }

    #[test]
    fn silence_is_distrusted_once_and_a_channel_that_speaks_is_not() {
        let mut channel = Standing::new(None);
        channel.live(at(0), OVERLAP);
        channel.heard(at(300));
        channel.pushed(at(200));
        assert!(!channel.missed(at(150)), "it has spoken since: a broadcast was lost, not the subscription");
        assert!(channel.missed(at(250)));
        assert!(!channel.missed(at(260)), "told once");
        channel.heard(at(310));
        channel.live(at(320), OVERLAP);
        assert_eq!(channel.unheard(), gap(240, 320, GapReason::Silence));
    }

    #[test]
    fn clocks_that_go_back_make_no_gap_of_negative_length() {
        let mut channel = Standing::new(Some(at(100)));
        channel.live(at(50), OVERLAP);
        assert_eq!(channel.unheard(), gap(50, 50, GapReason::NotRunning));
    }
}
