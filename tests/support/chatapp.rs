//! What became of everything that a simulated ChatApp published, by its journal and by what is in the topics.
//!
//! Items are told apart by the number that `Generator::with_unique_items` gives them, so the bridge's own ids prove
//! nothing here.

use std::collections::{BTreeMap, HashMap, HashSet};

use chatbridge_lab::chatapp::{JournalEntry, JournalEvent};
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
    /// Of these, messages.
    pub(crate) messages: usize,
    /// In Kafka.
    pub(crate) delivered: usize,
    /// Of these, such whose first record was pushed, …
    pub(crate) pushed: usize,
    /// … and such whose first record was fetched.
    pub(crate) fetched: usize,
    /// Not in Kafka, cannot be fetched, and a gap of their channel covers their time and names their kind.
    pub(crate) in_gaps: usize,
    /// Not in Kafka, and nobody was told.
    pub(crate) lost: Vec<String>,
    /// Records beyond the first of each item.
    pub(crate) repeated: usize,
    /// Repeats under another id: consumers could not tell.
    pub(crate) repeated_under_another_id: usize,
    /// First records that were pushed: those behind one of the same key that was published later.
    pub(crate) out_of_order: usize,
    /// Records whose key is not the chat that the item names.
    pub(crate) wrong_key: usize,
    /// Events of kind `gap`.
    pub(crate) gaps: usize,
}

struct Item {
    channel: String,
    unix_ms: i64,
    fetchable: bool,
    name: String,
    chat: Option<String>,
    id: Option<String>,
    /// Without the number.
    words: Value,
}

impl Item {
    /// What it is a form of: a message, the status of one, somebody's reaction to one. `None`: it is told from its like
    /// by nothing but that it happened.
    fn subject(&self) -> Option<[String; 5]> {
        let of = match self.name.as_str() {
            "message" | "messageDestroy" => "message",
            name @ ("messageStatus" | "messageReaction") => name,
            _ => return None,
        };
        let author = if of == "messageReaction" { self.words["fromUser"]["id"].to_string() } else { String::new() };
        Some([self.channel.clone(), of.to_owned(), self.chat.clone()?, self.id.clone()?, author])
    }

    /// Nobody can tell one from the other, if nothing else is said between them.
    fn says_what(&self, other: &Self) -> bool {
        self.name == other.name && self.words == other.words
    }

    /// The message that it is, or is about.
    fn message(&self) -> (&str, Option<&str>, Option<&str>) {
        (&self.channel, self.chat.as_deref(), self.id.as_deref())
    }
}

/// What a gap says.
struct GapTold<'r> {
    from_ms: i64,
    to_ms: i64,
    missing: Vec<&'r str>,
}

/// Every item that the journal says was published, by the number that no other has.
fn items(journal: &[JournalEntry]) -> BTreeMap<i64, Item> {
    let mut items = BTreeMap::new();
    for entry in journal {
        let JournalEvent::Published { channel, name, body, items: ids, fetchable, .. } = &entry.what else { continue };
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let body = body.get("payload").unwrap_or(&body);
        for (item, ids) in body["data"].as_array().into_iter().flatten().zip(ids) {
            // What has no number is not the generator's: whoever made it knows it by other means.
            let Some(number) = item["simulated"].as_i64() else { continue };
            let mut words = item.clone();
            words["simulated"].take();
            let item = Item {
                channel: channel.clone(),
                unix_ms: entry.unix_ms as i64,
                fetchable: *fetchable,
                name: name.clone(),
                chat: ids.chat.clone(),
                id: ids.id.clone(),
                words,
            };
            assert!(items.insert(number, item).is_none(), "{number} is no other's");
        }
    }
    items
}

/// What a gap has to name; `None` where none needs to: reactions and deletions are told by every gap (docs of `gap`).
fn kind(event: &str) -> Option<&'static str> {
    match event {
        "message" => Some("message"),
        "messageReaction" | "messageDestroy" => None,
        "messageStatus" => Some("message_status"),
        "employeeStatus" | "employeeWorkday" => Some("employee"),
        "quickResponseList" | "quickResponse" => Some("quick_response"),
        _ => Some("chat_update"),
    }
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
    let items = items(journal);
    let mut judgement = Judgement { published: items.len(), ..Judgement::default() };
    // Of each item and event: one that was destroyed is fetched as a message and as its end.
    let mut ids: HashMap<(i64, &str), HashSet<&str>> = HashMap::new();
    // Messages of which it was told that they are deleted, be it by fetching them: then the push of it is a repeat.
    let mut deleted = HashSet::new();
    let mut last_pushed: HashMap<&str, i64> = HashMap::new();
    let mut gaps: BTreeMap<&str, Vec<GapTold<'_>>> = BTreeMap::new();
    for Told { key, value } in records {
        if value["kind"] == "gap" {
            let gap = &value["gap"];
            let channel = gap["channel"].as_str().expect("a channel");
            let missing = gap["missing"].as_array().expect("kinds").iter().filter_map(Value::as_str).collect();
            let (from_ms, to_ms) = (millisecond(&gap["from"]), millisecond(&gap["to"]));
            gaps.entry(channel).or_default().push(GapTold { from_ms, to_ms, missing });
            judgement.gaps += 1;
            continue;
        }
        let Some((number, item)) = number(value).and_then(|number| Some((number, items.get(&number)?))) else {
            continue;
        };
        let event = value["raw"]["meta"]["type"].as_str().unwrap_or_default();
        let id = value["id"].as_str().expect("an id");
        if event == "messageDestroy" {
            deleted.insert(item.message());
        }
        judgement.wrong_key += usize::from(item.chat.as_ref().is_some_and(|chat| chat != key));
        let seen = ids.entry((number, event)).or_default();
        if !seen.is_empty() {
            judgement.repeated += 1;
            judgement.repeated_under_another_id += usize::from(seen.insert(id));
            continue;
        }
        seen.insert(id);
        if value["raw"]["meta"]["fetched"] == true {
            judgement.fetched += usize::from(item.name == event);
            continue;
        }
        judgement.pushed += usize::from(item.name == event);
        let last = last_pushed.entry(key).or_insert(number);
        judgement.out_of_order += usize::from(number < *last);
        *last = number.max(*last);
    }
    let is_there = |number: &i64, item: &Item| {
        let is_told = item.name == "messageDestroy" && deleted.contains(&item.message());
        is_told || ids.contains_key(&(*number, item.name.as_str()))
    };
    let mut forms: HashMap<[String; 5], Vec<(i64, &Item)>> = HashMap::new();
    for (number, item) in &items {
        if let Some(subject) = item.subject() {
            forms.entry(subject).or_default().push((*number, item));
        }
    }
    for (number, item) in &items {
        judgement.messages += usize::from(item.name == "message");
        let told = || {
            let is_named = |gap: &GapTold<'_>| kind(&item.name).is_none_or(|kind| gap.missing.contains(&kind));
            let covers = |gap: &GapTold<'_>| (gap.from_ms..=gap.to_ms).contains(&item.unix_ms) && is_named(gap);
            gaps.get(item.channel.as_str()).is_some_and(|gaps| gaps.iter().any(covers))
        };
        // Of several that say the same one after the other, consumers get one.
        let is_told_by_neighbour = || {
            let runs =
                item.subject().map(|subject| forms[&subject].chunk_by(|(_, one), (_, next)| one.says_what(next)));
            let run = runs.and_then(|mut runs| runs.find(|run| run.iter().any(|(other, _)| other == number)));
            run.is_some_and(|run| run.iter().any(|(number, item)| is_there(number, item)))
        };
        if is_there(number, item) || is_told_by_neighbour() {
            judgement.delivered += 1;
        } else if !item.fetchable && told() {
            judgement.in_gaps += 1;
        } else {
            judgement.lost.push(format!("{} of {} at {}", item.name, item.channel, item.unix_ms));
        }
    }
    judgement
}
