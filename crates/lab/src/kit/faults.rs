//! Which fault, if any, happens here and now.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fastrand::Rng;

/// Faults that may be active at once; more are refused.
const FAULTS_MAX: usize = 10_000;

/// One thing that goes wrong, as the plan needs it.
pub(crate) trait Fault: Clone {
    /// Where things go wrong.
    type Place: Copy;

    /// Whether it happens there at all.
    fn concerns(&self, place: Self::Place) -> bool;

    /// When it happens.
    fn terms(&self) -> Terms;

    /// Why it can never happen, if it cannot.
    fn check(&self) -> Result<(), &'static str>;
}

/// When, of all the times it could, a fault happens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// How many pass unharmed before it begins.
    pub(crate) after: u32,
    /// How often it happens; without end when absent.
    pub(crate) times: Option<u32>,
    /// How likely each is to meet it, 0 to 1.
    pub(crate) probability: f64,
}

/// The probability where none is given, as serde asks for it.
pub(crate) fn certain() -> f64 {
    1.0
}

/// Why a fault was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultRefused {
    /// It could never happen.
    #[error("{0}")]
    Meaningless(&'static str),
    /// There are as many as may be.
    #[error("there are too many faults already; clear them first")]
    TooMany,
}

/// The active faults, in the order they were added. Where there are none, a look costs one atomic load.
pub(crate) struct FaultPlan<F> {
    active: Mutex<Vec<Active<F>>>,
    any: AtomicBool,
}

struct Active<F> {
    fault: Arc<F>,
    matched: u32,
    happened: u32,
}

impl<F> Default for FaultPlan<F> {
    fn default() -> Self {
        Self { active: Mutex::default(), any: AtomicBool::new(false) }
    }
}

impl<F: Fault> Active<F> {
    fn is_spent(&self) -> bool {
        self.fault.terms().times.is_some_and(|times| self.happened >= times)
    }

    /// Counts who comes to its place, and says whether he is hit.
    fn hits(&mut self, place: F::Place, dice: &mut Rng) -> bool {
        if !self.fault.concerns(place) || self.is_spent() {
            return false;
        }
        let Terms { after, probability, .. } = self.fault.terms();
        let before = self.matched;
        self.matched = before.saturating_add(1);
        let hit = before >= after && (probability >= 1.0 || dice.f64() < probability);
        self.happened = self.happened.saturating_add(u32::from(hit));
        hit
    }
}

impl<F: Fault> FaultPlan<F> {
    /// Adds one behind the others. Spent ones make room.
    pub(crate) fn add(&self, fault: F) -> Result<(), FaultRefused> {
        fault.check().map_err(FaultRefused::Meaningless)?;
        let mut active = self.lock();
        active.retain(|one| !one.is_spent());
        if active.len() >= FAULTS_MAX {
            return Err(FaultRefused::TooMany);
        }
        active.push(Active { fault: Arc::new(fault), matched: 0, happened: 0 });
        self.any.store(true, Ordering::Release);
        Ok(())
    }

    pub(crate) fn clear(&self) {
        let mut active = self.lock();
        active.clear();
        self.any.store(false, Ordering::Release);
    }

    /// Those that can still happen.
    pub(crate) fn pending(&self) -> Vec<F> {
        self.lock().iter().filter(|one| !one.is_spent()).map(|one| (*one.fault).clone()).collect()
    }

    /// The first that happens to whoever comes to this place.
    pub(crate) fn draw(&self, place: F::Place, dice: &mut Rng) -> Option<Arc<F>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        self.lock().iter_mut().find_map(|one| one.hits(place, dice).then(|| Arc::clone(&one.fault)))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Active<F>>> {
        self.active.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Happens at places up to its own, and never at 0.
    #[derive(Clone, Debug, PartialEq)]
    struct Planned(u8, u32, Option<u32>, f64);

    impl Fault for Planned {
        type Place = u8;

        fn concerns(&self, place: u8) -> bool {
            place <= self.0
        }

        fn terms(&self) -> Terms {
            Terms { after: self.1, times: self.2, probability: self.3 }
        }

        fn check(&self) -> Result<(), &'static str> {
            if self.0 == 0 { Err("never") } else { Ok(()) }
        }
    }

    fn plan(faults: impl IntoIterator<Item = Planned>) -> FaultPlan<Planned> {
        let plan = FaultPlan::default();
        faults.into_iter().for_each(|fault| plan.add(fault).expect("it can happen"));
        plan
    }

    #[test]
    fn the_first_that_applies_happens_as_often_as_it_may() {
        let plan = plan([Planned(1, 1, Some(1), 1.0), Planned(2, 0, Some(2), 1.0)]);
        let mut dice = Rng::with_seed(1);
        let drawn: Vec<_> = (0..4).map(|_| plan.draw(1, &mut dice).map(|fault| fault.0)).collect();
        assert_eq!(drawn, [Some(2), Some(1), Some(2), None]);
        assert!(plan.pending().is_empty());
    }

    #[test]
    fn other_places_are_spared_and_all_once_it_is_cleared() {
        let plan = plan([Planned(1, 0, None, 1.0)]);
        let mut dice = Rng::with_seed(1);
        assert_eq!((plan.draw(2, &mut dice), plan.draw(1, &mut dice).is_some()), (None, true));
        plan.clear();
        assert_eq!(plan.draw(1, &mut dice), None);
    }

    #[test]
    fn what_cannot_happen_and_what_is_too_much_is_refused() {
        let plan = plan((1..FAULTS_MAX).map(|_| Planned(1, 0, None, 1.0)));
        assert_eq!(plan.add(Planned(0, 0, None, 1.0)), Err(FaultRefused::Meaningless("never")));
        plan.add(Planned(9, 0, Some(1), 1.0)).expect("room for one");
        assert_eq!(plan.add(Planned(1, 0, None, 1.0)), Err(FaultRefused::TooMany));
        assert!(plan.draw(9, &mut Rng::with_seed(1)).is_some());
        plan.add(Planned(1, 0, None, 1.0)).expect("a spent one makes room");
    }

    #[test]
    fn the_same_seed_throws_the_same_dice() {
        let plan = plan([Planned(1, 0, None, 0.3)]);
        let run = |seed| {
            let mut dice = Rng::with_seed(seed);
            (0..200).map(|_| plan.draw(1, &mut dice).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let hits = run(7).iter().filter(|hit| **hit).count();
        assert!((30..90).contains(&hits), "{hits} of 200 at 0.3");
    }
}
