//! Checks the promise at every moment of a history. The judge sees both sides, upstream's queue and the broker's log,
//! and trusts no ids: contents are compared byte by byte.
//!
//! # What the bridge must do
//!
//! 1. *Never lost, never deleted without proof.* When upstream executes a delete from the bridge, the publisher must
//!    have the broker's acknowledgement of that content, as an event or as a dead letter, unless the configuration
//!    drops it. At the end nothing is left in the queue. What another reader deleted is its own loss. What expired is
//!    upstream's loss, which is allowed only if Kafka was unreachable for longer than the 24 hours. What was in hand by
//!    then is still published.
//! 2. *Order.* First appearances of an instance's events are in the log in the order of its queue, whatever their chats
//!    and topics. No client can prevent two cases. An event taken from it (expired, or deleted by another reader) may
//!    still arrive late from a killed process. And if upstream hands out the next event instead of the un-acked one, an
//!    event may be overtaken that was handed out more than once, or whose process was killed while the broker had it.
//! 3. *Repeats.* A content appears at most once for each time it was queued, and once more for each of these: a crash
//!    with it in hand, an acknowledgement that was lost, a delete that failed and was followed by a stop. If upstream
//!    hands out the next un-acked event, also for each delete that failed. A stop by itself allows no repeat.
//! 4. *Identity.* The same bytes have the same `ce_id`, other bytes have another. The record holds the bytes that were
//!    queued.
//! 5. *Key and topic* are those of the event. A dead letter needs a broker's refusal, a policy, or an answer that was
//!    unreadable twice.
//! 6. *The proof* of a delete is that of the notification it deletes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::bodies::{Fate, Made};
use super::record::{AsKnown, objections};
use chatbridge_event::record::Record;

/// How an entry left the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// Deleted by the bridge.
    Deleted,
    /// Deleted by another reader.
    Taken,
    /// Dropped by upstream.
    Expired,
}

struct Entry {
    made: Made,
    handed_out: u32,
    gone: Option<Gone>,
    /// The ids it was seen under: its own, and those of answers that were cut on their way.
    ids: BTreeSet<String>,
    /// It expired while this life held it.
    expired_in_hand: Option<u64>,
}

/// Everything known of one `ce_id`.
struct Content {
    instance: usize,
    /// The entry it was last received for.
    entry: u64,
    /// The entries it was received for, and how often for each.
    arrivals: BTreeMap<u64, u32>,
    /// An answer that was cut on its way, and not what was queued.
    mutilated: bool,
    refused: bool,
    appended: u32,
    repeats_allowed: u32,
    acknowledged: bool,
}

#[derive(Default)]
struct Queue {
    entries: Vec<Entry>,
    /// The place of the furthest first appearance.
    furthest: u64,
}

/// What one life has received of one entry, while it may come again.
#[derive(Debug, Clone)]
struct Held {
    life: u64,
    instance: usize,
    entry: u64,
    id: String,
    /// This life has begun to publish it. If the entry comes again, that may be a repeat.
    attempted: bool,
    delete_failed: bool,
}

/// A record on its way, and what was known of it when it left.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) instance: usize,
    pub(super) entry: u64,
    pub(super) id: String,
}

/// How often repeats were allowed, by reason.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) queued: u64,
    pub(super) appended: u64,
    pub(super) repeats: u64,
    pub(super) repeats_allowed: u64,
    pub(super) crashes: u64,
    pub(super) stops: u64,
    pub(super) acknowledgements_lost: u64,
    pub(super) taken: u64,
    pub(super) expired: u64,
}

/// Checks that the bridge keeps its promise.
pub(super) struct Judge {
    queues: Vec<Queue>,
    contents: HashMap<String, Content>,
    held: Vec<Held>,
    next_unacked: bool,
    may_expire: bool,
    pub(super) figures: Figures,
    pub(super) breaches: Vec<String>,
}

impl Judge {
    pub(super) fn new(instances: usize, next_unacked: bool, may_expire: bool) -> Self {
        Self {
            queues: (0..instances).map(|_| Queue::default()).collect(),
            contents: HashMap::new(),
            held: Vec::new(),
            next_unacked,
            may_expire,
            figures: Figures::default(),
            breaches: Vec::new(),
        }
    }

    pub(super) fn breach(&mut self, what: String) {
        self.breaches.push(what);
    }

    fn entry(&mut self, instance: usize, entry: u64) -> &mut Entry {
        let index = usize::try_from(entry - 1).expect("small");
        &mut self.queues[instance].entries[index]
    }

    // --- Upstream's side ---

    pub(super) fn queued(&mut self, instance: usize, made: Made) {
        self.figures.queued += 1;
        let entry = Entry { made, handed_out: 0, gone: None, ids: BTreeSet::new(), expired_in_hand: None };
        self.queues[instance].entries.push(entry);
    }

    pub(super) fn handed_out(&mut self, instance: usize, entry: u64) {
        let known = self.entry(instance, entry);
        known.handed_out += 1;
        if let Some(gone) = known.gone {
            self.breach(format!("entry {entry} is handed out after it was {gone:?}"));
        }
    }

    /// The id under which this entry is known, if that needs no computing.
    pub(super) fn known_id(&mut self, instance: usize, entry: u64) -> Option<String> {
        let known = self.entry(instance, entry);
        let ids = known.ids.clone();
        ids.into_iter().find(|id| !self.contents[id].mutilated)
    }

    /// A process received an entry. `id` is what the bridge will call it.
    pub(super) fn arrived(&mut self, life: u64, instance: usize, entry: u64, id: &str, mutilated: bool) {
        let known = self.entry(instance, entry);
        known.ids.insert(id.to_owned());
        let body = known.made.body.clone();
        let fresh = Content {
            instance,
            entry,
            arrivals: BTreeMap::new(),
            mutilated,
            refused: false,
            appended: 0,
            repeats_allowed: 0,
            acknowledged: false,
        };
        let content = self.contents.entry(id.to_owned()).or_insert(fresh);
        let (of_instance, first_entry, was_mutilated) = (content.instance, content.entry, content.mutilated);
        content.entry = entry;
        *content.arrivals.entry(entry).or_default() += 1;
        self.held.retain(|held| held.life != life || held.entry != entry || held.id != id || held.attempted);
        if !self.held.iter().any(|held| held.life == life && held.entry == entry && held.id == id) {
            let (id, attempted, delete_failed) = (id.to_owned(), false, false);
            self.held.push(Held { life, instance, entry, id, attempted, delete_failed });
        }
        let same_bytes = mutilated || self.entry(instance, first_entry).made.body == body;
        if of_instance != instance || was_mutilated != mutilated || !same_bytes {
            self.breach(format!("entry {entry} has the id {id} of other bytes"));
        }
        let ids = self.entry(instance, entry).ids.clone();
        if ids.iter().filter(|id| !self.contents[*id].mutilated).count() > 1 {
            self.breach(format!("entry {entry} has several ids: {ids:?}"));
        }
    }

    /// The process asks to delete `entry` with this proof.
    pub(super) fn delete_asked(&mut self, life: u64, instance: usize, entry: u64, proof: &str) {
        let is_held = self.held.iter().any(|held| held.life == life && held.entry == entry && held.id == proof);
        // If it was handed out again while its delete was on the way, and was gone when that was answered, it is no
        // longer held.
        let known = self.entry(instance, entry);
        let is_gone = known.gone.is_some() && known.ids.contains(proof);
        if !is_held && !is_gone {
            self.breach(format!("entry {entry} is deleted with the proof of {proof}"));
        }
    }

    /// The process got its answer, or none.
    pub(super) fn delete_answered(&mut self, life: u64, instance: usize, entry: u64) {
        if self.entry(instance, entry).gone.is_some() {
            self.held.retain(|held| held.life != life || held.entry != entry);
            return;
        }
        let next_unacked = self.next_unacked;
        let mut may_repeat = Vec::new();
        for held in self.held.iter_mut().filter(|held| held.life == life && held.entry == entry && held.attempted) {
            held.delete_failed = true;
            if next_unacked {
                held.attempted = false;
                may_repeat.push(held.id.clone());
            }
        }
        may_repeat.iter().for_each(|id| self.allow_repeat(id));
    }

    /// Upstream executed a delete from the bridge.
    pub(super) fn deleted(&mut self, instance: usize, entry: u64) {
        let known = self.entry(instance, entry);
        known.gone = Some(Gone::Deleted);
        let (ids, fate) = (known.ids.clone(), known.made.fate);
        let proven = ids.iter().filter_map(|id| self.contents.get(id)).any(|content| content.acknowledged);
        if !proven && fate != Fate::Nowhere {
            self.breach(format!("entry {entry} is deleted before its record is acknowledged"));
        }
    }

    pub(super) fn taken(&mut self, instance: usize, entry: u64) {
        self.figures.taken += 1;
        self.entry(instance, entry).gone = Some(Gone::Taken);
    }

    pub(super) fn expired(&mut self, instance: usize, entry: u64) {
        self.figures.expired += 1;
        let is_it = |held: &&Held| held.instance == instance && held.entry == entry && held.attempted;
        let attempted = self.held.iter().find(is_it).map(|held| held.life);
        let known = self.entry(instance, entry);
        known.gone = Some(Gone::Expired);
        known.expired_in_hand = attempted;
        if !self.may_expire {
            self.breach(format!("entry {entry} expired although nothing was away for a day"));
        }
    }

    // --- The process ---

    pub(super) fn killed(&mut self, life: u64) {
        self.figures.crashes += 1;
        for held in self.let_go(life) {
            let entry = self.entry(held.instance, held.entry);
            entry.expired_in_hand = None;
            // Deleted by us: it cannot come again. Deleted by others: the record on its way counts as one, and the next
            // process may have received it before.
            if held.attempted && entry.gone != Some(Gone::Deleted) {
                self.allow_repeat(&held.id);
            }
        }
    }

    pub(super) fn stopped(&mut self, life: u64) {
        self.figures.stops += 1;
        for held in self.let_go(life) {
            if !held.attempted || self.entry(held.instance, held.entry).gone.is_some() {
                continue;
            }
            if held.delete_failed {
                self.allow_repeat(&held.id);
            } else {
                self.breach(format!("stopped with entry {} in hand and not deleted", held.entry));
            }
        }
    }

    /// The process was made to forget what it held. That excuses nothing.
    pub(super) fn forgot(&mut self, life: u64) {
        self.let_go(life);
    }

    fn let_go(&mut self, life: u64) -> Vec<Held> {
        self.held.extract_if(.., |held| held.life == life).collect()
    }

    fn allow_repeat(&mut self, id: &str) {
        self.figures.repeats_allowed += 1;
        self.contents.get_mut(id).expect("it arrived").repeats_allowed += 1;
    }

    // --- The broker's side ---

    /// A record leaves for the broker. `None` if nobody queued such a content.
    pub(super) fn publish(&mut self, record: &Record) -> Option<Sent> {
        let id = record.headers.iter().find(|(name, _)| *name == "ce_id").map(|(_, id)| id.clone());
        let Some((id, content)) = id.and_then(|id| self.contents.get_mut(&id).map(|content| (id, content))) else {
            self.breach("a record of what was never received".to_owned());
            return None;
        };
        let sent = Sent { instance: content.instance, entry: content.entry, id };
        for held in self.held.iter_mut().filter(|held| held.entry == sent.entry && held.id == sent.id) {
            held.attempted = true;
            held.delete_failed = false;
        }
        Some(sent)
    }

    pub(super) fn refused(&mut self, sent: &Sent) {
        self.contents.get_mut(&sent.id).expect("it arrived").refused = true;
    }

    /// The broker has appended it, and the publisher will never hear of it.
    pub(super) fn acknowledgement_lost(&mut self, sent: &Sent) {
        self.figures.acknowledgements_lost += 1;
        self.allow_repeat(&sent.id);
    }

    /// The publisher got the broker's acknowledgement.
    pub(super) fn acknowledged(&mut self, sent: &Sent) {
        self.contents.get_mut(&sent.id).expect("it arrived").acknowledged = true;
    }

    /// The broker's log grew by a record whose process may be gone.
    pub(super) fn appended(&mut self, sent: &Sent, record: &Record, orphan: bool) {
        self.figures.appended += 1;
        let content = self.contents.get_mut(&sent.id).expect("it arrived");
        content.appended += 1;
        let copies = u32::try_from(content.arrivals.len()).expect("few");
        // The same cut of another notification does not count as a second sight of this one. The exception is that
        // entries before it vanished from the head or were skipped, which no client can know.
        let queue = &self.queues[sent.instance].entries;
        let is_taken = |entry: u64| matches!(queue[entry as usize - 1].gone, Some(Gone::Taken | Gone::Expired));
        let counts = |entry: u64| !content.mutilated || self.next_unacked || entry == sent.entry || is_taken(entry);
        let sights = content.arrivals.iter().filter(|(entry, _)| counts(**entry)).map(|(_, times)| times).sum();
        let (appended, allowed) = (content.appended, copies + content.repeats_allowed);
        let as_known = AsKnown { mutilated: content.mutilated, refused: content.refused, sights };
        if appended > copies {
            self.figures.repeats += 1;
        }
        if as_known.mutilated {
            // If a delete fails, the whole notification may be published in addition to its cut form, and the other way
            // round.
            let ids = self.entry(sent.instance, sent.entry).ids.clone();
            ids.iter().for_each(|id| self.allow_repeat(id));
        } else if appended > allowed {
            let entry = sent.entry;
            self.breach(format!("entry {entry} appears {appended} times, {allowed} are allowed"));
        }
        let made = &self.queues[sent.instance].entries[sent.entry as usize - 1].made;
        for wrong in objections(record, made, &as_known) {
            self.breach(format!("entry {} in {}: {wrong}", sent.entry, record.topic));
        }
        if appended == 1 {
            self.check_order(sent, orphan);
        }
    }

    fn check_order(&mut self, sent: &Sent, orphan: bool) {
        let entry = self.entry(sent.instance, sent.entry);
        let taken_from_us = matches!(entry.gone, Some(Gone::Taken | Gone::Expired));
        let handed_out_again = entry.handed_out > 1;
        if taken_from_us {
            return;
        }
        let furthest = self.queues[sent.instance].furthest;
        if sent.entry < furthest && !(self.next_unacked && (handed_out_again || orphan)) {
            self.breach(format!("entry {} appears after entry {furthest}", sent.entry));
        }
        self.queues[sent.instance].furthest = furthest.max(sent.entry);
    }

    // --- The end ---

    /// Nothing more will happen.
    pub(super) fn end(&mut self) {
        let mut breaches = Vec::new();
        for (instance, queue) in self.queues.iter().enumerate() {
            for (index, entry) in queue.entries.iter().enumerate() {
                let place = format!("instance {} entry {}", instance + 1, index + 1);
                if entry.gone.is_none() {
                    breaches.push(format!("{place} is still queued long after every fault has ceased"));
                }
                let proven = entry.ids.iter().filter_map(|id| self.contents.get(id)).any(|known| known.acknowledged);
                if entry.expired_in_hand.is_some() && !proven {
                    breaches.push(format!("{place} was in hand when upstream forgot it, and was given up"));
                }
            }
        }
        self.breaches.extend(breaches);
    }
}
