//! When trouble that stays is worth another line in the log.

use std::time::Duration;

use tokio::time::Instant;

/// Due at first, and again after each interval. Over when the trouble is.
#[derive(Debug)]
pub struct Reminder {
    every: Duration,
    told_at: Option<Instant>,
}

impl Reminder {
    /// A reminder that is due at once, and then once in this time.
    #[must_use]
    pub const fn every(every: Duration) -> Self {
        Self { every, told_at: None }
    }

    /// Whether it is time to tell, the first time or again. If so, it counts as told.
    pub fn is_due(&mut self) -> bool {
        let is_due = self.told_at.is_none_or(|at| at.elapsed() >= self.every);
        if is_due {
            self.told_at = Some(Instant::now());
        }
        is_due
    }

    /// The trouble is over: whether it had been told.
    pub fn over(&mut self) -> bool {
        self.told_at.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_due_at_first_after_each_interval_and_after_the_trouble_was_over() {
        let mut reminder = Reminder::every(Duration::from_secs(60));
        assert!(reminder.is_due());
        tokio::time::advance(Duration::from_secs(59)).await;
        assert!(!reminder.is_due());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(reminder.is_due() && !reminder.is_due());
        assert!(reminder.over() && !reminder.over());
        assert!(reminder.is_due());
    }
}
