//! What is said on standard error to whoever waits.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Seconds that a part took on two cores: in each round, and once.
const SECONDS: [(&str, u64, u64); 6] = [
    ("drain", 170, 0),
    ("fleet", 260, 0),
    ("webhook", 45, 0),
    ("scaling", 0, 130),
    ("idle", 0, 280),
    ("connections", 0, 90),
];

/// A line, with minutes and seconds since the first.
pub(crate) fn say(what: &str) {
    static STARTED: OnceLock<Instant> = OnceLock::new();
    let seconds = STARTED.get_or_init(Instant::now).elapsed().as_secs();
    eprintln!("bench {:>2}:{:02}  {what}", seconds / 60, seconds % 60);
}

/// How long these parts take, about.
pub(crate) fn expected(parts: &[String], rounds: u32) -> Duration {
    let of_part = |part: &String| {
        let known = SECONDS.iter().find(|(name, ..)| name == part);
        known.map_or(0, |(_, each_round, once)| each_round * u64::from(rounds) + once)
    };
    Duration::from_secs(parts.iter().map(of_part).sum())
}
