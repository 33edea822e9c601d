//! The state of one channel: up to when it was heard, and which gaps it has. Pure.
//!
//! Everything here uses the monotonic clock ([`chatbridge_base::clock`]). A gap is converted to times of day when it is
//! told. If the time of day is set afterwards, the gap is told again: by the new clock, other messages were missed.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use chatbridge_base::clock::{LOOK_BACK_MAX, Reading, When};
use chatbridge_event::event::GapReason;

/// How many told gaps of a channel are remembered, in case the time of day is set. Beyond that, the two oldest are
/// merged.
const TOLD_MAX: usize = 16;

/// A stretch in which the channel was not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unheard {
    pub(crate) from: When,
    pub(crate) to: When,
    pub(crate) reason: GapReason,
}

/// A gap whose messages are to be fetched. A gap that is told again is another one, because it may be told by another
/// time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unfetched {
    pub(crate) gap: Unheard,
    turn: u64,
}

/// A gap that consumers were told, and by which time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    gap: Unheard,
    offset: SignedDuration,
}

/// What one run stores about a channel for the next run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Marks {
    /// The boot that `Up` counts from, if known.
    boot: Option<String>,
    /// When this was written.
    written: Reading,
    /// Nothing is missing up to here except what was told. Counted from boot.
    heard: SignedDuration,
    /// The told gap whose messages are still to be fetched.
    unfetched: Option<Unheard>,
    /// Gaps that may have to be told again.
    told: Vec<Told>,
}

/// Up to when the channel was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// In this boot: the time since it.
    Here(SignedDuration),
    /// Before this boot.
    Before(When),
}

/// The state of one channel.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Nothing that was sent to us is missing up to here, except for `unheard` and `again`; `None`: never heard.
    heard: Option<Heard>,
    subscription: Subscription,
    /// A gap that was not told yet.
    unheard: Option<Unheard>,
    /// Gaps that were told by another time of day.
    again: VecDeque<Unheard>,
    told: VecDeque<Told>,
    unfetched: Option<Unfetched>,
    turns: u64,
    /// Whether the time of day can be right. Until it can, no gap is told or fetched: its times would be wrong.
    is_dated: bool,
    /// The difference between the clocks when they were last looked at.
    offset: SignedDuration,
}

#[derive(Debug, Clone, Copy)]
enum Subscription {
    /// Not subscribed, with the reason.
    Away(GapReason),
    /// Subscribed since then, and when its last event came.
    Live { since: Reading, pushed: Option<Reading> },
}

impl Marks {
    /// The marks of a channel that is received from `now` on.
    #[must_use]
    pub fn first(boot: Option<&str>, now: Reading) -> Self {
        Self { boot: boot.map(str::to_owned), written: now, heard: now.up, unfetched: None, told: Vec::new() }
    }

    /// The marks that version 0.1 wrote: heard up to when, and its messages fetched up to when, by the time of day.
    #[must_use]
    pub fn by_time_of_day(heard: Timestamp, fetched: Option<Timestamp>) -> Self {
        let said = fetched.unwrap_or(heard).max(heard);
        let wall = |at| When::Wall { at, said };
        let unfetched = fetched.filter(|fetched| *fetched != heard).map(|fetched| Unheard {
            from: wall(fetched),
            to: wall(heard),
            reason: GapReason::NotRunning,
        });
        let written = Reading { wall: said, up: SignedDuration::ZERO };
        Self { unfetched, heard: heard.duration_since(said), ..Self::first(None, written) }
    }

    /// Of an earlier boot only the time of day is known.
    fn by_wall(&self, at: Timestamp) -> When {
        When::Wall { at, said: self.written.wall }
    }
}

impl Standing {
    /// A channel that was never heard.
    #[cfg(test)]
    pub(crate) fn new(now: Reading) -> Self {
        Self::resumed(None, None, now)
    }

    /// A channel with the marks of an earlier run. `boot` names the boot that `now` counts from.
    pub(crate) fn resumed(marks: Option<Marks>, boot: Option<&str>, now: Reading) -> Self {
        let mut standing = Self {
            heard: None,
            subscription: Subscription::Away(GapReason::NotRunning),
            unheard: None,
            again: VecDeque::new(),
            told: VecDeque::new(),
            unfetched: None,
            turns: 0,
            is_dated: now.is_dated(),
            offset: now.offset(),
        };
        let Some(marks) = marks else { return standing };
        // A restarted container may have a clock of its own under the same boot id, so compare the times as well.
        if boot.is_some() && marks.boot.as_deref() == boot && marks.written.up <= now.up {
            standing.heard = Some(Heard::Here(marks.heard));
            standing.told = marks.told.into();
            standing.fetch(marks.unfetched);
            standing.offset = marks.written.offset();
            standing.is_dated = marks.written.is_dated();
        } else {
            let written = marks.written;
            standing.heard = Some(Heard::Before(marks.by_wall(written.wall_at(marks.heard))));
            standing.fetch(marks.unfetched.map(|gap| Unheard {
                from: marks.by_wall(gap.from.beginning(written)),
                to: marks.by_wall(gap.to.end(written)),
                ..gap
            }));
        }
        standing.look_at_clock(now);
        standing
    }

    /// The marks for a run that starts after this moment; `None` if they would say nothing that the marks on disk do
    /// not.
    pub(crate) fn marks(&self, boot: Option<&str>, now: Reading) -> Option<Marks> {
        let Some(Heard::Here(heard)) = self.heard else { return None };
        let is_told = self.unheard.is_none() && self.again.is_empty();
        (is_told && self.is_dated).then(|| Marks {
            boot: boot.map(str::to_owned),
            written: now,
            heard,
            unfetched: self.unfetched.map(|unfetched| unfetched.gap),
            told: self.told.iter().copied().collect(),
        })
    }

    /// The channel is subscribed from now on.
    ///
    /// A channel that was never heard has no gap: earlier events are not expected. A channel that was heard before does
    /// not count as heard yet: the subscription may have been lost before this report arrives.
    pub(crate) fn live(&mut self, now: Reading) {
        self.look_at_clock(now);
        let reason = match self.subscription {
            Subscription::Away(reason) => reason,
            Subscription::Live { .. } => GapReason::Disconnected,
        };
        self.subscription = Subscription::Live { since: now, pushed: None };
        if let Some(heard) = self.heard {
            let from = match heard {
                Heard::Here(heard) => When::Up(heard),
                Heard::Before(when) => when,
            };
            // A gap that was not told yet is extended.
            self.unheard = Some(Unheard { from, to: When::Up(now.up), reason }.joined(self.unheard));
        }
        self.heard.get_or_insert(Heard::Here(now.up));
    }

    /// The channel is no longer subscribed.
    pub(crate) fn lost(&mut self, reason: GapReason) {
        // Keep the first reason.
        if self.is_live() {
            self.subscription = Subscription::Away(reason);
        }
    }

    /// Something came over the connection, so everything sent before it has come too.
    pub(crate) fn heard(&mut self, at: Reading) {
        let is_news = !matches!(self.heard, Some(Heard::Here(heard)) if heard >= at.up);
        if is_news && self.is_live() {
            self.heard = Some(Heard::Here(at.up));
        }
    }

    /// An event of this channel came.
    pub(crate) fn pushed(&mut self, at: Reading) {
        if let Subscription::Live { pushed, .. } = &mut self.subscription {
            *pushed = Some(at);
        }
    }

    /// A message that ChatApp wrote at `time` was found and had never been pushed. Returns whether to distrust the
    /// subscription: nothing has come over it since, so it may have ended silently. What was missed becomes a gap when
    /// the channel is subscribed again.
    pub(crate) fn missed(&mut self, time: Timestamp, now: Reading) -> bool {
        let Subscription::Live { since, pushed } = self.subscription else { return false };
        if pushed.is_some_and(|pushed| now.wall_at(pushed.up) >= time) {
            return false;
        }
        self.subscription = Subscription::Away(GapReason::Silence);
        let proven = pushed.unwrap_or(since).up;
        // Use ChatApp's time of the message. If our clock is behind ChatApp's, only an event on this subscription says
        // anything.
        let written = now.up.saturating_sub(now.wall.duration_since(time));
        let silent_from = if written <= now.up { written.max(proven) } else { proven };
        if let Some(Heard::Here(heard)) = self.heard
            && silent_from < heard
        {
            self.heard = Some(Heard::Here(silent_from));
        }
        true
    }

    /// Whether it is subscribed.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.subscription, Subscription::Live { .. })
    }

    /// If the time of day was set, gaps that were told are to be told again by the new one. Returns whether there is
    /// new work.
    ///
    /// Call this before telling or fetching anything.
    pub(crate) fn look_at_clock(&mut self, now: Reading) -> bool {
        let was_dated = std::mem::replace(&mut self.is_dated, now.is_dated());
        if now.was_set_since(self.offset) {
            self.was_earlier(now.ahead_since(self.offset));
            self.offset = now.offset();
        }
        let is_old = |gap: &Unheard| matches!(gap.to, When::Up(to) if now.up.saturating_sub(to) > LOOK_BACK_MAX);
        self.told.retain(|told| !is_old(&told.gap));
        let before = self.again.len();
        let (again, told) = self.told.iter().partition::<Vec<Told>, _>(|told| now.was_set_since(told.offset));
        self.again.extend(again.iter().map(|told| told.gap));
        self.told = told.into();
        self.is_dated && (!was_dated || self.again.len() > before)
    }

    /// If in doubt, the machine was suspended for this long: shift everything before by that much into the past.
    fn was_earlier(&mut self, by: SignedDuration) {
        let earlier = |gap: Unheard| Unheard { from: gap.from.earlier(by), ..gap };
        self.unheard = self.unheard.map(earlier);
        self.again.iter_mut().for_each(|gap| *gap = earlier(*gap));
        self.told.iter_mut().for_each(|told| told.gap = earlier(told.gap));
        if let Some(unfetched) = self.unfetched {
            self.fetch(Some(earlier(unfetched.gap)));
        }
        if let Some(Heard::Here(heard)) = self.heard {
            self.heard = Some(Heard::Here(heard.saturating_sub(by)));
        }
    }

    /// The gap to tell, if there is one.
    pub(crate) fn unheard(&self) -> Option<Unheard> {
        self.unheard.or_else(|| self.again.front().copied()).filter(|_| self.is_dated)
    }

    /// That gap was told, by the time of day of `now`; `is_to_be_fetched` says whether its messages are to be fetched.
    /// If it has grown meanwhile, the whole of it is a new gap.
    pub(crate) fn told(&mut self, gap: Unheard, now: Reading, is_to_be_fetched: bool) {
        if self.unheard == Some(gap) {
            self.unheard = None;
        } else if self.again.front() == Some(&gap) {
            self.again.pop_front();
        }
        self.told.push_back(Told { gap, offset: now.offset() });
        if self.told.len() > TOLD_MAX
            && let Some(oldest) = self.told.pop_front()
            && let Some(next) = self.told.front_mut()
        {
            next.gap = next.gap.joined(Some(oldest.gap));
        }
        if is_to_be_fetched {
            let unfetched = self.unfetched.map(|unfetched| unfetched.gap);
            self.fetch(Some(gap.joined(unfetched)));
        }
    }

    /// The gap whose messages are to be fetched, if there is one.
    pub(crate) fn unfetched(&self) -> Option<Unfetched> {
        self.unfetched.filter(|_| self.is_dated)
    }

    /// That gap is done with. If it has grown or was told again meanwhile, it is a new gap.
    pub(crate) fn fetched(&mut self, gap: Unfetched) {
        if self.unfetched == Some(gap) {
            self.unfetched = None;
        }
    }

    /// Nothing will be fetched, even if an earlier run left a gap to fetch.
    pub(crate) fn fetches_nothing(&mut self) {
        self.unfetched = None;
    }

    fn fetch(&mut self, gap: Option<Unheard>) {
        self.turns += 1;
        self.unfetched = gap.map(|gap| Unfetched { gap, turn: self.turns });
    }
}

impl Unheard {
    /// The beginning and end in the time of day of `now`. `overlap` extends it to before the last sign of life.
    pub(crate) fn told_at(&self, now: Reading, overlap: SignedDuration) -> (Timestamp, Timestamp) {
        let to = self.to.end(now);
        let from = self.from.beginning(now);
        (from.checked_sub(overlap).unwrap_or(Timestamp::MIN).min(to), to)
    }

    /// From the earlier beginning to the later end of both.
    fn joined(self, earlier: Option<Self>) -> Self {
        earlier.map_or(self, |earlier| Self {
            from: earlier.from.min(self.from),
            to: earlier.to.max(self.to),
            reason: earlier.reason,
        })
    }
}

#[cfg(test)]
mod tests;
