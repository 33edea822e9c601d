//! Is someone else reading this instance?
//!
//! GREEN-API does not say, but a second consumer leaves signs. One sign: a delete finds nothing, although the
//! notification was handed out a moment ago and we have not tried to delete it before. Another: our deletes all
//! succeed, but receipts jump where they used to count by one, because the ones in between went to somebody else.
//! (Receipts were seen to count by one per instance, but this is not documented. So a jump is evidence only if the
//! instance has counted that way before.)
//! One sign may be chance. Several within minutes mean a rival. Pure; time is passed in.

use std::time::Duration;

use tokio::time::Instant;

use crate::green_api::queue::Receipt;

/// This many signs …
const EVIDENCE_MIN: u32 = 3;
/// … within this time are a rival.
const EVIDENCE_WINDOW: Duration = Duration::from_secs(10 * 60);

/// After this many receipts in a row that count by one, the instance is known to count that way.
const COUNTING_RUN_MIN: u32 = 20;

/// The signs that others read one instance.
#[derive(Debug, Default)]
pub(super) struct RivalWatch {
    /// We deleted the current head, or tried to: its absence proves nothing.
    tried_before: bool,
    evidence: u32,
    window_started: Option<Instant>,
    accused_at: Option<Instant>,
    last_receipt: Option<i64>,
    counted_by_one: u32,
}

impl RivalWatch {
    /// A new notification is at the head.
    pub(super) fn head_changed(&mut self, now: Instant) {
        self.tried_before = false;
        if self.window_started.is_some_and(|started| now.duration_since(started) > EVIDENCE_WINDOW) {
            self.evidence = 0;
            self.window_started = None;
        }
    }

    /// The notification settled last is at the head again.
    pub(super) fn head_came_again(&mut self) {
        self.tried_before = true;
    }

    /// A delete was sent, but its answer was lost.
    pub(super) fn own_delete_may_have_worked(&mut self) {
        self.tried_before = true;
    }

    /// Whether the head was never settled before.
    pub(super) fn head_is_fresh(&self) -> bool {
        !self.tried_before
    }

    /// An answer with a notification may have been lost on its way to us, so the next receipt proves nothing.
    pub(super) fn own_hand_out_may_be_lost(&mut self) {
        self.last_receipt = None;
    }

    /// A receipt came. Returns true when it is time to warn.
    pub(super) fn receipt_handed_out(&mut self, receipt: &Receipt, now: Instant) -> bool {
        let receipt: Option<i64> = receipt.as_str().parse().ok();
        let step = receipt.zip(self.last_receipt).and_then(|(receipt, last)| receipt.checked_sub(last));
        self.last_receipt = receipt;
        match step {
            Some(1) => self.counted_by_one = self.counted_by_one.saturating_add(1),
            Some(step) if step > 1 && self.counted_by_one >= COUNTING_RUN_MIN => return self.found(now),
            // The same receipt again: a redelivery.
            Some(0) | None => {}
            Some(_) => self.counted_by_one = 0,
        }
        false
    }

    /// A delete found nothing to delete. Returns true when it is time to warn.
    pub(super) fn delete_refused(&mut self, now: Instant) -> bool {
        !self.tried_before && self.found(now)
    }

    fn found(&mut self, now: Instant) -> bool {
        self.window_started.get_or_insert(now);
        self.evidence += 1;
        let accused_lately = self.accused_at.is_some_and(|at| now.duration_since(at) < EVIDENCE_WINDOW);
        if self.evidence < EVIDENCE_MIN || accused_lately {
            return false;
        }
        self.accused_at = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_that_jump_where_they_used_to_count_are_a_rival() {
        let now = Instant::now();
        let mut watch = RivalWatch::default();
        let told = |watch: &mut RivalWatch, receipt: i64| {
            watch.receipt_handed_out(&Receipt::new(&receipt.to_string()).expect("digits"), now)
        };
        for receipt in (0..200).step_by(7) {
            assert!(!told(&mut watch, receipt), "an instance that never counted by one proves nothing");
        }
        for receipt in 1000..1030 {
            assert!(!told(&mut watch, receipt));
        }
        watch.own_hand_out_may_be_lost();
        assert!(!told(&mut watch, 1040), "the lost one was ours");
        assert_eq!([1043, 1046, 1049, 1052].map(|receipt| told(&mut watch, receipt)), [false, false, true, false]);
    }

    #[test]
    fn three_vanished_heads_are_a_rival_told_once_in_a_while() {
        let start = Instant::now();
        let mut watch = RivalWatch::default();
        let told: Vec<bool> = (0..6)
            .map(|second| {
                let now = start + Duration::from_secs(second);
                watch.head_changed(now);
                watch.delete_refused(now)
            })
            .collect();
        assert_eq!(told, [false, false, true, false, false, false]);
        let later = start + EVIDENCE_WINDOW + Duration::from_secs(10);
        let told_later: Vec<bool> = (0..3)
            .map(|_| {
                watch.head_changed(later);
                watch.delete_refused(later)
            })
            .collect();
        assert_eq!(told_later, [false, false, true]);
    }

    #[test]
    fn what_we_may_have_deleted_ourselves_proves_nothing() {
        let now = Instant::now();
        let mut watch = RivalWatch::default();
        for _ in 0..10 {
            watch.head_changed(now);
            watch.own_delete_may_have_worked();
            watch.head_came_again();
            assert!(!watch.delete_refused(now));
        }
    }
}
