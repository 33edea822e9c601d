//! Is someone else reading this instance?
//!
//! GREEN-API does not say (reference §2.3), but a second consumer shows: a delete finds nothing although the
//! notification was handed out a moment ago and nobody here has tried to delete it before. One such answer may be
//! chance; several within minutes are a rival. Pure; time is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// So many notifications have to vanish …
const EVIDENCE_MIN: u32 = 3;
/// … within this time.
const EVIDENCE_WINDOW: Duration = Duration::from_secs(10 * 60);

/// Evidence against one instance's other readers.
#[derive(Debug, Default)]
pub(super) struct RivalWatch {
    /// The current head was deleted, or tried to be, by us: its absence proves nothing.
    tried_before: bool,
    evidence: u32,
    window_started: Option<Instant>,
    accused_at: Option<Instant>,
}

impl RivalWatch {
    /// A notification that was not seen before is at the head.
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

    /// A delete was sent and its answer lost.
    pub(super) fn own_delete_may_have_worked(&mut self) {
        self.tried_before = true;
    }

    /// Whether the head was never settled before.
    pub(super) fn head_is_fresh(&self) -> bool {
        !self.tried_before
    }

    /// A delete found nothing to delete; true when it is time to warn.
    pub(super) fn delete_refused(&mut self, now: Instant) -> bool {
        if self.tried_before {
            return false;
        }
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
