use serde_json::json;

use super::*;
use chatbridge_lab::chatapp::ItemIds;

const CHANNEL: &str = "private-v1.licenses.1229.messengers.telegram";
const SECOND: u64 = 1_000;
const BEGAN: u64 = 1_760_000_000 * SECOND;

fn at(second: u64) -> Timestamp {
    Timestamp::from_millisecond((BEGAN + second * SECOND) as i64).expect("a time")
}

/// An item of chat `c`, a second after the one before it.
fn published(number: u64, name: &str) -> JournalEntry {
    let body = json!({"payload": {"data": [{"id": number, "simulated": number}], "meta": {"type": name}}});
    JournalEntry {
        sequence: number,
        at_ms: number * SECOND,
        unix_ms: BEGAN + number * SECOND,
        what: JournalEvent::Published {
            publication: number,
            channel: CHANNEL.to_owned(),
            name: name.to_owned(),
            body: body.to_string(),
            items: vec![ItemIds { chat: Some("c".to_owned()), id: Some(number.to_string()) }],
            fetchable: name == "message",
            subscribers: 1,
        },
    }
}

fn record(number: u64, name: &str, id: &str, fetched: bool) -> Vec<u8> {
    let raw = json!({"data": [{"simulated": number}], "meta": {"type": name, "fetched": fetched}});
    json!({"id": id, "kind": "any", "raw": raw}).to_string().into_bytes()
}

fn gap(from: u64, to: u64, missing: &[&str]) -> Vec<u8> {
    let gap = json!({"channel": CHANNEL, "from": at(from).to_string(), "to": at(to).to_string(), "missing": missing});
    json!({"id": "g", "kind": "gap", "gap": gap}).to_string().into_bytes()
}

/// Cut off after the second item: the third can be fetched, the fourth cannot, the fifth is pushed again.
fn judge() -> Judge {
    let mut judge = Judge::default();
    let journal: Vec<_> = [(1, "message"), (2, "chatTag"), (3, "message"), (4, "messageStatus"), (5, "messageStatus")]
        .map(|(number, name)| published(number, name))
        .into();
    judge.read(&journal);
    judge.cut(&[CHANNEL.to_owned()], at(2));
    judge
}

fn kept() -> Vec<Vec<u8>> {
    vec![
        record(1, "message", "a", false),
        record(2, "chatTag", "b", false),
        gap(1, 4, &["message_status", "chat_update"]),
        record(5, "messageStatus", "e", false),
        record(3, "message", "c", true),
    ]
}

fn verdict(records: &[Vec<u8>]) -> Verdict {
    let mut judge = judge();
    for record in records {
        judge.appeared("c", record);
    }
    judge.verdict()
}

#[test]
fn a_promise_that_was_kept() {
    let mut judge = judge();
    let sightings: Vec<_> = kept().iter().map(|record| judge.appeared("c", record)).collect();
    let expected = [Sighting::Pushed(1), Sighting::Pushed(2), Sighting::Gap, Sighting::Pushed(5), Sighting::Fetched];
    assert_eq!(sightings, expected);
    let verdict = judge.verdict();
    let expected = Verdict { sent: 5, published: 4, fetched: 1, told_missing: 1, gaps: 1, ..Verdict::default() };
    assert_eq!(verdict, expected);
    assert!(verdict.promise_held());
    assert_eq!(judge.appeared("c", &kept()[0]), Sighting::Repeat);
    assert!(judge.verdict().promise_held(), "a repeat that can be told is allowed");
}

#[test]
fn every_breach_is_one() {
    let with = |index: usize, record: Option<Vec<u8>>| {
        let mut records = kept();
        match record {
            Some(record) => records[index] = record,
            None => drop(records.remove(index)),
        }
        verdict(&records)
    };
    let without = |index| with(index, None);
    for pushed in [0, 3, 4] {
        assert_eq!(without(pushed).lost, 1, "{pushed}");
    }
    assert_eq!((without(1).lost, without(1).told_missing), (0, 2), "it fell into the gap");
    assert_eq!((without(2).lost, without(2).untold), (1, 1), "nobody was told");
    let mut untold = judge();
    for record in kept().iter().filter(|record| **record != kept()[2]) {
        untold.appeared("c", record);
    }
    assert_eq!(untold.lost(), ["messageStatus of private-v1.licenses.1229.messengers.telegram"]);
    let late = with(2, Some(gap(3, 5, &["message_status"])));
    assert_eq!((late.lost, late.untold), (0, 1), "the cut itself is not in it");
    assert_eq!(with(2, Some(gap(1, 3, &["message_status"]))).lost, 1, "it ends too early");
    assert_eq!(with(2, Some(gap(1, 4, &["chat_update"]))).lost, 1, "it names another kind");
    let told = with(4, Some(gap(1, 4, &["message"])));
    assert_eq!((told.lost, told.told_missing), (1, 1), "what can be fetched is to be fetched");

    let mut swapped = kept();
    swapped.swap(0, 3);
    assert_eq!(verdict(&swapped).out_of_order, 2);
    let mut again = kept();
    again.push(record(3, "message", "another", false));
    assert_eq!((verdict(&again).repeated, verdict(&again).repeated_under_another_id), (1, 1));
    again.pop();
    again.push(record(77, "message", "a stranger", false));
    assert_eq!(verdict(&again).unexpected, 1);
    let mut elsewhere = judge();
    elsewhere.appeared("another chat", &kept()[0]);
    assert_eq!(elsewhere.verdict().wrong_key, 1);

    for breach in [without(0), late, verdict(&swapped), verdict(&again), elsewhere.verdict()] {
        assert!(!breach.promise_held(), "{breach:?}");
    }
}

#[test]
fn a_message_that_was_destroyed_is_fetched_as_itself_and_as_its_end() {
    let mut records = kept();
    records.push(record(3, "messageDestroy", "its end", true));
    assert_eq!((verdict(&records).repeated, verdict(&records).fetched), (0, 1));

    let mut judge = judge();
    let mut end = published(6, "messageDestroy");
    if let JournalEvent::Published { items, .. } = &mut end.what {
        items[0].id = Some("3".to_owned());
    }
    judge.read(&[end]);
    for record in &records {
        judge.appeared("c", record);
    }
    assert_eq!((judge.verdict().lost, judge.verdict().fetched), (0, 2), "whoever fetched it was told of its end");
    assert_eq!(judge.appeared("c", &self::record(6, "messageDestroy", "its end", false)), Sighting::Repeat);
    assert!(judge.verdict().promise_held());
}

#[test]
fn what_is_equal_to_the_letter_and_follows_one_another_is_one_where_it_has_forms() {
    let twin = |number: u64, name: &str, time: Value| {
        let mut entry = published(number, name);
        let JournalEvent::Published { body, items, .. } = &mut entry.what else { unreachable!("as made") };
        *body = json!({"data": [{"id": "x", "time": time, "simulated": number}]}).to_string();
        items[0].id = Some("x".to_owned());
        entry
    };
    let mut judge = Judge::default();
    judge.read(&[twin(1, "messageReaction", json!(5)), twin(2, "messageReaction", json!("5"))]);
    judge.read(&[twin(3, "messageReaction", json!(6)), twin(4, "chatRead", json!(7)), twin(5, "chatRead", json!(7))]);
    assert_eq!(judge.verdict().sent, 4);
    assert_eq!(judge.appeared("c", &record(2, "messageReaction", "a", false)), Sighting::Pushed(1));
    assert_eq!(judge.verdict().published, 1);
    assert_eq!(judge.appeared("c", &record(1, "messageReaction", "a", false)), Sighting::Repeat);
    assert_eq!(judge.verdict().lost, 3);
    judge.read(&[twin(6, "messageReaction", json!(5))]);
    assert_eq!(judge.verdict().sent, 5, "as it was before, but something else was said in between");
}
