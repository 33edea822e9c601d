//! How one channel stands: heard until when, missing what. Pure.
//!
//! Everything here is by the clock that only goes forward ([`chatbridge_base::clock`]). A gap becomes times of day when it is told, and
//! it is told again where the time of day was set afterwards: by the new one the messages that were missed are others.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use chatbridge_base::clock::{LOOK_BACK_MAX, Reading, When};
use chatbridge_event::event::GapReason;

/// Gaps of one channel that are remembered, should the time of day be set; of more, the two oldest become one.
const TOLD_MAX: usize = 16;

/// A stretch that was not heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unheard {
    pub(crate) from: When,
    pub(crate) to: When,
    pub(crate) reason: GapReason,
}

/// A stretch whose messages are to be fetched. The same one again is another one: it may be told by another time of day.
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

/// What one run leaves to the next of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Marks {
    /// The start of the machine that `Up` counts from, where that is known.
    boot: Option<String>,
    /// When this was written.
    written: Reading,
    /// Up to here nothing is missing, but for what was told; since the machine was started.
    heard: SignedDuration,
    /// Of what was told, the messages of this are to be fetched.
    unfetched: Option<Unheard>,
    /// Gaps that may have to be told again.
    told: Vec<Told>,
}

/// Up to when something was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// Since the machine was started.
    Here(SignedDuration),
    /// Before that.
    Before(When),
}

/// What is known of one channel.
#[derive(Debug)]
pub(crate) struct Standing {
    /// Up to here nothing that was sent to us is missing, but for what `unheard` and `again` say; `None`: never heard.
    heard: Option<Heard>,
    subscription: Subscription,
    /// A gap that nobody has told yet.
    unheard: Option<Unheard>,
    /// Gaps that were told by another time of day.
    again: VecDeque<Unheard>,
    told: VecDeque<Told>,
    unfetched: Option<Unfetched>,
    turns: u64,
    /// The time of day can be right. Until then nothing is told or asked for: it would be about another time.
    is_dated: bool,
    /// How far the clocks were apart when they were last looked at.
    offset: SignedDuration,
}

#[derive(Debug, Clone, Copy)]
enum Subscription {
    /// Not subscribed, for this reason.
    Away(GapReason),
    /// Subscribed since then; its last event came then.
    Live { since: Reading, pushed: Option<Reading> },
}

impl Marks {
    /// Of a channel that is ours from `now` on.
    #[must_use]
    pub fn first(boot: Option<&str>, now: Reading) -> Self {
        Self { boot: boot.map(str::to_owned), written: now, heard: now.up, unfetched: None, told: Vec::new() }
    }

    /// Those that version 0.1 wrote: heard until when, and its messages fetched until when, by the time of day.
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

    /// Of an earlier start of the machine: its time of day is all there is.
    fn by_wall(&self, at: Timestamp) -> When {
        When::Wall { at, said: self.written.wall }
    }
}

impl Standing {
    /// Of a channel that was never heard.
    #[cfg(test)]
    pub(crate) fn new(now: Reading) -> Self {
        Self::resumed(None, None, now)
    }

    /// As an earlier run left it. `boot` names the start of the machine that `now` counts from.
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
        // A container may have a clock of its own that was started anew under the same name.
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

    /// What a run that begins after this moment needs to know; `None` where nothing has come to its end that the marks on
    /// disk do not say.
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

    /// It is subscribed from now on.
    ///
    /// A channel that was never heard has no gap: what came before is not ours. Another one is not heard yet either: who
    /// learns late of a subscription may have lost it meanwhile.
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
            // One that nobody told yet grows.
            self.unheard = Some(Unheard { from, to: When::Up(now.up), reason }.joined(self.unheard));
        }
        self.heard.get_or_insert(Heard::Here(now.up));
    }

    /// It is subscribed no more.
    pub(crate) fn lost(&mut self, reason: GapReason) {
        // The first reason is the reason.
        if self.is_live() {
            self.subscription = Subscription::Away(reason);
        }
    }

    /// Something came over the connection: everything sent before it has come, too.
    pub(crate) fn heard(&mut self, at: Reading) {
        let is_news = !matches!(self.heard, Some(Heard::Here(heard)) if heard >= at.up);
        if is_news && self.is_live() {
            self.heard = Some(Heard::Here(at.up));
        }
    }

    /// An event of it came.
    pub(crate) fn pushed(&mut self, at: Reading) {
        if let Subscription::Live { pushed, .. } = &mut self.subscription {
            *pushed = Some(at);
        }
    }

    /// A message that ChatApp wrote at `time` was found that was never pushed. Whether the subscription is to be distrusted:
    /// nothing has come over it since, so it may have ended without a word. What was missed then is a gap as soon as it is
    /// subscribed again.
    pub(crate) fn missed(&mut self, time: Timestamp, now: Reading) -> bool {
        let Subscription::Live { since, pushed } = self.subscription else { return false };
        if pushed.is_some_and(|pushed| now.wall_at(pushed.up) >= time) {
            return false;
        }
        self.subscription = Subscription::Away(GapReason::Silence);
        let proven = pushed.unwrap_or(since).up;
        // ChatApp's clock says when, unless ours is behind it: then only what came over the subscription says something.
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

    /// What follows where the time of day was set: gaps that were told are to be told again by the new one. Whether there is
    /// something to do that there was not.
    ///
    /// To be called before anything is told or fetched.
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

    /// In doubt the machine stood still for so long: what came before was so much earlier than the other clock says.
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

    /// The gap to be told, if there is one.
    pub(crate) fn unheard(&self) -> Option<Unheard> {
        self.unheard.or_else(|| self.again.front().copied()).filter(|_| self.is_dated)
    }

    /// That gap was told, by the time of day of `now`, and its messages are to be fetched, or not. Where it has grown
    /// meanwhile, the whole of it is another one.
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

    /// Nothing more will be fetched of that gap; where it has grown or was told again meanwhile, it is another one.
    pub(crate) fn fetched(&mut self, gap: Unfetched) {
        if self.unfetched == Some(gap) {
            self.unfetched = None;
        }
    }

    /// Nothing will be fetched, whatever an earlier run left.
    pub(crate) fn fetches_nothing(&mut self) {
        self.unfetched = None;
    }

    fn fetch(&mut self, gap: Option<Unheard>) {
        self.turns += 1;
        self.unfetched = gap.map(|gap| Unfetched { gap, turn: self.turns });
    }
}

impl Unheard {
    /// From when to when, in the time of day of `now`. `overlap` is how far it reaches back before the last sign of life.
    pub(crate) fn told_at(&self, now: Reading, overlap: SignedDuration) -> (Timestamp, Timestamp) {
        let to = self.to.end(now);
        let from = self.from.beginning(now);
        (from.checked_sub(overlap).unwrap_or(Timestamp::MIN).min(to), to)
    }

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
mod tests;
