//! What is queued: the generator's mix, and what it never makes: bytes that are not JSON, halves of characters,
//! identical notices. Each comes with what the judge expects, worked out without the bridge.

use fastrand::Rng;
use serde_json::Value;

use super::conditions::{Conditions, one_of};
use crate::config::{CallPolicy, UnknownPolicy};
use chatbridge_lab::green_api::generator::Generator;

/// An invented time. Nothing here depends on the time of day.
const EVENTS_BEGIN_UNIX_SECONDS: u64 = 1_760_000_000;

/// Where an event has to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Into its topic. To the dead letters only if the broker refuses it.
    Topic,
    /// To the dead letters.
    DeadLetters,
    /// Nowhere: the configuration drops it.
    Nowhere,
}

/// A body to queue.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) body: Vec<u8>,
    pub(super) key: String,
    pub(super) fate: Fate,
    pub(super) is_json: bool,
    pub(super) what: &'static str,
}

/// The events of one instance.
pub(super) fn bodies(id: u64, conditions: &Conditions, dice: &mut Rng) -> Vec<Made> {
    let mut generator = Generator::new(id, dice.u64(..)).with_chats(one_of(dice, &[1, 3, 20]));
    let mut made: Vec<Made> = Vec::new();
    for number in 0..conditions.events_per_instance {
        let again = (!made.is_empty() && dice.f64() < conditions.duplicates)
            .then(|| Made { what: "duplicate", ..made[made.len() - 1 - dice.usize(..made.len().min(4))].clone() });
        made.push(again.unwrap_or_else(|| {
            if dice.f64() < conditions.undecodable {
                undecodable(id, number, dice)
            } else if dice.u8(..20) == 0 {
                special(id, number, conditions, dice)
            } else {
                ordinary(id, generator.body_at(EVENTS_BEGIN_UNIX_SECONDS + number as u64), conditions)
            }
        }));
    }
    made
}

fn ordinary(id: u64, body: String, conditions: &Conditions) -> Made {
    let value: Value = serde_json::from_str(&body).expect("the generator makes JSON");
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
    let chat = ["/senderData/chatId", "/chatId", "/from"].into_iter().find_map(text);
    let is_unknown = text("/typeWebhook") == Some("somethingNewHappened")
        || text("/messageData/typeMessage") == Some("hologramMessage");
    let fate = match text("/typeWebhook") {
        Some("outgoingMessageStatus") if conditions.drops_statuses => Fate::Nowhere,
        Some("incomingCall") => match (conditions.calls, text("/status")) {
            (CallPolicy::None, _) | (CallPolicy::Outcome, Some("offer")) => Fate::Nowhere,
            _ => Fate::Topic,
        },
        _ if is_unknown => fate_of_unknown(conditions),
        _ => Fate::Topic,
    };
    let key = chat.map_or_else(|| format!("instance:{id}"), str::to_owned);
    Made { body: body.into_bytes(), key, fate, is_json: true, what: "event" }
}

fn fate_of_unknown(conditions: &Conditions) -> Fate {
    match conditions.unknown {
        UnknownPolicy::Publish => Fate::Topic,
        UnknownPolicy::Drop => Fate::Nowhere,
        UnknownPolicy::DeadLetter => Fate::DeadLetters,
    }
}

/// JSON that is valid but unusual.
fn special(id: u64, number: usize, conditions: &Conditions, dice: &mut Rng) -> Made {
    let instance_key = format!("instance:{id}");
    let (body, key, fate, what) = match dice.u8(..4) {
        0 => {
            let text = r#"{"typeMessage":"textMessage","textMessageData":{"textMessage":"\ud83d"}}"#;
            let body = format!(
                r#"{{"typeWebhook":"incomingMessageReceived","idMessage":"{number}","senderData":{{"chatId":"7900:3@s.whatsapp.net"}},"messageData":{text}}}"#
            );
            (body, "7900@c.us".to_owned(), Fate::Topic, "half a character")
        }
        // It has no id and no time, so two of them are the same event, word for word.
        1 => (r#"{"typeWebhook":"quotaExceeded"}"#.to_owned(), instance_key, Fate::Topic, "quota notice"),
        2 => {
            let body = format!("{}{number}{}", "[".repeat(200), "]".repeat(200));
            (body, instance_key, fate_of_unknown(conditions), "deep nesting")
        }
        _ => (format!(r#"{{"n":1e{number}999}}"#), instance_key, fate_of_unknown(conditions), "untyped"),
    };
    Made { body: body.into_bytes(), key, fate, is_json: true, what }
}

fn undecodable(id: u64, number: usize, dice: &mut Rng) -> Made {
    let mut body = format!(r#"{{"typeWebhook":"incomingCall","n":{number},"broken":tru}}"#).into_bytes();
    if dice.bool() {
        body.extend_from_slice(b"\"\xff\xfe\"");
    }
    Made { body, key: format!("instance:{id}"), fate: Fate::DeadLetters, is_json: false, what: "undecodable" }
}
