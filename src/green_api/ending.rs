//! The two ways a poller is told to end.

use tokio_util::sync::CancellationToken;

/// How a poller is told to end.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// The process ends: a poll is dropped where it stands.
    pub stop: CancellationToken,
    /// Another poller of the instance may follow at once: a poll is let come to its end. Dropped, it might still be
    /// given an event, and the follower the next one before that comes again.
    pub retire: CancellationToken,
}

impl Ending {
    /// Whether either was asked for.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.stop.is_cancelled() || self.retire.is_cancelled()
    }

    /// Returns when either is asked for.
    pub async fn asked(&self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.retire.cancelled() => {}
        }
    }
}

impl From<CancellationToken> for Ending {
    /// An end of the process.
    fn from(stop: CancellationToken) -> Self {
        Self { stop, retire: CancellationToken::new() }
    }
}
