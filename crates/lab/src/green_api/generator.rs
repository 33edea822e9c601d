//! Plausible events, without end: the mix of an ordinary account, in the field sets,
//! with invented people. The same instance and seed give the same events, but for their timestamps.

mod contents;
pub(crate) mod words;

use std::collections::VecDeque;

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::account::{type_instance, wid};
use contents::{Kind, Quoted};

/// Events one request to `/simulator/generate` may ask for.
pub(super) const GENERATED_EVENTS_MAX: usize = 1_000_000;

const CHATS: usize = 20;
const CHATS_MAX: usize = 9_000;
/// Outgoing messages whose statuses are still to come.
const STATUSES_PENDING_MAX: usize = 256;

/// Makes the events of one instance. Also an [`Iterator`], which never ends.
///
/// A message's `idMessage` is `SIM-<instance>-<number>`; the numbers grow. Statuses carry the id of their
/// message, and a call's outcome that of its offer, as on the service; state events
/// have none. No two bodies are equal, so each event has a content id of its own.
#[derive(Clone, Debug)]
pub struct Generator {
    instance: u64,
    is_max: bool,
    dice: Rng,
    next_sequence: u64,
    unique_ids: bool,
    chats: Vec<Chat>,
    statuses: VecDeque<PendingStatus>,
    ringing: Option<Ringing>,
    authorized: bool,
    last_state_at: u64,
}

#[derive(Clone, Debug)]
struct Chat {
    id: String,
    name: &'static str,
    is_group: bool,
    last: Option<Quoted>,
}

#[derive(Clone, Debug)]
struct PendingStatus {
    message: String,
    chat: String,
    by_api: bool,
    /// Statuses still to come, the last one first.
    rest: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct Ringing {
    call: String,
    from: String,
}

impl Generator {
    /// Events of this instance, about 20 chats. An id beginning with 3100 is a MAX instance, whose chat ids
    /// are numbers; any other is a WhatsApp one.
    pub fn new(instance: u64, seed: u64) -> Self {
        let is_max = type_instance(instance) == "v3";
        Self {
            instance,
            is_max,
            dice: Rng::with_seed(seed ^ instance.rotate_left(32)),
            next_sequence: 1,
            unique_ids: false,
            chats: chats(instance, is_max, CHATS),
            statuses: VecDeque::new(),
            ringing: None,
            authorized: true,
            last_state_at: 0,
        }
    }

    /// Spreads the events over so many chats (1 to 9,000), every fifth of them a group.
    #[must_use]
    pub fn with_chats(mut self, chats_count: usize) -> Self {
        self.chats = chats(self.instance, self.is_max, chats_count);
        self
    }

    /// Gives every event that has an `idMessage` one of its own, statuses and call outcomes too. Less like
    /// the service, but then the ids alone tell the order.
    #[must_use]
    pub fn with_unique_ids(mut self) -> Self {
        self.unique_ids = true;
        self
    }

    /// Begins with this number, so that a second generator goes on where the first ended.
    #[must_use]
    pub fn starting_at(mut self, sequence: u64) -> Self {
        self.next_sequence = sequence;
        self
    }

    /// The number the next new `idMessage` will have.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// The next event, dated now.
    pub fn body(&mut self) -> String {
        self.body_at(u64::try_from(Timestamp::now().as_second()).unwrap_or_default())
    }

    /// The next event, dated so (UNIX seconds).
    pub fn body_at(&mut self, unix_seconds: u64) -> String {
        let event = match self.dice.u8(..100) {
            0..20 => self.status(),
            20..26 => self.call(),
            26..28 => self.state(unix_seconds),
            28 => Some(self.unknown()),
            _ => None,
        };
        // Where there is nothing to report (no message waits for a status …), someone says something.
        let mut event = event.unwrap_or_else(|| self.message());
        event["instanceData"] = json!({ "idInstance": self.instance, "wid": wid(self.instance), "typeInstance": type_instance(self.instance) });
        event["timestamp"] = json!(unix_seconds);
        event.to_string()
    }

    fn new_id(&mut self) -> String {
        let id = format!("SIM-{}-{}", self.instance, self.next_sequence);
        self.next_sequence += 1;
        id
    }

    /// The id of something already known, unless every event is to have its own.
    fn id_again(&mut self, known: &str) -> String {
        if self.unique_ids { self.new_id() } else { known.to_owned() }
    }

    fn message(&mut self) -> Value {
        let id = self.new_id();
        let index = self.dice.usize(..self.chats.len());
        let (webhook, outgoing, by_api) = match self.dice.u8(..10) {
            0..7 => ("incomingMessageReceived", false, false),
            7 => ("outgoingMessageReceived", true, false),
            _ => ("outgoingAPIMessageReceived", true, true),
        };
        let sender = self.sender(index, outgoing);
        let chat = &mut self.chats[index];
        let kind = Kind::draw(&mut self.dice, chat.last.is_some());
        let data = contents::message_data(kind, &mut self.dice, &id, chat.last.as_ref());
        if !kind.is_about_another() {
            let sender = sender["sender"].as_str().unwrap_or_default().to_owned();
            chat.last = Some(Quoted { id: id.clone(), participant: sender, text: contents::quotable_text(&data) });
        }
        if outgoing {
            let chat = chat.id.clone();
            self.expect_statuses(&id, chat, by_api);
        }
        json!({ "typeWebhook": webhook, "idMessage": id, "senderData": sender, "messageData": data })
    }

    /// 3; MAX adds types and a phone number, 0 in groups.
    fn sender(&mut self, index: usize, outgoing: bool) -> Value {
        let chat = &self.chats[index];
        let (sender, name) = match (outgoing, chat.is_group) {
            (true, _) => (wid(self.instance), "Me"),
            (false, false) => (chat.id.clone(), chat.name),
            (false, true) => {
                let member = self.dice.usize(..40);
                (private_id(self.instance, self.is_max, member), words::NAMES[member % words::NAMES.len()])
            }
        };
        let contact_name = if self.dice.u8(..4) == 0 { name } else { "" };
        let mut data = json!({ "chatId": chat.id, "sender": sender, "chatName": chat.name,
            "senderName": name, "senderContactName": contact_name });
        if self.is_max {
            let phone = if chat.is_group { 0 } else { 79_990_000_000 + self.dice.u64(..10_000) };
            data["chatType"] = json!(if chat.is_group { "group" } else { "user" });
            data["senderType"] = json!("user");
            data["isBot"] = json!(false);
            data["senderPhoneNumber"] = json!(phone);
        }
        data
    }

    /// MAX knows no `sent`.
    fn expect_statuses(&mut self, message: &str, chat: String, by_api: bool) {
        if self.statuses.len() >= STATUSES_PENDING_MAX {
            self.statuses.pop_front();
        }
        let rest = match (self.dice.u8(..20), self.is_max) {
            (0, _) => vec!["failed"],
            (1 | 2, false) => vec!["delivered", "sent"],
            (_, false) => vec!["read", "delivered", "sent"],
            (_, true) => vec!["read", "delivered"],
        };
        self.statuses.push_back(PendingStatus { message: message.to_owned(), chat, by_api, rest });
    }

    /// A failed one may lack its chat.
    fn status(&mut self) -> Option<Value> {
        let index = (!self.statuses.is_empty()).then(|| self.dice.usize(..self.statuses.len()))?;
        let pending = &mut self.statuses[index];
        let status = pending.rest.pop()?;
        let (message, chat, by_api) = (pending.message.clone(), pending.chat.clone(), pending.by_api);
        if pending.rest.is_empty() {
            self.statuses.remove(index);
        }
        let id = self.id_again(&message);
        let mut event = json!({ "typeWebhook": "outgoingMessageStatus", "idMessage": id, "status": status });
        if status == "failed" {
            event["description"] = json!("SWE004: 1000");
        }
        if status != "failed" || self.dice.bool() {
            event["chatId"] = json!(chat);
        }
        event["sendByApi"] = json!(by_api);
        Some(event)
    }

    /// An offer, later its outcome. WhatsApp only.
    fn call(&mut self) -> Option<Value> {
        if self.is_max {
            return None;
        }
        let (ringing, status) = match self.ringing.take() {
            Some(ringing) => (ringing, ["pickUp", "hungUp", "declined", "missed"][self.dice.usize(..4)]),
            None => {
                let caller = self.dice.usize(..40);
                let from = private_id(self.instance, self.is_max, caller);
                let call = self.new_id();
                self.ringing = Some(Ringing { call: call.clone(), from: from.clone() });
                (Ringing { call, from }, "offer")
            }
        };
        let id = if status == "offer" { ringing.call } else { self.id_again(&ringing.call) };
        let mut event =
            json!({ "typeWebhook": "incomingCall", "from": ringing.from, "status": status, "idMessage": id });
        // Whether it is a video or a group call is said sometimes only.
        if self.dice.bool() {
            event["isVideo"] = json!(self.dice.bool());
            event["isGroup"] = json!(false);
        }
        Some(event)
    }

    /// It has no id, so one a second at most: two of a second could be equal.
    fn state(&mut self, unix_seconds: u64) -> Option<Value> {
        if unix_seconds <= self.last_state_at {
            return None;
        }
        self.last_state_at = unix_seconds;
        self.authorized = !self.authorized;
        let state = if self.authorized { "authorized" } else { "starting" };
        Some(json!({ "typeWebhook": "stateInstanceChanged", "stateInstance": state }))
    }

    /// A type nobody has heard of: the service adds some without notice.
    fn unknown(&mut self) -> Value {
        let id = self.new_id();
        let chat = &self.chats[self.dice.usize(..self.chats.len())];
        json!({ "typeWebhook": "somethingNewHappened", "idMessage": id, "chatId": chat.id, "novelty": { "level": self.dice.u8(..) } })
    }
}

impl Iterator for Generator {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        Some(self.body())
    }
}

fn chats(instance: u64, is_max: bool, count: usize) -> Vec<Chat> {
    let chat = |index: usize| {
        let is_group = index % 5 == 4;
        let name = if is_group {
            words::GROUPS[index / 5 % words::GROUPS.len()]
        } else {
            words::NAMES[index % words::NAMES.len()]
        };
        let id = if is_group { group_id(instance, is_max, index) } else { private_id(instance, is_max, index) };
        Chat { id, name, is_group, last: None }
    };
    (0..count.clamp(1, CHATS_MAX)).map(chat).collect()
}

/// A phone for WhatsApp, a number for MAX.
fn private_id(instance: u64, is_max: bool, index: usize) -> String {
    let place = (instance.wrapping_mul(37) + index as u64) % 10_000;
    if is_max { format!("{}", 61_000_000 + place) } else { format!("7999000{place:04}@c.us") }
}

/// 18 digits for WhatsApp, a negative number for MAX.
fn group_id(instance: u64, is_max: bool, index: usize) -> String {
    let place = (instance % 10_000_000) * 10_000 + index as u64;
    if is_max { format!("-69{place:012}") } else { format!("120363{place:012}@g.us") }
}

#[cfg(test)]
mod tests;
