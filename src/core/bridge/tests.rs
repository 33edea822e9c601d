use crate::watch::telemetry::InstanceTelemetry;
use std::sync::Arc;

use super::*;
use crate::config::{Calls, Events, UnknownPolicy};
use crate::core::policy::DropReason;
use crate::core::publish::memory::MemoryPublisher;
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::status::StatusBoard;
use chatbridge_event::event::Body;
use chatbridge_event::event::InstanceId;
use serde_json::value::RawValue;

fn telemetry() -> InstanceTelemetry {
    InstanceTelemetry::new(&Arc::new(Metrics::new()), StatusBoard::default().add(InstanceId::new(1)))
}

fn bridge(publisher: MemoryPublisher, policy: Policy) -> Bridge<MemoryPublisher> {
    Bridge::new(publisher, RecordFactory::default(), policy)
}

fn notification(body: &str) -> Notification {
    let body = Body::Json(RawValue::from_string(body.to_owned()).expect("JSON"));
    Notification { instance: InstanceId::new(1), receipt_id: Some("9".to_owned()), body }
}

async fn deliver(bridge: &Bridge<MemoryPublisher>, notification: Notification) -> Settled {
    let prepared = bridge.prepare(notification, Timestamp::now());
    bridge.deliver(&prepared, &telemetry()).await
}

fn topics(bridge: &Bridge<MemoryPublisher>) -> Vec<String> {
    bridge.publisher.records().iter().map(|record| record.topic.to_string()).collect()
}

fn unavailable() -> PublishError {
    PublishError::Unavailable("planned".to_owned())
}

#[tokio::test(start_paused = true)]
async fn what_kafka_cannot_take_now_is_published_when_it_can() {
    let bridge = bridge(MemoryPublisher::default(), Policy::default());
    bridge.publisher.fail_next(std::iter::repeat_n(unavailable(), 50));
    let settled = deliver(&bridge, notification("{}")).await;
    assert!(matches!(settled.outcome(), Outcome::Published(_)));
    assert_eq!(topics(&bridge), ["chat-events"]);
}

#[tokio::test(start_paused = true)]
async fn too_large_goes_without_thumbnails_then_as_a_dead_letter_cut_short() {
    let large = format!(r#"{{"chatId":"7900@c.us","x":"{}"}}"#, "x".repeat(40_000));
    let thumb = format!(r#"{{"chatId":"7900@c.us","x":{{"jpegThumbnail":"{}"}}}}"#, "x".repeat(40_000));
    for (body, expected_topic, expected_bytes_max) in
        [(&thumb, "chat-events", 1_000), (&large, "chat-events-dlq", 16 * 1024)]
    {
        let bridge = bridge(MemoryPublisher::with_value_bytes_max(20_000), Policy::default());
        drop(deliver(&bridge, notification(body)).await);
        let records = bridge.publisher.records();
        assert_eq!(topics(&bridge), [expected_topic]);
        assert_eq!(records[0].key, "7900@c.us");
        assert!(records[0].value.len() <= expected_bytes_max, "{}", records[0].value.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_becomes_a_dead_letter_with_its_bytes() {
    let bridge = bridge(MemoryPublisher::default(), Policy::default());
    bridge.publisher.fail_next([PublishError::Refused("policy".to_owned())]);
    let settled = deliver(&bridge, notification(r#"{"chatId":"1"}"#)).await;
    assert!(matches!(settled.outcome(), Outcome::DeadLettered(_, DeadLetterReason::Refused)));
    let records = bridge.publisher.records();
    assert_eq!(records[0].value, br#"{"chatId":"1"}"#);
    assert!(records[0].headers.contains(&("receipt_id", "9".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_refused_parks_until_the_topic_is_mended() {
    let bridge = bridge(MemoryPublisher::default(), Policy::default());
    let refused = || PublishError::Refused("policy".to_owned());
    bridge.publisher.fail_next([refused(), refused(), refused()]);
    let started = Instant::now();
    let settled = deliver(&bridge, notification("{}")).await;
    assert!(matches!(settled.outcome(), Outcome::DeadLettered(..)));
    assert_eq!(started.elapsed(), PARKED_RETRY * 2, "two refused rounds, a minute each");
}

#[tokio::test]
async fn what_is_not_wanted_is_settled_without_a_record() {
    let policy = Policy::new(Events { unknown: UnknownPolicy::Drop, ..Events::default() }, Calls::default());
    let bridge = bridge(MemoryPublisher::default(), policy);
    let settled = deliver(&bridge, notification(r#"{"typeWebhook":"new"}"#)).await;
    assert!(matches!(settled.outcome(), Outcome::Dropped(DropReason::UnknownType)));
    assert!(bridge.publisher.records().is_empty());
}

#[tokio::test]
async fn undecodable_bytes_travel_unchanged_and_keep_their_id() {
    let bridge = bridge(MemoryPublisher::default(), Policy::default());
    let broken = |receipt: &[u8; 1]| Notification {
        instance: InstanceId::new(1),
        receipt_id: None,
        body: Body::Undecodable {
            bytes: [b"{", &receipt[..], b"\xff"].concat(),
            reason: DeadLetterReason::NotUtf8,
            error: "not UTF-8".to_owned(),
            receipt_at: 1..2,
        },
    };
    let (first, second) = (deliver(&bridge, broken(b"1")).await, deliver(&bridge, broken(b"2")).await);
    assert_eq!(first.id(), second.id(), "the receipt takes no part");
    assert_eq!(bridge.publisher.records()[1].value, b"{2\xff");
}

#[tokio::test(start_paused = true)]
async fn what_a_broker_says_reaches_the_dead_letters_without_secrets_and_turns_no_writing() {
    let secret = secrecy::SecretString::from("d75b3a66c0ffee");
    let bridge = bridge(MemoryPublisher::default(), Policy::default()).with_redactor(Redactor::new([&secret]));
    let said = "refused\r\n: \u{202e}d75b3a66c0ffee\u{7}";
    bridge.publisher.fail_next([PublishError::Refused(said.to_owned())]);
    drop(deliver(&bridge, notification("{}")).await);
    let records = bridge.publisher.records();
    let error = records[0].headers.iter().find(|(name, _)| *name == "error").map(|(_, error)| error.as_str());
    assert_eq!(error, Some("refused : \u{fffd}<secret>\u{fffd}"));
}
