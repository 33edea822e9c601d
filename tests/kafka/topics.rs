//! Topics with properties of their own, and what happens while one is missing.

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;

use crate::scene::Scene;
use crate::support::bridge::Bridge;
use crate::support::judge::Topic;

fn admin(scene: &Scene) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", scene.broker.bootstrap()).create().expect("an admin client")
}

/// Makes a topic of three partitions.
pub(crate) fn make_topic(scene: &Scene, name: &str, properties: &[(&str, &str)]) {
    let topic = NewTopic::new(name, 3, TopicReplication::Fixed(1));
    let topic = properties.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
    let made = scene.runtime.block_on(admin(scene).create_topics(&[topic], &AdminOptions::new()));
    assert!(made.as_ref().is_ok_and(|made| made.iter().all(Result::is_ok)), "{made:?}");
}

/// Changes a property of a topic.
pub(crate) fn change_topic(scene: &Scene, name: &str, (key, value): (&str, &str)) {
    let change = AlterConfig::new(ResourceSpecifier::Topic(name)).set(key, value);
    let changed = scene.runtime.block_on(admin(scene).alter_configs(&[change], &AdminOptions::new()));
    assert!(changed.as_ref().is_ok_and(|changed| changed.iter().all(Result::is_ok)), "{changed:?}");
}

#[test]
#[ignore = "starts a real Kafka"]
fn a_routed_topic_that_is_missing_is_named_and_waited_for() {
    let Some(scene) = Scene::new(1, &[("auto.create.topics.enable", "false")]) else { return };
    make_topic(&scene, "chat-events", &[]);
    make_topic(&scene, "chat-events-dlq", &[]);
    for body in [r#"{"typeWebhook":"incomingCall","from":"7999@c.us","status":"offer"}"#, r#"{"typeWebhook":"new"}"#] {
        scene.simulator.enqueue(scene.ids[0], body).expect("room");
    }
    let mut bridge = Bridge::start(&scene.home, &[("CHATBRIDGE__ROUTING__CALL", "chat-calls")]);
    bridge.wait("a word about it", |bridge| bridge.log().contains("topic chat-calls cannot be used").then_some(()));
    assert_eq!(bridge.get("/readyz").0, 503);
    assert_eq!(scene.simulator.total_depth(), 2, "nothing is received before there is a place for it");

    make_topic(&scene, "chat-calls", &[]);
    bridge.wait_until_ready();
    scene.wait_until_emptied(&bridge);
    assert!(bridge.terminate().success());
    for (topic, kind) in [("chat-calls", "call"), ("chat-events", "unknown")] {
        let Some(read) = Topic::read(&scene.broker.bootstrap(), topic) else { return };
        assert_eq!(read.records.len(), 1, "{topic}");
        assert_eq!(read.records[0]["value"]["kind"], kind);
    }
}
