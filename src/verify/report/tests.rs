use super::*;
use chatbridge_lab::oracle::{LostBy, Verdict};

fn report(change: impl FnOnce(&mut Judgement, &mut Secrets, &mut u64)) -> Report {
    let verdict = Verdict { queued: 3, published: 3, ..Verdict::default() };
    let mut judgement =
        Judgement { verdict, deleted_before_acknowledged: Some(0), deletions_checked: 3, ..Judgement::default() };
    let mut secrets = Secrets { records: 0, tokens_searched: 1, tokens_too_short: 0 };
    let mut wrong_id = 0;
    change(&mut judgement, &mut secrets, &mut wrong_id);
    Report::new(judgement, Seen::default(), secrets, wrong_id, 1, Vec::new())
}

#[test]
fn each_breach_breaks_the_promise_and_nothing_else_does() {
    type Change = fn(&mut Judgement, &mut Secrets, &mut u64);
    let table: [(Change, bool); 14] = [
        (|_, _, _| {}, true),
        (|judgement, _, _| judgement.verdict.repeated = 1, true),
        (|judgement, _, _| judgement.still_queued = 1, true),
        (|judgement, _, _| judgement.collapsed = 1, true),
        (|judgement, _, _| judgement.deleted_before_acknowledged = None, true),
        (|judgement, _, _| judgement.deleted_before_acknowledged = Some(1), false),
        (|judgement, _, _| judgement.verdict.lost = 1, false),
        (|judgement, _, _| judgement.verdict.out_of_order = 1, false),
        (|judgement, _, _| judgement.verdict.wrong_key = 1, false),
        (|judgement, _, _| judgement.verdict.unexpected = 1, false),
        (|judgement, _, _| judgement.split_chats = 1, false),
        (|_, secrets, _| secrets.records = 1, false),
        (|_, _, wrong_id| *wrong_id = 1, false),
        (|judgement, _, _| judgement.verdict.published = 0, false),
    ];
    for (number, (change, held)) in table.into_iter().enumerate() {
        let report = report(change);
        assert_eq!(report.promise_held, held, "row {number}: {report}");
        let said = report.to_string();
        assert_eq!(said.contains("The promise held"), held, "row {number}: {said}");
    }
}

#[test]
fn what_was_not_checked_does_not_look_like_none() {
    let report = report(|judgement, secrets, _| {
        judgement.deleted_before_acknowledged = None;
        judgement.deletions_not_checked = 3;
        *secrets = Secrets { records: 0, tokens_searched: 0, tokens_too_short: 1 };
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
