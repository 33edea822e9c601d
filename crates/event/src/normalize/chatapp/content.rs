//! What a message says.
//!
//! The vendor shows texts only; the other types are known from clients, some of their shapes not at all. What cannot be
//! read out of a message is `unsupported`, so that its body travels along whatever the configuration says.

use super::owned;
use crate::event::Content;
use crate::event::content::{Location, Media, Text};
use chatbridge_base::json::Json;

/// The content of a message or of a quoted one.
pub(super) fn of(item: &Json) -> Content {
    let word = item.get("type").words();
    let message = item.get("message");
    let known = match word {
        Some("text") => Some(Content::Text(text(message))),
        Some("system") => Some(Content::System(text(message))),
        Some("image") => Some(Content::Image(media(message))),
        Some("video") => Some(Content::Video(media(message))),
        Some("audio" | "voice") => Some(Content::Audio(media(message))),
        Some("file" | "document") => Some(Content::Document(media(message))),
        Some("sticker") => Some(Content::Sticker(media(message))),
        Some("location") => location(message.get("location")).map(Content::Location),
        // Without its type it is what it holds.
        None if message.get("file").is_object() => Some(Content::Document(media(message))),
        None if message.get("text").words().is_some() => Some(Content::Text(text(message))),
        _ => None,
    };
    known.unwrap_or_else(|| Content::Unsupported { type_message: word.map(str::to_owned) })
}

/// Whether there is anything in it: upstream may keep the frame of a message that was destroyed.
pub(super) fn says_something(item: &Json) -> bool {
    let message = item.get("message");
    ["text", "caption"].into_iter().any(|field| message.get(field).words().is_some())
        || ["file", "location"].into_iter().any(|field| !message.get(field).is_null())
}

fn text(message: &Json) -> Text {
    Text { text: owned(message.get("text")).or_else(|| owned(message)), ..Text::default() }
}

fn media(message: &Json) -> Media {
    let file = message.get("file");
    let first = |names: [&str; 2]| names.into_iter().find_map(|name| owned(file.get(name)));
    Media {
        download_url: first(["link", "url"]).or_else(|| owned(file)),
        caption: ["caption", "text"].into_iter().find_map(|name| owned(message.get(name))),
        file_name: owned(file.get("name")),
        // Two spellings, each with its witnesses.
        mime_type: first(["contentType", "mimeType"]),
        size_bytes: file.get("size").integer(),
        ..Media::default()
    }
}

/// Nobody has seen one; without a place that can be read it is none.
fn location(place: &Json) -> Option<Location> {
    let degrees = |names: [&str; 2]| names.into_iter().find_map(|name| place.get(name).number());
    Some(Location {
        name: owned(place.get("name")),
        address: owned(place.get("address")),
        latitude: Some(degrees(["latitude", "lat"])?),
        longitude: Some(degrees(["longitude", "lng"])?),
        thumbnail: None,
    })
}
