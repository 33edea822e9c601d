//! Was the promise kept? Compares what the simulated ChatApp published with what a consumer read. Pure, and it shares
//! nothing with the bridge: items are identified by the number that the generator gave each, not by the bridge's ids.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use chatbridge_lab::chatapp::{ItemIds, JournalEntry, JournalEvent, PublicationId};

/// Compares what was published with what appeared. An item is one entry of a body's `data`, and becomes one record.
#[derive(Debug, Default)]
pub(super) struct Judge {
    read_to: u64,
    publications: u64,
    items: BTreeMap<u64, Item>,
    /// The last content of each message, and the first item of the run that has it. Of identical items in a row,
    /// consumers get one.
    last_said: HashMap<String, (Value, u64)>,
    copies: HashMap<u64, u64>,
    /// The item that reports a message's end, by channel, chat and message: a fetched message brings its own.
    ends: HashMap<[String; 3], u64>,
    /// Items that are not in Kafka.
    missing: BTreeSet<u64>,
    gaps: HashMap<String, Vec<Gap>>,
    /// Channels that were cut off, and when.
    cuts: Vec<(String, i64)>,
    /// The item that was pushed last, for each key.
    latest: HashMap<String, u64>,
    seen: Seen,
}

#[derive(Debug)]
struct Item {
    publication: PublicationId,
    name: String,
    channel: String,
    chat: Option<String>,
    id: Option<String>,
    unix_ms: i64,
    is_fetchable: bool,
    /// The events and ids it appeared as: a destroyed message is fetched both as itself and as its end.
    appeared: Vec<(String, String)>,
}

#[derive(Debug)]
struct Gap {
    from_ms: i64,
    to_ms: i64,
    missing: Vec<String>,
}

#[derive(Debug, Default)]
struct Seen {
    fetched: u64,
    gaps: u64,
    repeated: u64,
    repeated_under_another_id: u64,
    out_of_order: u64,
    wrong_key: u64,
    unexpected: u64,
}

/// What a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sighting {
    /// An item as it was pushed, of this publication, for the first time.
    Pushed(PublicationId),
    /// An item that was fetched, for the first time.
    Fetched,
    /// An event that reports a gap.
    Gap,
    /// An item that appeared before.
    Repeat,
    /// Nothing that was published.
    Unexpected,
}

/// The figures. `sent` is the sum of `published`, `told_missing` and `lost`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct Verdict {
    /// Items that ChatApp sent out; messages, statuses and reactions that are equal to the letter and follow one
    /// another count once.
    pub(super) sent: u64,
    /// Of these, in Kafka.
    pub(super) published: u64,
    /// Of these, because they were fetched.
    pub(super) fetched: u64,
    /// Not in Kafka: they cannot be fetched, and a gap says that some may be missing.
    pub(super) told_missing: u64,
    /// Events that tell of a gap.
    pub(super) gaps: u64,
    /// Channels that were cut off without a gap that says so.
    pub(super) untold: u64,
    /// Not in Kafka, and nobody was told.
    pub(super) lost: u64,
    /// Appearances beyond the first.
    pub(super) repeated: u64,
    /// Of these, under another id: no consumer could tell.
    pub(super) repeated_under_another_id: u64,
    /// Items that were pushed and overtook an earlier one of their key.
    pub(super) out_of_order: u64,
    /// Records under another key than their chat.
    pub(super) wrong_key: u64,
    /// Records of what was never published.
    pub(super) unexpected: u64,
}

impl Verdict {
    /// Whether the promise held. Repeats that a consumer can recognise are allowed, and nothing else.
    pub(super) fn promise_held(&self) -> bool {
        let breaches = [self.untold, self.lost, self.repeated_under_another_id, self.out_of_order, self.wrong_key];
        breaches.iter().all(|breach| *breach == 0) && self.unexpected == 0
    }
}

impl Judge {
    /// The number of the last entry of the journal that was read.
    pub(super) fn read_to(&self) -> u64 {
        self.read_to
    }

    /// How many publications were read.
    pub(super) fn publications(&self) -> u64 {
        self.publications
    }

    /// Items that are in Kafka.
    pub(super) fn published(&self) -> u64 {
        (self.items.len() - self.missing.len()) as u64
    }

    /// Items that were fetched.
    pub(super) fn fetched(&self) -> u64 {
        self.seen.fetched
    }

    /// Events that report a gap.
    pub(super) fn gaps(&self) -> u64 {
        self.seen.gaps
    }

    /// Reads the next part of the journal.
    pub(super) fn read(&mut self, journal: &[JournalEntry]) {
        for entry in journal {
            self.read_to = entry.sequence;
            let JournalEvent::Published { publication, channel, name, body, items, fetchable, .. } = &entry.what else {
                continue;
            };
            self.publications += 1;
            for (item, ids) in items_of(body).iter().zip(items) {
                let Some(number) = item["simulated"].as_u64() else { continue };
                if let Some(subject) = subject(channel, name, item, ids) {
                    let said = Value::from(vec![Value::from(name.as_str()), likeness(item)]);
                    match self.last_said.get(&subject) {
                        Some((last, first)) if *last == said => {
                            self.copies.insert(number, *first);
                            continue;
                        }
                        _ => drop(self.last_said.insert(subject, (said, number))),
                    }
                }
                let item = Item {
                    publication: *publication,
                    name: name.clone(),
                    channel: channel.clone(),
                    chat: ids.chat.clone(),
                    id: ids.id.clone(),
                    unix_ms: i64::try_from(entry.unix_ms).unwrap_or(i64::MAX),
                    is_fetchable: *fetchable,
                    appeared: Vec::new(),
                };
                if name == "messageDestroy"
                    && let Some(place) = item.place()
                {
                    self.ends.insert(place, number);
                }
                self.items.insert(number, item);
                self.missing.insert(number);
            }
        }
    }

    /// All of these channels were cut off at this time.
    pub(super) fn cut(&mut self, channels: &[String], at: Timestamp) {
        self.cuts.extend(channels.iter().map(|channel| (channel.clone(), at.as_millisecond())));
    }

    /// A record was read. Call in the order of its partition, and after [`Self::read`].
    pub(super) fn appeared(&mut self, key: &str, value: &[u8]) -> Sighting {
        let value: Value = serde_json::from_slice(value).unwrap_or_default();
        if value["kind"] == "gap" {
            return self.gap(&value["gap"]);
        }
        let raw = &value["raw"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (event, id) = (word(&raw["meta"]["type"]), word(&value["id"]));
        let is_fetched = raw["meta"]["fetched"] == true;
        let place = raw["data"][0]["simulated"].as_u64();
        let known = place.map(|place| self.meant(place, &event));
        let (Some(place), Some((number, item))) =
            (place, known.and_then(|number| Some((number, self.items.get_mut(&number)?))))
        else {
            self.seen.unexpected += 1;
            return Sighting::Unexpected;
        };
        self.seen.wrong_key += u64::from(item.chat.as_ref().is_some_and(|chat| chat != key));
        if let Some((_, first)) = item.appeared.iter().find(|(known, _)| *known == event) {
            self.seen.repeated += 1;
            // If a message was fetched later than its end came, the end is published again after it, as the message's
            // last form.
            let is_told_again = is_fetched && event == "messageDestroy";
            self.seen.repeated_under_another_id += u64::from(*first != id && !is_told_again);
            return Sighting::Repeat;
        }
        item.appeared.push((event, id));
        let is_first = self.missing.remove(&number);
        if is_fetched {
            self.seen.fetched += u64::from(is_first);
            return Sighting::Fetched;
        }
        // Fetched items come later than they were said, as intended.
        let latest = self.latest.entry(key.to_owned()).or_insert(place);
        self.seen.out_of_order += u64::from(place < *latest);
        *latest = place.max(*latest);
        Sighting::Pushed(item.publication)
    }

    /// The item that a record of this event with this number stands for.
    fn meant(&self, number: u64, event: &str) -> u64 {
        let number = self.copies.get(&number).copied().unwrap_or(number);
        let end = || self.ends.get(&self.items.get(&number)?.place()?).copied();
        if event == "messageDestroy" { end().unwrap_or(number) } else { number }
    }

    fn gap(&mut self, gap: &Value) -> Sighting {
        self.seen.gaps += 1;
        let ms = |name: &str| gap[name].as_str()?.parse::<Timestamp>().ok().map(Timestamp::as_millisecond);
        let missing = gap["missing"].as_array().into_iter().flatten();
        let missing = missing.filter_map(Value::as_str).map(str::to_owned).collect();
        if let (Some(channel), Some(from_ms), Some(to_ms)) = (gap["channel"].as_str(), ms("from"), ms("to")) {
            self.gaps.entry(channel.to_owned()).or_default().push(Gap { from_ms, to_ms, missing });
        }
        Sighting::Gap
    }

    pub(super) fn verdict(&self) -> Verdict {
        let told_missing = self.missing.iter().filter(|number| self.is_told(&self.items[number])).count() as u64;
        let is_untold = |(channel, ms): &&(String, i64)| !self.gaps_at(channel, *ms).any(|_| true);
        let Seen { fetched, gaps, repeated, repeated_under_another_id, out_of_order, wrong_key, unexpected } =
            self.seen;
        Verdict {
            sent: self.items.len() as u64,
            published: self.published(),
            fetched,
            told_missing,
            gaps,
            untold: self.cuts.iter().filter(is_untold).count() as u64,
            lost: self.missing.len() as u64 - told_missing,
            repeated,
            repeated_under_another_id,
            out_of_order,
            wrong_key,
            unexpected,
        }
    }

    /// Whether every missing item was reported.
    pub(super) fn is_settled(&self) -> bool {
        let Verdict { lost, untold, .. } = self.verdict();
        (lost, untold) == (0, 0)
    }

    /// The lost items, to find the reason: each event's name and its channel.
    pub(super) fn lost(&self) -> Vec<String> {
        let lost = self.missing.iter().map(|number| &self.items[number]).filter(|item| !self.is_told(item));
        lost.map(|item| format!("{} of {}", item.name, item.channel)).collect()
    }

    /// Whether a gap says that the item may be missing.
    fn is_told(&self, item: &Item) -> bool {
        let kind = kind_lost(&item.name);
        let names = |gap: &Gap| kind.is_none_or(|kind| gap.missing.iter().any(|missing| missing == kind));
        !item.is_fetchable && self.gaps_at(&item.channel, item.unix_ms).any(names)
    }

    fn gaps_at(&self, channel: &str, ms: i64) -> impl Iterator<Item = &Gap> {
        self.gaps.get(channel).into_iter().flatten().filter(move |gap| (gap.from_ms..=gap.to_ms).contains(&ms))
    }
}

/// The kind that a gap has to name for an event of this name. `None` means that any gap will do: reactions and
/// deletions can never be fetched, and consumers know that.
fn kind_lost(name: &str) -> Option<&'static str> {
    match name {
        "messageStatus" => Some("message_status"),
        "quickResponse" | "quickResponseList" => Some("quick_response"),
        _ if name.starts_with("chat") => Some("chat_update"),
        _ if name.starts_with("employee") => Some("employee"),
        _ => None,
    }
}

impl Item {
    /// Channel, chat and message.
    fn place(&self) -> Option<[String; 3]> {
        Some([self.channel.clone(), self.chat.clone()?, self.id.clone()?])
    }
}

/// The items of a body.
fn items_of(body: &str) -> Vec<Value> {
    let mut body: Value = serde_json::from_str(body).unwrap_or_default();
    let inner = if body["payload"].is_object() { &mut body["payload"] } else { &mut body };
    match inner["data"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// What an item is about: a message, the status of one, or somebody's reaction to one.
fn subject(channel: &str, name: &str, item: &Value, ids: &ItemIds) -> Option<String> {
    let (chat, id) = (ids.chat.as_ref()?, ids.id.as_ref()?);
    match name {
        "message" | "messageDestroy" => Some(format!("{channel} {chat} {id}")),
        "messageStatus" => Some(format!("{channel} {chat} {id} status")),
        "messageReaction" => Some(format!("{channel} {chat} {id} reaction {}", item["fromUser"]["id"])),
        _ => None,
    }
}

/// An item's content: without its number, and with numbers as texts, because ChatApp writes them either way.
fn likeness(item: &Value) -> Value {
    match item {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Array(items) => items.iter().map(likeness).collect(),
        Value::Object(members) => {
            let members = members.iter().filter(|(name, _)| *name != "simulated");
            members.map(|(name, value)| (name.clone(), likeness(value))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
