//! `[kafka.properties]`: what the operator may tell librdkafka. Several of its properties have two names, and all of those
//! of a topic may begin with `topic.`; what is said here of a property holds for it in every spelling.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::secrets::{given_secret, readable, secret_file};
use super::{Kafka, Problem};

/// The other names of librdkafka 2.12.1, and the name that each stands for. A test compares this with its own table.
const ALIASES: &[(&str, &str)] = &[
    ("acks", "request.required.acks"),
    ("bootstrap.servers", "metadata.broker.list"),
    ("compression.type", "compression.codec"),
    ("delivery.timeout.ms", "message.timeout.ms"),
    ("linger.ms", "queue.buffering.max.ms"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("max.partition.fetch.bytes", "fetch.message.max.bytes"),
    ("retries", "message.send.max.retries"),
    ("sasl.mechanism", "sasl.mechanisms"),
    ("sasl.oauthbearer.client.credentials.client.id", "sasl.oauthbearer.client.id"),
    ("sasl.oauthbearer.client.credentials.client.secret", "sasl.oauthbearer.client.secret"),
];

/// Properties the promise rests on, and why each is not to be set.
const REFUSED: &[(&str, &str)] = &[
    (
        "request.required.acks",
        "an acknowledgement counts only when every in-sync replica has the record; it is always \"all\"",
    ),
    ("enable.idempotence", "without it a retry may repeat or overtake; it is always on"),
    ("message.timeout.ms", "a record in hand waits for Kafka as long as it takes; giving up would lose it"),
    (
        "message.send.max.retries",
        "a record in hand is sent until Kafka has it, so that the broker recognises what it has already",
    ),
    ("partitioner", "Java, Go and Python consumers that join by key rely on murmur2_random"),
    ("transactional.id", "the bridge deletes on the broker's acknowledgement and uses no transactions"),
    ("delivery.report.only.error", "the bridge deletes on the broker's acknowledgement, so it has to hear of it"),
    ("plugin.library.paths", "foreign code in the producer could answer for the broker"),
    ("metadata.broker.list", "set kafka.brokers instead"),
];

/// Properties that name a file which librdkafka reads, and whether it may be a directory of such files. It would wait for
/// the other end of a pipe without an end.
const FILES: &[(&str, bool)] = &[
    ("sasl.kerberos.keytab", false),
    ("ssl.ca.location", true),
    ("ssl.certificate.location", false),
    ("ssl.crl.location", false),
    ("ssl.key.location", false),
    ("ssl.keystore.location", false),
];

/// The one name of a property, whichever of its spellings this is.
#[must_use]
pub fn canonical(name: &str) -> &str {
    // librdkafka takes this off once, from names that it does not know with it.
    let name = name.strip_prefix("topic.").unwrap_or(name);
    ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, canonical)| canonical)
}

impl Kafka {
    /// The properties of a client, each of them once: of several spellings the last one counts, and the operator's come
    /// behind those in `before`.
    #[must_use]
    pub fn client_properties(&self, before: &[(&str, &str)], behind: &[(&str, &str)]) -> BTreeMap<String, String> {
        let operators = self.properties.iter().map(|(name, value)| (name.as_str(), value.expose_secret()));
        let all = before.iter().copied().chain(operators).chain(behind.iter().copied());
        let each_once: BTreeMap<&str, (&str, &str)> =
            all.map(|(name, value)| (canonical(name), (name, value))).collect();
        each_once.into_values().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

/// Where a property was given.
enum Given {
    Here(SecretString),
    InFile(PathBuf),
}

/// No property of the promise is among them, and none of them is there twice.
pub(super) fn properties(
    given: BTreeMap<String, SecretString>,
    files: BTreeMap<String, PathBuf>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, SecretString> {
    let here = given.into_iter().map(|(name, value)| (format!("kafka.properties.{name}"), name, Given::Here(value)));
    let in_files =
        files.into_iter().map(|(name, path)| (format!("kafka.property_files.{name}"), name, Given::InFile(path)));
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut properties = BTreeMap::new();
    for (key, name, given) in here.chain(in_files) {
        if let Some(why) = why_refused(&name) {
            problems.push(Problem::new(key, format!("cannot be set: {why}")));
            continue;
        }
        match seen.entry(canonical(&name).to_owned()) {
            Entry::Occupied(other) => {
                let message =
                    format!("is the same property as {} (or its environment variable): keep one", other.get());
                problems.push(Problem::new(key, message));
                continue;
            }
            Entry::Vacant(vacant) => drop(vacant.insert(key.clone())),
        }
        let value = match given {
            // To librdkafka, no text is the property's default.
            Given::Here(value) if value.expose_secret().is_empty() => Some(value),
            Given::Here(value) => given_secret(&key, &value, problems),
            Given::InFile(path) => secret_file(&key, &path, problems),
        };
        if let (Some(value), Some((_, may_be_folder))) = (&value, FILES.iter().find(|(file, _)| *file == name)) {
            let path = Path::new(value.expose_secret());
            if let Err(fault) = readable(path, *may_be_folder) {
                problems.push(Problem::new(key, format!("{} {fault}", path.display())));
            }
        }
        properties.extend(value.map(|value| (name, value)));
    }
    properties
}

fn why_refused(name: &str) -> Option<&'static str> {
    let name = canonical(name);
    let mock = name.starts_with("test.mock.").then_some("it acknowledges records that no broker has");
    REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, why)| *why).or(mock)
}

#[cfg(test)]
mod tests;
