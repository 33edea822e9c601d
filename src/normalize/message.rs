//! The `message` block out of `messageData` (reference §9.4, §9.5).

use super::owned;
use crate::event::message::{Ad, Link, Media, Quoted};
use crate::event::{Content, Direction, Kind, Message, Origin};
use crate::json::Json;

pub(super) fn message(direction: Direction, origin: Origin, body: &Json) -> Kind {
    let data = body.get("messageData");
    let content = content(data);
    // In broken vendor samples the quoted object stands beside messageData (§9.5). A reaction's quoted object is its
    // target and already part of the content.
    let quoted = match content {
        Content::Reaction { .. } => None,
        _ => [data, body].into_iter().map(|place| place.get("quotedMessage")).find(|found| found.is_object()),
    };
    let (forwarded, forwarding_score) = forwarding(data);
    Kind::Message(Box::new(Message {
        id: owned(body.get("idMessage")),
        direction,
        origin,
        quoted: quoted.map(quoted_message).or_else(|| quoted_without_object(data)),
        content,
        forwarded,
        forwarding_score,
    }))
}

fn content(data: &Json) -> Content {
    let type_message = data.get("typeMessage").words().unwrap_or_default();
    let extended = data.get("extendedTextMessageData");
    match type_message {
        "textMessage" => Content::Text { text: owned(data.get("textMessageData").get("textMessage")) },
        // There is no quotedMessageData: the answer's text stands in extendedTextMessageData (§12.4).
        "extendedTextMessage" | "quotedMessage" => text_or_link(extended, extended.get("text")),
        "imageMessage" => Content::Image(media(data.get("fileMessageData"))),
        "videoMessage" => Content::Video(media(data.get("fileMessageData"))),
        "documentMessage" => Content::Document(media(data.get("fileMessageData"))),
        "audioMessage" => Content::Audio(media(data.get("fileMessageData"))),
        "stickerMessage" => Content::Sticker(media(data.get("fileMessageData"))),
        "reactionMessage" => Content::Reaction {
            emoji: owned(extended.get("text")),
            message_id: owned(data.get("quotedMessage").get("stanzaId")),
            participant: owned(data.get("quotedMessage").get("participant")),
        },
        "editedMessage" => {
            let edited = data.get("editedMessageData");
            Content::Edit {
                message_id: owned(edited.get("stanzaId")),
                text: owned(edited.get("textMessage")),
                caption: owned(edited.get("caption")),
            }
        }
        "deletedMessage" => Content::Deletion { message_id: owned(data.get("deletedMessageData").get("stanzaId")) },
        _ => Content::Unsupported { type_message: owned(data.get("typeMessage")) },
    }
}

/// Upstream sends plain text as textMessage or as extendedTextMessage without a rule (§9.4, issue 871), so the type
/// follows what is there: a link is a text with an address, a preview or an advertisement.
fn text_or_link(extended: &Json, text: &Json) -> Content {
    let link = Link {
        text: owned(text),
        title: owned(extended.get("title")),
        description: owned(extended.get("description")),
        thumbnail: owned(extended.get("jpegThumbnail")),
        // The value "None" is deprecated and says nothing (§9.4).
        preview_type: owned(extended.get("previewType")).filter(|word| word != "None"),
        ad: ad(extended),
    };
    let has_address = link.text.as_deref().is_some_and(|text| text.contains("://") || text.contains("www."));
    let without_preview = Link { text: link.text.clone(), ..Link::default() };
    if has_address || link != without_preview {
        Content::Link(Box::new(link))
    } else {
        Content::Text { text: link.text }
    }
}

fn ad(extended: &Json) -> Option<Ad> {
    let ad = Ad {
        contains_auto_reply: extended.get("containsAutoReply").boolean(),
        media_type: owned(extended.get("mediaType")),
        show_attribution: extended.get("showAdAttribution").boolean(),
        source_id: owned(extended.get("sourceId")),
        source_type: owned(extended.get("sourceType")),
        source_url: owned(extended.get("sourceUrl")),
        thumbnail_url: owned(extended.get("thumbnailUrl")),
    };
    (ad != Ad::default()).then_some(ad)
}

fn media(file: &Json) -> Media {
    Media {
        download_url: owned(file.get("downloadUrl")),
        caption: owned(file.get("caption")),
        file_name: owned(file.get("fileName")),
        mime_type: owned(file.get("mimeType")),
        thumbnail: owned(file.get("jpegThumbnail")),
        animated: file.get("isAnimated").boolean(),
    }
}

/// isForwarded and forwardingScore stand inside the data object, whichever it is.
fn forwarding(data: &Json) -> (Option<bool>, Option<i64>) {
    let Json::Object(members) = data else { return (None, None) };
    let places = || members.iter().filter(|(key, _)| key != "quotedMessage").map(|(_, value)| value);
    (
        places().find_map(|place| place.get("isForwarded").boolean()),
        places().find_map(|place| place.get("forwardingScore").integer()),
    )
}

/// The quoted object's fields are flat, its names differ from a message's own (§9.5).
fn quoted_message(quoted: &Json) -> Quoted {
    let type_message = quoted.get("typeMessage").words().unwrap_or_default();
    let content = match type_message {
        "textMessage" => Some(Content::Text { text: owned(quoted.get("textMessage")) }),
        "extendedTextMessage" | "quotedMessage" => {
            Some(text_or_link(quoted.get("extendedTextMessage"), quoted.get("textMessage")))
        }
        "imageMessage" => Some(Content::Image(media(quoted))),
        "videoMessage" => Some(Content::Video(media(quoted))),
        "documentMessage" => Some(Content::Document(media(quoted))),
        "audioMessage" => Some(Content::Audio(media(quoted))),
        "stickerMessage" => Some(Content::Sticker(media(quoted))),
        // Without typeMessage only a text can be told (§12.4).
        "" => owned(quoted.get("textMessage")).map(|text| Content::Text { text: Some(text) }),
        unknown => Some(Content::Unsupported { type_message: Some(unknown.to_owned()) }),
    };
    Quoted { message_id: owned(quoted.get("stanzaId")), participant: owned(quoted.get("participant")), content }
}

/// The oldest form of an answer has no quoted object, only the ids beside the text (§9.4).
fn quoted_without_object(data: &Json) -> Option<Quoted> {
    let extended = data.get("extendedTextMessageData");
    (data.get("typeMessage").text() == Some("quotedMessage")).then(|| Quoted {
        message_id: owned(extended.get("stanzaId")),
        participant: owned(extended.get("participant")),
        content: None,
    })
}
