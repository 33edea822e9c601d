//! Text: plain text, links with their previews, edits.

use super::super::owned;
use super::{EXTENDED_TEXT, data_object, target, words_or_error};
use crate::event::Content;
use crate::event::content::{Ad, Edit, Link, Story, Text};
use chatbridge_base::json::Json;

pub(super) fn text(place: &Json) -> Content {
    let data = data_object(place, &["textMessageData"]);
    let (text, error) = words_or_error(data.get("textMessage"));
    Content::Text(Text { text, error, template: data.get("isTemplateMessage").boolean(), story: None })
}

/// Upstream sends plain text as textMessage or as extendedTextMessage without a rule (issue 871), so the contents
/// decide: a link is a text with an address, a preview or an advertisement.
pub(super) fn text_or_link(place: &Json) -> Content {
    let data = data_object(place, &EXTENDED_TEXT);
    // A quoted text has its own text beside the preview, not in it.
    let words = [data.get("text"), data.get("textMessage"), place.get("textMessage")];
    let (text, error) = words_or_error(words.into_iter().find(|words| words.words().is_some()).unwrap_or(&Json::Null));
    let template = data.get("isTemplateMessage").boolean();
    let story = story(data);
    let preview = Link {
        title: owned(data.get("title")),
        description: owned(data.get("description")),
        thumbnail: owned(data.get("jpegThumbnail")),
        // The value "None" is deprecated and means nothing.
        preview_type: owned(data.get("previewType")).filter(|word| word != "None"),
        ad: ad(data),
        ..Link::default()
    };
    let has_address = text.as_deref().is_some_and(|text| text.contains("://") || text.contains("www."));
    if has_address || preview != Link::default() {
        Content::Link(Box::new(Link { text, template, story, error, ..preview }))
    } else {
        Content::Text(Text { text, template, story, error })
    }
}

/// In the flat form the new text is in `textMessage` or in `extendedTextMessage`.
pub(super) fn edit(place: &Json) -> Edit {
    let data = data_object(place, &["editedMessageData"]);
    let words = [data.get("textMessage"), data_object(place, &EXTENDED_TEXT).get("text")];
    let (text, text_error) =
        words_or_error(words.into_iter().find(|words| words.words().is_some()).unwrap_or(&Json::Null));
    let (caption, caption_error) = words_or_error(data.get("caption"));
    let message_id = target(place, data).or_else(|| owned(place.get("editedMessageId")));
    Edit { message_id, text, caption, error: text_error.or(caption_error) }
}

fn ad(data: &Json) -> Option<Ad> {
    let ad = Ad {
        contains_auto_reply: data.get("containsAutoReply").boolean(),
        media_type: owned(data.get("mediaType")),
        show_attribution: data.get("showAdAttribution").boolean(),
        source_id: owned(data.get("sourceId")),
        source_type: owned(data.get("sourceType")),
        source_url: owned(data.get("sourceUrl")),
        thumbnail_url: owned(data.get("thumbnailUrl")),
    };
    (ad != Ad::default()).then_some(ad)
}

fn story(data: &Json) -> Option<Story> {
    let participants: Vec<_> = data.get("participants").items().iter().filter_map(owned).collect();
    let story = Story {
        background_color: owned(data.get("backgroundColor")),
        font: owned(data.get("font")),
        participants: (!participants.is_empty()).then_some(participants),
    };
    (story != Story::default()).then_some(story)
}
