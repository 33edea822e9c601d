//! The people of a channel: invented, and named in the ways of their messenger (the forms of `chat.id`).

use serde_json::{Value, json};

use crate::chatapp::channel::Line;
use crate::green_api::generator::words::{GROUPS, NAMES};

const CHATS: u64 = 12;

/// One channel and its chats.
#[derive(Clone, Debug)]
pub(super) struct Cast {
    pub(super) line: Line,
    pub(super) chats: Vec<Chat>,
}

#[derive(Clone, Debug)]
pub(super) struct Chat {
    pub(super) id: String,
    pub(super) hash: Option<String>,
    pub(super) is_group: bool,
    pub(super) phone: Option<String>,
    pub(super) username: Option<String>,
    pub(super) name: &'static str,
    /// Whoever writes in it, other than we.
    pub(super) person: Value,
    /// The last message, if it is still there.
    pub(super) last: Option<Value>,
}

impl Cast {
    /// Every fourth chat is a group.
    pub(super) fn new(line: Line) -> Self {
        let chats = (0..CHATS).map(|place| Chat::new(&line, place)).collect();
        Self { line, chats }
    }

    /// A message's id in the form of the messenger; the number makes it unique.
    pub(super) fn message_id(&self, sequence: u64) -> Value {
        match &*self.line.messenger {
            "grWhatsApp" => json!(format!("3EB0{:016X}", sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15))),
            "caWhatsApp" | "WhatsApp" => json!(format!("wamid.HBgLNzk5OTAwMDAwMDAV{sequence:016X}AA==")),
            "telegram" | "telegramBot" => json!(100_000 + sequence),
            _ => json!(format!("{}-{sequence}", self.line.messenger)),
        }
    }
}

impl Chat {
    fn new(line: &Line, place: u64) -> Self {
        let is_group = place % 4 == 3;
        let number = line.licence % 1_000 * 100 + place;
        let phone = format!("7999{number:07}");
        let (id, hash) = match (&*line.messenger, is_group) {
            ("grWhatsApp", false) => (format!("{phone}@c.us"), None),
            ("grWhatsApp", true) => (format!("120363{number:012}@g.us"), None),
            ("telegram", false) => {
                // The hash is signed.
                let hash = format!("h{}", (number as i64 + 1).wrapping_mul(-544_411_647_218_991));
                (format!("private-{}{hash}", 1_480_000_000 + number), Some(hash))
            }
            ("telegram", true) => (format!("group-{}", 549_000_000 + number), None),
            ("caWhatsApp" | "WhatsApp", _) => (phone.clone(), None),
            (messenger, _) => (format!("{messenger}-{number}"), None),
        };
        let is_telegram = line.messenger.starts_with("telegram");
        let place = usize::try_from(place).unwrap_or_default();
        let name = if is_group { GROUPS[place / 4 % GROUPS.len()] } else { NAMES[place % NAMES.len()] };
        let username = is_telegram.then(|| format!("user_{number}"));
        let person_id = if is_telegram { json!(1_480_000_000 + number) } else { json!(format!("{phone}@c.us")) };
        let person = json!({"id": person_id, "username": username, "name": NAMES[place % NAMES.len()], "phone": phone,
            "email": null});
        Self { id, hash, is_group, phone: (!is_group).then_some(phone), username, name, person, last: None }
    }
}
