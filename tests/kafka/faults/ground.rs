//! The Kafka under a row, and what lies between it and the bridge.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use tokio::runtime::Runtime;

use super::stage::make_topic;
use crate::support::broker::Broker;

/// What a row may use, and harm.
pub(crate) struct Ground<'a> {
    runtime: &'a Runtime,
    kafka: Kafka<'a>,
}

/// Which brokers.
pub(crate) enum Kafka<'a> {
    Shared(&'a Broker),
    Harmed(&'a mut Broker),
    Mock(MockCluster<'static, DefaultProducerContext>),
}

impl<'a> Ground<'a> {
    pub(crate) fn new(runtime: &'a Runtime, kafka: Kafka<'a>) -> Self {
        Self { runtime, kafka }
    }

    pub(crate) fn runtime(&self) -> &'a Runtime {
        self.runtime
    }

    /// For those who look: never through a proxy.
    pub(crate) fn bootstrap(&self) -> String {
        match &self.kafka {
            Kafka::Shared(broker) => broker.bootstrap(),
            Kafka::Harmed(broker) => broker.bootstrap(),
            Kafka::Mock(mock) => mock.bootstrap_servers(),
        }
    }

    /// For the bridge.
    pub(crate) fn bridge_bootstrap(&self) -> String {
        self.bootstrap()
    }

    /// For the bridge, given where GREEN-API really is.
    pub(crate) fn api_url(&self, url: &str) -> String {
        url.to_owned()
    }

    /// For the bridge.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    pub(crate) fn make_topic(&self, name: &str, properties: &[(&str, &str)]) {
        match &self.kafka {
            Kafka::Mock(mock) => mock.create_topic(name, 6, 1).expect("a topic"),
            _ => make_topic(self.runtime, &self.bootstrap(), name, properties),
        }
    }

    pub(crate) fn broker(&mut self) -> &mut Broker {
        match &mut self.kafka {
            Kafka::Harmed(broker) => broker,
            _ => panic!("this row has no broker to harm"),
        }
    }

    pub(crate) fn mock(&self) -> &MockCluster<'static, DefaultProducerContext> {
        match &self.kafka {
            Kafka::Mock(mock) => mock,
            _ => panic!("this row has no mock"),
        }
    }
}
