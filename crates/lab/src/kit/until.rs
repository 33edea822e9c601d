//! Waiting for what a notification tells of.

use tokio::sync::Notify;

/// Asks until there is an answer: at once, and again after each notification.
pub(crate) async fn until<T>(changed: &Notify, mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        let notified = changed.notified();
        tokio::pin!(notified);
        // Registered before the look, so that a change in between is not missed.
        notified.as_mut().enable();
        if let Some(found) = look() {
            return found;
        }
        notified.await;
    }
}
