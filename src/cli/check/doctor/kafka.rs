//! Asks the brokers only. Nothing is produced, created or changed.
//!
//! There are three clients, because each can ask something else: a producer like the bridge's own, which has to get a
//! producer id; a consumer, which creates no topics by asking; and an admin client, which reads properties.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::{FutureProducer, Producer};
use rdkafka::statistics::Statistics;
use tokio::time::{Instant, sleep};
use tracing::debug;

use super::topic::{self, Partition, TopicFacts, TopicState};
use super::{Finding, Verdict};
use crate::config::Config;
use crate::core::publish::kafka::{client_config, fix as known_fix, plain};

/// A broker that takes longer counts as unreachable.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A name may have several addresses, and the first may not work. So "all brokers are down" may be over at once.
const ALL_DOWN_FOR: Duration = Duration::from_secs(2);
/// The time between two looks at the errors.
const POLL: Duration = Duration::from_millis(100);
const SUBJECT: &str = "kafka";

/// The errors that librdkafka reported meanwhile.
#[derive(Clone, Default)]
struct Ears {
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    /// The first reason of each kind, which says most.
    reasons: Vec<(Option<Code>, String)>,
    has_producer_id: bool,
}

impl Ears {
    fn with<T>(&self, look: impl FnOnce(&mut Heard) -> T) -> T {
        look(&mut self.heard.lock())
    }

    /// The first reason with one of these codes, or with one of these words in it.
    fn reason(&self, codes: &[Code], words: &[&str]) -> Option<String> {
        self.with(|heard| {
            let fits = |(code, reason): &&(Option<Code>, String)| {
                code.is_some_and(|code| codes.contains(&code)) || words.iter().any(|word| reason.contains(word))
            };
            heard.reasons.iter().find(fits).map(|(_, reason)| reason.clone())
        })
    }
}

impl ClientContext for Ears {
    fn error(&self, error: KafkaError, reason: &str) {
        self.with(|heard| {
            let code = error.rdkafka_error_code();
            if heard.reasons.iter().all(|(have, _)| *have != code) {
                heard.reasons.push((code, reason.to_owned()));
            }
        });
    }

    fn stats(&self, statistics: Statistics) {
        let assigned = statistics.eos.is_some_and(|eos| eos.idemp_state == "Assigned");
        self.with(|heard| heard.has_producer_id |= assigned);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        debug!(?level, facility, message, "librdkafka");
    }
}

/// Findings about brokers and topics.
pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    match brokers(config).await {
        Ok(producing) => findings.extend([Finding::well(SUBJECT, "the brokers answer"), producing]),
        Err(trouble) => return vec![trouble],
    }
    let facts = match topics(config).await {
        Ok(facts) => facts,
        Err(error) => {
            let fix = "look at kafka.properties and at the brokers' logs";
            let found = format!("no word about topics: {}", plain(&error, ""));
            findings.push(Finding::new(Verdict::Broken, SUBJECT, found, fix));
            return findings;
        }
    };
    let events_bytes_max = facts.iter().filter(|facts| !facts.is_for_dead_letters).filter_map(topic::bytes_max).max();
    let create = config.kafka.create_topics.as_ref();
    findings.extend(facts.iter().flat_map(|facts| topic::judge(facts, create, events_bytes_max)));
    findings
}

/// Do they answer, and may this user be an idempotent producer?
async fn brokers(config: &Config) -> Result<Finding, Finding> {
    let ears = Ears::default();
    let mut properties = client_config(&config.kafka);
    properties.set("statistics.interval.ms", "200");
    let broken = |verdict, found: String, fix: &str| Finding::new(verdict, SUBJECT, found, fix);
    let producer: FutureProducer<Ears> = properties
        .create_with_context(ears.clone())
        .map_err(|error| broken(Verdict::Misconfigured, plain(&error, ""), "mend kafka.properties"))?;
    let began = Instant::now();
    loop {
        let asking = producer.clone();
        let answered = tokio::task::spawn_blocking(move || asking.client().fetch_cluster_id(POLL).is_some()).await;
        if answered.unwrap_or(false) {
            break;
        }
        let all_down = began.elapsed() > ALL_DOWN_FOR && ears.reason(&[Code::AllBrokersDown], &[]).is_some();
        if all_down || began.elapsed() > TIMEOUT {
            return Err(away(&ears));
        }
    }
    loop {
        if ears.with(|heard| heard.has_producer_id) {
            let found = "this user may produce idempotently; whether also to each topic is not checked: only a write \
                         would tell";
            let fix = "where there are ACLs, grant Write and Describe on every topic";
            return Ok(Finding::new(Verdict::NotChecked, SUBJECT, found, fix));
        }
        if let Some((_, reason)) = producer.client().fatal_error() {
            let fix = "grant Write on the topics to this user (before Kafka 2.8 also IdempotentWrite on the cluster)";
            return Err(broken(Verdict::Broken, format!("this user may not produce: {reason}"), fix));
        }
        if began.elapsed() > TIMEOUT {
            let heard = ears.with(|heard| heard.reasons.last().map(|(_, reason)| format!(": {reason}")));
            let found = format!("no producer id was given{}", heard.unwrap_or_default());
            return Ok(broken(Verdict::Broken, found, "look at the brokers' logs and at this user's right to write"));
        }
        sleep(POLL).await;
    }
}

/// The reason that says most, and where to fix it.
fn away(ears: &Ears) -> Finding {
    let classes = [
        (
            &[Code::SaslAuthenticationFailed, Code::Authentication][..],
            &["SASL"][..],
            Verdict::Misconfigured,
            "the brokers refuse the login",
            "mend security.protocol, sasl.mechanism, sasl.username and sasl.password in kafka.properties",
        ),
        (
            &[Code::SSL],
            // librdkafka only reports a lost connection if the other side hangs up because of a wrong protocol.
            &["SSL handshake", "security.protocol"],
            Verdict::Misconfigured,
            "TLS fails",
            "mend security.protocol (does it fit this listener?), ssl.ca.location (the authority that signed the \
             brokers' certificates) and the names in kafka.brokers",
        ),
        (&[Code::Resolve], &[], Verdict::Misconfigured, "a broker's name is unknown", "mend kafka.brokers"),
        (
            &[Code::BrokerTransportFailure, Code::AllBrokersDown],
            &[],
            Verdict::Broken,
            "no broker answers",
            "are the brokers up, is this the right port, and does security.protocol fit its listener?",
        ),
    ];
    for (codes, words, verdict, what, fix) in classes {
        if let Some(reason) = ears.reason(codes, words) {
            let fix = known_fix(&reason).unwrap_or(fix);
            return Finding::new(verdict, SUBJECT, format!("{what}: {reason}"), fix);
        }
    }
    let fix = "are the brokers of kafka.brokers up and reachable from here?";
    Finding::new(Verdict::Broken, SUBJECT, "no broker answers", fix)
}

async fn topics(config: &Config) -> Result<Vec<TopicFacts>, KafkaError> {
    let names = config.topics();
    let mut properties = client_config(&config.kafka);
    if !config.kafka.properties.contains_key("socket.timeout.ms") {
        properties.set("socket.timeout.ms", TIMEOUT.as_millis().to_string());
    }
    let admin: AdminClient<DefaultClientContext> = properties.create()?;
    // A producer that asks for a topic may create it.
    for producers_own in ["acks", "enable.idempotence", "message.timeout.ms", "partitioner"] {
        properties.remove(producers_own);
    }
    properties.set("allow.auto.create.topics", "false");
    let consumer: BaseConsumer = properties.create()?;
    let asked = names.clone();
    let found = tokio::task::spawn_blocking(move || {
        asked.iter().map(|name| found(&consumer, name)).collect::<Result<Vec<_>, _>>()
    });
    let found = found.await.map_err(|_| KafkaError::Canceled)??;
    let first_missing = found.iter().find(|(_, state)| state.is_none());
    let made_on_first_use = match first_missing.and_then(|(broker, _)| *broker) {
        Some(broker) => describe(&admin, &[ResourceSpecifier::Broker(broker)]).await.is_ok_and(|mut answers| {
            let broker = answers.pop().and_then(Result::ok).unwrap_or_default();
            broker.get("auto.create.topics.enable").is_some_and(|value| value == "true")
        }),
        None => false,
    };
    let there = |(name, (_, state)): (&Arc<str>, &(_, Option<TopicState>))| {
        matches!(state, Some(TopicState::There { .. })).then(|| Arc::clone(name))
    };
    let there: Vec<Arc<str>> = names.iter().zip(&found).filter_map(there).collect();
    let asked: Vec<ResourceSpecifier<'_>> = there.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let mut described = match describe(&admin, &asked).await {
        Ok(answers) => answers,
        Err(why) => vec![Err(why); asked.len()],
    }
    .into_iter();
    let facts = names.iter().zip(found).map(|(name, (_, state))| {
        let state = match state {
            None => TopicState::Missing { made_on_first_use },
            Some(TopicState::There { partitions, .. }) => {
                let properties = described.next().unwrap_or_else(|| Err("no answer".to_owned()));
                TopicState::There { partitions, properties }
            }
            Some(other) => other,
        };
        let is_for_dead_letters = *name == config.kafka.dead_letter_topic;
        TopicFacts { name: name.to_string(), is_for_dead_letters, state }
    });
    Ok(facts.collect())
}

/// The broker, and the state of the topic. `None` if the topic does not exist.
fn found(consumer: &BaseConsumer, name: &str) -> Result<(Option<i32>, Option<TopicState>), KafkaError> {
    let metadata = consumer.fetch_metadata(Some(name), TIMEOUT)?;
    let broker = metadata.brokers().first().map(|broker| broker.id());
    let topic = metadata.topics().iter().find(|found| found.name() == name);
    Ok((broker, topic.and_then(state)))
}

fn state(topic: &MetadataTopic) -> Option<TopicState> {
    match topic.error().map(Code::from) {
        None => {}
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic) => return None,
        Some(Code::TopicAuthorizationFailed) => return Some(TopicState::Hidden),
        Some(other) => return Some(TopicState::Unusable(other.to_string())),
    }
    let partitions = topic.partitions().iter().map(|partition| Partition {
        has_leader: partition.leader() >= 0,
        replicas: partition.replicas().len(),
        in_sync: partition.isr().len(),
    });
    Some(TopicState::There { partitions: partitions.collect(), properties: Err("not asked".to_owned()) })
}

/// Properties of a broker or a topic, or why they cannot be read.
type Described = Result<BTreeMap<String, String>, String>;

/// The properties of each of `what`, in that order.
async fn describe(
    admin: &AdminClient<DefaultClientContext>,
    what: &[ResourceSpecifier<'_>],
) -> Result<Vec<Described>, String> {
    if what.is_empty() {
        return Ok(Vec::new());
    }
    let answers = admin.describe_configs(what, &AdminOptions::new()).await.map_err(|error| error.to_string())?;
    let properties = |answer: Result<ConfigResource, Code>| -> Described {
        let entries = answer.map_err(|code| code.to_string())?.entries;
        Ok(entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))).collect())
    };
    Ok(answers.into_iter().map(properties).collect())
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::config;

    #[tokio::test]
    async fn a_property_that_is_refused_is_told_without_its_value() {
        let file =
            std::env::temp_dir().join(format!("chatbridge-doctor-{}-{:x}.toml", std::process::id(), fastrand::u64(..)));
        std::fs::write(&file, "[[green_api.instances]]\nid = 1101000001\ntoken = \"abc\"\n").expect("writable");
        let mut config = config::load(Some(&file), []).expect("valid");
        drop(std::fs::remove_file(file));
        for name in ["no.such.property", "compression.type"] {
            let refused = (name.to_owned(), SecretString::from("hunter2".to_owned()));
            config.kafka.properties = [refused].into();
            let findings = examine(&config).await;
            assert_eq!(findings.first().map(|finding| finding.verdict), Some(Verdict::Misconfigured), "{findings:?}");
            assert!(!format!("{findings:?}").contains("hunter2"), "{findings:?}");
        }
    }
}
