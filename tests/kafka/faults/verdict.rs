//! What came of a row: every event queued against every record found, by their bodies; and every promise it made.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use chatbridge_lab::green_api::{EntryId, JournalEvent, Method};
use chatbridge_lab::oracle::{Oracle, Verdict};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::odd::{Lands, Odd, find};
use super::row::{Expect, Row};
use super::stage::{Stage, is_above_debug, now_ms, unix_ms};
use crate::support::record::{Record, read};
use crate::support::way::Way;

/// Between the journal's clock, which only goes forward, and the broker's, which is set.
const CLOCKS_APART_MS_MAX: i64 = 50;

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// Taken by another reader and not in Kafka.
    pub(crate) stolen: u64,
    pub(crate) recovered: Duration,
}

/// An event that was queued.
struct Queued {
    identity: String,
    instance: u64,
    entry: EntryId,
    at_ms: i64,
    key: String,
}

#[derive(Deserialize)]
struct Published<'a> {
    #[serde(borrow)]
    raw: Option<&'a RawValue>,
}

/// Judges a row that was played to its end; `None` where there is nothing to read topics with.
pub(crate) fn judge(stage: &Stage<'_>, row: &Row) -> Option<Outcome> {
    let events = [stage.kept.clone(), read(&stage.ground.bootstrap(), &stage.topic)?].concat();
    let letters = read(&stage.ground.bootstrap(), &stage.dead_letters)?;
    let queued = queued(stage);
    let deleted = deleted(stage);

    let mut oracle = Oracle::default();
    let mut arrived_ms: HashMap<String, i64> = HashMap::new();
    let stolen = stolen(stage, &queued, &deleted, &events);
    for event in queued.iter().filter(|event| !stolen.contains(&event.identity)) {
        oracle.queued(&event.identity, event.instance, &event.key);
    }
    let mut ids: HashMap<String, String> = HashMap::new();
    for record in &events {
        let identity = published_identity(record, &stage.odd);
        let id = record.header("ce_id").to_owned();
        assert_eq!(ids.entry(identity.clone()).or_insert_with(|| id.clone()), &id, "a repeat carries the same id");
        oracle.appeared(&identity, &record.key);
        arrived_ms.entry(identity).or_insert(record.timestamp);
    }
    for record in &letters {
        let odd = buried(record, &stage.odd);
        let instance_key = format!("instance:{}", stage.ids[0]);
        assert_eq!(record.key, odd.key.clone().unwrap_or(instance_key), "{}", row.name);
        // An order among both topics there is none: each letter counts for itself.
        oracle.appeared(&odd.marker, &odd.marker);
        arrived_ms.entry(odd.marker.clone()).or_insert(record.timestamp);
    }
    if !stage.has_broker_clock {
        // A delete comes milliseconds behind the acknowledgement.
        arrived_ms = queued
            .iter()
            .filter_map(|event| Some((event.identity.clone(), *deleted.get(&(event.instance, event.entry))?)))
            .collect();
    }
    // What another reader deletes, it deletes without asking.
    let taken = taken(stage);
    for event in queued.iter().filter(|event| !taken.contains(&(event.instance, event.entry))) {
        if let (Some(deleted), Some(arrived)) =
            (deleted.get(&(event.instance, event.entry)), arrived_ms.get(&event.identity))
        {
            assert!(
                *deleted + CLOCKS_APART_MS_MAX >= *arrived,
                "{}: {} was deleted {} ms before Kafka had it",
                row.name,
                event.identity,
                arrived - deleted
            );
        }
    }
    let recovered = recovered(stage, &queued, &arrived_ms).unwrap_or_else(|| panic!("{}: no recovery", row.name));
    let verdict = oracle.verdict();
    let at = || {
        let missing = missing(stage, &queued, &deleted, &arrived_ms);
        format!("{}: {verdict:?}; missing: {missing}; log:\n{}", row.name, stage.visible_log())
    };
    assert!(verdict.promise_held(), "{}", at());
    assert!(verdict.repeated <= row.expect.repeats_max, "{}", at());
    assert!(stolen.is_empty() || row.expect.stolen, "{}", at());
    keeps_its_word(stage, row, &letters);
    tells_no_secret(stage, row, &events, &letters);
    Some(Outcome { verdict, stolen: stolen.len() as u64, recovered })
}

fn queued(stage: &Stage<'_>) -> Vec<Queued> {
    assert_eq!(stage.simulator.journal_left_out(), 0, "an incomplete journal proves nothing");
    let mut queued = Vec::new();
    for entry in stage.simulator.journal() {
        let at_ms = unix_ms(&entry);
        let JournalEvent::Enqueued { entry: number, body } = entry.what else { continue };
        let bytes = &body.0[..];
        let odd = stage.odd.iter().find(|odd| find(&bytes[..bytes.len().min(300)], odd.marker.as_bytes()).is_some());
        let (identity, key) = match odd {
            Some(Odd { lands: Lands::Letter | Lands::CutLetter, marker, .. }) => (marker.clone(), marker.clone()),
            Some(odd) => {
                (odd.marker.clone(), odd.key.clone().unwrap_or_else(|| format!("instance:{}", entry.instance)))
            }
            None => {
                let text = String::from_utf8(bytes.to_vec()).expect("the generator makes text");
                let value: Value = serde_json::from_str(&text).expect("the generator makes JSON");
                (text, key(entry.instance, &value))
            }
        };
        queued.push(Queued { identity, instance: entry.instance, entry: number, at_ms, key });
    }
    queued
}

/// By the rules of the README, in words of its own.
fn key(instance: u64, body: &Value) -> String {
    let chat = [&body["senderData"]["chatId"], &body["chatId"], &body["from"], &body["avatarInfo"]["chatId"]];
    chat.iter().find_map(|id| id.as_str()).map_or_else(|| format!("instance:{instance}"), str::to_owned)
}

/// When each event left its queue: deleted, by whomever, or its push answered with 200.
fn deleted(stage: &Stage<'_>) -> HashMap<(u64, EntryId), i64> {
    let mut deleted = HashMap::new();
    for entry in stage.simulator.journal() {
        if let JournalEvent::Deleted { entry: number, .. } | JournalEvent::Acknowledged { entry: number } = entry.what {
            deleted.insert((entry.instance, number), unix_ms(&entry));
        }
    }
    deleted
}

/// What another reader deleted.
fn taken(stage: &Stage<'_>) -> HashSet<(u64, EntryId)> {
    let mut taken = HashSet::new();
    for entry in stage.simulator.journal().into_iter().filter(|_| !stage.taken.is_empty()) {
        if let JournalEvent::Deleted { entry: number, receipt } = entry.what
            && stage.taken.contains(&(entry.instance, receipt))
        {
            taken.insert((entry.instance, number));
        }
    }
    taken
}

/// What another reader deleted, and nobody published: GREEN-API gave it away.
fn stolen(
    stage: &Stage<'_>,
    queued: &[Queued],
    deleted: &HashMap<(u64, EntryId), i64>,
    events: &[Record],
) -> HashSet<String> {
    if stage.taken.is_empty() {
        return HashSet::new();
    }
    let found: HashSet<String> = events.iter().map(|record| published_identity(record, &stage.odd)).collect();
    let taken = taken(stage);
    assert!(taken.iter().all(|place| deleted.contains_key(place)));
    let gone = queued.iter().filter(|event| taken.contains(&(event.instance, event.entry)));
    gone.filter(|event| !found.contains(&event.identity)).map(|event| event.identity.clone()).collect()
}

/// The body it came from, as queued; the marker, for one out of the ordinary.
fn published_identity(record: &Record, odd: &[Odd]) -> String {
    let published: Option<Published<'_>> = serde_json::from_slice(&record.value).ok();
    let raw = published.and_then(|published| published.raw).map(RawValue::get);
    // Most have a chat of their own, and a marker is not found in no time.
    let is_of = |odd: &&Odd| match &odd.key {
        Some(key) => *key == record.key,
        None => find(&record.value, odd.marker.as_bytes()).is_some(),
    };
    match (odd.iter().find(is_of), raw) {
        (Some(odd), raw) => {
            match odd.lands {
                Lands::Whole => {
                    assert_eq!(raw.map(str::as_bytes), Some(&odd.body[..]), "{} travels byte for byte", odd.marker);
                }
                Lands::Reduced => assert!(record.value.len() < odd.body.len() / 2, "{} has no thumbnail", odd.marker),
                Lands::Letter | Lands::CutLetter => panic!("{} belongs into the dead letters", odd.marker),
            }
            odd.marker.clone()
        }
        (None, Some(raw)) => raw.to_owned(),
        (None, None) => format!("no body: {}", String::from_utf8_lossy(&record.value)),
    }
}

/// The event a dead letter holds.
fn buried<'o>(record: &Record, odd: &'o [Odd]) -> &'o Odd {
    let found = odd.iter().find(|odd| find(&record.value, odd.marker.as_bytes()).is_some());
    let odd = found.unwrap_or_else(|| panic!("a dead letter nobody expects: {record:?}"));
    match odd.lands {
        Lands::Letter => assert!(find(&record.value, &odd.body).is_some(), "{} lies there byte for byte", odd.marker),
        Lands::CutLetter => assert!(record.value.len() < odd.body.len(), "{} was cut", odd.marker),
        Lands::Whole | Lands::Reduced => panic!("{} belongs into the topic: {:?}", odd.marker, record.headers),
    }
    odd
}

/// From the end of the fault, until every instance that was hit has in Kafka what was queued after it: the slowest.
fn recovered(stage: &Stage<'_>, queued: &[Queued], arrived_ms: &HashMap<String, i64>) -> Option<Duration> {
    let first = |instance: u64| {
        let after = queued.iter().filter(|event| event.instance == instance && event.at_ms > stage.ended_ms);
        after.filter_map(|event| arrived_ms.get(&event.identity)).min().copied()
    };
    let each: Option<Vec<i64>> = stage.hit_ids().into_iter().map(first).collect();
    let slowest = each?.into_iter().max()?;
    Some(Duration::from_millis(u64::try_from(slowest - stage.ended_ms).unwrap_or_default()))
}

/// Which events nobody found, by the milliseconds since the fault struck.
fn missing(
    stage: &Stage<'_>,
    queued: &[Queued],
    deleted: &HashMap<(u64, EntryId), i64>,
    arrived_ms: &HashMap<String, i64>,
) -> String {
    let missing = queued.iter().filter(|event| !arrived_ms.contains_key(&event.identity));
    missing
        .map(|Queued { instance, entry, at_ms, .. }| {
            let gone = deleted.get(&(*instance, *entry)).map(|at| at - stage.struck_ms);
            let (queued, ended) = (at_ms - stage.struck_ms, stage.ended_ms - stage.struck_ms);
            format!("{instance}/{entry} queued at {queued}, deleted at {gone:?} ms (fault 0 to {ended}); ")
        })
        .collect()
}

/// What is promised besides.
fn keeps_its_word(stage: &Stage<'_>, row: &Row, letters: &[Record]) {
    let Expect { class, outcome, publish_class, phase, says, letters: reasons, metrics, .. } = &row.expect;
    let at = || format!("{}; log:\n{}", row.name, stage.visible_log());
    let is_polled = stage.way == Way::Poll;
    if let Some(outcome) = outcome {
        let counted = stage.metric("chatbridge_webhook_requests_total", &format!("\"{outcome}\""));
        assert!(counted >= 1.0, "outcome {outcome}: {}", at());
    }
    if let Some(class) = class.filter(|_| is_polled) {
        let counted = stage.metric("chatbridge_source_errors_total", &format!("class=\"{class}\""));
        assert!(counted >= 1.0, "class {class}: {}", at());
    }
    if let Some(class) = publish_class {
        let counted = stage.metric("chatbridge_publish_errors_total", &format!("class=\"{class}\""));
        assert!(counted >= 1.0, "class {class}: {}", at());
    }
    if let Some(phase) = phase.filter(|_| is_polled) {
        assert!(stage.shown.phases.contains(phase), "phase {phase}: {:?} {}", stage.shown.phases, at());
    }
    for metric in metrics {
        assert!(stage.metric(metric, "") >= 1.0, "{metric}: {}", at());
    }
    // Told once a minute, and a busy machine may need minutes.
    let minutes = usize::try_from((now_ms() - stage.struck_ms) / 60_000).expect("after the fault");
    for (words, times) in says {
        let times = times * (1 + minutes);
        assert!((1..=times).contains(&stage.said(words)), "{words}: {} times: {}", stage.said(words), at());
    }
    let mut found: Vec<&str> = letters.iter().map(|letter| letter.header("reason")).collect();
    let mut wanted = reasons.clone();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "{}", at());
    for letter in letters {
        for name in ["error", "instance", "attempts", "first_seen", "topic"] {
            assert!(!letter.header(name).is_empty(), "{name} of {:?}", letter.headers);
        }
    }
    if let Some(most) = row.expect.requests_per_second_max {
        // As long as it did last, which is longer where this machine is busy.
        let seconds = (stage.ended_ms - stage.struck_ms) as f64 / 1000.0;
        let mut requests = 0;
        for entry in stage.simulator.journal().iter().filter(|entry| entry.instance == stage.ids[0]) {
            // The slow look at state and queue length has an interval of its own.
            let is_polling = |method| matches!(method, Method::Receive | Method::Delete);
            requests += u32::from(matches!(entry.what, JournalEvent::Faulted { method, .. } if is_polling(method)));
        }
        assert!(requests >= 1, "it did happen: {}", row.name);
        // The first comes at once.
        assert!(f64::from(requests) <= 2.0 + seconds * most, "a hot loop, {requests} in {seconds} s: {}", at());
    }
    if let Some(check) = &row.expect.more {
        check(stage);
    }
    assert_eq!(stage.said("panicked"), 0, "{}", at());
}

/// No token anywhere; no phone number and no text where an operator looks.
fn tells_no_secret(stage: &Stage<'_>, row: &Row, events: &[Record], letters: &[Record]) {
    let Stage { shown, .. } = stage;
    assert!(shown.log.contains("\"TRACE\""), "everything was logged");
    let keys_and_headers: String =
        events.iter().chain(letters).map(|record| format!("{} {:?}\n", record.key, record.headers)).collect();
    let places =
        [("log", &shown.log), ("/metrics", &shown.metrics), ("/status", &shown.status), ("records", &keys_and_headers)];
    for (place, text) in places {
        for token in stage.tokens.iter().map(String::as_str).chain(stage.ground.password()) {
            let found = text.find(token).map(|at| &text[at.saturating_sub(200)..at]);
            assert_eq!(found, None, "{}: a token is in {place}", row.name);
        }
    }
    let private = private_words(stage);
    assert!(private.len() > 20, "there is something to look for");
    let visible: String = shown.log.lines().filter(|line| is_above_debug(line)).collect::<Vec<_>>().join("\n");
    for (place, text) in [("log", &visible), ("/metrics", &shown.metrics), ("/status", &shown.status)] {
        for word in &private {
            let found = text.find(word.as_str()).map(|at| &text[at.saturating_sub(200)..]);
            assert_eq!(found, None, "{}: {word} is in {place}", row.name);
        }
    }
}

/// Who talked, and what they said, by every event of the row.
fn private_words(stage: &Stage<'_>) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for entry in stage.simulator.journal() {
        let JournalEvent::Enqueued { body, .. } = entry.what else { continue };
        let Ok(body) = serde_json::from_slice::<Value>(&body.0) else { continue };
        let sender = &body["senderData"];
        for id in [&sender["chatId"], &sender["sender"], &body["chatId"], &body["from"], &body["instanceData"]["wid"]] {
            let id = id.as_str().unwrap_or_default();
            words.insert(id.split('@').next().unwrap_or_default().to_owned());
        }
        let data = &body["messageData"];
        for text in [&data["textMessageData"]["textMessage"], &data["extendedTextMessageData"]["text"]] {
            words.insert(text.as_str().unwrap_or_default().chars().take(100).collect());
        }
    }
    words.retain(|word| word.len() >= 8);
    words
}
