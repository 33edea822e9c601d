//! The items of each kind, with every field of the vendor's samples.

use fastrand::Rng;
use serde_json::{Value, json};

use super::cast::Chat;
use crate::green_api::generator::words::{REACTIONS, TEXTS};

/// UNIX seconds; now and then as text.
pub(super) fn time(dice: &mut Rng, now: u64) -> Value {
    if dice.u8(..10) == 0 { json!(now.to_string()) } else { json!(now) }
}

pub(super) fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn message(dice: &mut Rng, id: &Value, time: Value, chat: &Chat, user: u64, outgoing: bool) -> Value {
    let by_app = outgoing && dice.bool();
    let (kind, content) = content(dice);
    let quoted = chat
        .last
        .as_ref()
        .filter(|_| dice.u8(..8) == 0)
        .map(|last| json!({"id": last["id"], "type": last["type"], "subtype": null, "message": last["message"]}));
    let me = json!({"id": user, "username": null, "name": "Me", "phone": null, "email": null});
    json!({
        "id": id,
        "fromApi": by_app,
        "fromMe": outgoing,
        "side": if outgoing { "out" } else { "in" },
        "time": time,
        "type": kind,
        "subtype": null,
        "message": content,
        "quotedMessage": quoted,
        "fromUser": if outgoing { me } else { chat.person.clone() },
        "chat": whole_chat(dice, chat, user),
        "fromApp": by_app.then(|| json!({"id": "app_685_1", "sender": "employee", "tracking": null})),
        "utm": null,
        "created": outgoing.then(|| json!({"id": user})),
    })
}

fn content(dice: &mut Rng) -> (&'static str, Value) {
    let text = TEXTS[dice.usize(..TEXTS.len())];
    let file = |name: &str, kind: &str, caption: &str| {
        let link = format!("https://files.example.invalid/{name}");
        json!({"text": "", "caption": caption, "file": {"link": link, "name": name, "contentType": kind},
            "location": null})
    };
    match dice.u8(..20) {
        0 | 1 => ("image", file("photo.jpg", "image/jpeg", text)),
        2 => ("file", file("договор.pdf", "application/pdf", "")),
        3 => ("voice", file("voice.ogg", "audio/ogg", "")),
        4 => ("video", file("clip.mp4", "video/mp4", "")),
        5 => ("sticker", file("sticker.webp", "image/webp", "")),
        6 => {
            let location = json!({"latitude": 55.7558, "longitude": 37.6173});
            ("location", json!({"text": "", "caption": "", "file": null, "location": location}))
        }
        _ => ("text", json!({"text": text, "caption": "", "file": null, "location": null})),
    }
}

/// All that is known of it, or the few fields that callbacks were seen to have.
fn whole_chat(dice: &mut Rng, chat: &Chat, user: u64) -> Value {
    if dice.u8(..10) == 0 {
        return json!({"id": chat.id, "type": kind(chat), "phone": chat.phone, "name": chat.name});
    }
    json!({
        "id": chat.id,
        "hash": chat.hash,
        "type": kind(chat),
        "phone": chat.phone,
        "username": chat.username,
        "email": null,
        "name": chat.name,
        "image": null,
        "link": null,
        "tags": if dice.u8(..4) == 0 { json!([tag()]) } else { json!([]) },
        "responsible": {"id": user},
        "producer": null,
        "accomplices": if dice.u8(..4) == 0 { json!([{"id": user + 1}]) } else { Value::Null },
        "auditors": null,
        "status": if dice.bool() { json!("close") } else { Value::Null },
        "level": null,
        "responsiblePin": false,
        "process": null,
    })
}

fn kind(chat: &Chat) -> &'static str {
    if chat.is_group { "group" } else { "private" }
}

fn tag() -> Value {
    json!({"id": 29, "name": "VIP", "color": "#123df5", "sort": 100,
        "category": {"id": 9, "name": "Клиенты", "sort": 100}})
}

pub(super) fn chat_of_status(chat: &Chat) -> Value {
    json!({"id": chat.id, "hash": chat.hash, "type": kind(chat), "phone": chat.phone, "username": chat.username,
        "email": null})
}

pub(super) fn reaction(dice: &mut Rng, target: &Value, now: u64, chat: &Chat) -> Value {
    let reaction = REACTIONS[dice.usize(..REACTIONS.len() - 1)];
    json!({
        "id": target,
        "reaction": reaction,
        "time": time(dice, now),
        "chat": {"id": chat.id},
        "fromUser": {"id": chat.person["id"], "name": chat.person["name"]},
        "action": if dice.u8(..5) == 0 { "unreact" } else { "react" },
    })
}

/// One of the twelve kinds about a chat.
pub(super) fn chat_event(dice: &mut Rng, chat: &Chat, user: u64, now: u64) -> (&'static str, Value) {
    let either = |dice: &mut Rng, one: &'static str, other: &'static str| if dice.bool() { one } else { other };
    let employee = json!({"id": user + dice.u64(..5)});
    // Who changed it, and through what.
    let with_editor = |field: &str, value: Value, kind: Option<&str>| {
        let mut item = json!({"chat": {"id": chat.id}, "fromApp": {"id": "app_685_1"}, "edited": {"id": user}});
        item[field] = value;
        if let Some(kind) = kind {
            item["type"] = json!(kind);
        }
        item
    };
    let of_chat = json!({"id": chat.id});
    match dice.u8(..12) {
        0 => ("chatTag", json!({"type": either(dice, "add", "destroy"), "tag": tag(), "chat": of_chat})),
        1 => ("chatStatus", json!({"type": either(dice, "close", "open"), "chat": of_chat})),
        2 => ("chatResponsible", with_editor("responsible", employee, None)),
        3 => ("chatResponsiblePin", json!({"type": either(dice, "pin", "unpin"), "chat": of_chat})),
        4 => ("chatProducer", with_editor("producer", employee, None)),
        5 => ("chatAccomplice", with_editor("accomplice", employee, Some(either(dice, "add", "destroy")))),
        6 => ("chatAuditor", with_editor("auditor", employee, Some(either(dice, "add", "destroy")))),
        7 => ("chatLevel", with_editor("level", json!({"id": dice.u32(1..1000)}), None)),
        8 => {
            let id = format!("{:032x}", dice.u128(..));
            let conversation = json!({"id": id, "type": "BIC", "startTime": now, "endTime": now + 86_400});
            ("chatConversation", json!({"conversation": conversation, "chat": of_chat}))
        }
        9 => ("chatProcess", with_editor("process", if dice.bool() { json!("inWork") } else { Value::Null }, None)),
        _ => ("chatRead", json!({"chat": of_chat})),
    }
}

/// Lists of quick responses, and the responses themselves; several are destroyed at once.
pub(super) fn quick_responses(dice: &mut Rng, user: u64) -> (&'static str, Vec<Value>) {
    let list = 1_300 + dice.u32(..20);
    let verb = ["create", "edit", "destroy"][dice.usize(..3)];
    if dice.bool() {
        let mut about = json!({"id": list});
        if verb != "destroy" {
            let access = json!([{"userId": user.to_string(), "email": "simulated@example.invalid", "permission": "w"}]);
            about = json!({"id": list, "name": "Приветствия", "sort": 100, "access": access});
        }
        return ("quickResponseList", vec![json!({"type": verb, "quickResponseList": about})]);
    }
    let count = if verb == "destroy" { 1 + dice.u32(..3) } else { 1 };
    let first = 1_100 + dice.u32(..500);
    let response = |id: u32| {
        let about = if verb == "destroy" {
            json!({ "id": id })
        } else {
            json!({"id": id, "name": "Hello", "sort": 300, "parent": null, "text": TEXTS[1], "keywords": "hi hello",
                "enableAI": true})
        };
        json!({"type": verb, "quickResponseList": {"id": list}, "quickResponse": about})
    };
    ("quickResponse", (first..first + count).map(response).collect())
}
