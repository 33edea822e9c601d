//! Was the promise kept? What was queued, against what lies in the topics. Pure.
//!
//! Events are told apart by any text that identifies their content: their `ce_id`, or the body itself where the
//! judge shall not trust the bridge's own ids.

use std::collections::HashMap;

use serde::Serialize;

/// Holds what was queued against what appeared.
#[derive(Debug, Default)]
pub struct Oracle {
    queued: HashMap<String, Queued>,
    /// Per (instance, key): the place in the queue of the last first appearance.
    last_place: HashMap<(u64, String), u64>,
    verdict: Verdict,
}

#[derive(Debug)]
struct Queued {
    instance: u64,
    key: String,
    place: u64,
    copies_queued: u64,
    copies_appeared: u64,
}

/// What the oracle found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Events that were queued.
    pub queued: u64,
    /// Of these, how many appeared at least once.
    pub published: u64,
    /// Of these, how many never appeared.
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
    /// Whether the promise held: repeats are allowed, nothing else.
    #[must_use]
    pub fn promise_held(&self) -> bool {
        self.lost == 0 && self.out_of_order == 0 && self.wrong_key == 0 && self.unexpected == 0
    }
}

impl Oracle {
    /// An event joined the queue of `instance`; call in the order of the queue.
    pub fn queued(&mut self, identity: impl Into<String>, instance: u64, key: impl Into<String>) {
        self.verdict.queued += 1;
        let place = self.verdict.queued;
        self.queued.entry(identity.into()).and_modify(|queued| queued.copies_queued += 1).or_insert_with(|| Queued {
            instance,
            key: key.into(),
            place,
            copies_queued: 1,
            copies_appeared: 0,
        });
    }

    /// A record was read; call in the order of its partition. True for a first appearance.
    pub fn appeared(&mut self, identity: &str, key: &str) -> bool {
        let Some(queued) = self.queued.get_mut(identity) else {
            self.verdict.unexpected += 1;
            return false;
        };
        if queued.key != key {
            self.verdict.wrong_key += 1;
        }
        queued.copies_appeared += 1;
        if queued.copies_appeared > 1 {
            // An event that was queued twice, word for word, may appear twice.
            self.verdict.repeated += u64::from(queued.copies_appeared > queued.copies_queued);
            return false;
        }
        self.verdict.published += queued.copies_queued;
        let last = self.last_place.entry((queued.instance, queued.key.clone())).or_default();
        if *last > queued.place {
            self.verdict.out_of_order += 1;
        }
        *last = queued.place.max(*last);
        true
    }

    /// The judgement so far.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        Verdict { lost: self.verdict.queued - self.verdict.published, ..self.verdict.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Queues a, b, c (one chat) and d (another), then lets `appearances` appear.
    fn judged(appearances: &[(&str, &str)]) -> Verdict {
        let mut oracle = Oracle::default();
        for (identity, key) in [("a", "1"), ("b", "1"), ("c", "1"), ("d", "2")] {
            oracle.queued(identity, 1101, key);
        }
        for (identity, key) in appearances {
            oracle.appeared(identity, key);
        }
        oracle.verdict()
    }

    #[test]
    fn each_breach_is_seen() {
        let good = [("a", "1"), ("d", "2"), ("b", "1"), ("c", "1")];
        let verdict = judged(&good);
        assert!(verdict.promise_held());
        assert_eq!((verdict.queued, verdict.published, verdict.repeated), (4, 4, 0));

        let repeated = judged(&[good[0], good[1], good[2], good[2], good[0], good[3]]);
        assert!(repeated.promise_held(), "a repeat is allowed, also of an earlier one");
        assert_eq!(repeated.repeated, 2);

        for (appearances, expected) in [
            (vec![good[0], good[1], good[2]], (1, 0, 0, 0)),
            (vec![good[2], good[0], good[1], good[3]], (0, 1, 0, 0)),
            (vec![good[0], good[1], good[2], ("c", "3")], (0, 0, 1, 0)),
            (vec![good[0], good[1], good[2], good[3], ("x", "1")], (0, 0, 0, 1)),
        ] {
            let verdict = judged(&appearances);
            assert!(!verdict.promise_held(), "{appearances:?}");
            let found = (verdict.lost, verdict.out_of_order, verdict.wrong_key, verdict.unexpected);
            assert_eq!(found, expected, "{appearances:?}");
        }
    }
}
