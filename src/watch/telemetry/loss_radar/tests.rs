//! Situations and what the radar makes of them.

use super::*;

const HOUR: Duration = Duration::from_secs(60 * 60);

#[test]
fn situations_and_their_forecast() {
    use Forecast::*;
    for (what, head_age, waiting, drain_rate_per_second, hours_left, drain_seconds, forecast) in [
        ("idle and empty", Duration::ZERO, Some(0), 0.0, 24, Some(0), Some(InTime)),
        ("nobody counts", HOUR, None, 9.0, 23, None, None),
        ("Kafka has been away for an hour", HOUR, Some(1000), 0.0, 23, None, Some(Stalled)),
        ("a night's backlog, draining well", HOUR * 8, Some(32_400), 9.0, 16, Some(3600), Some(InTime)),
        ("just in time for the head's own age", HOUR * 23, Some(32_400), 9.0, 1, Some(3600), Some(InTime)),
        ("one second too slow for the head's age", HOUR * 23, Some(32_409), 9.0, 1, Some(3601), Some(Uncertain)),
        ("more than a day's work, all of it young", HOUR, Some(1_000_000), 9.0, 23, Some(111_112), Some(TooLate)),
        ("already lost some", HOUR * 30, Some(10), 1.0, 0, Some(10), Some(Uncertain)),
    ] {
        let seen = Seen { head_age, waiting, drain_rate_per_second };
        assert_eq!(seen.until_loss(), HOUR * hours_left, "{what}");
        assert_eq!((seen.drain_seconds(), seen.forecast()), (drain_seconds, forecast), "{what}");
    }
}

#[test]
fn levels_rise_at_their_threshold_and_fall_a_tenth_below() {
    use LossLevel::*;
    let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
    let told = |ages: &[u64]| {
        let mut level = Ok;
        let mut told = Vec::new();
        for age in ages {
            level = LossLevel::at(minutes(*age), level, &Thresholds::default());
            told.push(level);
        }
        told
    };
    assert_eq!(told(&[0, 359, 360, 359, 361, 325, 323]), [Ok, Ok, Warn, Warn, Warn, Warn, Ok]);
    assert_eq!(told(&[1079, 1080, 1079, 973, 971, 1079, 1080]), [Warn, Alarm, Alarm, Alarm, Warn, Warn, Alarm]);
    assert_eq!(told(&[2000, 0]), [Alarm, Ok], "an empty queue ends it at once");
}

#[test]
fn the_likely_cause_is_what_the_poller_is_at() {
    let long = Some(HELD_UP);
    let short = Some(HELD_UP - Duration::from_millis(1));
    for (phase, in_hand_for, cause) in [
        (Phase::Starting, None, Cause::NotStarted),
        (Phase::Polling, None, Cause::Backlog),
        (Phase::Delivering, short, Cause::Backlog),
        (Phase::Delivering, long, Cause::Kafka),
        (Phase::BackingOff, None, Cause::GreenApi),
        (Phase::Waiting, None, Cause::Instance),
        (Phase::Misconfigured, None, Cause::Instance),
        (Phase::Parked, long, Cause::DeadLetters),
        (Phase::Stopped, None, Cause::Stopped),
    ] {
        assert_eq!(Cause::of(phase, in_hand_for, None), cause, "{phase:?} {in_hand_for:?}");
    }
}

#[test]
fn an_error_that_lasts_has_its_own_cause_and_advice() {
    let mut told = std::collections::BTreeSet::new();
    for (phase, class, cause) in [
        (Phase::BackingOff, "connection", Cause::GreenApi),
        (Phase::BackingOff, "unreadable", Cause::Unreadable),
        (Phase::BackingOff, "garbled", Cause::Garbled),
        (Phase::BackingOff, "rate_limited", Cause::RateLimited),
        (Phase::BackingOff, "no_answer", Cause::Stranger),
        (Phase::BackingOff, "server_error", Cause::Refusing),
        (Phase::Delivering, "panic", Cause::Panic),
        (Phase::Waiting, "expired", Cause::Instance),
        (Phase::Polling, "rival", Cause::Backlog),
        (Phase::Listening, "not_called", Cause::NotCalled),
    ] {
        assert_eq!(Cause::of(phase, None, Some(class)), cause, "{phase:?} {class}");
        assert!(told.insert(cause.advice()), "{cause:?} has another's advice");
    }
    for (phase, class) in [(Phase::Polling, "panic"), (Phase::Starting, "panic"), (Phase::BackingOff, "timeout")] {
        let cause = Cause::of(phase, None, Some(class));
        assert_eq!(cause == Cause::Panic, class == "panic", "{phase:?} {class}");
    }
    assert_eq!(Cause::of(Phase::Delivering, Some(HELD_UP), Some("kafka")), Cause::Kafka);
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_that_of_the_last_minute() {
    let mut rate = DrainRate::new(Instant::now());
    let near = |rate: &DrainRate, expected: f64| {
        let is = rate.per_second(Instant::now());
        assert!((is - expected).abs() < 0.2, "{is} is not {expected}");
    };
    near(&rate, 0.0);
    for _ in 0..100 {
        tokio::time::advance(Duration::from_millis(100)).await;
        rate.count(Instant::now());
    }
    near(&rate, 10.0);
    for _ in 0..600 {
        tokio::time::advance(Duration::from_millis(500)).await;
        rate.count(Instant::now());
    }
    near(&rate, 2.0);
    tokio::time::advance(Duration::from_secs(30)).await;
    near(&rate, 1.0);
    tokio::time::advance(Duration::from_secs(31)).await;
    near(&rate, 0.0);
    // After a week of silence the ring holds nothing old.
    tokio::time::advance(HOUR * 24 * 7).await;
    rate.count(Instant::now());
    near(&rate, 1.0 / 57.5);
}

#[tokio::test(start_paused = true)]
async fn the_minutes_that_passed_are_told_slice_by_slice() {
    let mut rate = DrainRate::new(Instant::now());
    let last = |rate: &DrainRate| rate.passed(Instant::now())[DrainRate::PASSED - 4..].to_vec();
    for count in [3, 0, 2] {
        for _ in 0..count {
            rate.count(Instant::now());
        }
        tokio::time::advance(DrainRate::SLICE).await;
    }
    rate.count(Instant::now());
    assert_eq!(last(&rate), [0, 3, 0, 2], "not the slice that is still filling");
    tokio::time::advance(DrainRate::SLICE * 2).await;
    assert_eq!(last(&rate), [0, 2, 1, 0]);
    tokio::time::advance(DrainRate::SLICE * 55).await;
    assert_eq!(rate.passed(Instant::now())[..4], [3, 0, 2, 1]);
    tokio::time::advance(DrainRate::SLICE).await;
    assert_eq!(rate.passed(Instant::now())[..4], [0, 2, 1, 0], "the oldest has gone");
    tokio::time::advance(HOUR * 24).await;
    assert_eq!(rate.passed(Instant::now()), [0; DrainRate::PASSED]);
}
