use std::collections::BTreeMap;

use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use secrecy::SecretString;

use super::*;

fn kafka(brokers: &str, properties: &[(&str, &str)]) -> Kafka {
    Kafka {
        brokers: brokers.to_owned(),
        topic: "chat-events".into(),
        dead_letter_topic: "chat-events-dlq".into(),
        cloudevents_mode: crate::config::CloudEventsMode::default(),
        create_topics: None,
        properties: properties.iter().map(|(k, v)| ((*k).to_owned(), SecretString::from((*v).to_owned()))).collect(),
    }
}

fn record() -> Record {
    Record {
        topic: "chat-events".into(),
        key: "79995550001@c.us".to_owned(),
        headers: vec![("ce_id", "x".to_owned())],
        timestamp_ms: 1_760_000_000_000,
        value: b"{}".to_vec(),
    }
}

#[test]
fn the_build_can_reach_managed_kafka() {
    let features = librdkafka_features();
    for needed in ["ssl", "sasl_plain", "sasl_scram", "sasl_oauthbearer", "zstd", "lz4", "snappy", "gzip"] {
        assert!(features.split(',').any(|feature| feature == needed), "{needed} is missing from {features}");
    }
}

#[test]
fn every_wrong_property_is_named_and_no_value_repeated() {
    let problems = problems(&kafka(
        "localhost:1",
        &[("compression.type", "middle-out"), ("no.such.property", "hunter2"), ("sasl.mechanism", "PLAIN")],
    ));
    let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["kafka.properties.compression.type", "kafka.properties.no.such.property"]);
    assert!(problems.iter().all(|problem| !problem.message.contains("hunter2")), "{problems:?}");
    assert_eq!(super::problems(&kafka("localhost:1", &[("linger.ms", "5")])), []);
}

#[test]
fn properties_that_contradict_each_other_are_a_problem_too() {
    let problems = problems(&kafka("localhost:1", &[("max.in.flight.requests.per.connection", "100")]));
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn as_many_requests_on_their_way_as_could_overtake_are_refused_in_every_spelling() {
    for name in ["max.in.flight", "max.in.flight.requests.per.connection"] {
        assert_eq!(problems(&kafka("localhost:1", &[(name, "6")])).len(), 1, "{name}");
        assert_eq!(problems(&kafka("localhost:1", &[(name, "5")])), [], "{name}");
    }
}

#[test]
fn the_operators_spelling_replaces_the_default_every_time() {
    for (name, value) in [
        ("compression.codec", "zstd"),
        ("compression.type", "zstd"),
        ("topic.compression.type", "zstd"),
        ("queue.buffering.max.ms", "7"),
        ("linger.ms", "7"),
        ("client.id", "mine"),
    ] {
        // A map without an order of its own is what let chance decide.
        for _ in 0..20 {
            let config = client_config(&kafka("localhost:1", &[(name, value)]));
            let mut seen = std::collections::HashSet::new();
            let map = config.config_map();
            assert!(map.keys().all(|key| seen.insert(crate::config::canonical(key))), "{map:?}");
            let told = config.create_native_config().and_then(|native| native.get(crate::config::canonical(name)));
            let of_topics = name.starts_with("topic.");
            assert!(of_topics || told.as_deref() == Ok(value), "{name}: {told:?}");
        }
    }
}

#[test]
fn tokens_that_nobody_would_fetch_are_a_problem() {
    for name in ["sasl.mechanism", "sasl.mechanisms"] {
        let problems = problems(&kafka("localhost:1", &[("security.protocol", "SASL_SSL"), (name, "OAUTHBEARER")]));
        let problem = problems.iter().find(|problem| problem.message.contains("use PLAIN, SCRAM"));
        assert_eq!(
            problem.map(|problem| problem.key.clone()),
            Some(format!("kafka.properties.{name}")),
            "{problems:?}"
        );
    }
}

#[test]
fn errors_are_classified_by_what_helps() {
    use PublishError::*;
    for (code, expected) in [
        (Code::MessageSizeTooLarge, TooLarge(String::new())),
        (Code::PolicyViolation, Refused(String::new())),
        (Code::InvalidRecord, Refused(String::new())),
        (Code::InvalidTimestamp, Unavailable(String::new())),
        (Code::TopicAuthorizationFailed, Unavailable(String::new())),
        (Code::UnknownTopicOrPartition, Unavailable(String::new())),
        (Code::UnknownTopic, Unavailable(String::new())),
        (Code::MessageTimedOut, Unavailable(String::new())),
        (Code::NotEnoughReplicas, Unavailable(String::new())),
        (Code::QueueFull, Unavailable(String::new())),
        (Code::PurgeQueue, Unavailable(String::new())),
        (Code::Fatal, Unavailable(String::new())),
    ] {
        let found = classify(&KafkaError::MessageProduction(code));
        assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&expected), "{code:?}");
    }
}

#[tokio::test]
async fn a_fatal_producer_is_replaced_and_the_record_can_be_published_again() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic("chat-events", 1, 1).expect("a topic");
    let publisher = KafkaPublisher::new(&kafka(&cluster.bootstrap_servers(), &[])).expect("a publisher");
    assert!(publisher.publish(&record()).await.is_ok());
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER]);
    let failure = publisher.publish(&record()).await.err();
    assert!(matches!(failure, Some(PublishError::Unavailable(_))), "{failure:?}");
    assert!(publisher.publish(&record()).await.is_ok(), "the new producer takes over");
    assert_eq!(publisher.current().0, 1);
}

#[tokio::test]
async fn a_refusal_counts_only_when_the_record_was_alone_in_its_request() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic("chat-events", 1, 1).expect("a topic");
    let publisher = KafkaPublisher::new(&kafka(&cluster.bootstrap_servers(), &[])).expect("a publisher");
    let too_large = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    cluster.request_errors(RDKafkaApiKey::Produce, &[too_large]);
    assert!(publisher.publish(&record()).await.is_ok(), "a neighbour's fault");
    cluster.request_errors(RDKafkaApiKey::Produce, &[too_large, too_large]);
    let failure = publisher.publish(&record()).await.err();
    assert!(matches!(failure, Some(PublishError::TooLarge(_))), "{failure:?}");
    assert!(publisher.publish(&record()).await.is_ok(), "the next record is not affected");
}

#[tokio::test]
async fn a_stamp_nobody_takes_is_replaced_and_a_clock_nobody_believes_waited_for() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic("chat-events", 1, 1).expect("a topic");
    let publisher = KafkaPublisher::new(&kafka(&cluster.bootstrap_servers(), &[])).expect("a publisher");
    let invalid = RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP;
    cluster.request_errors(RDKafkaApiKey::Produce, &[invalid]);
    assert!(publisher.publish(&record()).await.is_ok(), "an old stamp is replaced");
    cluster.request_errors(RDKafkaApiKey::Produce, &[invalid, invalid]);
    let failure = publisher.publish(&record()).await.err();
    assert!(matches!(&failure, Some(PublishError::Unavailable(detail)) if detail.contains("clock")), "{failure:?}");
    assert!(publisher.health().last_error().is_some_and(|heard| heard.contains("clock")));
    assert!(publisher.publish(&record()).await.is_ok(), "and published once the clocks agree");
}

#[tokio::test]
async fn what_librdkafka_only_concludes_is_no_acknowledgement() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic("chat-events", 1, 1).expect("a topic");
    let publisher = KafkaPublisher::new(&kafka(&cluster.bootstrap_servers(), &[])).expect("a publisher");
    assert!(publisher.publish(&record()).await.is_ok());
    // Two requests on their way at once, the first of which the partition refuses; as one does that is being made anew,
    // and like it the mock minds no gap in the sequence.
    cluster.broker_round_trip_time(1, Duration::from_millis(500)).expect("slower");
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION]);
    let record = record();
    let behind = async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        publisher.publish(&record).await
    };
    let (first, second) = tokio::join!(publisher.publish(&record), behind);
    assert!(second.is_ok(), "{second:?}");
    let acknowledged = 1 + [&first, &second].iter().filter(|answer| answer.is_ok()).count();
    let (_, client) = publisher.current();
    let (_, written) = client.client().fetch_watermarks("chat-events", 0, Duration::from_secs(10)).expect("offsets");
    assert!(written >= acknowledged as i64, "{written} written, {acknowledged} acknowledged: {first:?}");
}

#[tokio::test]
async fn a_broker_that_was_away_gets_the_record_when_it_is_back() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic("chat-events", 1, 1).expect("a topic");
    let publisher = KafkaPublisher::new(&kafka(&cluster.bootstrap_servers(), &[])).expect("a publisher");
    assert!(publisher.publish(&record()).await.is_ok());
    cluster.broker_down(-1).expect("down");
    let record = record();
    let mut publishing = std::pin::pin!(publisher.publish(&record));
    let early = tokio::time::timeout(Duration::from_secs(2), &mut publishing).await;
    assert!(early.is_err(), "it waits: {early:?}");
    cluster.broker_up(-1).expect("up");
    let late = tokio::time::timeout(Duration::from_secs(30), publishing).await;
    assert!(matches!(late, Ok(Ok(_))), "{late:?}");
}

#[test]
fn what_the_client_remarks_is_a_reason_to_ask_and_no_verdict() {
    for code in [Code::AllBrokersDown, Code::Authentication, Code::SaslAuthenticationFailed, Code::SSL] {
        let context = Context::default();
        assert!(!context.health.take_suspicion());
        context.error(KafkaError::Global(code), "1/1 brokers are down");
        assert_eq!(context.health.down_since(), None, "{code:?}: nobody was asked");
        assert!(context.health.take_suspicion() && !context.health.take_suspicion(), "{code:?}: to be asked once");
    }
}

#[tokio::test]
async fn brokers_that_were_asked_in_vain_are_away_until_they_answer() {
    let cluster = MockCluster::new(1).expect("a mock cluster");
    cluster.create_topic("chat-events", 1, 1).expect("a topic");
    let publisher = KafkaPublisher::new(&kafka(&cluster.bootstrap_servers(), &[])).expect("a publisher");
    let health = publisher.health();
    publisher.find_topic("chat-events".into()).await.expect("it is there");
    cluster.broker_down(-1).expect("down");
    publisher.find_topic("chat-events".into()).await.expect_err("nobody answers");
    assert!(health.down_since().is_some() && health.last_error().is_some());
    cluster.broker_up(-1).expect("up");
    publisher.find_topic("chat-events".into()).await.expect("it is there again");
    publisher.found();
    assert_eq!((health.down_since(), health.last_error()), (None, None));
}

#[test]
fn a_publisher_prints_no_property() {
    let secret = [("sasl.password", "hunter2")];
    let publisher = KafkaPublisher::new(&kafka("localhost:1", &secret)).expect("a publisher");
    let printed = format!("{publisher:?} {:?}", kafka("localhost:1", &secret));
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(BTreeMap::from(secret).contains_key("sasl.password"));
}
