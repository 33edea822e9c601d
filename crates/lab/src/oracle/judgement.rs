//! The figures, and what they mean.

use serde::Serialize;

use super::{Event, LeftBy, Oracle};

/// The journal and the broker each cut their times to whole milliseconds.
const ROUNDING_MS: i64 = 2;

/// What the oracle found, where nothing but content, keys and order is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Events that were queued.
    pub queued: u64,
    /// Of these, how many are in the topics of events.
    pub published: u64,
    /// Of these, how many left the queue (or were never said to be still in it), and are nowhere in Kafka.
    pub lost: u64,
    /// Appearances beyond the first.
    pub repeated: u64,
    /// First appearances that overtook an earlier event of the same instance and key.
    pub out_of_order: u64,
    /// Appearances under another key than that of their chat.
    pub wrong_key: u64,
    /// Appearances of what was never queued.
    pub unexpected: u64,
}

impl Verdict {
    /// Whether the promise held, in topics that nobody else writes to: repeats are allowed, nothing else.
    #[must_use]
    pub fn promise_held(&self) -> bool {
        !self.has_breach() && self.unexpected == 0
    }

    /// Whether an event that was queued was treated as none may be.
    #[must_use]
    pub fn has_breach(&self) -> bool {
        self.lost > 0 || self.out_of_order > 0 || self.wrong_key > 0
    }
}

/// The verdict with what became of each event. `queued` is the sum of `published`, `dead_lettered`, `dropped`,
/// `still_queued` and `lost`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// What counts.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Events that are in the dead letters only.
    pub dead_lettered: u64,
    /// Events that left the queue unpublished because the configuration wants it so.
    pub dropped: u64,
    /// Events in GREEN-API's queue and not in Kafka: to come.
    pub still_queued: u64,
    /// Events in Kafka and in the queue as well: to be deleted.
    pub published_not_deleted: u64,
    /// Events that share the record of a neighbour of the same content: the bridge publishes an immediate repeat once.
    pub collapsed: u64,
    /// How the lost ones left.
    pub lost_by: LostBy,
    /// Chats whose records lie on more than one partition of a topic: consumers see no order there.
    pub split_chats: u64,
    /// Events deleted before Kafka had them, as far as that can be checked; `None` where it could for none.
    pub deleted_before_acknowledged: Option<u64>,
    /// Deleted events in Kafka whose broker time is known.
    pub deletions_checked: u64,
    /// Deleted events in Kafka whose broker time is not known: the topic keeps the producer's times.
    pub deletions_not_checked: u64,
    /// The least time between a broker's append and the deletion, in milliseconds.
    pub closest_deletion_ms: Option<i64>,
}

/// How lost events left GREEN-API's queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct LostBy {
    /// Deleted by a client.
    pub deletion: u64,
    /// Grown too old.
    pub age: u64,
    /// Taken by another reader.
    pub theft: u64,
}

impl Judgement {
    /// Whether an event that was queued was treated as none may be, as far as could be checked.
    #[must_use]
    pub fn has_breach(&self) -> bool {
        self.verdict.has_breach()
            || self.split_chats > 0
            || self.deleted_before_acknowledged.is_some_and(|found| found > 0)
    }

    fn add(&mut self, event: &Event, clock_tolerance_ms: i64) {
        let count = u64::from;
        let (appearances, missing) = (event.appearances(), event.missing());
        if event.is_unwanted {
            self.dropped += count(missing);
        } else {
            self.verdict.lost += count(missing);
            match event.left {
                Some(LeftBy::Deletion) => self.lost_by.deletion += count(missing),
                Some(LeftBy::Age) => self.lost_by.age += count(missing),
                Some(LeftBy::Theft) => self.lost_by.theft += count(missing),
                None => {}
            }
        }
        // What appeared more often than the gone ones ask for may be the record of one that is still queued.
        let not_deleted = event.still_queued.min(appearances.saturating_sub(event.stretches));
        let still_queued = event.still_queued - not_deleted;
        self.still_queued += count(still_queued);
        self.published_not_deleted += count(not_deleted);
        let in_kafka = event.copies - missing - still_queued;
        if event.in_topics > 0 {
            self.verdict.published += count(in_kafka);
        } else {
            self.dead_lettered += count(in_kafka);
        }
        if appearances > 0 {
            self.collapsed += count(event.gone.saturating_sub(event.stretches));
            let beyond = |appearances: u32| count(appearances.saturating_sub(event.copies));
            self.verdict.repeated += beyond(event.in_topics) + beyond(event.in_dead_letters);
            self.compare_times(event, clock_tolerance_ms);
        }
    }

    fn compare_times(&mut self, event: &Event, clock_tolerance_ms: i64) {
        let Some(deleted_ms) = event.first_deleted_ms else { return };
        let Some(appended_ms) = event.first_appended_ms.filter(|_| !event.has_unstamped) else {
            self.deletions_not_checked += 1;
            return;
        };
        self.deletions_checked += 1;
        let lead_ms = deleted_ms - appended_ms;
        self.closest_deletion_ms = Some(self.closest_deletion_ms.map_or(lead_ms, |closest| closest.min(lead_ms)));
        let is_too_early = lead_ms + ROUNDING_MS + clock_tolerance_ms < 0;
        *self.deleted_before_acknowledged.get_or_insert(0) += u64::from(is_too_early);
    }
}

impl Oracle {
    /// The judgement so far, in one pass over everything queued.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        self.judgement(0).verdict
    }

    /// The same with what became of each event. `clock_tolerance_ms`: so far the broker's clock may be ahead of the
    /// queue's before a deletion counts as too early.
    #[must_use]
    pub fn judgement(&self, clock_tolerance_ms: i64) -> Judgement {
        let seen = &self.seen;
        let mut judgement = Judgement {
            verdict: Verdict {
                queued: self.queued,
                out_of_order: seen.out_of_order,
                wrong_key: seen.wrong_key,
                unexpected: seen.unexpected,
                ..Verdict::default()
            },
            split_chats: seen.split_chats,
            ..Judgement::default()
        };
        for event in &self.events {
            judgement.add(event, clock_tolerance_ms);
        }
        judgement
    }
}
