//! The two ways a poller is told to end.

use tokio_util::sync::CancellationToken;

/// How a poller is told to end.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// The process ends: a running poll is dropped.
    pub stop: CancellationToken,
    /// Another poller may follow at once for this instance, so a running poll is allowed to finish. If it were dropped,
    /// upstream might still give it an event, and the next poller would get the following event first.
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
    /// The end of the process.
    fn from(stop: CancellationToken) -> Self {
        Self { stop, retire: CancellationToken::new() }
    }
}
