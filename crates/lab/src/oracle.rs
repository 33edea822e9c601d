//! Was the promise kept? What was queued, against what lies in the topics. Pure.
//!
//! Events are told apart by any text that identifies their content; whoever reads them makes that text. Two events of
//! the same content cannot be told apart by anybody, so of those only the number counts; and since the bridge publishes
//! an immediate repeat once, neighbours of the same content in the queue ask for one appearance together. Of each event
//! there are a few dozen bytes here, never its body.

use std::collections::HashMap;

use serde::Serialize;
use uuid::Uuid;

mod judgement;

pub use judgement::{Judgement, LostBy, Verdict};

/// What the key of an event without a chat begins with; the instance's id follows.
pub const INSTANCE_KEY: &str = "instance:";

/// Holds what was queued against what appeared.
#[derive(Debug, Default)]
pub struct Oracle {
    events: Vec<Event>,
    /// By the digest of each text that identifies the event.
    index: HashMap<u128, EventRef>,
    chats: HashMap<(u64, u128), u32>,
    /// Per topic and chat: where its records lie, and which of them was queued last.
    order: HashMap<(u16, u32), Latest>,
    /// Per instance: the content that left its queue last.
    left_last: HashMap<u64, EventRef>,
    seen: Seen,
    queued: u64,
    published: u64,
}

/// An event in the oracle's books; copies of the same content share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventRef(u32);

#[derive(Debug)]
struct Event {
    chat: u32,
    key: u128,
    copies: u32,
    /// Copies that left the queue, and in how many stretches without another event between them.
    gone: u32,
    stretches: u32,
    still_queued: u32,
    in_topics: u32,
    in_dead_letters: u32,
    is_unwanted: bool,
    left: Option<LeftBy>,
    first_deleted_ms: Option<i64>,
    /// The broker's time of the earliest appearance, where the broker stamps.
    first_appended_ms: Option<i64>,
    /// The time of an appearance is not known, and it may have been the earliest.
    has_unstamped: bool,
}

#[derive(Debug)]
struct Latest {
    partition: i32,
    event: EventRef,
    is_split: bool,
}

/// How an event left GREEN-API's queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftBy {
    /// A client deleted it, or its webhook answered 200.
    Deletion,
    /// It grew too old.
    Age,
    /// Another reader took it.
    Theft,
}

/// A record as the oracle needs it.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// Its key.
    pub key: &'a str,
    /// The number of its topic; a chat's order is that of one topic.
    pub topic: u16,
    /// Its partition.
    pub partition: i32,
    /// When the broker appended it, in Unix milliseconds by the broker's clock; `None` where producers stamp.
    pub appended_ms: Option<i64>,
    /// Whether it is a dead letter: may carry the instance's key, and keeps no order.
    pub is_dead_letter: bool,
}

/// What is remarkable about one record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Remarks {
    /// Its content appears for the first time.
    pub is_first: bool,
    /// Nothing of that content was queued.
    pub is_unexpected: bool,
    /// It has another key than that of its chat.
    pub has_wrong_key: bool,
    /// It lies behind an event of its chat that was queued later.
    pub is_out_of_order: bool,
    /// Its chat's other records lie on another partition of the topic; said once a chat.
    pub is_split: bool,
}

#[derive(Debug, Default)]
struct Seen {
    unexpected: u64,
    wrong_key: u64,
    out_of_order: u64,
    split_chats: u64,
}

impl Oracle {
    /// An event joined the queue of `instance`; call in the order of the queue. It has to appear in Kafka, unless
    /// [`Oracle::still_queued`] or [`Oracle::unwanted`] says otherwise.
    pub fn queued(&mut self, identity: impl AsRef<str>, instance: u64, key: impl AsRef<str>) -> EventRef {
        self.queued += 1;
        let identity = digest(identity.as_ref());
        if let Some(known) = self.index.get(&identity).copied() {
            self.event(known).copies += 1;
            return known;
        }
        let key = digest(key.as_ref());
        let next = u32::try_from(self.chats.len()).unwrap_or(u32::MAX);
        let chat = *self.chats.entry((instance, key)).or_insert(next);
        // More than memory holds; whoever feeds millions sets a limit of their own long before.
        let event = EventRef(u32::try_from(self.events.len()).expect("fewer than 2^32 events"));
        self.index.insert(identity, event);
        self.events.push(Event {
            chat,
            key,
            copies: 1,
            gone: 0,
            stretches: 0,
            still_queued: 0,
            in_topics: 0,
            in_dead_letters: 0,
            is_unwanted: false,
            left: None,
            first_deleted_ms: None,
            first_appended_ms: None,
            has_unstamped: false,
        });
        event
    }

    /// A second text by which the event may be found. The first event of that text keeps it.
    pub fn also_known_as(&mut self, event: EventRef, identity: &str) {
        self.index.entry(digest(identity)).or_insert(event);
    }

    /// The configuration asks for the event to be deleted unpublished.
    pub fn unwanted(&mut self, event: EventRef) {
        self.event(event).is_unwanted = true;
    }

    /// A copy of the event left the queue of `instance`; call in the order in which they left. `unix_ms` is the time
    /// by the clock of whoever keeps the queue.
    pub fn left(&mut self, event: EventRef, instance: u64, by: LeftBy, unix_ms: i64) {
        let is_neighbour = self.left_last.insert(instance, event) == Some(event);
        let event = self.event(event);
        event.gone += 1;
        event.stretches += u32::from(!is_neighbour);
        event.left = Some(by);
        if by == LeftBy::Deletion {
            event.first_deleted_ms.get_or_insert(unix_ms);
        }
    }

    /// A copy of the event is in the queue to the end.
    pub fn still_queued(&mut self, event: EventRef) {
        self.event(event).still_queued += 1;
    }

    /// The event that this text identifies.
    #[must_use]
    pub fn find(&self, identity: &str) -> Option<EventRef> {
        self.index.get(&digest(identity)).copied()
    }

    /// Whether the event was seen in Kafka.
    #[must_use]
    pub fn has_appeared(&self, event: EventRef) -> bool {
        self.events.get(event.0 as usize).is_some_and(|event| event.appearances() > 0)
    }

    /// Whether the event left the queue unseen, though the configuration wants it.
    #[must_use]
    pub fn is_lost(&self, event: EventRef) -> bool {
        self.events.get(event.0 as usize).is_some_and(|event| event.missing() > 0 && !event.is_unwanted)
    }

    /// A record was read; call in the order of its partition. True for a first appearance.
    pub fn appeared(&mut self, identity: &str, key: &str) -> bool {
        let sighting = Sighting { key, topic: 0, partition: 0, appended_ms: None, is_dead_letter: false };
        self.sighted(self.find(identity), sighting).is_first
    }

    /// The record of this event, if of any, was read; call in the order of its partition.
    pub fn sighted(&mut self, event: Option<EventRef>, record: Sighting<'_>) -> Remarks {
        let Some(found) = event else {
            self.seen.unexpected += 1;
            return Remarks { is_unexpected: true, ..Remarks::default() };
        };
        let event = &mut self.events[found.0 as usize];
        let has_wrong_key =
            event.key != digest(record.key) && !(record.is_dead_letter && record.key.starts_with(INSTANCE_KEY));
        self.seen.wrong_key += u64::from(has_wrong_key);
        let is_first = event.appearances() == 0;
        // Topics and partitions are read one beside the other, so the earliest need not come first.
        event.first_appended_ms = event.first_appended_ms.into_iter().chain(record.appended_ms).min();
        event.has_unstamped |= record.appended_ms.is_none();
        let remarks = Remarks { is_first, has_wrong_key, ..Remarks::default() };
        if record.is_dead_letter {
            event.in_dead_letters += 1;
            return remarks;
        }
        event.in_topics += 1;
        if event.in_topics > 1 {
            return remarks;
        }
        self.published += u64::from(event.copies);
        // A replayed dead letter comes behind what its chat said meanwhile; that is how it is meant. And what has
        // another key is not in its chat at all.
        if event.in_dead_letters > 0 || has_wrong_key {
            return remarks;
        }
        let (is_out_of_order, is_split) = self.note_order(found, record);
        Remarks { is_out_of_order, is_split, ..remarks }
    }

    /// Events were queued in the order of their numbers.
    fn note_order(&mut self, event: EventRef, record: Sighting<'_>) -> (bool, bool) {
        let chat = self.events[event.0 as usize].chat;
        let first = Latest { partition: record.partition, event, is_split: false };
        let latest = self.order.entry((record.topic, chat)).or_insert(first);
        if latest.partition != record.partition {
            // Between partitions there is no order to judge.
            let is_news = !std::mem::replace(&mut latest.is_split, true);
            self.seen.split_chats += u64::from(is_news);
            return (false, is_news);
        }
        let is_out_of_order = latest.event.0 > event.0;
        self.seen.out_of_order += u64::from(is_out_of_order);
        if !is_out_of_order {
            latest.event = event;
        }
        (is_out_of_order, false)
    }

    /// How many of the queued events are in the topics so far.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.published
    }

    fn event(&mut self, event: EventRef) -> &mut Event {
        &mut self.events[event.0 as usize]
    }
}

impl Event {
    fn appearances(&self) -> u32 {
        self.in_topics + self.in_dead_letters
    }

    /// Copies that have to be in Kafka and are not.
    fn missing(&self) -> u32 {
        match self.appearances() {
            0 => self.copies - self.still_queued,
            appearances => self.stretches.saturating_sub(appearances),
        }
    }
}

/// 122 bits of SHA-1: a million events meet by chance once in 10^25 runs.
fn digest(text: &str) -> u128 {
    Uuid::new_v5(&Uuid::nil(), text.as_bytes()).as_u128()
}

#[cfg(test)]
mod tests;
