//! Points in time as given on the command line.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A day, a time with its zone, or a time span before now.
pub(super) fn moment(text: &str) -> Result<Timestamp, String> {
    // A time without a zone would also parse as a day, and its hours would be ignored.
    let day = || {
        text.parse::<Date>()
            .ok()
            .filter(|_| !text.contains(':'))?
            .to_zoned(TimeZone::UTC)
            .ok()
            .map(|midnight| midnight.timestamp())
    };
    let ago = || {
        // A day is 24 hours here. As a calendar unit it would depend on the time zone.
        let hours = text.strip_suffix('d').and_then(|days| days.trim().parse::<i64>().ok()?.checked_mul(24));
        let ago = hours.map(SignedDuration::from_hours).or_else(|| text.parse::<SignedDuration>().ok())?;
        Timestamp::now().checked_sub(ago).ok()
    };
    let time = text.parse::<Timestamp>().ok().or_else(day).or_else(ago);
    time.ok_or_else(|| "expected a day, a time with its zone such as 2026-01-31T12:00:00Z, or 90m, 2h, 3d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_days_moments_or_a_while_ago() {
        assert_eq!(moment("2026-01-31").expect("a day").to_string(), "2026-01-31T00:00:00Z");
        assert_eq!(moment("2026-01-31T12:00:00+03:00").expect("a moment").to_string(), "2026-01-31T09:00:00Z");
        for (text, seconds) in [("90m", 5_400), ("2h", 7_200), ("3d", 259_200), ("1h30m", 5_400)] {
            let ago = Timestamp::now().duration_since(moment(text).expect("a while")).as_secs();
            assert!((seconds - 1..seconds + 5).contains(&ago), "{text}: {ago}");
        }
        for text in ["yesterday", "", "d", "2026-01-31T12:00:00"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
