//! Which page to request next, and which items of a page belong to the gap: no clock, no I/O.

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
    /// After another page.
    Cursor(String),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// Request this page.
    Page(Position),
    /// All pages were read.
    Done,
    /// The pages do not end.
    GiveUp(&'static str),
}

/// The cursors seen in this pass over a list, and the number of pages in all passes.
struct Cursors {
    seen: HashSet<String>,
    pages: usize,
    pages_max: usize,
}

impl Cursors {
    fn new(pages_max: usize) -> Self {
        Self { seen: HashSet::new(), pages: 0, pages_max }
    }

    /// The page at `cursor`, unless that would go in circles.
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

/// The chats with activity since a time.
///
/// The list is sorted by latest activity, and that changes while it is read. A chat that moves to the top from a page
/// not yet read would be skipped, and its earlier messages missed. So the list is read again from the top, down to the
/// previous top, until nothing has changed in between, or one page holds all that did: a consistent snapshot.
pub(super) struct ChatWalk {
    from: Timestamp,
    /// How far back this pass reads.
    floor: Timestamp,
    /// The time of the first chat when this pass began.
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
        // The first pass relies on the order as little as it can: a pinned chat may be anywhere.
        let is_through = if self.is_first_reading {
            !page.items.is_empty() && times().count() == page.items.len() && times().all(is_below)
        } else {
            times().next_back().is_some_and(is_below)
        };
        for chat in page.items {
            let moved = match chat.moved {
                Moved::Never => false,
                Moved::At(time) => time >= self.from,
                // It may have moved.
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
        // A pass of one page is consistent in itself. Otherwise nothing may have changed since the previous pass began.
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

    /// The chats with activity.
    pub(super) fn into_chats(self) -> Vec<String> {
        self.chats
    }
}

/// The messages of a chat in a gap.
pub(super) struct MessageWalk {
    from: Timestamp,
    to: Timestamp,
    cursors: Cursors,
    /// Ids of the messages handed over.
    seen: HashSet<String>,
}

impl MessageWalk {
    pub(super) fn new(gap: Gap, pages_max: usize) -> Self {
        let (from, to) = (whole_second(gap.from), whole_second(gap.to));
        Self { from, to, cursors: Cursors::new(pages_max), seen: HashSet::new() }
    }

    pub(super) fn first(&self) -> Ask {
        // It is not known whether ChatApp includes messages of that very second.
        Ask::Page(Position::From(self.from - SignedDuration::from_secs(1)))
    }

    /// The items of a page that belong to the gap and were on no earlier page, and what to do next.
    pub(super) fn took(&mut self, page: Page<Box<RawValue>>) -> (Vec<Box<RawValue>>, Ask) {
        self.cursors.pages += 1;
        let mut times = Vec::with_capacity(page.items.len());
        let mut items = Vec::with_capacity(page.items.len());
        for item in page.items {
            let message = Json::parse(item.get()).unwrap_or(Json::Null);
            let time = moment(message.get("time"));
            times.push(time);
            // An item without a readable time may belong to the gap.
            let is_before = time.is_some_and(|time| time < self.from);
            let is_repeat = message.get("id").words().is_some_and(|id| !self.seen.insert(id.to_owned()));
            if !is_before && !is_repeat {
                items.push(item);
            }
        }
        let all_are_later = !times.is_empty() && times.iter().all(|time| time.is_some_and(|time| time > self.to));
        // If, contrary to what is known, the list is newest first, the gap is on a later page.
        let is_beyond = all_are_later && times.first() <= times.last();
        let ask = match page.next {
            Next::Cursor(cursor) if !is_beyond => self.cursors.follow(cursor),
            _ => Ask::Done,
        };
        (items, ask)
    }
}

/// ChatApp counts in whole seconds; messages of the same second may be before or after.
fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
