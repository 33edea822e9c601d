//! What became of everything that a simulated ChatApp published, by its journal and by what is in the topics.
//!
//! Items are told apart by the number that `Generator::with_unique_items` gives them, so the bridge's own ids prove
//! nothing here.

use std::collections::{BTreeMap, HashMap, HashSet};

use chatbridge::chatapp_simulator::{JournalEntry, JournalEvent};
use serde_json::Value;

/// A record: its key and its value, in the order of its partition.
pub(crate) struct Told {
    pub(crate) key: String,
    pub(crate) value: Value,
}

/// The judge's words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Items that were published.
    pub(crate) published: usize,
    /// Of these, in Kafka.
    pub(crate) delivered: usize,
    /// Not in Kafka, cannot be fetched, and a gap of their channel covers their time.
    pub(crate) in_gaps: usize,
    /// Not in Kafka, and nobody was told.
    pub(crate) lost: Vec<String>,
    /// Records beyond the first of each item.
    pub(crate) repeated: usize,
    /// Repeats under another id: consumers could not tell.
    pub(crate) repeated_under_another_id: usize,
    /// Of these, pushed: pairs of one key in another order than they were published.
    pub(crate) out_of_order: usize,
    /// Events of kind `gap`.
    pub(crate) gaps: usize,
    /// Items that came by fetching.
    pub(crate) fetched: usize,
}

struct Item {
    number: i64,
    channel: String,
    unix_ms: i64,
    fetchable: bool,
    name: String,
}

/// Every item that the journal says was published.
fn items(journal: &[JournalEntry]) -> Vec<Item> {
    let mut items = Vec::new();
    for entry in journal {
        let JournalEvent::Published { channel, name, body, fetchable, .. } = &entry.what else { continue };
        let body: Value = serde_json::from_str(body).expect("the generator writes JSON");
        let body = body.get("payload").unwrap_or(&body);
        for item in body["data"].as_array().expect("items") {
            items.push(Item {
                number: item["simulated"].as_i64().expect("a number that no other has"),
                channel: channel.clone(),
                unix_ms: entry.unix_ms as i64,
                fetchable: *fetchable,
                name: name.clone(),
            });
        }
    }
    items
}

/// The numbers of the items that are in Kafka.
pub(crate) fn numbers(records: &[Told]) -> HashSet<i64> {
    records.iter().filter_map(|told| number(&told.value)).collect()
}

/// How many items were published.
pub(crate) fn published(journal: &[JournalEntry]) -> usize {
    items(journal).len()
}

fn number(value: &Value) -> Option<i64> {
    value["raw"]["data"][0]["simulated"].as_i64()
}

fn millisecond(value: &Value) -> i64 {
    value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok()).expect("a time").as_millisecond()
}

pub(crate) fn judge(journal: &[JournalEntry], records: &[Told]) -> Judgement {
    let mut judgement = Judgement::default();
    // Of each item and event: one that was destroyed is fetched as a message and as its end.
    let mut ids: HashMap<(i64, &str), HashSet<&str>> = HashMap::new();
    let mut last_pushed: HashMap<&str, i64> = HashMap::new();
    let mut gaps: BTreeMap<&str, Vec<(i64, i64)>> = BTreeMap::new();
    for Told { key, value } in records {
        if value["kind"] == "gap" {
            let gap = &value["gap"];
            let channel = gap["channel"].as_str().expect("a channel");
            gaps.entry(channel).or_default().push((millisecond(&gap["from"]), millisecond(&gap["to"])));
            judgement.gaps += 1;
            continue;
        }
        let Some(number) = number(value) else { continue };
        let is_fetched = value["raw"]["meta"]["fetched"] == true;
        judgement.fetched += usize::from(is_fetched);
        let id = value["id"].as_str().expect("an id");
        let event = value["raw"]["meta"]["type"].as_str().unwrap_or_default();
        let seen = ids.entry((number, event)).or_default();
        if !seen.is_empty() {
            judgement.repeated += 1;
            judgement.repeated_under_another_id += usize::from(seen.insert(id));
            continue;
        }
        seen.insert(id);
        if !is_fetched {
            let last = last_pushed.entry(key).or_insert(number);
            judgement.out_of_order += usize::from(number < *last);
            *last = number.max(*last);
        }
    }
    let delivered = numbers(records);
    for item in items(journal) {
        judgement.published += 1;
        let covered = || {
            let gaps = gaps.get(item.channel.as_str()).map_or(&[][..], Vec::as_slice);
            gaps.iter().any(|(from, to)| (*from..=*to).contains(&item.unix_ms))
        };
        if delivered.contains(&item.number) {
            judgement.delivered += 1;
        } else if !item.fetchable && covered() {
            judgement.in_gaps += 1;
        } else {
            judgement.lost.push(format!("{} of {} at {}", item.name, item.channel, item.unix_ms));
        }
    }
    judgement
}
