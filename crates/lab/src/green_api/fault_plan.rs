//! Which fault, if any, a request meets.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::fault::Fault;
use super::method::Method;

/// Faults that may be active at once.
pub(super) const FAULTS_MAX: usize = 10_000;

/// The active faults. Requests that meet none pay for one atomic load.
#[derive(Debug, Default)]
pub(super) struct FaultPlan {
    active: RwLock<Arc<Vec<Arc<ActiveFault>>>>,
    any: AtomicBool,
}

#[derive(Debug)]
struct ActiveFault {
    fault: Arc<Fault>,
    matched: AtomicU32,
    happened: AtomicU32,
}

impl ActiveFault {
    fn is_spent(&self) -> bool {
        self.fault.times.is_some_and(|times| self.happened.load(Ordering::Relaxed) >= times)
    }

    /// Counts the request and says whether it is hit. `times` is claimed atomically: two requests at once
    /// cannot both take the last one.
    fn hits(&self, instance: u64, method: Method, dice: &mut fastrand::Rng) -> bool {
        let fault = &*self.fault;
        let concerns = fault.method.covers(method) && fault.instance.is_none_or(|only| only == instance);
        if !concerns || self.is_spent() {
            return false;
        }
        let before = saturating_increment(&self.matched, u32::MAX).unwrap_or(u32::MAX);
        if before < fault.after || (fault.probability < 1.0 && dice.f64() >= fault.probability) {
            return false;
        }
        saturating_increment(&self.happened, fault.times.unwrap_or(u32::MAX)).is_some() || fault.times.is_none()
    }
}

/// Adds one unless that would pass `max`; the value before, if it was added.
fn saturating_increment(count: &AtomicU32, max: u32) -> Option<u32> {
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |value| (value < max).then(|| value.saturating_add(1)))
        .ok()
}

impl FaultPlan {
    /// Adds one behind the others; false when there are too many. Spent ones make room.
    pub(super) fn add(&self, fault: Fault) -> bool {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        let mut faults: Vec<_> = active.iter().filter(|one| !one.is_spent()).cloned().collect();
        if faults.len() >= FAULTS_MAX {
            return false;
        }
        faults.push(Arc::new(ActiveFault {
            fault: Arc::new(fault),
            matched: AtomicU32::new(0),
            happened: AtomicU32::new(0),
        }));
        *active = Arc::new(faults);
        self.any.store(true, Ordering::Release);
        true
    }

    pub(super) fn clear(&self) {
        let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
        *active = Arc::default();
        self.any.store(false, Ordering::Release);
    }

    /// The faults that can still happen.
    pub(super) fn pending(&self) -> Vec<Fault> {
        self.snapshot().iter().filter(|one| !one.is_spent()).map(|one| (*one.fault).clone()).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Acquire)
    }

    pub(super) fn draw(&self, instance: u64, method: Method, dice: &mut fastrand::Rng) -> Option<Arc<Fault>> {
        self.snapshot().iter().find(|one| one.hits(instance, method, dice)).map(|one| Arc::clone(&one.fault))
    }

    fn snapshot(&self) -> Arc<Vec<Arc<ActiveFault>>> {
        Arc::clone(&self.active.read().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(plan: &FaultPlan, dice: &mut fastrand::Rng, count: usize) -> Vec<bool> {
        (0..count).map(|_| plan.draw(1, Method::Receive, dice).is_some()).collect()
    }

    #[test]
    fn after_and_times_cut_out_a_stretch() {
        let plan = FaultPlan::default();
        assert!(plan.is_empty());
        assert!(plan.add(Fault::reset_before(Method::Receive).after(2).times(1)));
        let mut dice = fastrand::Rng::with_seed(1);
        assert_eq!(draws(&plan, &mut dice, 4), [false, false, true, false]);
        assert!(plan.pending().is_empty());
    }

    #[test]
    fn other_instances_and_methods_are_spared() {
        let plan = FaultPlan::default();
        plan.add(Fault::reset_before(Method::Delete).on(1));
        plan.add(Fault::reset_before(Method::Any).on(2));
        let mut dice = fastrand::Rng::with_seed(1);
        assert!(plan.draw(1, Method::Receive, &mut dice).is_none());
        assert!(plan.draw(1, Method::Delete, &mut dice).is_some());
        assert!(plan.draw(2, Method::Count, &mut dice).is_some());
        plan.clear();
        assert!(plan.is_empty() && plan.draw(1, Method::Delete, &mut dice).is_none());
    }

    #[test]
    fn the_same_seed_throws_the_same_dice() {
        let plan = FaultPlan::default();
        plan.add(Fault::reset_before(Method::Any).with_probability(0.3));
        let run = |seed| draws(&plan, &mut fastrand::Rng::with_seed(seed), 200);
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let hits = run(7).iter().filter(|hit| **hit).count();
        assert!((30..90).contains(&hits), "{hits} of 200 at 0.3");
    }
}
