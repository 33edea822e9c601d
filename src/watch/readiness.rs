//! Ready means that every part that has to start has started, and that the process is not stopping.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether the process is ready; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    awaited: AtomicUsize,
    stopping: AtomicBool,
}

/// Held by a part that has not started yet; dropped when it has.
#[derive(Debug)]
#[must_use = "a latch that is dropped at once holds nothing back"]
pub struct Latch(Arc<Inner>);

impl Readiness {
    /// Holds readiness back until the latch is dropped.
    pub fn latch(&self) -> Latch {
        self.0.awaited.fetch_add(1, Ordering::AcqRel);
        Latch(Arc::clone(&self.0))
    }

    /// From here on the process is not ready, whatever the latches say.
    pub fn stopping(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Whether the process is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.awaited.load(Ordering::Acquire) == 0 && !self.0.stopping.load(Ordering::Acquire)
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        self.0.awaited.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_when_every_latch_is_gone_and_the_end_has_not_begun() {
        let readiness = Readiness::default();
        let (kafka, pollers) = (readiness.latch(), readiness.latch());
        drop(kafka);
        assert!(!readiness.is_ready());
        drop(pollers);
        assert!(readiness.is_ready());
        readiness.stopping();
        assert!(!readiness.is_ready());
    }
}
