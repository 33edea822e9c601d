//! The content of a message.
//!
//! The vendor documents only texts. The other types are known from clients, and of some the form is unknown. What
//! cannot be read from a message is `unsupported`, so that its body is included whatever the configuration says.

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
        // Without a type, decide by what it holds.
        None if message.get("file").is_object() => Some(Content::Document(media(message))),
        None if message.get("text").words().is_some() => Some(Content::Text(text(message))),
        _ => None,
    };
    known.unwrap_or_else(|| Content::Unsupported { type_message: word.map(str::to_owned) })
}

/// Whether it has any content: upstream may keep a message that was deleted, without its content.
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
        // Both spellings have been seen.
        mime_type: first(["contentType", "mimeType"]),
        size_bytes: file.get("size").integer(),
        ..Media::default()
    }
}

/// The form was never seen; without readable coordinates it is no location.
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
