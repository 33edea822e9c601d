//! The Kafka under a row, and what lies between it and the bridge.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use tokio::runtime::Runtime;

use super::topics::make_topic;
use crate::support::broker::{Broker, free_port, further_listeners};
use crate::support::cluster::Cluster;
use crate::support::guard::{Guard, strs, write};
use crate::support::needs::or_skip;
use crate::support::toxiproxy::{Proxy, Toxiproxy};

/// Partitions of every row's topics.
const PARTITIONS: i32 = 6;

/// What a row may use, and harm.
pub(crate) struct Ground<'a> {
    runtime: &'a Runtime,
    kafka: Kafka<'a>,
    /// Between the bridge and GREEN-API.
    upstream: Option<Proxy>,
}

/// Which brokers, and how the bridge gets there.
pub(crate) enum Kafka<'a> {
    Shared(&'a Broker),
    Harmed(&'a mut Broker),
    /// By way of a proxy.
    Proxied(&'a Broker, &'a Proxy),
    /// As a user with rights of its own.
    Restricted(&'a Broker, &'a Guard),
    Cluster(&'a mut Cluster),
    Mock(MockCluster<'static, DefaultProducerContext>),
}

impl<'a> Ground<'a> {
    pub(crate) fn new(runtime: &'a Runtime, kafka: Kafka<'a>) -> Self {
        Self { runtime, kafka, upstream: None }
    }

    pub(crate) fn runtime(&self) -> &'a Runtime {
        self.runtime
    }

    /// For those who look: never through a proxy.
    pub(crate) fn bootstrap(&self) -> String {
        match &self.kafka {
            Kafka::Shared(broker) | Kafka::Proxied(broker, _) | Kafka::Restricted(broker, _) => broker.bootstrap(),
            Kafka::Harmed(broker) => broker.bootstrap(),
            Kafka::Cluster(cluster) => cluster.bootstrap(),
            Kafka::Mock(mock) => mock.bootstrap_servers(),
        }
    }

    /// Puts a proxy between the bridge and GREEN-API, before whoever is called at `address`; gives the new address.
    pub(crate) fn through(&mut self, toxiproxy: &Toxiproxy, name: &str, address: &str) -> String {
        self.upstream.insert(toxiproxy.proxy(name, address)).address().to_owned()
    }

    /// Between the bridge and GREEN-API.
    pub(crate) fn upstream(&self) -> &Proxy {
        self.upstream.as_ref().expect("this row asked for a proxy")
    }

    /// Between the bridge and Kafka.
    pub(crate) fn downstream(&self) -> &Proxy {
        match &self.kafka {
            Kafka::Proxied(_, proxy) => proxy,
            _ => panic!("this row has no proxy before Kafka"),
        }
    }

    /// What takes the bridge there.
    pub(crate) fn environment(&self) -> Vec<(&'static str, String)> {
        match &self.kafka {
            Kafka::Proxied(_, proxy) => vec![("CHATBRIDGE__KAFKA__BROKERS", proxy.address().to_owned())],
            Kafka::Restricted(_, guard) => guard.environment(),
            _ => Vec::new(),
        }
    }

    /// A password that must be nowhere.
    pub(crate) fn password(&self) -> Option<&str> {
        match &self.kafka {
            Kafka::Restricted(_, guard) => Some(guard.password()),
            _ => None,
        }
    }

    pub(crate) fn make_topic(&self, name: &str, properties: &[(&str, &str)]) {
        match &self.kafka {
            Kafka::Mock(mock) => mock.create_topic(name, PARTITIONS, 1).expect("a topic"),
            Kafka::Cluster(cluster) => {
                let stamped = [&[("message.timestamp.type", "LogAppendTime")], properties].concat();
                cluster.create_topic(name, PARTITIONS, &stamped);
            }
            _ => make_topic(self.runtime, &self.bootstrap(), name, PARTITIONS, properties),
        }
    }

    pub(crate) fn broker(&mut self) -> &mut Broker {
        match &mut self.kafka {
            Kafka::Harmed(broker) => broker,
            _ => panic!("this row has no broker to harm"),
        }
    }

    pub(crate) fn cluster(&mut self) -> &mut Cluster {
        match &mut self.kafka {
            Kafka::Cluster(cluster) => cluster,
            _ => panic!("this row has no cluster"),
        }
    }

    /// Lets the bridge write there, where it has to be let.
    pub(crate) fn allow(&self, topics: &[&str]) {
        if let Kafka::Restricted(broker, guard) = &self.kafka {
            guard.allow(broker, &topics.iter().map(|topic| write(topic)).collect::<Vec<_>>());
        }
    }

    /// The rights of the bridge, and where they are changed.
    pub(crate) fn guard(&self) -> (&Guard, &Broker) {
        match &self.kafka {
            Kafka::Restricted(broker, guard) => (guard, broker),
            _ => panic!("this row asks nobody who is there"),
        }
    }

    pub(crate) fn mock(&self) -> &MockCluster<'static, DefaultProducerContext> {
        match &self.kafka {
            Kafka::Mock(mock) => mock,
            _ => panic!("this row has no mock"),
        }
    }
}

/// The broker that rows may harm, one after the other: with a proxy before it and a guard at its door.
pub(crate) struct Harmed {
    pub(crate) broker: Broker,
    /// `None` where this machine has no toxiproxy.
    pub(crate) proxy: Option<Proxy>,
    pub(crate) guard: Guard,
}

impl Harmed {
    pub(crate) fn start(toxiproxy: Option<&Toxiproxy>) -> Option<Self> {
        let (guard, port) = (Guard::new(), free_port());
        let mut properties = guard.properties();
        let proxy = toxiproxy.map(|toxiproxy| toxiproxy.proxy(&format!("kafka-{port}"), &format!("127.0.0.1:{port}")));
        if let Some(proxy) = &proxy {
            // Both name the listeners: put into one.
            let [(_, listens), (_, told)] = further_listeners(&[("PROXIED", port, proxy.address())]);
            for (name, value) in &mut properties {
                let further = match *name {
                    "listeners" => &listens,
                    "advertised.listeners" => &told,
                    _ => continue,
                };
                value.push(',');
                value.push_str(further.rsplit(',').next().unwrap_or_default());
            }
        }
        Some(Self { broker: or_skip(Broker::start_with(&strs(&properties)))?, proxy, guard })
    }
}
