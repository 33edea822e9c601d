use super::*;
use chatbridge_lab::oracle::{LostBy, Verdict};

fn report(change: impl FnOnce(&mut Judgement, &mut Secrets, &mut u64)) -> Report {
    let verdict = Verdict { queued: 3, published: 3, ..Verdict::default() };
    let mut judgement =
        Judgement { verdict, deleted_before_acknowledged: Some(0), deletions_checked: 3, ..Judgement::default() };
    let mut secrets = Secrets { tokens_searched: 1, ..Secrets::default() };
    let mut wrong_id = 0;
    change(&mut judgement, &mut secrets, &mut wrong_id);
    Report::new(judgement, Seen::default(), secrets, wrong_id, 1, Vec::new())
}

#[test]
fn each_breach_breaks_the_promise_and_what_is_foreign_only_leaves_it_open() {
    use Promise::{Broken, CannotBeTold, Kept};
    type Change = fn(&mut Judgement, &mut Secrets, &mut u64);
    let table: [(Change, Promise); 18] = [
        (|_, _, _| {}, Kept),
        (|judgement, _, _| judgement.verdict.repeated = 1, Kept),
        (|judgement, _, _| judgement.still_queued = 1, Kept),
        (|judgement, _, _| judgement.collapsed = 1, Kept),
        (|judgement, _, _| judgement.deleted_before_acknowledged = None, Kept),
        (|judgement, _, _| judgement.deleted_before_acknowledged = Some(1), Broken),
        (|judgement, _, _| judgement.verdict.lost = 1, Broken),
        (|judgement, _, _| judgement.verdict.out_of_order = 1, Broken),
        (|judgement, _, _| judgement.verdict.wrong_key = 1, Broken),
        (|judgement, _, _| judgement.split_chats = 1, Broken),
        (|_, secrets, _| secrets.records = 1, Broken),
        (|_, _, wrong_id| *wrong_id = 1, Broken),
        (|judgement, _, _| judgement.verdict.unexpected = 1, CannotBeTold),
        (|_, secrets, _| (secrets.records, secrets.in_foreign) = (1, 1), CannotBeTold),
        (|_, secrets, _| (secrets.records, secrets.in_foreign) = (2, 1), Broken),
        (|judgement, _, _| judgement.verdict.published = 0, CannotBeTold),
        (|judgement, _, _| (judgement.verdict.published, judgement.verdict.lost) = (0, 3), Broken),
        (|judgement, _, _| (judgement.verdict.unexpected, judgement.verdict.lost) = (1, 1), Broken),
    ];
    for (number, (change, promise)) in table.into_iter().enumerate() {
        let report = report(change);
        assert_eq!((report.promise, report.promise_held), (promise, promise == Kept), "row {number}: {report}");
        let said = report.to_string();
        for (verdict, words) in [
            (Kept, "The promise held:"),
            (Broken, "THE PROMISE WAS BROKEN:"),
            (CannotBeTold, "IT CANNOT BE TOLD whether the promise held:"),
        ] {
            assert_eq!(said.contains(words), promise == verdict, "row {number}: {said}");
        }
    }
}

#[test]
fn foreign_records_are_counted_and_named() {
    let mut report = report(|judgement, _, _| judgement.verdict.unexpected = 2);
    report.read = Seen { records: 10, of_others: 4, of_no_instance: 1, older: 3, marks: 0 };
    let said = report.to_string();
    for line in [
        "foreign                                6   3 of other instances, 1 of no instance, 2 of these instances but never queued\n",
        "records read                          10   passed over: 3 older than the journal\n",
    ] {
        assert!(said.contains(line), "{line} is missing from\n{said}");
    }
}

#[test]
fn what_was_not_checked_does_not_look_like_none() {
    let report = report(|judgement, secrets, _| {
        judgement.deleted_before_acknowledged = None;
        judgement.deletions_not_checked = 3;
        *secrets = Secrets { tokens_too_short: 1, ..Secrets::default() };
    });
    let said = report.to_string();
    for line in ["deleted before acknowledged  not checked   see below", "secrets seen                 not checked"] {
        assert!(said.contains(line), "{line} is missing from\n{said}");
    }
    assert!(said.contains("message.timestamp.type=LogAppendTime"), "{said}");
    let json = serde_json::to_value(&report).expect("JSON");
    assert!(json["deleted_before_acknowledged"].is_null() && json["secrets_seen"].is_null(), "{json}");
    assert_eq!((&json["deletions_not_checked"], &json["secrets"]["tokens_too_short"]), (&3.into(), &1.into()));
}

#[test]
fn losses_say_how() {
    let report = report(|judgement, _, _| {
        judgement.verdict.lost = 3;
        judgement.lost_by = LostBy { deletion: 2, age: 1, theft: 0 };
    });
    let said = report.to_string();
    assert!(said.contains("lost                                   3   2 deleted, 1 expired\n"), "{said}");
}
