//! Three real brokers that replicate: each also a controller, so that any one of them may go and the other two decide.
//!
//! They start side by side, in about ten seconds on two idle cores. Everything here blocks.

use std::thread;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication, TopicResult};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::RDKafkaErrorCode;

use super::broker::{Broker, Setup, free_port, port_was_taken};
use super::needs::Unavailable;

/// An election takes about as long as a dead broker's registration lasts: 3 s, on a machine with nothing else to do.
const PATIENCE: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(100);
const NODES: i32 = 3;
const REPLICATED: [(&str, &str); 6] = [
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("offsets.topic.replication.factor", "3"),
    ("transaction.state.log.replication.factor", "3"),
    ("transaction.state.log.min.isr", "2"),
    // A frozen follower leaves the in-sync replicas after 3 s instead of 30.
    ("replica.lag.time.max.ms", "3000"),
];

/// Brokers 1, 2 and 3: topics have three replicas, two of which must be in sync. Dropping it kills them all.
#[derive(Debug)]
pub(crate) struct Cluster {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    broker: Broker,
    /// Neither stopped nor frozen: it can be asked.
    answers: bool,
}

/// How a partition is, as a broker that answers sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    /// The node that takes its records; `None` while there is none.
    pub(crate) leader: Option<i32>,
    pub(crate) in_sync: Vec<i32>,
}

impl Cluster {
    pub(crate) fn start() -> Result<Self, Unavailable> {
        Self::start_with(&[])
    }

    /// The same with other properties for every broker, as in [`Broker::start_with`].
    pub(crate) fn start_with(properties: &[(&str, &str)]) -> Result<Self, Unavailable> {
        let mut attempt = 1;
        loop {
            let mut cluster = Self::format(properties)?;
            match cluster.launch() {
                Ok(()) => return Ok(cluster),
                Err(log) if attempt < 3 && port_was_taken(&log) => attempt += 1,
                Err(log) => return Err(Unavailable::Broken(log)),
            }
        }
    }

    fn format(properties: &[(&str, &str)]) -> Result<Self, Unavailable> {
        let ports: Vec<(u16, u16)> = (0..NODES).map(|_| (free_port(), free_port())).collect();
        let voters: Vec<String> =
            (1..=NODES).zip(&ports).map(|(id, (_, port))| format!("{id}@127.0.0.1:{port}")).collect();
        let voters = voters.join(",");
        // Side by side, as a JVM each does it.
        let nodes = thread::scope(|scope| {
            let voters = voters.as_str();
            let formatting: Vec<_> = (1..=NODES)
                .zip(ports)
                .map(|(id, ports)| scope.spawn(move || Node::format(id, voters, ports, properties)))
                .collect();
            formatting.into_iter().map(|node| node.join().expect("formatting does not panic")).collect::<Result<_, _>>()
        })?;
        Ok(Self { nodes })
    }

    /// All at once: a node serves only when it has found a second one to vote with.
    fn launch(&mut self) -> Result<(), String> {
        thread::scope(|scope| {
            let starting: Vec<_> = self.nodes.iter_mut().map(|node| scope.spawn(|| node.broker.launch())).collect();
            starting.into_iter().try_for_each(|node| node.join().expect("launching does not panic"))
        })
    }

    /// `host:port` of all three, for `bootstrap.servers`.
    pub(crate) fn bootstrap(&self) -> String {
        self.nodes.iter().map(|node| node.broker.bootstrap()).collect::<Vec<_>>().join(",")
    }

    /// Kills it (SIGKILL).
    pub(crate) fn kill(&mut self, node: i32) {
        let node = self.node(node);
        node.broker.kill();
        node.answers = false;
    }

    /// Stops it (SIGTERM): it hands its leaderships over first.
    pub(crate) fn stop(&mut self, node: i32) {
        let node = self.node(node);
        node.broker.stop();
        node.answers = false;
    }

    /// Starts it again after `kill` or `stop`; at least one other has to run.
    pub(crate) fn start_again(&mut self, node: i32) {
        let node = self.node(node);
        node.broker.start_again();
        node.answers = true;
    }

    /// Freezes it (SIGSTOP).
    ///
    /// With one of three frozen or gone, a topic that asks for three in-sync replicas refuses records
    /// (`NotEnoughReplicas`) after about 3 s. With two, nobody is left to decide anything: the in-sync replicas stay on
    /// paper, and records are neither taken nor refused.
    pub(crate) fn pause(&mut self, node: i32) {
        let node = self.node(node);
        node.broker.pause();
        node.answers = false;
    }

    /// Lets it go on after `pause`.
    pub(crate) fn resume(&mut self, node: i32) {
        let node = self.node(node);
        node.broker.resume();
        node.answers = true;
    }

    /// Makes a topic with three replicas, `config` its own properties, and waits until it has its leaders.
    pub(crate) fn create_topic(&self, topic: &str, partitions: i32, config: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> = self.client().create().expect("an admin client");
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(NODES));
        for (key, value) in config {
            new = new.set(key, value);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let deadline = Instant::now() + PATIENCE;
        loop {
            // A node without time to send its heartbeat counts as gone for a moment, and a controller without time as
            // deposed: with either, three replicas are refused. What came of a try that nobody answered, the next says.
            let made = runtime.block_on(admin.create_topics([&new], &AdminOptions::new()));
            let is_there = |made: &TopicResult| matches!(made, Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)));
            if made.as_ref().is_ok_and(|made| made.iter().all(is_there)) {
                break;
            }
            assert!(Instant::now() < deadline, "{made:?}");
            thread::sleep(POLL);
        }
        for partition in 0..partitions {
            self.wait_for(topic, partition, "all in sync", |found| found.in_sync.len() == NODES as usize);
        }
    }

    /// The node that takes the records of a partition, once there is one.
    pub(crate) fn leader_of(&self, topic: &str, partition: i32) -> i32 {
        let found = self.wait_for(topic, partition, "led", |found| found.leader.is_some());
        found.leader.expect("waited for")
    }

    /// How the partition is; `None` where no broker answers, or none knows it.
    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Option<Partition> {
        // A new client each time: an old one may still be waiting for a broker that is gone.
        let client: BaseConsumer = self.client().create().expect("a client");
        let metadata = client.fetch_metadata(Some(topic), Duration::from_secs(5)).ok()?;
        let found = metadata.topics().first()?.partitions().iter().find(|found| found.id() == partition)?;
        let leader = Some(found.leader()).filter(|leader| *leader > 0);
        Some(Partition { leader, in_sync: found.isr().to_vec() })
    }

    /// Asks until the partition is as wanted.
    ///
    /// The broker that answers need not be the partition's leader, and knows of a change before or after it does: what
    /// the leader says to records is to be waited for as well.
    pub(crate) fn wait_for(
        &self,
        topic: &str,
        partition: i32,
        what: &str,
        wanted: impl Fn(&Partition) -> bool,
    ) -> Partition {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let found = self.partition(topic, partition);
            if let Some(found) = found.clone().filter(&wanted) {
                return found;
            }
            assert!(Instant::now() < deadline, "{topic} {partition} does not become {what}: {found:?}");
            thread::sleep(POLL);
        }
    }

    /// To the nodes that can answer.
    fn client(&self) -> ClientConfig {
        let answer: Vec<String> =
            self.nodes.iter().filter(|node| node.answers).map(|node| node.broker.bootstrap()).collect();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", answer.join(",")).set("log_level", "2");
        config
    }

    fn node(&mut self, node: i32) -> &mut Node {
        &mut self.nodes[usize::try_from(node - 1).expect("nodes are 1 to 3")]
    }
}

impl Node {
    fn format(id: i32, voters: &str, ports: (u16, u16), properties: &[(&str, &str)]) -> Result<Self, Unavailable> {
        let id = id.to_string();
        let own = [("node.id", id.as_str()), ("controller.quorum.voters", voters)];
        let properties = [&REPLICATED[..], properties, &own].concat();
        let broker = Broker::format(&Setup { properties: &properties, ports, heap_mb_max: 256, ..Setup::new() })?;
        Ok(Self { broker, answers: true })
    }
}
