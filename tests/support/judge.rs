//! Judges a run without trusting the bridge: events are told apart by their bodies, keys and order come from them.

use std::collections::HashMap;
use std::process::Command;

use chatbridge_lab::green_api::{JournalEvent, Simulator};
use chatbridge_lab::oracle::{Oracle, Verdict};
use serde_json::Value;

use super::needs::{Unavailable, or_skip};
use super::python::consumer;

/// What lies in a topic, read by a client that is not ours.
pub(crate) struct Topic {
    pub(crate) records: Vec<Value>,
}

impl Topic {
    /// Everything in the topic, each partition in its order; `None` where there is no Python to read it with.
    pub(crate) fn read(bootstrap: &str, topic: &str) -> Option<Self> {
        let reader: Result<Command, Unavailable> = consumer("read_topic.py");
        let out = or_skip(reader)?.args([bootstrap, topic]).output().expect("python runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let lines = String::from_utf8(out.stdout).expect("JSON lines are UTF-8");
        let records = lines.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
        Some(Self { records })
    }

    /// The partition of each key.
    pub(crate) fn partitions(&self) -> HashMap<String, i64> {
        let mut partitions = HashMap::new();
        for record in &self.records {
            let key = record["key"].as_str().expect("a key").to_owned();
            let partition = record["partition"].as_i64().expect("a number");
            assert_eq!(*partitions.entry(key).or_insert(partition), partition, "a key lies on one partition");
        }
        partitions
    }
}

/// The same for any spelling of the same JSON: serde_json's maps are sorted.
fn identity(body: &Value) -> String {
    body.to_string()
}

/// The key of a body by the rules of the README, in words of its own.
fn key(instance: u64, body: &Value) -> String {
    let chat = [&body["senderData"]["chatId"], &body["chatId"], &body["from"], &body["avatarInfo"]["chatId"]];
    chat.iter().find_map(|id| id.as_str()).map_or_else(|| format!("instance:{instance}"), str::to_owned)
}

/// The verdict on everything the simulator queued, given what lies in the topic.
pub(crate) fn judge(simulator: &Simulator, topic: &Topic) -> Verdict {
    assert_eq!(simulator.journal_left_out(), 0, "an incomplete journal proves nothing");
    let enqueued = simulator.journal().into_iter().filter_map(|entry| match entry.what {
        JournalEvent::Enqueued { body, .. } => {
            Some((entry.instance, String::from_utf8(body.0.to_vec()).expect("text")))
        }
        _ => None,
    });
    judge_bodies(&enqueued.collect::<Vec<_>>(), topic)
}

/// The verdict on these bodies, each with its instance, in the order of the queue.
pub(crate) fn judge_bodies(queued: &[(u64, String)], topic: &Topic) -> Verdict {
    let mut oracle = Oracle::default();
    for (instance, body) in queued {
        let body: Value = serde_json::from_str(body).expect("the generator makes JSON");
        oracle.queued(identity(&body), *instance, key(*instance, &body));
    }
    // Whoever asks for at-least-once has to be able to tell a repeat: one content, one id.
    let mut ids: HashMap<String, String> = HashMap::new();
    for record in &topic.records {
        let raw = identity(&record["value"]["raw"]);
        let id = record["headers"]["ce_id"].as_str().expect("a ce_id").to_owned();
        assert_eq!(ids.entry(raw.clone()).or_insert_with(|| id.clone()), &id, "a repeat carries the same id");
        oracle.appeared(&raw, record["key"].as_str().expect("a key"));
    }
    oracle.verdict()
}
