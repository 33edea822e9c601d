//! `[kafka.properties]`: what the operator may tell librdkafka. Several of its properties have two names, and all of
//! those of a topic may begin with `topic.`; what is said here of a property holds for it in every spelling.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use crate::config::problem::Checks;
use crate::config::secrets::{Given, readable, secret_file};

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

/// Properties that name a file which librdkafka reads, and whether it may be a directory of such files. It would wait
/// for the other end of a pipe without an end.
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

/// Where a property was given.
enum Source {
    Here(Given),
    InFile(PathBuf),
}

/// No property of the promise is among them, and none of them is there twice.
pub(super) fn properties(
    given: BTreeMap<String, Given>,
    files: BTreeMap<String, PathBuf>,
    checks: &mut Checks<'_>,
) -> BTreeMap<String, SecretString> {
    let here = given.into_iter().map(|(name, value)| (format!("properties.{name}"), name, Source::Here(value)));
    let in_files = files.into_iter().map(|(name, path)| (format!("property_files.{name}"), name, Source::InFile(path)));
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut properties = BTreeMap::new();
    for (key, name, source) in here.chain(in_files) {
        if let Some(why) = why_refused(&name) {
            checks.complain(key, format!("cannot be set: {why}"));
            continue;
        }
        match seen.entry(canonical(&name).to_owned()) {
            Entry::Occupied(other) => {
                let other = format!("{} (or its environment variable)", checks.path(other.get()));
                checks.complain(key, format!("is the same property as {other}: keep one"));
                continue;
            }
            Entry::Vacant(vacant) => drop(vacant.insert(key.clone())),
        }
        let value = match source {
            // To librdkafka, no text is the property's default.
            Source::Here(Given(value)) if value.expose_secret().is_empty() => Some(value),
            Source::Here(value) => value.read(&key, checks),
            Source::InFile(path) => secret_file(&key, &path, checks),
        };
        if let (Some(value), Some((_, may_be_folder))) = (&value, FILES.iter().find(|(file, _)| *file == name)) {
            let path = Path::new(value.expose_secret());
            if let Err(fault) = readable(path, *may_be_folder) {
                checks.complain(key, format!("{} {fault}", path.display()));
            }
        }
        properties.extend(value.map(|value| (name, value)));
    }
    properties
}

/// Whether the value of this property is a secret: passwords, keys, what logs in at an OAuth server. The others are
/// words such as `SASL_SSL`, which a text may well hold.
pub(super) fn is_secret(name: &str) -> bool {
    ["password", "secret", "key.pem", "oauthbearer.config", "assertion"].iter().any(|part| name.contains(part))
}

fn why_refused(name: &str) -> Option<&'static str> {
    let name = canonical(name);
    let mock = name.starts_with("test.mock.").then_some("it acknowledges records that no broker has");
    REFUSED.iter().find(|(refused, _)| *refused == name).map(|(_, why)| *why).or(mock)
}

#[cfg(test)]
mod tests;
