//! What REST gives back: the chats of each channel and their messages, in pages. A value without a clock.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::channel::Line;

mod page;

pub(super) use page::{Direction, PageRequest, Position};

/// Everything that can be fetched.
pub(super) struct Archive {
    chats_per_line_max: usize,
    messages_per_chat_max: usize,
    lines: HashMap<Line, HashMap<String, Chat>>,
    /// The next `internalId`, of chats and messages alike.
    next_internal: u64,
}

struct Chat {
    internal: u64,
    /// `chat` of its latest message.
    facts: Value,
    last_time: u64,
    messages: BTreeMap<Position, Value>,
    places: HashMap<String, Position>,
}

/// A page and where the next one begins.
pub(super) struct Page {
    pub(super) items: Vec<Value>,
    pub(super) next: Option<String>,
}

impl Archive {
    pub(super) fn new(chats_per_line_max: usize, messages_per_chat_max: usize) -> Self {
        Self { chats_per_line_max, messages_per_chat_max, lines: HashMap::new(), next_internal: 5_000_001 }
    }

    /// Remembers what can be fetched of an event: its messages, or that messages are destroyed. Whether the event as a
    /// whole can be fetched later: only messages can.
    pub(super) fn take(&mut self, line: &Line, event: &str, items: &[Value]) -> bool {
        match event {
            // Each of them, also behind one that found no room.
            "message" => items.iter().fold(!items.is_empty(), |all, item| self.add(line, item) && all),
            "messageDestroy" => {
                items.iter().for_each(|item| self.destroy(line, item));
                false
            }
            _ => false,
        }
    }

    fn add(&mut self, line: &Line, item: &Value) -> bool {
        let (Some(chat_id), Some(id), Some(time)) =
            (text(&item["chat"]["id"]), text(&item["id"]), seconds(&item["time"]))
        else {
            return false;
        };
        let chats = self.lines.entry(line.clone()).or_default();
        if !chats.contains_key(&chat_id) && chats.len() >= self.chats_per_line_max {
            return false;
        }
        let internal = self.next_internal;
        self.next_internal += 2;
        let chat = chats.entry(chat_id).or_insert_with(|| Chat {
            internal: internal + 1,
            facts: Value::Null,
            last_time: 0,
            messages: BTreeMap::new(),
            places: HashMap::new(),
        });
        chat.facts = item["chat"].clone();
        chat.last_time = chat.last_time.max(time);
        // The same id again is the same message, changed or repeated.
        let place = *chat.places.entry(id).or_insert(Position { time, internal });
        chat.messages.insert(place, fetched_form(item, place.internal));
        if chat.messages.len() > self.messages_per_chat_max
            && let Some((_, oldest)) = chat.messages.pop_first()
            && let Some(id) = text(&oldest["id"])
        {
            chat.places.remove(&id);
        }
        true
    }

    fn destroy(&mut self, line: &Line, item: &Value) {
        if let Some(chat) = text(&item["chat"]["id"]).and_then(|id| self.lines.get_mut(line)?.get_mut(&id))
            && let Some(place) = text(&item["id"]).and_then(|id| chat.places.get(&id))
            && let Some(message) = chat.messages.get_mut(place)
        {
            message["destroyed"] = json!(true);
        }
    }

    /// Chats of the lines that `wanted` names, the latest first.
    pub(super) fn chats(&self, wanted: impl Fn(&Line) -> bool, request: &PageRequest) -> Page {
        let mut found: Vec<(Position, &Line, &String, &Chat)> = self
            .lines
            .iter()
            .filter(|(line, _)| wanted(line))
            .flat_map(|(line, chats)| chats.iter().map(move |(id, chat)| (line, id, chat)))
            .map(|(line, id, chat)| (Position { time: chat.last_time, internal: chat.internal }, line, id, chat))
            .filter(|(position, ..)| request.reaches(Direction::Prev, *position))
            .collect();
        found.sort_unstable_by_key(|(position, ..)| std::cmp::Reverse(*position));
        request.cut(Direction::Prev, found, |(position, ..)| *position, |(_, line, id, chat)| chat.item(line, id))
    }

    /// Messages of one chat; none where there is no such chat.
    pub(super) fn messages(&self, line: &Line, chat: &str, request: &PageRequest) -> Page {
        let Some(chat) = self.lines.get(line).and_then(|chats| chats.get(chat)) else {
            return Page { items: Vec::new(), next: None };
        };
        let direction = request.direction;
        let found = |(position, message): &(&Position, &Value)| {
            request.reaches(direction, **position) && (request.include_system || message["type"] != "system")
        };
        // One more than fits tells whether there is a next page.
        let found: Vec<_> = match direction {
            Direction::Prev => chat.messages.iter().rev().filter(found).take(request.limit + 1).collect(),
            Direction::Next => chat.messages.iter().filter(found).take(request.limit + 1).collect(),
        };
        request.cut(direction, found, |(position, _)| **position, |(_, message)| (*message).clone())
    }
}

impl Chat {
    fn item(&self, line: &Line, id: &str) -> Value {
        let facts = &self.facts;
        json!({
            "id": id,
            "internalId": self.internal.to_string(),
            "licenseId": line.licence,
            "messengerType": line.messenger,
            "type": facts["type"],
            "phone": facts["phone"],
            "name": facts["name"],
            "link": null,
            "lastTime": self.last_time,
            "responsible": facts["responsible"],
            "status": facts["status"],
        })
    }
}

/// A message as REST lists it: with `internalId` and `destroyed`, without `chat`.
fn fetched_form(item: &Value, internal: u64) -> Value {
    let mut item = item.clone();
    if let Some(fields) = item.as_object_mut() {
        fields.remove("chat");
        fields.insert("internalId".to_owned(), json!(internal.to_string()));
        fields.insert("destroyed".to_owned(), json!(false));
    }
    item
}

/// An id, be it number or string.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A time, be it number or string.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests;
