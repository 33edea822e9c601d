//! Which page to ask for next, and what of a page belongs to the gap: no clock, no wires.

use std::collections::HashSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

use super::Gap;
use crate::chatapp::api::answer::moment;
use crate::chatapp::api::{ChatSummary, Moved, Next, Page};
use chatbridge_base::json::Json;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Position {
    /// At the beginning of the list.
    Top,
    /// At this time.
    From(Timestamp),
    /// Behind another page.
    Cursor(String),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Ask for this page.
    Page(Position),
    /// That was all.
    Done,
    /// This has no end.
    GiveUp(&'static str),
}

/// Cursors of one reading of a list, and pages of all of them.
struct Cursors {
    seen: HashSet<String>,
    pages: usize,
    pages_max: usize,
}

impl Cursors {
    fn new(pages_max: usize) -> Self {
        Self { seen: HashSet::new(), pages: 0, pages_max }
    }

    /// The page of `cursor`, if that is a way forward.
    fn follow(&mut self, cursor: String) -> Ask {
        if self.pages >= self.pages_max {
            return Ask::GiveUp("a list has more pages than are read");
        }
        if !self.seen.insert(cursor.clone()) {
            return Ask::GiveUp("a list leads round in a circle");
        }
        Ask::Page(Position::Cursor(cursor))
    }
}

/// The chats that moved since a time.
///
/// The list is sorted by when chats last moved, and they go on moving while it is read: one that jumps to the top from
/// below has been passed by, and what was said in it before would be missed. So the list is read again from the top,
/// down to where its top was before, until nothing moved in between, or all that did is on one page: a moment's picture.
pub(super) struct ChatWalk {
    from: Timestamp,
    /// How far down this reading goes.
    floor: Timestamp,
    /// The time of what stood at the top when this reading began.
    top: Option<Timestamp>,
    is_first_reading: bool,
    pages_of_reading: usize,
    cursors: Cursors,
    known: HashSet<String>,
    chats: Vec<String>,
}

impl ChatWalk {
    pub(super) fn new(from: Timestamp, pages_max: usize) -> Self {
        Self {
            from: whole_second(from),
            floor: whole_second(from),
            top: None,
            is_first_reading: true,
            pages_of_reading: 0,
            cursors: Cursors::new(pages_max),
            known: HashSet::new(),
            chats: Vec::new(),
        }
    }

    pub(super) fn first(&self) -> Ask {
        Ask::Page(Position::Top)
    }

    pub(super) fn took(&mut self, page: Page<ChatSummary>) -> Ask {
        self.cursors.pages += 1;
        self.pages_of_reading += 1;
        let times =
            || page.items.iter().filter_map(|chat| if let Moved::At(time) = chat.moved { Some(time) } else { None });
        if self.pages_of_reading == 1 {
            self.top = times().max();
        }
        let is_below = |time: Timestamp| time < self.floor;
        // The first reading trusts the order no further than it must; a chat that is pinned may stand where it will.
        let is_through = if self.is_first_reading {
            !page.items.is_empty() && times().count() == page.items.len() && times().all(is_below)
        } else {
            times().next_back().is_some_and(is_below)
        };
        for chat in page.items {
            let moved = match chat.moved {
                Moved::Never => false,
                Moved::At(time) => time >= self.from,
                // Nobody can say that it did not.
                Moved::Unreadable => true,
            };
            if moved && self.known.insert(chat.id.clone()) {
                self.chats.push(chat.id);
            }
        }
        match page.next {
            Next::Cursor(cursor) if !is_through => self.cursors.follow(cursor),
            _ => self.reading_ended(),
        }
    }

    fn reading_ended(&mut self) -> Ask {
        // Nothing moved since the reading before this one began, or nothing can have while one page was written.
        let was_still = !self.is_first_reading && self.top == Some(self.floor);
        let Some(top) = self.top.filter(|_| self.pages_of_reading > 1 && !was_still) else { return Ask::Done };
        if self.cursors.pages >= self.cursors.pages_max {
            return Ask::GiveUp("chats move faster than their list can be read");
        }
        self.floor = top;
        self.is_first_reading = false;
        self.pages_of_reading = 0;
        self.cursors.seen.clear();
        Ask::Page(Position::Top)
    }

    /// Those that moved.
    pub(super) fn into_chats(self) -> Vec<String> {
        self.chats
    }
}

/// The messages of a chat in a gap.
pub(super) struct MessageWalk {
    from: Timestamp,
    to: Timestamp,
    cursors: Cursors,
    /// Ids of what was handed over.
    seen: HashSet<String>,
}

impl MessageWalk {
    pub(super) fn new(gap: Gap, pages_max: usize) -> Self {
        let (from, to) = (whole_second(gap.from), whole_second(gap.to));
        Self { from, to, cursors: Cursors::new(pages_max), seen: HashSet::new() }
    }

    pub(super) fn first(&self) -> Ask {
        // Whether ChatApp begins at that second or behind it is not known.
        Ask::Page(Position::From(self.from - SignedDuration::from_secs(1)))
    }

    /// What of a page belongs to the gap and was not on another one, and what to do next.
    pub(super) fn took(&mut self, page: Page<Box<RawValue>>) -> (Vec<Box<RawValue>>, Ask) {
        self.cursors.pages += 1;
        let mut times = Vec::with_capacity(page.items.len());
        let mut items = Vec::with_capacity(page.items.len());
        for item in page.items {
            let message = Json::parse(item.get()).unwrap_or(Json::Null);
            let time = moment(message.get("time"));
            times.push(time);
            // What nobody can place in time may be of the gap.
            let is_before = time.is_some_and(|time| time < self.from);
            let is_repeat = message.get("id").words().is_some_and(|id| !self.seen.insert(id.to_owned()));
            if !is_before && !is_repeat {
                items.push(item);
            }
        }
        let all_are_later = !times.is_empty() && times.iter().all(|time| time.is_some_and(|time| time > self.to));
        // Of a list that begins with the newest, against all that is known, the gap would be on a later page.
        let is_beyond = all_are_later && times.first() <= times.last();
        let ask = match page.next {
            Next::Cursor(cursor) if !is_beyond => self.cursors.follow(cursor),
            _ => Ask::Done,
        };
        (items, ask)
    }
}

/// ChatApp counts in seconds; what is in the same one may be before or after.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
