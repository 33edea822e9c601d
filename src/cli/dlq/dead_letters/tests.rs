use std::sync::Arc;

use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::replay::{Left, Outcome, ReplayError, Replayer};
use super::*;
use crate::config::{Calls, Events, UnknownPolicy};
use crate::core::bridge::Bridge;
use crate::core::policy::Policy;
use crate::core::prepared::{prepare_event, prepare_undecodable};
use crate::core::publish::PublishError;
use crate::core::publish::memory::MemoryPublisher;
use crate::watch::telemetry::InstanceTelemetry;
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::status::StatusBoard;
use chatbridge_event::event::{
    Body, Channel, EventId, Gap, GapReason, InstanceId, Notification, SourceId, Undecodable,
};
use chatbridge_event::normalize::chatapp::identity::Place;
use chatbridge_event::normalize::chatapp::{Arrival, gap, normalize};
use chatbridge_event::record::{Extent, Record, RecordFactory};

const UNKNOWN: &str = r#"{"typeWebhook":"new","chatId":"7900@c.us","n":1}"#;

fn policy(unknown: UnknownPolicy) -> Policy {
    Policy::new(Events { unknown, ..Events::default() }, Calls::default())
}

/// What the bridge writes of these bodies, with `events.unknown = "dead_letter"`.
async fn written(bodies: impl IntoIterator<Item = Body>) -> Vec<Record> {
    let publisher = Arc::new(MemoryPublisher::default());
    let bridge = Bridge::new(Arc::clone(&publisher), RecordFactory::default(), policy(UnknownPolicy::DeadLetter));
    let telemetry = InstanceTelemetry::new(&Arc::new(Metrics::new()), StatusBoard::default().add(InstanceId::new(1)));
    for body in bodies {
        let notification = Notification { instance: InstanceId::new(1), receipt_id: Some("9".to_owned()), body };
        let prepared = bridge.prepare(notification, Timestamp::now());
        drop(bridge.deliver(&prepared, &telemetry).await);
    }
    publisher.records()
}

fn json(body: &str) -> Body {
    Body::Json(RawValue::from_string(body.to_owned()).expect("JSON"))
}

fn not_json() -> Body {
    let error = "not JSON".to_owned();
    Body::Undecodable { bytes: b"{\"a\":".to_vec(), reason: DeadLetterReason::NotJson, error, receipt_at: 0..0 }
}

/// The records as one partition would hand them out, from this offset.
fn consumed(records: &[Record], from: usize) -> Vec<ConsumedRecord> {
    let text = |(name, value): &(&'static str, String)| ((*name).to_owned(), value.clone());
    records
        .iter()
        .enumerate()
        .map(|(index, record)| ConsumedRecord {
            position: Position { partition: 0, offset: (from + index) as i64 },
            timestamp_ms: Some(record.timestamp_ms),
            appended_ms: None,
            key: record.key.clone(),
            headers: record.headers.iter().map(text).collect(),
            value: record.value.clone(),
        })
        .collect()
}

fn stream(records: &[Record]) -> Records {
    let (sender, receiver) = mpsc::channel(records.len().max(1));
    for record in consumed(records, 0) {
        sender.try_send(Ok(record)).unwrap_or_else(|_| panic!("room"));
    }
    receiver
}

fn letter(records: &[Record], index: usize) -> Letter {
    match Entry::read(consumed(records, 0).remove(index)) {
        Entry::Letter(letter) => *letter,
        Entry::Mark(..) => panic!("a mark"),
    }
}

fn replayer(unknown: UnknownPolicy, unusable: &[&str]) -> (Arc<MemoryPublisher>, Replayer<Arc<MemoryPublisher>>) {
    let publisher = Arc::new(MemoryPublisher::default());
    let unusable = unusable.iter().map(|topic| (*topic).into()).collect();
    let records = RecordFactory::default();
    (Arc::clone(&publisher), Replayer::new(publisher, records, policy(unknown), unusable, false))
}

async fn replayed(replayer: &Replayer<Arc<MemoryPublisher>>, letter: &Letter) -> Outcome {
    replayer.replay(letter, &CancellationToken::new()).await.expect("Kafka is there")
}

#[tokio::test]
async fn a_replayed_letter_is_the_record_it_would_have_been_and_is_marked() {
    let mut topic = written([json(UNKNOWN), not_json()]).await;
    let fresh = Bridge::new(MemoryPublisher::default(), RecordFactory::default(), Policy::default());
    let notification = Notification { instance: InstanceId::new(1), receipt_id: None, body: json(UNKNOWN) };
    let now = Timestamp::now();
    let expected = fresh.prepare(notification, now).record(&RecordFactory::default(), now).expect("published");

    let (publisher, replayer) = replayer(UnknownPolicy::Publish, &[]);
    assert_eq!(replayed(&replayer, &letter(&topic, 0)).await, Outcome::Replayed);
    let records = publisher.records();
    assert_eq!(records.len(), 2);
    assert_eq!((&records[0].topic, &records[0].key), (&expected.topic, &expected.key));
    assert_eq!((&records[0].headers, &records[0].value), (&expected.headers, &expected.value));
    assert_eq!((&*records[1].topic, &*records[1].key), ("chat-events-dlq", "7900@c.us"), "the mark lies by its letter");

    let all = survey(stream(&topic), &Filter::default()).await.expect("readable");
    assert_eq!(all.selected.len(), 2);
    topic.push(records[1].clone());
    let rest = survey(stream(&topic), &Filter::default()).await.expect("readable");
    assert_eq!(rest.reasons, [("not_json".to_owned(), 1)].into());
    let again = survey(stream(&topic), &Filter { replayed_too: true, ..Filter::default() }).await.expect("readable");
    assert_eq!(again.selected.values().filter(|was_replayed| **was_replayed).count(), 1);
}

/// A letter of ChatApp's holds one item of a body; its channel stands in its `ce_source` and its id is kept.
#[tokio::test]
async fn a_letter_of_chatapp_is_replayed_as_the_event_it_was() {
    let channel = Channel::from_name("private-v1.licenses.1229.messengers.telegram").expect("a channel");
    let body = r#"{"data":[{"chat":{"id":"1:2@c.us"},"n":1},{"chat":{"id":"1:2@c.us"},"n":2}],"meta":{"type":"new"}}"#;
    let body = RawValue::from_string(body.to_owned()).expect("JSON");
    let place = Some(Place { spool: uuid::Uuid::from_u128(1), sequence: 1 });
    let arrival = Arrival { channel: Some(channel.clone()), event: None, place };
    let event = normalize(arrival, body).nth(1).expect("two items").event;
    let moment = Timestamp::from_second(1_760_000_000).expect("in range");
    let told = Gap { channel: None, from: moment, to: moment, reason: GapReason::Refused, missing: Vec::new() };
    let gap = gap(&channel, told, place);
    let factory = RecordFactory::default();
    let expected = factory.record(&event, Extent::Whole, moment);

    let publisher = Arc::new(MemoryPublisher::default());
    let bridge = Bridge::new(Arc::clone(&publisher), factory, policy(UnknownPolicy::DeadLetter));
    let refused = PublishError::Refused("policy".to_owned());
    publisher.fail_next([refused]);
    let telemetry = InstanceTelemetry::new(&Arc::new(Metrics::new()), StatusBoard::default().add(InstanceId::new(1)));
    let undecodable = Undecodable { bytes: b"{".to_vec(), reason: DeadLetterReason::NotJson, error: String::new() };
    let id = EventId::from_uuid(Uuid::from_u128(1));
    for prepared in [
        prepare_event(gap, &Policy::default(), moment),
        prepare_event(event, &policy(UnknownPolicy::DeadLetter), moment),
        prepare_undecodable(SourceId::ChatApp(channel.clone()), id, undecodable, moment),
    ] {
        drop(bridge.deliver(&prepared, &telemetry).await);
    }
    let topic = publisher.records();
    assert!(topic.iter().all(|record| record.headers.iter().all(|(name, _)| *name != "instance")));
    let keys: Vec<&str> = topic.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys, ["license:1229:telegram", "1:2@c.us", "license:1229:telegram"]);
    for index in 0..3 {
        assert_eq!(letter(&topic, index).source, Some(SourceId::ChatApp(channel.clone())));
    }
    let (publisher, replayer) = replayer(UnknownPolicy::Publish, &[]);
    for index in [0, 2] {
        assert_eq!(replayed(&replayer, &letter(&topic, index)).await, Outcome::Left(Left::Undecodable));
    }
    assert_eq!(replayed(&replayer, &letter(&topic, 1)).await, Outcome::Replayed);
    let again = &publisher.records()[0];
    assert_eq!((&again.key, &again.headers, &again.value), (&expected.key, &expected.headers, &expected.value));
}

#[tokio::test]
async fn a_mark_of_another_event_at_the_same_place_settles_nothing() {
    let mut topic = written([json(UNKNOWN)]).await;
    let (publisher, replayer) = replayer(UnknownPolicy::Publish, &[]);
    assert_eq!(replayed(&replayer, &letter(&written([json(r#"{"other":1}"#)]).await, 0)).await, Outcome::Replayed);
    topic.push(publisher.records()[1].clone());
    assert_eq!(survey(stream(&topic), &Filter::default()).await.expect("readable").selected.len(), 1);
}

#[tokio::test]
async fn what_cannot_or_shall_not_become_an_event_stays_and_says_why() {
    let topic = written([json(UNKNOWN), not_json()]).await;
    let (unknown, broken) = (letter(&topic, 0), letter(&topic, 1));
    let cut = Letter { truncated_from_bytes: Some(5_000_000), ..letter(&topic, 0) };
    let foreign = Letter { reason: "oops".to_owned(), ..letter(&topic, 0) };
    // Its values may have another form, which only the bridge that writes there knows.
    let of_another_bridge = Letter { topic: Some("framed-events".into()), ..letter(&topic, 0) };
    for (letter, policy, unusable, expected) in [
        (&unknown, UnknownPolicy::DeadLetter, &[][..], Left::StillUnknown),
        (&unknown, UnknownPolicy::Drop, &[], Left::Dropped),
        (&unknown, UnknownPolicy::Publish, &["chat-events"], Left::NoTopic),
        (&of_another_bridge, UnknownPolicy::Publish, &[], Left::NoTopic),
        (&broken, UnknownPolicy::Publish, &[], Left::Undecodable),
        (&cut, UnknownPolicy::Publish, &[], Left::Truncated),
        (&foreign, UnknownPolicy::Publish, &[], Left::NotOurs),
    ] {
        let (publisher, replayer) = replayer(policy, unusable);
        assert_eq!(replayer.foresee(letter), Outcome::Left(expected));
        assert_eq!(replayed(&replayer, letter).await, Outcome::Left(expected));
        assert!(publisher.records().is_empty(), "{expected:?}");
    }
}

#[tokio::test]
async fn refused_again_it_stays_without_a_second_letter() {
    let topic = written([json(UNKNOWN)]).await;
    let (publisher, replayer) = replayer(UnknownPolicy::Publish, &[]);
    publisher.fail_next([PublishError::TooLarge(String::new()), PublishError::TooLarge(String::new())]);
    assert_eq!(replayed(&replayer, &letter(&topic, 0)).await, Outcome::Left(Left::RefusedAgain));
    assert!(publisher.records().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_replay_waits_a_minute_for_kafka_and_a_moment_after_a_stop() {
    let topic = written([json(UNKNOWN)]).await;
    let (publisher, replayer) = replayer(UnknownPolicy::Publish, &[]);
    let unavailable = || std::iter::repeat_n(PublishError::Unavailable("planned".to_owned()), 1_000);
    publisher.fail_next(unavailable());
    let (letter, stop) = (letter(&topic, 0), CancellationToken::new());
    let begun = tokio::time::Instant::now();
    assert!(matches!(replayer.replay(&letter, &stop).await, Err(ReplayError::Away(_))));
    assert_eq!(begun.elapsed().as_secs(), 60);
    stop.cancel();
    assert!(matches!(replayer.replay(&letter, &stop).await, Err(ReplayError::Interrupted)));
    assert_eq!(begun.elapsed().as_secs(), 65);
    assert!(publisher.records().is_empty());
}

#[tokio::test]
async fn letters_are_selected_by_reason_instance_time_and_number() {
    let topic = written([json(UNKNOWN), not_json(), json(r#"{"typeWebhook":"new","n":2}"#)]).await;
    let now = Timestamp::now();
    let hour = jiff::SignedDuration::from_hours(1);
    let (ago, ahead) = (Some(now - hour), Some(now + hour));
    for (filter, expected) in [
        (Filter::default(), 3),
        (Filter { reasons: vec![DeadLetterReason::UnknownType], ..Filter::default() }, 2),
        (Filter { instances: vec![1], ..Filter::default() }, 3),
        (Filter { instances: vec![2], ..Filter::default() }, 0),
        (Filter { since: ago, until: ahead, ..Filter::default() }, 3),
        (Filter { since: ahead, ..Filter::default() }, 0),
        (Filter { until: ago, ..Filter::default() }, 0),
        (Filter { limit: Some(1), ..Filter::default() }, 1),
    ] {
        let found = survey(stream(&topic), &filter).await.expect("readable");
        assert_eq!(found.selected.len(), expected, "{filter:?}");
    }
    let oldest = survey(stream(&topic), &Filter { limit: Some(1), ..Filter::default() }).await.expect("readable");
    assert!(oldest.selected.contains_key(&Position { partition: 0, offset: 0 }), "the oldest first");
}

#[tokio::test]
async fn the_oldest_letters_are_those_that_lie_first_whatever_the_clock_said() {
    let mut topic = written([json(UNKNOWN), json(UNKNOWN), json(UNKNOWN)]).await;
    // The clock went back by an hour while the second was written.
    topic[1].timestamp_ms -= 3_600_000;
    for limit in 1..=3 {
        let survey =
            survey(stream(&topic), &Filter { limit: Some(limit), ..Filter::default() }).await.expect("readable");
        let mut offsets: Vec<i64> = survey.selected.keys().map(|position| position.offset).collect();
        offsets.sort_unstable();
        assert_eq!(offsets, (0..limit as i64).collect::<Vec<_>>(), "{limit}");
    }
}
