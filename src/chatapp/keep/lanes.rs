//! Order by key: items with the same key go one after the other and do not wait for other keys. Pure.

use std::collections::{HashMap, VecDeque};

/// Items in hand, by key. The head of each lane is in flight; the others wait behind it.
pub(crate) struct Lanes<T> {
    lanes: HashMap<String, VecDeque<T>>,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        Self { lanes: HashMap::new() }
    }
}

impl<T> Lanes<T> {
    /// Adds `item` to the lane of `key`; returns it if it can start at once.
    pub(crate) fn enter(&mut self, key: &str, item: T) -> Option<T> {
        match self.lanes.get_mut(key) {
            Some(behind) => {
                behind.push_back(item);
                None
            }
            None => {
                self.lanes.insert(key.to_owned(), VecDeque::new());
                Some(item)
            }
        }
    }

    /// The head of the lane of `key` is finished; returns the next item to start.
    pub(crate) fn arrived(&mut self, key: &str) -> Option<T> {
        let lane = self.lanes.get_mut(key).expect("an item in flight has a lane");
        let next = lane.pop_front();
        if next.is_none() {
            self.lanes.remove(key);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_goes_one_by_one_and_another_does_not_wait() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.enter("a", 1), Some(1));
        assert_eq!(lanes.enter("a", 2), None);
        assert_eq!(lanes.enter("a", 3), None);
        assert_eq!(lanes.enter("b", 4), Some(4));
        assert_eq!(lanes.arrived("a"), Some(2));
        assert_eq!(lanes.arrived("b"), None);
        assert_eq!(lanes.enter("b", 5), Some(5));
        assert_eq!(lanes.arrived("a"), Some(3));
        assert_eq!(lanes.arrived("a"), None);
        assert_eq!(lanes.arrived("b"), None);
        assert!(lanes.lanes.is_empty(), "nothing is kept of a lane that has ended");
    }
}
