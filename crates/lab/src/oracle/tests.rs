use super::*;

/// Queues a, b, c (one chat) and d (another), then lets `appearances` appear.
fn judged(appearances: &[(&str, &str)]) -> Verdict {
    let mut oracle = Oracle::default();
    for (identity, key) in [("a", "1"), ("b", "1"), ("c", "1"), ("d", "2")] {
        oracle.queued(identity, 1101, key);
    }
    for (identity, key) in appearances {
        oracle.appeared(identity, key);
    }
    oracle.verdict()
}

#[test]
fn each_breach_is_seen() {
    let good = [("a", "1"), ("d", "2"), ("b", "1"), ("c", "1")];
    let verdict = judged(&good);
    assert!(verdict.promise_held());
    assert_eq!((verdict.queued, verdict.published, verdict.repeated), (4, 4, 0));

    let repeated = judged(&[good[0], good[1], good[2], good[2], good[0], good[3]]);
    assert!(repeated.promise_held(), "a repeat is allowed, also of an earlier one");
    assert_eq!(repeated.repeated, 2);

    for (appearances, expected) in [
        (vec![good[0], good[1], good[2]], (1, 0, 0, 0)),
        (vec![good[2], good[0], good[1], good[3]], (0, 1, 0, 0)),
        (vec![good[0], good[1], good[2], ("c", "3")], (0, 0, 1, 0)),
        (vec![good[0], good[1], good[2], good[3], ("x", "1")], (0, 0, 0, 1)),
    ] {
        let verdict = judged(&appearances);
        assert!(!verdict.promise_held(), "{appearances:?}");
        let found = (verdict.lost, verdict.out_of_order, verdict.wrong_key, verdict.unexpected);
        assert_eq!(found, expected, "{appearances:?}");
    }
}

/// What happened to one event, and what is in Kafka of it: E an event, L a dead letter.
fn fate(left: Option<LeftBy>, is_unwanted: bool, kafka: &str) -> Judgement {
    let mut oracle = Oracle::default();
    let event = oracle.queued("a", 1, "chat");
    if is_unwanted {
        oracle.unwanted(event);
    }
    match left {
        Some(by) => oracle.left(event, 1, by, 5_000),
        None => oracle.still_queued(event),
    }
    for letter in kafka.chars() {
        let record = Sighting { appended_ms: Some(4_000), ..record("chat") };
        oracle.sighted(Some(event), Sighting { is_dead_letter: letter == 'L', ..record });
    }
    oracle.judgement(0)
}

fn record(key: &str) -> Sighting<'_> {
    Sighting { key, topic: 0, partition: 0, appended_ms: None, is_dead_letter: false }
}

#[test]
fn every_fate_has_its_figure_and_they_add_up() {
    use LeftBy::{Age, Deletion, Theft};
    // published, dead-lettered, dropped, still queued, lost; repeated, published but not deleted
    for (left, is_unwanted, kafka, expected) in [
        (Some(Deletion), false, "E", (1, 0, 0, 0, 0, 0, 0)),
        (Some(Deletion), false, "EE", (1, 0, 0, 0, 0, 1, 0)),
        (Some(Deletion), false, "L", (0, 1, 0, 0, 0, 0, 0)),
        (Some(Deletion), false, "LL", (0, 1, 0, 0, 0, 1, 0)),
        (Some(Deletion), false, "LE", (1, 0, 0, 0, 0, 0, 0)),
        (Some(Deletion), false, "", (0, 0, 0, 0, 1, 0, 0)),
        (Some(Deletion), true, "", (0, 0, 1, 0, 0, 0, 0)),
        (Some(Deletion), true, "E", (1, 0, 0, 0, 0, 0, 0)),
        (Some(Age), false, "", (0, 0, 0, 0, 1, 0, 0)),
        (Some(Age), false, "E", (1, 0, 0, 0, 0, 0, 0)),
        (Some(Age), true, "", (0, 0, 1, 0, 0, 0, 0)),
        (Some(Theft), false, "", (0, 0, 0, 0, 1, 0, 0)),
        (Some(Theft), false, "L", (0, 1, 0, 0, 0, 0, 0)),
        (None, false, "", (0, 0, 0, 1, 0, 0, 0)),
        (None, true, "", (0, 0, 0, 1, 0, 0, 0)),
        (None, false, "E", (1, 0, 0, 0, 0, 0, 1)),
        (None, false, "L", (0, 1, 0, 0, 0, 0, 1)),
    ] {
        let found = fate(left, is_unwanted, kafka);
        let Verdict { queued, published, lost, repeated, .. } = found.verdict;
        let figures = (
            published,
            found.dead_lettered,
            found.dropped,
            found.still_queued,
            lost,
            repeated,
            found.published_not_deleted,
        );
        let what = format!("{left:?} unwanted {is_unwanted} in Kafka {kafka}");
        assert_eq!(figures, expected, "{what}");
        assert_eq!(queued, published + found.dead_lettered + found.dropped + found.still_queued + lost, "{what}");
        assert_eq!(found.has_breach(), lost > 0, "{what}");
        let by = found.lost_by;
        assert_eq!(by.deletion + by.age + by.theft, lost, "{what}");
    }
}

/// One instance queues and deletes these contents in this order; then these appear.
fn equals(queued: &str, appearing: &str, still_queued: usize) -> (u64, u64, u64, u64) {
    let mut oracle = Oracle::default();
    let events: Vec<EventRef> = queued.chars().map(|content| oracle.queued(content.to_string(), 1, "chat")).collect();
    let gone = events.len() - still_queued;
    events[..gone].iter().for_each(|event| oracle.left(*event, 1, LeftBy::Deletion, 0));
    events[gone..].iter().for_each(|event| oracle.still_queued(*event));
    appearing.chars().for_each(|content| {
        oracle.appeared(&content.to_string(), "chat");
    });
    let found = oracle.judgement(0);
    (found.verdict.lost, found.verdict.repeated, found.collapsed, found.still_queued)
}

#[test]
fn equal_neighbours_share_a_record_and_others_do_not() {
    // lost, repeated, collapsed, still queued
    for (queued, appearing, still_queued, expected) in [
        ("aaa", "a", 0, (0, 0, 2, 0)),
        ("aaa", "aaa", 0, (0, 0, 2, 0)),
        ("aaa", "aaaa", 0, (0, 1, 2, 0)),
        ("aba", "aba", 0, (0, 0, 0, 0)),
        ("aba", "ab", 0, (1, 0, 0, 0)),
        ("aaba", "aba", 0, (0, 0, 1, 0)),
        ("aba", "ab", 1, (0, 0, 0, 1)),
        ("aba", "aba", 1, (0, 0, 0, 0)),
        ("aa", "a", 1, (0, 0, 0, 1)),
        ("aa", "", 0, (2, 0, 0, 0)),
    ] {
        assert_eq!(equals(queued, appearing, still_queued), expected, "{queued} appearing as {appearing}");
    }
}

#[test]
fn deletions_are_compared_where_the_broker_stamps_and_not_called_good_where_it_does_not() {
    let judged = |appended_ms: Option<i64>, deleted_ms: i64, tolerance_ms: i64| {
        let mut oracle = Oracle::default();
        let event = oracle.queued("a", 1, "chat");
        oracle.left(event, 1, LeftBy::Deletion, deleted_ms);
        oracle.sighted(Some(event), Sighting { appended_ms, ..record("chat") });
        oracle.judgement(tolerance_ms)
    };
    for (appended_ms, deleted_ms, tolerance_ms, expected) in [
        (Some(1_000), 1_000, 0, Some(0)),
        (Some(1_000), 998, 0, Some(0)),
        (Some(1_000), 997, 0, Some(1)),
        (Some(1_000), 990, 10, Some(0)),
        (Some(1_000), 980, 10, Some(1)),
        (None, 0, 0, None),
    ] {
        let found = judged(appended_ms, deleted_ms, tolerance_ms);
        assert_eq!(found.deleted_before_acknowledged, expected, "{appended_ms:?} {deleted_ms} {tolerance_ms}");
        assert_eq!(found.has_breach(), expected == Some(1));
        assert_eq!(found.deletions_checked + found.deletions_not_checked, 1);
        assert_eq!(found.closest_deletion_ms, appended_ms.map(|at| deleted_ms - at));
    }
    let mut oracle = Oracle::default();
    let event = oracle.queued("a", 1, "chat");
    oracle.left(event, 1, LeftBy::Deletion, 1_000);
    for appended_ms in [9_000, 500] {
        oracle.sighted(Some(event), Sighting { appended_ms: Some(appended_ms), ..record("chat") });
    }
    assert_eq!(oracle.judgement(0).deleted_before_acknowledged, Some(0), "a repeat elsewhere was read first");
    oracle.sighted(Some(event), record("chat"));
    assert_eq!(oracle.judgement(0).deleted_before_acknowledged, None, "the one without a time may be the first");
    assert_eq!(fate(None, false, "E").deletions_checked, 0, "what is not deleted is not too early");
}

#[test]
fn order_is_that_of_one_partition_of_one_topic_without_dead_letters() {
    let mut oracle = Oracle::default();
    let [a, b, c] = ["a", "b", "c"].map(|identity| oracle.queued(identity, 1, "chat"));
    assert!(!oracle.sighted(Some(b), record("chat")).is_out_of_order);
    let other_topic = Sighting { topic: 1, ..record("chat") };
    assert!(!oracle.sighted(Some(a), other_topic).is_out_of_order, "nobody promised an order between topics");
    let letter = Sighting { is_dead_letter: true, ..record("instance:1") };
    assert_eq!(oracle.sighted(Some(c), letter), Remarks { is_first: true, ..Remarks::default() });
    let d = oracle.queued("d", 1, "chat");
    oracle.sighted(Some(d), record("chat"));
    assert!(!oracle.sighted(Some(c), record("chat")).is_out_of_order, "a replay comes behind");
    let [e, f] = ["e", "f"].map(|identity| oracle.queued(identity, 1, "chat"));
    let other_partition = Sighting { partition: 5, ..record("chat") };
    assert!(oracle.sighted(Some(e), other_partition).is_split);
    assert!(!oracle.sighted(Some(f), other_partition).is_split, "said once");
    let found = oracle.judgement(0);
    assert_eq!((found.split_chats, found.verdict.out_of_order, found.has_breach()), (1, 0, true));
}
