//! Which forms of a message consumers have, and whether an item is new to them. Pure.
//!
//! A message goes through several forms: it is edited, edited back, deleted; a reaction is added, removed and added
//! again. So a form is not a repeat because it was published once, but because it was published *last*. Two kinds of
//! items come late and are still not new:
//!
//! - *The copy by the other road.* Socket and callback bring the same forms in the same order, one behind the other. An
//!   item of one road is compared with the published forms that this road has not brought yet.
//! - *A page that was requested earlier.* A fetched message is as it was when the page was requested. If a newer form
//!   was published since, an older one on that page is not new.
//!
//! The order is that of the spool. After a crash, frames whose forms are published may be read again, without any later
//! forms. What lies behind [`History::upto`] is then judged as it was the first time, and gets the same id.

use std::collections::HashSet;
use std::sync::Arc;

use super::frame::{Road, Sequence};
use crate::core::settled::Settled;
use chatbridge_event::event::EventId;
use chatbridge_event::normalize::chatapp::identity::{Form, Subject, of_return};

/// How many forms of one subject are remembered; the latest are kept.
pub(crate) const FORMS_KEPT_MAX: usize = 32;

/// The roads by which ChatApp sends events by itself, each in order.
const SENDING_ROADS: usize = 2;

/// An item's place in the spool: its frame, and its index in the frame.
pub(crate) type Spot = (Sequence, u32);

/// A form that consumers have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    words: EventId,
    exact: u128,
    id: EventId,
}

/// What consumers have of one subject, after the latest item about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// Oldest first.
    forms: Vec<Told>,
    /// Older forms were dropped.
    is_cut: bool,
    /// How many of `forms` each sending road has brought.
    brought: [u8; SENDING_ROADS],
    /// The latest item that was judged.
    upto: Option<Spot>,
    /// The last frame in the spool at the time the subject had its last form: the frame that brought it, or, if it was
    /// fetched, the last frame when it was requested.
    as_of: Option<Sequence>,
}

/// What an item means to consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// An earlier run has finished it.
    Done,
    /// They have it already.
    Repeat,
    /// They do not have it; it is published with this id.
    New(EventId),
}

/// The histories after a frame. They become true once everything in the frame is settled.
#[derive(Debug)]
pub(crate) struct Unproved {
    histories: Vec<(Subject, Arc<History>)>,
    /// The ids of the new forms in the frame.
    ids: Vec<EventId>,
}

/// A history that may be stored: every form in it is in Kafka.
#[derive(Debug)]
pub struct Remembered {
    subject: Subject,
    history: Arc<History>,
}

impl Unproved {
    /// Each subject occurs once; `ids` are those of the new forms in the frame.
    pub(crate) fn new(histories: Vec<(Subject, Arc<History>)>, ids: Vec<EventId>) -> Self {
        Self { histories, ids }
    }

    /// The subjects with a history here.
    pub(crate) fn subjects(&self) -> impl Iterator<Item = Subject> {
        self.histories.iter().map(|(subject, _)| *subject)
    }

    /// What may be stored, given these proofs: nothing if one is missing. Earlier frames in the spool with the same
    /// subjects are settled too, because they have the same keys.
    pub(crate) fn settled_by(&self, proofs: &[Settled]) -> Vec<Remembered> {
        let proved: HashSet<EventId> = proofs.iter().map(Settled::id).collect();
        let histories = if self.ids.iter().all(|id| proved.contains(id)) { &self.histories[..] } else { &[] };
        histories
            .iter()
            .map(|(subject, history)| Remembered { subject: *subject, history: Arc::clone(history) })
            .collect()
    }
}

impl Remembered {
    pub(crate) fn subject(&self) -> Subject {
        self.subject
    }

    pub(crate) fn history(&self) -> &History {
        &self.history
    }
}

impl History {
    /// Judges the form that lies at `spot` and came by `road`, and adds it. Call this in spool order. A fetched item
    /// was requested when `asked_behind` was the last frame in the spool.
    pub(crate) fn judge(&mut self, form: &Form, road: Road, spot: Spot, asked_behind: Option<Sequence>) -> Verdict {
        if self.upto.is_some_and(|upto| spot <= upto) {
            return Verdict::Done;
        }
        self.upto = Some(spot);
        let is_known = match road {
            Road::Push => self.is_known_to(0, form),
            Road::Callback => self.is_known_to(1, form),
            Road::Backfill | Road::Reconcile => self.is_known_fetched(form, asked_behind),
            // The bridge's own events have no forms.
            Road::Bridge => false,
        };
        if is_known {
            return Verdict::Repeat;
        }
        let id = self.id_of(form);
        self.add(Told { words: form.words, exact: form.exact, id });
        self.as_of = asked_behind.or(Some(spot.0));
        match road {
            Road::Push => self.brought[0] = self.count(),
            Road::Callback => self.brought[1] = self.count(),
            Road::Backfill | Road::Reconcile | Road::Bridge => {}
        }
        Verdict::New(id)
    }

    /// Whether consumers have this form from a sending road. If so, marks it as brought by that road.
    fn is_known_to(&mut self, road: usize, form: &Form) -> bool {
        let brought = usize::from(self.brought[road]);
        let is_it = |told: &Told| told.exact == form.exact;
        if let Some(further) = self.forms.iter().skip(brought).position(is_it) {
            // At most FORMS_KEPT_MAX.
            self.brought[road] = u8::try_from(brought + further + 1).unwrap_or(u8::MAX);
            return true;
        }
        brought == self.forms.len() && self.forms.last().is_some_and(is_it)
    }

    /// Whether consumers have a fetched form. The file's link is ignored, because it may be signed anew each time.
    fn is_known_fetched(&self, form: &Form, asked_behind: Option<Sequence>) -> bool {
        let is_it = |told: &Told| told.words == form.words;
        let is_old = form.is_past || asked_behind.is_none_or(|asked| self.as_of > Some(asked));
        self.forms.last().is_some_and(is_it) || (is_old && self.forms.iter().any(is_it))
    }

    fn id_of(&self, form: &Form) -> EventId {
        match self.forms.last() {
            Some(last) if self.is_cut || self.forms.iter().any(|told| told.words == form.words) => {
                of_return(form.words, last.id)
            }
            _ => form.words,
        }
    }

    fn add(&mut self, told: Told) {
        if self.forms.len() >= FORMS_KEPT_MAX {
            self.forms.remove(0);
            self.is_cut = true;
            self.brought = self.brought.map(|brought| brought.saturating_sub(1));
        }
        // Most subjects have one form, and thousands may be in memory.
        self.forms.reserve_exact(1);
        self.forms.push(told);
    }

    fn count(&self) -> u8 {
        u8::try_from(self.forms.len()).unwrap_or(u8::MAX)
    }

    /// Whether this history goes further than `other`.
    pub(crate) fn is_later_than(&self, other: &Self) -> bool {
        self.upto > other.upto
    }
}

/// A history as stored on disk: its latest item, what its last form is as of, how many forms each road has brought,
/// whether it is cut, and the forms. A form is one number, or three if they differ.
pub(crate) type Stored = ((u64, u32), u64, (u8, u8), bool, Vec<Vec<u128>>);

impl History {
    pub(crate) fn store(&self) -> Stored {
        let number = |id: EventId| u128::from_be_bytes(id.bytes());
        let forms = self.forms.iter().map(|told| match (number(told.words), told.exact, number(told.id)) {
            (words, exact, id) if words == exact && words == id => vec![words],
            (words, exact, id) => vec![words, exact, id],
        });
        let (Sequence(frame), index) = self.upto.unwrap_or_default();
        let Sequence(as_of) = self.as_of.unwrap_or_default();
        ((frame, index), as_of, self.brought.into(), self.is_cut, forms.collect())
    }

    pub(crate) fn restore((upto, as_of, brought, is_cut, forms): Stored) -> Self {
        let id = |number: u128| EventId::from_uuid(uuid::Uuid::from_u128(number));
        let form = |numbers: Vec<u128>| match numbers[..] {
            [words, exact, other] => Some(Told { words: id(words), exact, id: id(other) }),
            [words] => Some(Told { words: id(words), exact: words, id: id(words) }),
            _ => None,
        };
        Self {
            forms: forms.into_iter().filter_map(form).collect(),
            is_cut,
            brought: brought.into(),
            upto: Some((Sequence(upto.0), upto.1)),
            as_of: Some(Sequence(as_of)),
        }
    }
}

#[cfg(test)]
mod tests;
