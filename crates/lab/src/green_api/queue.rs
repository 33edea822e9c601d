//! One instance's queue as a value: no lock, no clock, no I/O. Time is passed in, so every rule of
//! 3 can be tested without waiting.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::time::Instant;

use super::config::{EntryId, Receipts, Redelivery, SimulatorConfig};

/// The rules of the queue that the configuration decides.
#[derive(Clone, Copy, Debug)]
pub struct QueueRules {
    /// How long an event stays.
    pub retention: Duration,
    /// What is handed out while an event is not deleted.
    pub redelivery: Redelivery,
    /// Which receipts delete.
    pub receipts: Receipts,
    /// The first receipt of all.
    pub first_receipt: u64,
    /// How many events may be queued.
    pub events_max: usize,
}

impl From<&SimulatorConfig> for QueueRules {
    fn from(config: &SimulatorConfig) -> Self {
        Self {
            retention: config.retention,
            redelivery: config.redelivery,
            receipts: config.receipts,
            first_receipt: 1,
            events_max: config.queue_events_max,
        }
    }
}

/// An event on its way to a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandOut {
    /// Which event it is.
    pub entry: EntryId,
    /// What deletes it.
    pub receipt: u64,
    /// Its text.
    pub body: Bytes,
}

/// What a receive finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// An event.
    Event(HandOut),
    /// Nothing to hand out; with a time when everything queued is merely hidden until then.
    Nothing {
        /// When the first of the hidden events shows again.
        hidden_until: Option<Instant>,
    },
}

/// The queue holds as many events as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the queue is full")]
pub struct QueueFull;

#[derive(Debug)]
struct Entry {
    id: EntryId,
    body: Bytes,
    enqueued_at: Instant,
    receipt: Option<u64>,
    hidden_until: Option<Instant>,
}

impl Entry {
    fn is_visible(&self, now: Instant) -> bool {
        self.hidden_until.is_none_or(|until| until <= now)
    }
}

/// FIFO; the head stays until it is deleted or too old.
#[derive(Debug)]
pub struct Queue {
    rules: QueueRules,
    entries: VecDeque<Entry>,
    /// The receipts that delete: the latest of each event that is handed out, or all of them.
    handed_out: HashMap<u64, EntryId>,
    last_entry: u64,
    next_receipt: u64,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new(rules: QueueRules) -> Self {
        Self {
            rules,
            entries: VecDeque::new(),
            handed_out: HashMap::new(),
            last_entry: 0,
            next_receipt: rules.first_receipt,
        }
    }

    /// Puts an event at its end.
    ///
    /// # Errors
    ///
    /// Where it holds as many as it may.
    pub fn enqueue(&mut self, body: Bytes, now: Instant) -> Result<EntryId, QueueFull> {
        if self.entries.len() >= self.rules.events_max {
            return Err(QueueFull);
        }
        self.last_entry += 1;
        let id = EntryId(self.last_entry);
        self.entries.push_back(Entry { id, body, enqueued_at: now, receipt: None, hidden_until: None });
        Ok(id)
    }

    /// Removes what is older than the retention, silently for the client, and names it.
    pub fn expire(&mut self, now: Instant) -> Vec<EntryId> {
        let mut expired = Vec::new();
        while let Some(due) = self.next_expiry()
            && due <= now
            && let Some(entry) = self.entries.pop_front()
        {
            self.forget_receipts(&entry);
            expired.push(entry.id);
        }
        expired
    }

    /// Hands out the event whose turn it is.
    pub fn receive(&mut self, now: Instant) -> Received {
        let position = match self.rules.redelivery {
            Redelivery::SameHead => (!self.entries.is_empty()).then_some(0),
            Redelivery::SameHeadAfter(_) => self.entries.front().filter(|head| head.is_visible(now)).map(|_| 0),
            Redelivery::NextUnacked(_) => self.entries.iter().position(|entry| entry.is_visible(now)),
        };
        let Some(entry) = position.and_then(|position| self.entries.get_mut(position)) else {
            return Received::Nothing { hidden_until: self.next_visible() };
        };
        let receipt = match (self.rules.receipts, entry.receipt) {
            (Receipts::Stable, Some(receipt)) => receipt,
            (rule, previous) => {
                if let Some(spent) = previous.filter(|_| rule == Receipts::NewPerHandOut) {
                    self.handed_out.remove(&spent);
                }
                let receipt = self.next_receipt;
                self.next_receipt += 1;
                receipt
            }
        };
        entry.receipt = Some(receipt);
        entry.hidden_until = match self.rules.redelivery {
            Redelivery::SameHead => None,
            Redelivery::SameHeadAfter(pause) | Redelivery::NextUnacked(pause) => Some(now + pause),
        };
        self.handed_out.insert(receipt, entry.id);
        Received::Event(HandOut { entry: entry.id, receipt, body: entry.body.clone() })
    }

    /// Removes the event last handed out under this receipt; `None` when there is no such event.
    pub fn delete(&mut self, receipt: u64) -> Option<EntryId> {
        let id = self.handed_out.remove(&receipt)?;
        self.remove(id)
    }

    /// The oldest event, whether or not a receiver has it: what is pushed.
    #[must_use]
    pub fn head(&self) -> Option<(EntryId, Bytes)> {
        self.entries.front().map(|head| (head.id, head.body.clone()))
    }

    /// Removes this event; `None` when it is gone.
    pub fn remove(&mut self, id: EntryId) -> Option<EntryId> {
        // Entries are in the order of their ids, with gaps where later ones were deleted first.
        let position = self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?;
        let entry = self.entries.remove(position)?;
        self.forget_receipts(&entry);
        Some(id)
    }

    /// How many events are queued.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// When the oldest event will vanish.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Instant> {
        self.entries.front().map(|head| head.enqueued_at + self.rules.retention)
    }

    fn next_visible(&self) -> Option<Instant> {
        match self.rules.redelivery {
            Redelivery::SameHead => None,
            Redelivery::SameHeadAfter(_) => self.entries.front().and_then(|head| head.hidden_until),
            Redelivery::NextUnacked(_) => self.entries.iter().filter_map(|entry| entry.hidden_until).min(),
        }
    }

    fn forget_receipts(&mut self, entry: &Entry) {
        if self.rules.receipts == Receipts::NewAndOldOnesValid {
            self.handed_out.retain(|_, id| *id != entry.id);
        } else if let Some(receipt) = entry.receipt {
            self.handed_out.remove(&receipt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    fn queue(redelivery: Redelivery, receipts: Receipts, bodies: &[&'static str]) -> (Queue, Instant) {
        let now = Instant::now();
        let retention = Duration::from_secs(100);
        let rules = QueueRules { retention, redelivery, receipts, first_receipt: 1, events_max: 4 };
        let mut queue = Queue::new(rules);
        for body in bodies {
            queue.enqueue(Bytes::from_static(body.as_bytes()), now).expect("room");
        }
        (queue, now)
    }

    fn seen(queue: &mut Queue, now: Instant) -> Option<(u64, u64)> {
        match queue.receive(now) {
            Received::Event(out) => Some((out.entry.0, out.receipt)),
            Received::Nothing { .. } => None,
        }
    }

    #[test]
    fn the_head_stays_until_deleted_and_then_the_next_follows() {
        let (mut queue, now) = queue(Redelivery::SameHead, Receipts::NewPerHandOut, &["a", "b"]);
        assert_eq!(seen(&mut queue, now), Some((1, 1)));
        assert_eq!(seen(&mut queue, now), Some((1, 2)));
        assert_eq!(queue.delete(1), None, "an old receipt deletes nothing");
        assert_eq!(queue.delete(2), Some(EntryId(1)));
        assert_eq!(queue.delete(2), None, "a receipt works once");
        assert_eq!(seen(&mut queue, now), Some((2, 3)));
    }

    #[test]
    fn stable_receipts_stay() {
        let (mut queue, now) = queue(Redelivery::SameHead, Receipts::Stable, &["a", "b"]);
        assert_eq!(seen(&mut queue, now), Some((1, 1)));
        assert_eq!(seen(&mut queue, now), Some((1, 1)));
        assert_eq!(queue.delete(1), Some(EntryId(1)));
        assert_eq!(seen(&mut queue, now), Some((2, 2)));
    }

    #[test]
    fn where_old_receipts_stay_valid_each_deletes_once_for_all() {
        let (mut queue, now) = queue(Redelivery::SameHead, Receipts::NewAndOldOnesValid, &["a", "b"]);
        assert_eq!(seen(&mut queue, now), Some((1, 1)));
        assert_eq!(seen(&mut queue, now), Some((1, 2)));
        assert_eq!(queue.delete(1), Some(EntryId(1)));
        assert_eq!(queue.delete(2), None);
        assert_eq!(seen(&mut queue, now), Some((2, 3)));
    }

    #[test]
    fn a_pause_hides_the_head_and_all_behind_it() {
        let (mut queue, now) = queue(Redelivery::SameHeadAfter(PAUSE), Receipts::Stable, &["a", "b"]);
        assert_eq!(seen(&mut queue, now), Some((1, 1)));
        assert_eq!(queue.receive(now), Received::Nothing { hidden_until: Some(now + PAUSE) });
        assert_eq!(seen(&mut queue, now + PAUSE), Some((1, 1)));
        assert_eq!(queue.delete(1), Some(EntryId(1)));
        assert_eq!(seen(&mut queue, now + PAUSE), Some((2, 2)));
    }

    #[test]
    fn next_unacked_goes_on_and_comes_back() {
        let (mut queue, now) = queue(Redelivery::NextUnacked(PAUSE), Receipts::NewPerHandOut, &["a", "b", "c"]);
        assert_eq!(seen(&mut queue, now), Some((1, 1)));
        assert_eq!(seen(&mut queue, now), Some((2, 2)));
        assert_eq!(queue.delete(2), Some(EntryId(2)), "out of order is possible here");
        assert_eq!(seen(&mut queue, now), Some((3, 3)));
        assert_eq!(queue.receive(now), Received::Nothing { hidden_until: Some(now + PAUSE) });
        assert_eq!(seen(&mut queue, now + PAUSE), Some((1, 4)));
        assert_eq!(queue.delete(4), Some(EntryId(1)));
        assert_eq!(queue.delete(3), Some(EntryId(3)));
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn the_head_is_seen_through_every_pause_and_leaves_with_its_receipt() {
        let (mut queue, now) = queue(Redelivery::NextUnacked(PAUSE), Receipts::NewAndOldOnesValid, &["a", "b"]);
        assert_eq!(seen(&mut queue, now), Some((1, 1)));
        assert_eq!(queue.head(), Some((EntryId(1), Bytes::from_static(b"a"))));
        assert_eq!(queue.remove(EntryId(1)), Some(EntryId(1)));
        assert_eq!((queue.remove(EntryId(1)), queue.delete(1)), (None, None));
        assert_eq!(queue.head(), Some((EntryId(2), Bytes::from_static(b"b"))));
    }

    #[test]
    fn events_vanish_with_age_and_take_their_receipts_along() {
        let (mut queue, now) = queue(Redelivery::SameHead, Receipts::Stable, &["a"]);
        queue.enqueue(Bytes::from_static(b"b"), now + PAUSE).expect("room");
        assert_eq!(seen(&mut queue, now), Some((1, 1)));
        assert!(queue.expire(now + Duration::from_secs(99)).is_empty());
        assert_eq!(queue.expire(now + Duration::from_secs(100)), [EntryId(1)]);
        assert_eq!(queue.delete(1), None);
        assert_eq!(queue.next_expiry(), Some(now + PAUSE + Duration::from_secs(100)));
    }

    #[test]
    fn a_full_queue_refuses() {
        let (mut queue, now) = queue(Redelivery::SameHead, Receipts::Stable, &["a", "b", "c", "d"]);
        assert_eq!(queue.enqueue(Bytes::new(), now), Err(QueueFull));
        assert_eq!(queue.len(), 4);
    }
}
