//! How many requests a second may have.

use std::time::Duration;

use tokio::time::Instant;

/// How the service measures a second is not known; here it is a window that opens with the first request after the last
/// one closed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    window: Option<(Instant, u32)>,
}

impl Rate {
    /// Counts one request; false when it is one too many.
    pub(crate) fn admits(&mut self, per_second_max: u32, now: Instant) -> bool {
        let is_open = |(opened_at, _): &(Instant, u32)| now.duration_since(*opened_at) < Duration::from_secs(1);
        let (opened_at, before) = self.window.filter(is_open).unwrap_or((now, 0));
        let requests = before.saturating_add(1);
        self.window = Some((opened_at, requests));
        requests <= per_second_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_second_and_then_again() {
        let (mut rate, now) = (Rate::default(), Instant::now());
        assert!((0..50).all(|_| rate.admits(50, now)));
        assert!(!rate.admits(50, now + Duration::from_millis(999)));
        assert!((0..50).all(|_| rate.admits(50, now + Duration::from_secs(1))));
        assert!(!rate.admits(50, now + Duration::from_millis(1_999)));
        assert!(!Rate::default().admits(0, now));
    }
}
