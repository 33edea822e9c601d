//! `messageData` for each kind of message, with the fields

use fastrand::Rng;
use serde_json::{Value, json};

use super::words::{REACTIONS, TEXTS};

/// The kinds of messages that are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Link,
    Quoted,
    Image,
    Video,
    Document,
    Audio,
    Sticker,
    Location,
    Contact,
    Poll,
    Edit,
    Deletion,
    Reaction,
    Template,
    Interactive,
    Unknown,
}

/// How often each kind comes, in parts of their sum.
const MIX: [(Kind, u32); 17] = [
    (Kind::Text, 45),
    (Kind::Link, 6),
    (Kind::Quoted, 8),
    (Kind::Image, 8),
    (Kind::Video, 3),
    (Kind::Document, 4),
    (Kind::Audio, 4),
    (Kind::Sticker, 3),
    (Kind::Location, 1),
    (Kind::Contact, 1),
    (Kind::Poll, 1),
    (Kind::Edit, 4),
    (Kind::Deletion, 2),
    (Kind::Reaction, 8),
    (Kind::Template, 1),
    (Kind::Interactive, 1),
    (Kind::Unknown, 1),
];

/// An earlier message of the chat, to answer, edit, delete or react to.
#[derive(Clone, Debug)]
pub(super) struct Quoted {
    pub(super) id: String,
    pub(super) participant: String,
    pub(super) text: Option<String>,
}

impl Kind {
    /// A kind from the mix; a chat without an earlier message gets a text where one would be needed.
    pub(super) fn draw(dice: &mut Rng, has_earlier: bool) -> Self {
        let parts_total: u32 = MIX.iter().map(|(_, parts)| parts).sum();
        let mut left = dice.u32(..parts_total);
        for (kind, parts) in MIX {
            if left < parts {
                return if !has_earlier && kind.needs_earlier() { Self::Text } else { kind };
            }
            left -= parts;
        }
        Self::Text
    }

    /// Edits, deletions and reactions are about another message, and nobody answers them.
    pub(super) fn is_about_another(self) -> bool {
        matches!(self, Self::Edit | Self::Deletion | Self::Reaction)
    }

    fn needs_earlier(self) -> bool {
        self.is_about_another() || self == Self::Quoted
    }
}

/// The text of a message that another may quote.
pub(super) fn quotable_text(data: &Value) -> Option<String> {
    data["textMessageData"]["textMessage"].as_str().map(str::to_owned)
}

pub(super) fn message_data(kind: Kind, dice: &mut Rng, id: &str, earlier: Option<&Quoted>) -> Value {
    let stanza = earlier.map(|quoted| quoted.id.as_str()).unwrap_or_default();
    let participant = earlier.map(|quoted| quoted.participant.as_str()).unwrap_or_default();
    let text = some_text(dice);
    match kind {
        Kind::Text => {
            json!({ "typeMessage": "textMessage", "textMessageData": plain_text(dice, text) })
        }
        Kind::Link => json!({ "typeMessage": "extendedTextMessage", "extendedTextMessageData": {
            "text": format!("{text} https://example.invalid/{id}"), "description": "An example", "title": "Example",
            "previewType": "None", "jpegThumbnail": thumbnail(dice), "forwardingScore": 0, "isForwarded": false } }),
        Kind::Quoted => json!({ "typeMessage": "quotedMessage",
            "extendedTextMessageData": { "text": text, "stanzaId": stanza, "participant": participant },
            "quotedMessage": quoted_message(earlier) }),
        Kind::Image => file(dice, "imageMessage", id, "jpg", "image/jpeg"),
        Kind::Video => file(dice, "videoMessage", id, "mp4", "video/mp4"),
        Kind::Document => file(dice, "documentMessage", id, "pdf", "application/pdf"),
        Kind::Audio => file(dice, "audioMessage", id, "oga", "audio/ogg; codecs=opus"),
        Kind::Sticker => json!({ "typeMessage": "stickerMessage", "fileMessageData": {
            "downloadUrl": format!("https://media.example.invalid/{id}.webp"), "jpegThumbnail": "",
            "mimeType": "image/webp", "isAnimated": dice.bool(), "isForwarded": false, "forwardingScore": 0 } }),
        Kind::Location => json!({ "typeMessage": "locationMessage", "locationMessageData": {
            "nameLocation": "Café", "address": "1 Example Street", "jpegThumbnail": thumbnail(dice),
            "latitude": dice.f64().mul_add(180.0, -90.0), "longitude": dice.f64().mul_add(360.0, -180.0),
            "isForwarded": false, "forwardingScore": 0 } }),
        Kind::Contact => json!({ "typeMessage": "contactMessage", "contactMessageData": {
            "displayName": "Иван", "vcard": "BEGIN:VCARD\nVERSION:3.0\nFN:Иван\nTEL:+79990001122\nEND:VCARD",
            "isForwarded": false, "forwardingScore": 0 } }),
        Kind::Poll => json!({ "typeMessage": "pollMessage", "pollMessageData": { "name": text,
            "options": [{ "optionName": "да" }, { "optionName": "no" }], "multipleAnswers": dice.bool() } }),
        Kind::Edit => json!({ "typeMessage": "editedMessage",
            "editedMessageData": { "textMessage": text, "stanzaId": stanza } }),
        Kind::Deletion => {
            json!({ "typeMessage": "deletedMessage", "deletedMessageData": { "stanzaId": stanza } })
        }
        Kind::Reaction => json!({ "typeMessage": "reactionMessage",
            "extendedTextMessageData": { "text": REACTIONS[dice.usize(..REACTIONS.len())] },
            "quotedMessage": { "stanzaId": stanza, "participant": participant } }),
        Kind::Template => json!({ "typeMessage": "templateMessage", "templateMessage": template(dice, id, text) }),
        Kind::Interactive => json!({ "typeMessage": "interactiveButtons", "interactiveButtons": {
            "headerText": "Example", "contentText": text, "footerText": "Shop",
            "buttons": [{ "type": "copy", "buttonId": "1", "buttonText": "Copy", "copyCode": id }] } }),
        Kind::Unknown => {
            json!({ "typeMessage": "hologramMessage", "hologramMessageData": { "beams": dice.u8(..) } })
        }
    }
}

/// One text in a hundred is the placeholder of a message that could not be decrypted (SWE001).
fn some_text(dice: &mut Rng) -> &'static str {
    if dice.u8(..100) == 0 { "{{SWE001}}" } else { TEXTS[dice.usize(..TEXTS.len())] }
}

/// A template that is named, with what is filled in; or one that is written out, with a picture and a button.
fn template(dice: &mut Rng, id: &str, text: &str) -> Value {
    if dice.bool() {
        return json!({ "templateId": "00000000-1111-2222-3333-444455556666", "params": [text, id] });
    }
    json!({ "titleText": "Example", "contentText": text, "footerText": "Shop",
        "mediaUrl": format!("https://media.example.invalid/{id}.png"),
        "buttons": [{ "index": 1, "urlButton": { "displayText": "Open", "url": "https://example.invalid/" } }] })
}

/// The forwarding fields are optional everywhere: sometimes there, sometimes not.
fn plain_text(dice: &mut Rng, text: &str) -> Value {
    if dice.bool() {
        return json!({ "textMessage": text });
    }
    let score = dice.u8(..5);
    json!({ "textMessage": text, "isTemplateMessage": false, "isForwarded": score > 0, "forwardingScore": score })
}

/// The fields lie flat beside the type.
fn quoted_message(earlier: Option<&Quoted>) -> Value {
    match earlier {
        Some(Quoted { id, participant, text: Some(text) }) => json!({ "stanzaId": id, "participant": participant,
            "typeMessage": "textMessage", "textMessage": text }),
        Some(Quoted { id, participant, text: None }) => json!({ "stanzaId": id, "participant": participant }),
        None => json!({}),
    }
}

fn file(dice: &mut Rng, kind: &str, id: &str, extension: &str, mime: &str) -> Value {
    // A file above 100 MB has no URL (SWE002).
    let url = match dice.u8(..50) {
        0 => "{{SWE002}}".to_owned(),
        _ => format!("https://media.example.invalid/{id}.{extension}"),
    };
    let caption = if dice.bool() { some_text(dice) } else { "" };
    json!({ "typeMessage": kind, "fileMessageData": { "downloadUrl": url, "caption": caption,
        "fileName": format!("{id}.{extension}"), "jpegThumbnail": thumbnail(dice), "mimeType": mime,
        "isAnimated": false, "isForwarded": false, "forwardingScore": 0 } })
}

/// Base64 noise of up to 6 kB: thumbnails are what makes events large.
fn thumbnail(dice: &mut Rng) -> String {
    let quads = dice.usize(..1_500);
    let mut text = String::with_capacity(quads * 4);
    for _ in 0..quads * 4 {
        text.push(dice.alphanumeric());
    }
    text
}
