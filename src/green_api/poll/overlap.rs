//! Whether a receive may be sent in parallel with the next delete. Pure.
//!
//! Two requests on two connections may overtake each other. A receive that overtakes its delete brings the same head
//! again: harmless, but a wasted round trip. If that happens often, it is cheaper to send deletes alone.

/// After the first overtaking this many deletes go alone, after each further one twice as many …
const ALONE_MIN: u32 = 4;
/// … up to this. If it happens every time, it then costs one round trip in a hundred.
const ALONE_MAX: u32 = 128;
/// After this many shared deletes in a row without an overtaking, the count starts again at the minimum.
const UNHARMED_MIN: u32 = 128;

/// What past overtakings mean for the next delete.
#[derive(Debug)]
pub(super) struct Overlap {
    alone_left: u32,
    alone_next: u32,
    unharmed: u32,
}

impl Default for Overlap {
    fn default() -> Self {
        Self { alone_left: 0, alone_next: ALONE_MIN, unharmed: 0 }
    }
}

impl Overlap {
    /// Whether a receive may be sent in parallel with the next delete.
    pub(super) fn is_allowed(&self) -> bool {
        self.alone_left == 0
    }

    /// The head came again: perhaps its receive overtook its delete.
    pub(super) fn head_came_again(&mut self) {
        self.unharmed = 0;
        // Plus one for its own delete, which goes alone too.
        self.alone_left = self.alone_next + 1;
        self.alone_next = (self.alone_next * 2).min(ALONE_MAX);
    }

    /// A delete has been answered.
    pub(super) fn deleted(&mut self, shared: bool) {
        self.alone_left = self.alone_left.saturating_sub(1);
        if shared {
            self.unharmed += 1;
        }
        if self.unharmed >= UNHARMED_MIN {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many deletes go alone before the next may be shared.
    fn alone(overlap: &mut Overlap) -> u32 {
        let mut count = 0;
        while !overlap.is_allowed() {
            overlap.deleted(false);
            count += 1;
        }
        count
    }

    #[test]
    fn each_overtaking_doubles_the_deletes_that_go_alone_up_to_a_limit() {
        let mut overlap = Overlap::default();
        assert!(overlap.is_allowed());
        let runs: Vec<u32> = (0..8)
            .map(|_| {
                overlap.head_came_again();
                alone(&mut overlap)
            })
            .collect();
        assert_eq!(runs, [5, 9, 17, 33, 65, 129, 129, 129]);
    }

    #[test]
    fn a_long_run_without_one_is_forgiven() {
        let mut overlap = Overlap::default();
        for _ in 0..3 {
            overlap.head_came_again();
            alone(&mut overlap);
        }
        for _ in 1..UNHARMED_MIN {
            overlap.deleted(true);
        }
        overlap.head_came_again();
        assert_eq!(alone(&mut overlap), 33, "one too few");
        for _ in 0..UNHARMED_MIN {
            overlap.deleted(true);
        }
        overlap.head_came_again();
        assert_eq!(alone(&mut overlap), ALONE_MIN + 1);
    }
}
