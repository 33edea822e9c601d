//! A row's topics: made, changed and deleted.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use tokio::runtime::Runtime;

use super::stage::{PATIENCE, POLL, Stage};

impl Stage<'_> {
    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", self.ground.bootstrap()).create().expect("an admin client")
    }

    /// Changes a property of the topic of events.
    pub(crate) fn change_topic(&self, key: &str, value: &str) {
        // What is not named goes back to its default.
        let change = AlterConfig::new(ResourceSpecifier::Topic(&self.topic))
            .set("message.timestamp.type", "LogAppendTime")
            .set(key, value);
        let changed = self.ground.runtime().block_on(self.admin().alter_configs(&[change], &AdminOptions::new()));
        assert!(changed.as_ref().is_ok_and(|changed| changed.iter().all(Result::is_ok)), "{changed:?}");
    }

    pub(crate) fn delete_topic(&self) {
        let deleted = self.ground.runtime().block_on(self.admin().delete_topics(&[&self.topic], &AdminOptions::new()));
        assert!(deleted.as_ref().is_ok_and(|deleted| deleted.iter().all(Result::is_ok)), "{deleted:?}");
        // The controller answers before the broker has let go of it, and what is taken until then goes with it.
        let deadline = Instant::now() + PATIENCE;
        let asked = || self.admin().inner().fetch_metadata(Some(&self.topic), Duration::from_secs(5));
        while asked().is_ok_and(|found| found.topics().iter().all(|topic| !topic.partitions().is_empty())) {
            assert!(Instant::now() < deadline, "{} is not deleted", self.topic);
            thread::sleep(POLL);
        }
        thread::sleep(Duration::from_secs(1));
    }
}

/// Makes a topic at a broker without others.
pub(crate) fn make_topic(runtime: &Runtime, bootstrap: &str, name: &str, partitions: i32, properties: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", bootstrap).create().expect("an admin client");
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        // The broker's own clock: when was it in Kafka?
        let topic =
            NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("message.timestamp.type", "LogAppendTime");
        let topic = properties.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        let made = runtime.block_on(admin.create_topics(&[topic], &AdminOptions::new()));
        if made.as_ref().is_ok_and(|made| made.iter().all(Result::is_ok)) {
            return;
        }
        assert!(Instant::now() < deadline, "{made:?}");
        thread::sleep(POLL);
    }
}
