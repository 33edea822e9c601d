//! Groups failures: one log line when trouble begins and one when it is over, however often it fails in between.
//!
//! Something that fails, works once and fails again is still in the same trouble. So trouble is over only when nothing
//! has failed for a while. Pure; time is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// Trouble is over after this long without a failure.
pub const CALM: Duration = Duration::from_secs(10);
/// Lasting trouble is reported again after this long, so that it is not forgotten.
pub const REMINDER: Duration = Duration::from_secs(60 * 60);

/// What failed lately, if anything.
#[derive(Debug, Default)]
pub struct Episode(Option<Trouble>);

#[derive(Debug)]
struct Trouble {
    first: &'static str,
    began: Instant,
    failures: u64,
    /// Each class of failure that was reported, and when. There are only a few classes.
    told: Vec<(&'static str, Instant)>,
    /// The first success since the last failure.
    well_since: Option<Instant>,
}

/// Trouble that is over.
#[derive(Debug, PartialEq, Eq)]
pub struct Over {
    /// The class of its first failure.
    pub after: &'static str,
    /// The time from the first failure to the success after the last failure.
    pub lasted: Duration,
    /// How often something failed.
    pub failures: u64,
}

impl Episode {
    /// Something failed. Returns true if that is to be reported: the first time, and again if it lasts.
    pub fn failed(&mut self, class: &'static str, now: Instant) -> bool {
        self.0.take_if(|trouble| trouble.is_over(now));
        let trouble = self.0.get_or_insert_with(|| Trouble {
            first: class,
            began: now,
            failures: 0,
            told: Vec::new(),
            well_since: None,
        });
        trouble.failures += 1;
        trouble.well_since = None;
        match trouble.told.iter_mut().find(|(told, _)| *told == class) {
            Some((_, at)) if now.duration_since(*at) < REMINDER => return false,
            Some((_, at)) => *at = now,
            None => trouble.told.push((class, now)),
        }
        true
    }

    /// Something worked. Returns the trouble that is now over, if any.
    pub fn worked(&mut self, now: Instant) -> Option<Over> {
        let trouble = self.0.as_mut()?;
        let well_since = *trouble.well_since.get_or_insert(now);
        let trouble = self.0.take_if(|trouble| trouble.is_over(now))?;
        let lasted = well_since.duration_since(trouble.began);
        Some(Over { after: trouble.first, lasted, failures: trouble.failures })
    }
}

impl Trouble {
    fn is_over(&self, now: Instant) -> bool {
        self.well_since.is_some_and(|since| now.duration_since(since) >= CALM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_fails_and_works_in_turn_is_one_episode() {
        let (mut episode, start) = (Episode::default(), Instant::now());
        let told: Vec<bool> = (0..100)
            .map(|n| {
                let now = start + SECOND * n;
                assert_eq!(episode.worked(now), None);
                episode.failed("rate_limited", now)
            })
            .collect();
        assert_eq!(told.iter().filter(|told| **told).count(), 1);
        let well = start + SECOND * 100;
        assert_eq!(episode.worked(well), None, "it may fail again in a moment");
        let over = Over { after: "rate_limited", lasted: SECOND * 100, failures: 100 };
        assert_eq!(episode.worked(well + CALM), Some(over));
        assert_eq!(episode.worked(well + CALM * 2), None, "told once");
    }

    #[test]
    fn each_class_is_told_once_and_again_after_an_hour() {
        let (mut episode, start) = (Episode::default(), Instant::now());
        let told: Vec<bool> =
            ["connection", "timeout", "connection", "timeout"].map(|class| episode.failed(class, start)).to_vec();
        assert_eq!(told, [true, true, false, false]);
        assert!(!episode.failed("timeout", start + REMINDER - SECOND));
        assert!(episode.failed("timeout", start + REMINDER));
    }

    #[test]
    fn after_a_calm_that_nobody_asked_about_it_is_another_episode() {
        let (mut episode, start) = (Episode::default(), Instant::now());
        assert!(episode.failed("connection", start));
        assert_eq!(episode.worked(start + SECOND), None);
        assert!(episode.failed("connection", start + SECOND + CALM));
        let over = episode.worked(start + SECOND * 30).or(episode.worked(start + SECOND * 30 + CALM)).expect("over");
        assert_eq!(over.failures, 1);
    }
}
