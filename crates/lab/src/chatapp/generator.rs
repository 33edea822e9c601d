//! Plausible events, without end: all nineteen kinds, messages and their statuses most of all, in the shapes that
//! ChatApp's vary between. The same seed gives the same events, but for their times.

mod cast;
mod shapes;

use std::collections::VecDeque;

use fastrand::Rng;
use serde_json::{Value, json};

use super::config::ChatAppSimulatorConfig;
use super::world::{Event, unix_seconds};
use cast::{Cast, Chat};

/// Events one request to `/simulator/generate` may ask for.
pub(super) const GENERATED_EVENTS_MAX: usize = 1_000_000;

/// Outgoing messages whose statuses are still to come.
const STATUSES_PENDING_MAX: usize = 256;

/// Whether bodies lie in `payload` (contradictory).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wrapping {
    /// `{"data":…,"meta":…}`, as the vendor's page has it.
    Never,
    /// `{"payload":{"data":…,"meta":…}}`, as clients have it.
    Always,
    /// Now this, now that.
    #[default]
    Mixed,
}

/// Makes the events of all channels. Also an [`Iterator`], which never ends.
///
/// The ids of messages hold a number that grows over all channels. Other kinds have no id of their own, and some repeat
/// word by word, as on the service; see [`Self::with_unique_items`].
#[derive(Clone, Debug)]
pub struct Generator {
    casts: Vec<Cast>,
    company: u64,
    company_channel: String,
    user: u64,
    user_channel: String,
    dice: Rng,
    next_sequence: u64,
    wrapping: Wrapping,
    unique_items: bool,
    items_made: u64,
    statuses: VecDeque<PendingStatus>,
}

#[derive(Clone, Debug)]
struct PendingStatus {
    cast: usize,
    id: Value,
    chat: Value,
    /// The last one first.
    rest: Vec<&'static str>,
}

/// An event before it is written: in which channel, which kind, of what.
struct Draft {
    channel: String,
    name: &'static str,
    items: Vec<Value>,
    meta: Value,
}

impl Generator {
    /// Events of every channel there is.
    #[must_use]
    pub fn new(config: &ChatAppSimulatorConfig, seed: u64) -> Self {
        Self {
            casts: config.lines().map(Cast::new).collect(),
            company: config.company,
            company_channel: config.company_channel(),
            user: config.user,
            user_channel: config.user_channel(),
            dice: Rng::with_seed(seed),
            next_sequence: 1,
            wrapping: Wrapping::default(),
            unique_items: false,
            items_made: 0,
            statuses: VecDeque::new(),
        }
    }

    /// Where bodies lie.
    #[must_use]
    pub fn wrapped(self, wrapping: Wrapping) -> Self {
        Self { wrapping, ..self }
    }

    /// Gives each item of every kind a field `simulated`, a number that no other has. Less like the service, but then a
    /// judge can tell all of them apart.
    #[must_use]
    pub fn with_unique_items(self) -> Self {
        Self { unique_items: true, ..self }
    }

    /// Begins with this number, so that a second generator goes on where the first ended.
    #[must_use]
    pub fn starting_at(self, sequence: u64) -> Self {
        Self { next_sequence: sequence, ..self }
    }

    /// The number the next message will have.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The next event, dated now.
    pub fn event(&mut self) -> Event {
        self.event_at(unix_seconds())
    }

    /// The next event, dated so (UNIX seconds).
    pub fn event_at(&mut self, now: u64) -> Event {
        let kind = if self.casts.is_empty() { 98 } else { self.dice.u8(..100) };
        let draft = match kind {
            0..50 => self.messages(now),
            50..72 => self.message_statuses(now),
            72..79 => self.of_last_message(now),
            79..96 => self.chat_event(now),
            96..98 => self.employee_event(),
            _ => self.quick_response_event(),
        };
        self.write(draft)
    }

    fn write(&mut self, draft: Draft) -> Event {
        let Draft { channel, name, mut items, mut meta } = draft;
        if self.unique_items {
            for item in &mut items {
                self.items_made += 1;
                item["simulated"] = json!(self.items_made);
            }
        }
        meta["type"] = json!(name);
        let body = json!({"data": items, "meta": meta});
        let is_wrapped = match self.wrapping {
            Wrapping::Never => false,
            Wrapping::Always => true,
            Wrapping::Mixed => self.dice.bool(),
        };
        let body = if is_wrapped { json!({ "payload": body }) } else { body };
        Event { channel, name: name.to_owned(), body: body.to_string() }
    }

    /// Incoming and outgoing, now and then two in one body.
    fn messages(&mut self, now: u64) -> Draft {
        let cast = self.dice.usize(..self.casts.len());
        let items = if self.dice.u8(..20) == 0 { 2 } else { 1 };
        let items = (0..items).map(|_| self.message(cast, now)).collect();
        self.of_cast(cast, "message", items)
    }

    fn message(&mut self, index: usize, now: u64) -> Value {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let outgoing = self.dice.u8(..10) >= 7;
        let cast = &mut self.casts[index];
        let id = cast.message_id(sequence);
        let at = self.dice.usize(..cast.chats.len());
        let chat = &mut cast.chats[at];
        let time = shapes::time(&mut self.dice, now);
        let item = shapes::message(&mut self.dice, &id, time, chat, self.user, outgoing);
        chat.last = Some(item.clone());
        if outgoing {
            let rest = match self.dice.u8(..20) {
                0 => vec!["failed", "sent"],
                1 | 2 => vec!["delivered", "sent"],
                _ => vec!["viewed", "delivered", "sent"],
            };
            if self.statuses.len() >= STATUSES_PENDING_MAX {
                self.statuses.pop_front();
            }
            let chat = shapes::chat_of_status(chat);
            self.statuses.push_back(PendingStatus { cast: index, id: id.clone(), chat, rest });
        }
        item
    }

    /// One status, or all that are left in one body, the last first (out of order even inside one body).
    fn message_statuses(&mut self, now: u64) -> Draft {
        if self.statuses.is_empty() {
            return self.messages(now);
        }
        let index = self.dice.usize(..self.statuses.len());
        let all = self.dice.u8(..10) == 0;
        let pending = &mut self.statuses[index];
        let words = if all { std::mem::take(&mut pending.rest) } else { pending.rest.pop().into_iter().collect() };
        let pending = pending.clone();
        if pending.rest.is_empty() {
            self.statuses.remove(index);
        }
        let status = |word: &&str| {
            let error = if *word == "failed" { json!({"code": "1006", "message": "simulated"}) } else { Value::Null };
            json!({
                "id": pending.id, "type": word, "time": shapes::time(&mut self.dice, now), "chat": pending.chat,
                "fromApp": {"id": "app_685_1", "tracking": null, "sender": "system"}, "error": error,
            })
        };
        let items = words.iter().map(status).collect();
        self.of_cast(pending.cast, "messageStatus", items)
    }

    /// A reaction to a chat's last message, or its deletion.
    fn of_last_message(&mut self, now: u64) -> Draft {
        let index = self.dice.usize(..self.casts.len());
        let cast = &mut self.casts[index];
        let at = self.dice.usize(..cast.chats.len());
        let chat = &mut cast.chats[at];
        let Some(last) = chat.last.clone() else { return self.messages(now) };
        let (name, item) = if self.dice.u8(..4) == 0 {
            chat.last = None;
            ("messageDestroy", json!({"id": shapes::as_text(&last["id"]), "chat": {"id": chat.id}}))
        } else {
            ("messageReaction", shapes::reaction(&mut self.dice, &last["id"], now, chat))
        };
        self.of_cast(index, name, vec![item])
    }

    /// Any of the kinds that tell what became of a chat.
    fn chat_event(&mut self, now: u64) -> Draft {
        let index = self.dice.usize(..self.casts.len());
        let at = self.dice.usize(..self.casts[index].chats.len());
        let chat: &Chat = &self.casts[index].chats[at];
        let (name, item) = shapes::chat_event(&mut self.dice, chat, self.user, now);
        let mut draft = self.of_cast(index, name, vec![item]);
        if name == "chatRead" {
            draft.meta["licenseId"] = json!(shapes::as_text(&draft.meta["licenseId"]));
        }
        draft
    }

    fn employee_event(&mut self) -> Draft {
        let (name, words) = if self.dice.bool() {
            ("employeeStatus", ["online", "offline"])
        } else {
            ("employeeWorkday", ["start", "end"])
        };
        let item = json!({"type": words[self.dice.usize(..2)], "employee": {"id": self.user + self.dice.u64(..5)}});
        let meta = json!({"companyId": self.company});
        Draft { channel: self.company_channel.clone(), name, items: vec![item], meta }
    }

    fn quick_response_event(&mut self) -> Draft {
        let (name, items) = shapes::quick_responses(&mut self.dice, self.user);
        let meta = json!({"userId": self.user.to_string()});
        Draft { channel: self.user_channel.clone(), name, items, meta }
    }

    fn of_cast(&self, index: usize, name: &'static str, items: Vec<Value>) -> Draft {
        let line = &self.casts[index].line;
        let meta = json!({"licenseId": line.licence, "messengerType": line.messenger});
        Draft { channel: line.channel(), name, items, meta }
    }
}

impl Iterator for Generator {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        Some(self.event())
    }
}

#[cfg(test)]
mod tests;
