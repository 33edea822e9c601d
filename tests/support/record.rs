//! What lies in a topic, byte for byte, read by a client that is not ours.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::needs::or_skip;
use super::python::consumer;

/// One record.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) key: String,
    /// UNIX time in milliseconds; by the broker's clock, where the topic says so.
    pub(crate) timestamp: i64,
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(rename = "value_hex", deserialize_with = "from_hex")]
    pub(crate) value: Vec<u8>,
}

impl Record {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

fn from_hex<'de, D: serde::Deserializer<'de>>(text: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(text)?;
    let nibble = |digit: u8| char::from(digit).to_digit(16).unwrap_or_default() as u8;
    Ok(text.as_bytes().chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect())
}

/// Everything in the topic, each partition in its order; `None` where there is no Python to read it with.
pub(crate) fn read(bootstrap: &str, topic: &str) -> Option<Vec<Record>> {
    let mut reader = or_skip(consumer("read_topic.py"))?;
    let out = reader.args([bootstrap, topic, "--hex"]).output().expect("python runs");
    assert!(out.status.success(), "{topic}: {}", String::from_utf8_lossy(&out.stderr));
    let lines = String::from_utf8(out.stdout).expect("JSON lines are UTF-8");
    Some(lines.lines().map(|line| serde_json::from_str(line).expect("a record")).collect())
}
