use super::*;

mod any_clock;

const BOOT: Option<&str> = Some("this start");
const OVERLAP: SignedDuration = SignedDuration::from_secs(10);
/// Seconds from the start of the machine to second 0 of these tests.
const STARTED: i64 = 1_000_000;

fn wall(second: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + second).expect("a time")
}

fn up(second: i64) -> When {
    When::Up(SignedDuration::from_secs(STARTED + second))
}

/// By a clock that is right.
fn at(second: i64) -> Reading {
    by(0, second)
}

/// By a clock that is so many seconds ahead.
fn by(ahead: i64, second: i64) -> Reading {
    Reading { wall: wall(second + ahead), up: SignedDuration::from_secs(STARTED + second) }
}

fn gap(from: i64, to: i64, reason: GapReason) -> Option<Unheard> {
    Some(Unheard { from: up(from), to: up(to), reason })
}

/// As a run left it that heard up to then.
fn heard_until(second: i64) -> Standing {
    Standing::resumed(Some(Marks::first(BOOT, at(second))), BOOT, at(second))
}

/// Up to which second the next run will know that it was heard.
fn marked(channel: &Standing, now: Reading) -> Option<i64> {
    channel.marks(BOOT, now).map(|marks| marks.heard.as_secs() - STARTED)
}

#[test]
fn what_was_never_heard_has_no_gap() {
    let mut channel = Standing::new(at(0));
    channel.live(at(0));
    assert_eq!(channel.unheard(), None);
    assert_eq!(marked(&channel, at(0)), Some(0));
}

#[test]
fn a_restart_is_a_gap_from_the_last_sign_of_life() {
    let mut channel = heard_until(100);
    assert!(!channel.is_live());
    channel.heard(at(150));
    channel.live(at(200));
    assert_eq!(channel.unheard(), gap(100, 200, GapReason::NotRunning), "a frame before the subscription says nothing");
    assert_eq!(marked(&channel, at(200)), None, "a crash now has to find it again");
    let unheard = channel.unheard().expect("a gap");
    assert_eq!(unheard.told_at(at(200), OVERLAP), (wall(90), wall(200)));
    channel.told(unheard, at(200), true);
    assert_eq!(marked(&channel, at(200)), Some(100), "that it is subscribed may be old news");
    channel.heard(at(200));
    let marks = channel.marks(BOOT, at(200)).expect("told");
    assert_eq!((marks.heard, marks.unfetched), (at(200).up, Some(unheard)), "a crash now has to fetch");
    channel.fetched(channel.unfetched().expect("to be fetched"));
    assert_eq!(channel.marks(BOOT, at(200)).and_then(|marks| marks.unfetched), None);
}

#[test]
fn every_sign_of_life_moves_the_next_gap() {
    let mut channel = Standing::new(at(0));
    channel.live(at(0));
    for second in [5, 60, 30] {
        channel.heard(at(second));
    }
    channel.lost(GapReason::Disconnected);
    channel.lost(GapReason::Refused);
    channel.heard(at(90));
    channel.live(at(100));
    assert_eq!(channel.unheard(), gap(60, 100, GapReason::Disconnected));
}

#[test]
fn a_gap_that_nobody_told_grows_and_one_that_grew_or_was_told_again_meanwhile_stays() {
    let mut channel = heard_until(0);
    channel.live(at(50));
    let first = channel.unheard().expect("a gap");
    channel.lost(GapReason::Disconnected);
    channel.live(at(80));
    channel.told(first, at(80), true);
    let being_fetched = channel.unfetched().expect("to be fetched");
    assert_eq!(channel.unheard(), gap(0, 80, GapReason::NotRunning));
    channel.told(channel.unheard().expect("a gap"), at(80), true);
    assert_eq!(channel.unfetched().map(|unfetched| unfetched.gap), gap(0, 80, GapReason::NotRunning));
    channel.fetched(being_fetched);
    let whole = channel.unfetched().expect("fetched was only what it began as");
    channel.told(whole.gap, at(90), true);
    channel.fetched(whole);
    assert!(channel.unfetched().is_some(), "it was fetched by another time of day");
}

#[test]
fn silence_is_distrusted_once_and_a_channel_that_speaks_is_not() {
    let mut channel = Standing::new(at(0));
    channel.live(at(0));
    channel.heard(at(300));
    channel.pushed(at(200));
    assert!(!channel.missed(wall(150), at(300)), "it has spoken since: a broadcast was lost, not the subscription");
    assert!(channel.missed(wall(250), at(300)));
    assert!(!channel.missed(wall(260), at(300)), "told once");
    channel.heard(at(310));
    channel.live(at(320));
    assert_eq!(channel.unheard(), gap(250, 320, GapReason::Silence));
}

#[test]
fn silence_goes_back_to_the_last_event_where_the_message_cannot_be_placed_in_time() {
    // ChatApp wrote it in what is the future here; nothing has come since 200, or since it was subscribed.
    for (pushed, from) in [(Some(at(200)), 200), (None, 0)] {
        let mut channel = Standing::new(at(0));
        channel.live(at(0));
        pushed.into_iter().for_each(|at| channel.pushed(at));
        channel.heard(at(300));
        assert!(channel.missed(wall(9000), at(300)));
        channel.live(at(320));
        assert_eq!(channel.unheard(), gap(from, 320, GapReason::Silence));
    }
    // And by a clock that is ahead, in a past in which it was subscribed and spoke.
    let mut channel = Standing::new(by(3600, 0));
    channel.live(by(3600, 0));
    channel.pushed(by(3600, 200));
    channel.heard(by(3600, 300));
    assert!(!channel.missed(wall(250), by(3600, 300)));
}

/// It once made gaps of no length: what was heard until then, in a time of day that nobody has any more, was the end.
#[test]
fn clocks_that_go_back_take_nothing_from_a_gap() {
    let mut channel = heard_until(0);
    channel.live(by(7200, 100));
    let first = channel.unheard().expect("a gap");
    assert_eq!(first.told_at(by(7200, 100), OVERLAP), (wall(-10), wall(7300)), "both clocks' word for its beginning");
    channel.told(first, by(7200, 100), false);
    channel.heard(by(7200, 200));
    channel.lost(GapReason::Disconnected);
    // The clock is set right while nobody listens, …
    channel.live(at(260));
    let second = channel.unheard().expect("a gap");
    assert_eq!(second.told_at(at(260), OVERLAP), (wall(190), wall(260)));
    channel.told(second, at(260), false);
    // … and what was told by the wrong one is told again by the right one.
    assert!(!channel.look_at_clock(at(262)), "that has been seen to");
    assert_eq!(marked(&channel, at(262)), None);
    let again = channel.unheard().expect("told again");
    assert_eq!(again.told_at(at(262), OVERLAP), (wall(-7210), wall(100)));
    channel.told(again, at(262), false);
    assert_eq!(channel.unheard(), None);
    assert_eq!(marked(&channel, at(262)), Some(200));
    assert!(channel.look_at_clock(by(7200, 263)), "and once more where it is set again");
}

#[test]
fn the_same_over_a_restart() {
    let mut channel = heard_until(0);
    channel.heard(at(0));
    channel.live(at(1));
    channel.told(channel.unheard().expect("a gap"), at(1), true);
    channel.heard(by(-7200, 100));
    channel.lost(GapReason::Disconnected);
    channel.live(by(-7200, 160));
    while let Some(gap) = channel.unheard() {
        channel.told(gap, by(-7200, 160), true);
    }
    channel.heard(by(-7200, 200));
    let marks = channel.marks(BOOT, by(-7200, 200)).expect("told");
    let text = serde_json::to_string(&marks).expect("JSON");
    let marks: Marks = serde_json::from_str(&text).expect("the same");

    let mut next = Standing::resumed(Some(marks.clone()), BOOT, at(250));
    next.live(at(260));
    let mut told = Vec::new();
    while let Some(gap) = next.unheard() {
        told.push(gap.told_at(at(260), OVERLAP));
        next.told(gap, at(260), true);
    }
    // The clock was set ahead, or the machine stood still for two hours: in doubt all of it was earlier.
    assert_eq!(told, [(wall(-7010), wall(260)), (wall(-7110), wall(160)), (wall(-7210), wall(1))]);
    assert!(next.unfetched().is_some_and(|unfetched| unfetched.gap.from == up(-7200)));

    // After a start of the machine only the times of day are left: those of a clock that was behind cannot be told from
    // right ones, and say less than was heard.
    let mut restarted = Standing::resumed(Some(marks), Some("another start"), by(0, 250));
    restarted.live(at(260));
    let gap = restarted.unheard().expect("a gap");
    assert_eq!(gap.told_at(at(260), OVERLAP), (wall(-7010), wall(260)));
}

#[test]
fn a_mark_in_the_future_is_not_believed_after_a_start_of_the_machine() {
    for (boot, was_started_anew) in [(Some("another start"), false), (None, false), (BOOT, true)] {
        let marks = Marks::first(BOOT, by(7200, 100));
        let now =
            Reading { up: SignedDuration::from_secs(if was_started_anew { 5 } else { STARTED + 200 }), ..at(200) };
        let mut channel = Standing::resumed(Some(marks), boot, now);
        channel.live(now);
        let gap = channel.unheard().expect("a gap");
        assert_eq!(gap.told_at(now, OVERLAP), (now.wall - LOOK_BACK_MAX - OVERLAP, now.wall), "{boot:?}");
    }
}

#[test]
fn before_the_time_of_day_is_set_nothing_is_told_and_afterwards_the_right_thing_is() {
    let year_1970 = -1_760_000_000;
    let mut channel =
        Standing::resumed(Some(Marks::by_time_of_day(wall(50), Some(wall(40)))), BOOT, by(year_1970, 100));
    channel.live(by(year_1970, 110));
    channel.heard(by(year_1970, 120));
    assert_eq!((channel.unheard(), channel.unfetched(), marked(&channel, by(year_1970, 120))), (None, None, None));
    assert!(channel.look_at_clock(at(130)), "there is something to tell now");
    let gap = channel.unheard().expect("a gap");
    assert_eq!(gap.told_at(at(130), OVERLAP), (wall(40), wall(110)));
    let unfetched = channel.unfetched().expect("left by an earlier run").gap;
    assert_eq!(unfetched.told_at(at(130), OVERLAP), (wall(30), wall(50)));
}

#[test]
fn of_many_gaps_the_oldest_become_one_and_those_of_last_week_are_forgotten() {
    let mut channel = heard_until(0);
    for second in (0..30).map(|n| n * 100) {
        channel.lost(GapReason::Disconnected);
        channel.live(at(second + 50));
        channel.told(channel.unheard().expect("a gap"), at(second + 50), false);
        channel.heard(at(second + 100));
    }
    assert_eq!(channel.told.len(), TOLD_MAX);
    assert_eq!(channel.told[0].gap, gap(0, 1450, GapReason::NotRunning).expect("some"));
    let week = LOOK_BACK_MAX.as_secs();
    assert!(!channel.look_at_clock(at(week + 2951)));
    assert_eq!(channel.told.len(), 0);
}

#[test]
fn what_version_0_1_left_is_taken_up() {
    let mut channel = Standing::resumed(Some(Marks::by_time_of_day(wall(100), Some(wall(50)))), BOOT, at(150));
    let unfetched = channel.unfetched().expect("left").gap;
    assert_eq!(unfetched.told_at(at(150), OVERLAP), (wall(40), wall(100)));
    channel.live(at(200));
    assert_eq!(channel.unheard().expect("a gap").told_at(at(200), OVERLAP), (wall(90), wall(200)));
    let complete = Standing::resumed(Some(Marks::by_time_of_day(wall(100), Some(wall(100)))), BOOT, at(150));
    assert_eq!(complete.unfetched(), None);
}
