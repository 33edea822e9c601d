use std::fs;

use super::*;
use chatbridge_lab::oracle::Sighting;

/// A journal's file, gone with the test.
struct JournalFile(PathBuf);

impl JournalFile {
    fn new(text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("chatbridge-journal-{:x}.jsonl", fastrand::u64(..)));
        fs::write(&path, text).expect("writable");
        Self(path)
    }
}

impl Drop for JournalFile {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}

fn line(started: u64, sequence: u64, what: &str) -> String {
    let unix_ms = started + sequence;
    format!(r#"{{"sequence":{sequence},"at_ms":{sequence},"unix_ms":{unix_ms},"instance":7,"what":{what}}}"#) + "\n"
}

fn enqueued(entry: u64, body: &str) -> String {
    format!(r#"{{"event":"enqueued","entry":{entry},"body":{{"text":{}}}}}"#, serde_json::json!(body))
}

fn left(event: &str, entry: u64) -> String {
    format!(r#"{{"event":"{event}","entry":{entry},"receipt":{entry}}}"#)
}

/// One run of a simulator: these things happened.
fn run(started: u64, happened: &[String]) -> String {
    (1_u64..).zip(happened).map(|(sequence, what)| line(started, sequence, what)).collect()
}

fn read(texts: &[&str]) -> Result<Trial, JournalError> {
    let files: Vec<JournalFile> = texts.iter().map(|text| JournalFile::new(text)).collect();
    let paths: Vec<PathBuf> = files.iter().map(|file| file.0.clone()).collect();
    let policy = Policy::new(
        crate::config::Events { drop: vec!["unwanted".to_owned()], ..Default::default() },
        crate::config::Calls::default(),
    );
    Trial::read(&paths, &policy, &Progress::default())
}

fn one_of_each() -> Vec<String> {
    vec![
        enqueued(1, r#"{"n":1}"#),
        enqueued(2, r#"{"n":2}"#),
        enqueued(3, r#"{"n":3}"#),
        enqueued(4, r#"{"n":4}"#),
        enqueued(5, r#"{"typeWebhook":"unwanted"}"#),
        left("handed_out", 1),
        left("deleted", 1),
        left("stolen", 2),
        r#"{"event":"expired","entry":3}"#.to_owned(),
        left("deleted", 5),
        r#"{"event":"delete_refused","receipt":9}"#.to_owned(),
    ]
}

#[test]
fn a_webhooks_200_is_a_deletion_and_a_failed_push_is_nothing() {
    let happened = [
        enqueued(1, r#"{"n":1}"#),
        enqueued(2, r#"{"n":2}"#),
        left("pushed", 1),
        r#"{"event":"push_failed","entry":1,"why":{"status":503}}"#.to_owned(),
        left("pushed", 1),
        left("acknowledged", 1),
        left("pushed", 2),
        r#"{"event":"push_failed","entry":2,"why":"timed_out"}"#.to_owned(),
    ];
    let mut trial = read(&[&run(1_000, &happened)]).expect("a whole journal");
    let found = trial.oracle.judgement(0);
    assert_eq!((found.verdict.lost, found.lost_by.deletion, found.still_queued), (1, 1, 1));

    let content = Content::of(7, br#"{"n":1}"#);
    let event = trial.oracle.find(&content.identity);
    let appended = |appended_ms| Sighting {
        key: &content.key,
        topic: 0,
        partition: 0,
        appended_ms: Some(appended_ms),
        is_dead_letter: false,
    };
    // The 200 came at 1006.
    trial.oracle.sighted(event, appended(1_100));
    let found = trial.oracle.judgement(0);
    assert_eq!((found.verdict.lost, found.deletions_checked, found.deleted_before_acknowledged), (0, 1, Some(1)));
    trial.oracle.sighted(event, appended(1_005));
    assert_eq!(trial.oracle.judgement(0).deleted_before_acknowledged, Some(0));

    let twice = [&happened[..], &[left("acknowledged", 1)]].concat();
    assert!(matches!(read(&[&run(1_000, &twice)]), Err(JournalError::Incomplete(_, 9))));
    let unknown = [enqueued(1, "{}"), left("pushed", 2)];
    assert!(matches!(read(&[&run(1_000, &unknown)]), Err(JournalError::Incomplete(_, 2))));
}

#[test]
fn every_entry_of_a_journal_has_its_meaning() {
    let trial = read(&[&run(1_000, &one_of_each())]).expect("a whole journal");
    let found = trial.oracle.judgement(0);
    assert_eq!((found.verdict.queued, found.verdict.lost, found.dropped, found.still_queued), (5, 3, 1, 1));
    assert_eq!((found.lost_by.deletion, found.lost_by.theft, found.lost_by.age), (1, 1, 1));
    assert_eq!(trial.lost().collect::<Vec<_>>(), [(7, 1), (7, 2), (7, 3)]);
    assert_eq!((trial.started_ms(), trial.runs(), trial.has(7), trial.has(8)), (1_000, 1, true, false));
    assert_eq!(trial.by_receipt(7, 1), trial.oracle.find(&Content::of(7, br#"{"n":1}"#).identity));
    assert_eq!(trial.by_receipt(7, 2), None, "never handed out");
}

#[test]
fn runs_may_share_a_file_or_have_their_own() {
    let (first, second) = (run(1_000, &one_of_each()), run(9_000, &one_of_each()));
    for texts in [vec![[first.as_str(), &second].concat()], vec![first, second]] {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let trial = read(&texts).expect("whole journals");
        let found = trial.oracle.judgement(0);
        assert_eq!((trial.runs(), found.verdict.queued, found.still_queued), (2, 10, 2));
    }
}

#[test]
fn lines_of_other_instances_may_have_changed_places() {
    let lines = run(1_000, &one_of_each());
    let mut lines: Vec<String> = lines.lines().map(|line| format!("{line}\n")).collect();
    let last = lines.pop().expect("a refused delete");
    lines.insert(3, last);
    assert!(read(&[&lines.concat()]).is_ok());
}

#[test]
fn a_journal_with_a_gap_is_no_ground_for_a_judgement() {
    let whole = run(1_000, &one_of_each());
    let without = |number: usize| -> String {
        whole.lines().enumerate().filter(|(at, _)| *at != number).map(|(_, line)| format!("{line}\n")).collect()
    };
    // The last one but not the end: a hand-out, a delete, an enqueue.
    for number in [0, 3, 5, 6] {
        let error = read(&[&without(number)]).err().expect("a gap");
        assert!(matches!(error, JournalError::Incomplete(..)), "{number}: {error}");
    }
    let cases = [
        (whole[..whole.len() - 10].to_owned(), "breaks off"),
        (format!("{whole}{{\"sequence\":12}}\n"), "line 12: not an entry"),
        (format!("{whole}{whole}"), "is incomplete"),
        (format!("{whole}{}", line(1_000, 5, &left("delete_refused", 9))), "read before"),
        (String::new(), "nothing was queued"),
        (line(1_000, 1, r#"{"event":"delete_refused","receipt":9}"#), "nothing was queued"),
    ];
    for (text, expected) in cases {
        let error = read(&[&text]).err().expect("no journal to judge by").to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn one_file_is_not_two_journals() {
    let file = JournalFile::new(&run(1_000, &one_of_each()));
    let twice = Trial::read(&[file.0.clone(), file.0.clone()], &Policy::default(), &Progress::default());
    assert!(matches!(twice.err(), Some(JournalError::Twice(_))));
}
