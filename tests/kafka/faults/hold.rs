//! How long a fault lasts: until what it does could be seen.

use std::collections::HashSet;
use std::thread;
use std::time::Instant;

use chatbridge_lab::green_api::JournalEvent;

use super::row::{Expect, Hit, Row};
use super::stage::{PATIENCE, POLL, Stage, unix_ms};
use crate::support::way::Way;

impl Stage<'_> {
    /// While the fault lasts: as long as it has to, and until it shows. A busy machine may need longer for that.
    pub(super) fn hold(&mut self, row: &Row) {
        let (begun, lasts) = (Instant::now(), row.lasts_at(self.pace));
        while begun.elapsed() < lasts || (row.end.is_some() && !self.shows(row)) {
            assert!(
                begun.elapsed() < lasts + PATIENCE,
                "{}: it does not show, or the others wait (they flow: {}); phases {:?}; log:\n{}",
                row.name,
                self.others_flow(),
                self.shown.phases,
                self.visible_log()
            );
            self.look();
            thread::sleep(POLL);
        }
    }

    /// Whether everything was seen that is to be seen while the fault lasts.
    fn shows(&self, row: &Row) -> bool {
        let Expect { class, outcome, publish_class, phase, .. } = &row.expect;
        let counted = |metric: &str, label: &Option<&str>| {
            label.is_none_or(|label| self.metric(metric, &format!("\"{label}\"")) >= 1.0)
        };
        let is_polled = self.way == Way::Poll;
        counted("chatbridge_webhook_requests_total", outcome)
            && counted("chatbridge_source_errors_total", &class.filter(|_| is_polled))
            && counted("chatbridge_publish_errors_total", publish_class)
            && phase.filter(|_| is_polled).is_none_or(|phase| self.shown.phases.contains(phase))
            && (self.hit == Hit::All || self.others_flow())
    }

    /// One bad instance never slows another: of what was queued for the others since the fault struck, at least half
    /// has left while the fault still lasts.
    ///
    /// No measure of time: whoever waits for the bad one gets there never, and whoever waits for this machine gets
    /// there.
    fn others_flow(&self) -> bool {
        let mut queued = HashSet::new();
        let mut left = 0;
        for entry in self.simulator.journal().iter().filter(|entry| entry.instance != self.ids[0]) {
            match entry.what {
                JournalEvent::Enqueued { entry: event, .. } if unix_ms(entry) >= self.struck_ms => {
                    queued.insert((entry.instance, event));
                }
                JournalEvent::Deleted { entry: event, .. } | JournalEvent::Acknowledged { entry: event } => {
                    left += usize::from(queued.contains(&(entry.instance, event)));
                }
                _ => {}
            }
        }
        left * 2 >= queued.len()
    }
}
