//! Counts connections, in all and per address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::inbound::listener::TurnedAway;

/// The prefix that one IPv6 client has: it can use every address in it.
const V6_NETWORK_BITS: u32 = 64;

/// The connections that a listener may have.
#[derive(Debug)]
pub struct Places {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    connections_max: usize,
    per_address_max: usize,
    taken: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one connection; given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Arc<Places>,
    /// `None` if the address is not limited.
    address: Option<IpAddr>,
}

impl Places {
    /// Limits in all, and per address.
    #[must_use]
    pub fn new(connections_max: usize, per_address_max: usize) -> Self {
        let state = State { connections_max, per_address_max, taken: 0, by_address: HashMap::new() };
        Self { state: Mutex::new(state) }
    }

    /// Changes the limits. Connections beyond them stay until they end.
    pub fn resize(&self, connections_max: usize, per_address_max: usize) {
        let mut state = self.state();
        (state.connections_max, state.per_address_max) = (connections_max, per_address_max);
    }

    /// A place for a connection from `address`. An address that stands for many callers may take any number.
    pub(super) fn take(self: &Arc<Self>, address: IpAddr, stands_for_many: bool) -> Result<Place, TurnedAway> {
        let mut state = self.state();
        if state.taken >= state.connections_max {
            return Err(TurnedAway::Full);
        }
        let address = (!stands_for_many).then(|| counted_as(address));
        if let Some(address) = address {
            let most = state.per_address_max;
            let taken = state.by_address.entry(address).or_default();
            if *taken >= most {
                return Err(TurnedAway::AddressFull);
            }
            *taken += 1;
        }
        state.taken += 1;
        Ok(Place { places: Arc::clone(self), address })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        state.taken -= 1;
        if let Some(address) = self.address
            && let Some(taken) = state.by_address.get_mut(&address)
        {
            *taken -= 1;
            if *taken == 0 {
                state.by_address.remove(&address);
            }
        }
    }
}

/// The address under which all addresses of one client are counted.
fn counted_as(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let mask = u128::MAX << (128 - V6_NETWORK_BITS);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_limit_for_all_and_a_lower_one_for_each_address() {
        let places = Arc::new(Places::new(4, 2));
        let take = |address: &str, many| places.take(address.parse().expect("an address"), many);
        let [one, _two] = [0, 1].map(|_| take("192.0.2.1", false).expect("room"));
        assert_eq!(take("192.0.2.1", false).err(), Some(TurnedAway::AddressFull));
        drop(one);
        let _again = take("192.0.2.1", false).expect("a place that was given back");
        // The same /64 is the same caller.
        let _far = take("2001:db8::1", false).expect("room");
        let last = take("2001:db8::2", false).expect("room");
        assert_eq!(take("2001:db8::3", false).err(), Some(TurnedAway::Full));
        assert_eq!(take("198.51.100.7", true).err(), Some(TurnedAway::Full), "the limit for all holds for everybody");
        drop(last);
        let _proxy = take("192.0.2.1", true).expect("it stands for many");
        places.resize(2, 1);
        assert_eq!(take("192.0.2.9", false).err(), Some(TurnedAway::Full));
        drop(_far);
        assert_eq!(places.state().by_address.len(), 1, "who has no connection is forgotten");
    }
}
