//! What was read from the disk and is not yet settled, and how much of it there may be. Pure.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::super::forms::{History, Spot, Unproved, Verdict};
use super::super::lanes::Lanes;
use super::super::spool::{Frame, Road, Sequence};
use super::super::unpack::{Item, Items};
use super::{Ticket, Turn};
use crate::core::settled::Settled;
use chatbridge_event::event::EventId;
use chatbridge_event::normalize::chatapp::identity::{Form, Subject};

/// The most frames that are begun and not yet settled.
const FRAMES_IN_HAND_MAX: usize = 512;
/// No frame is begun while those in hand hold this many items: something is remembered for each item.
const ITEMS_IN_HAND_MAX: usize = 16 * 1024;
/// The most bytes that are in flight or wait for their turn, unless a single event is larger. While they are this many,
/// no more items are made of the open frame. Memory use is a small multiple of this.
const BYTES_ON_THE_WAY_MAX: usize = 8 * 1024 * 1024;
/// What an event takes in flight beside its body, however short it is.
pub(super) const EVENT_BYTES: usize = 8 * 1024;
/// How many items of a frame are made at once, if they are short, so that one disk read covers them all.
const ITEMS_AT_ONCE_MAX: usize = 64;
const BYTES_AT_ONCE_MAX: usize = 256 * 1024;

/// Everything that was read and is not yet settled.
#[derive(Default)]
pub(super) struct InHand {
    /// Read, but not begun.
    pub(super) read: VecDeque<(Sequence, Frame)>,
    /// The frame that is being unpacked.
    pub(super) open: Option<Open>,
    pub(super) frames: HashMap<Sequence, Pending>,
    /// The histories of all subjects in `frames`, which the disk gets only on settling; with the number of frames that
    /// use each.
    pub(super) histories: HashMap<Subject, (Arc<History>, usize)>,
    /// Items of all `frames`.
    pub(super) items: usize,
    /// Bytes of everything in `lanes`, waiting or in flight.
    pub(super) bytes: usize,
    pub(super) lanes: Lanes<Turn>,
}

/// A frame, and the items not yet made of it.
pub(super) struct Open {
    pub(super) sequence: Sequence,
    pub(super) road: Road,
    pub(super) received_at: Timestamp,
    pub(super) asked_behind: Option<Sequence>,
    pub(super) body_bytes: usize,
    pub(super) items: Items,
    /// The index of the next item.
    pub(super) index: u32,
    pub(super) subjects: HashSet<Subject>,
    /// The new forms in it.
    pub(super) new: Vec<EventId>,
}

/// A frame with items still in flight.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) items: usize,
    pub(super) left: usize,
    pub(super) proofs: Vec<Settled>,
    /// The histories that are true once all of it is settled; `None` while it is being unpacked.
    pub(super) unproved: Option<Unproved>,
}

impl Open {
    /// The next items; empty when there are no more.
    pub(super) fn some_items(&mut self) -> Vec<Item> {
        let (mut some, mut bytes) = (Vec::new(), 0);
        while some.len() < ITEMS_AT_ONCE_MAX && bytes < BYTES_AT_ONCE_MAX {
            let Some(item) = self.items.next() else {
                // Free the body now: its items may wait for a long time.
                self.items = Items::One(None);
                break;
            };
            bytes += item.bytes();
            some.push(item);
        }
        some
    }
}

impl InHand {
    /// Whether another frame may be begun.
    pub(super) fn has_room(&self) -> bool {
        self.frames.len() < FRAMES_IN_HAND_MAX && self.items < ITEMS_IN_HAND_MAX
    }

    /// Whether more items may be made of the open frame, or of the next: it may be one single event. The largest go
    /// alone.
    pub(super) fn has_room_for_more(&self) -> bool {
        let body_bytes = match (&self.open, self.read.front()) {
            (Some(open), _) => open.body_bytes,
            (None, Some((_, frame))) if self.has_room() => frame.body.len(),
            (None, _) => return false,
        };
        self.bytes == 0 || self.bytes + body_bytes <= BYTES_ON_THE_WAY_MAX
    }

    /// One more item is in flight.
    pub(super) fn count(&mut self, ticket: &Ticket) {
        self.items += 1;
        self.bytes += ticket.bytes;
        if let Some(pending) = self.frames.get_mut(&ticket.frame) {
            pending.items += 1;
            pending.left += 1;
        }
    }

    pub(super) fn forget(&mut self, frame: Sequence) {
        let Some(settled) = self.frames.remove(&frame) else { return };
        self.items -= settled.items;
        for subject in settled.unproved.iter().flat_map(Unproved::subjects) {
            if let Entry::Occupied(mut held) = self.histories.entry(subject) {
                held.get_mut().1 -= 1;
                if held.get().1 == 0 {
                    held.remove();
                }
            }
        }
    }

    /// The histories that hold once the frame judged last is settled.
    pub(super) fn unproved(&self, subjects: HashSet<Subject>, new: Vec<EventId>) -> Unproved {
        let known = |subject| Some((subject, Arc::clone(&self.histories.get(&subject)?.0)));
        Unproved::new(subjects.into_iter().filter_map(known).collect(), new)
    }

    /// Judges an item, given everything before it.
    pub(super) fn judge(&mut self, form: &Form, road: Road, spot: Spot, asked_behind: Option<Sequence>) -> Verdict {
        let (history, _) = self.histories.entry(form.subject).or_default();
        Arc::make_mut(history).judge(form, road, spot, asked_behind)
    }
}
