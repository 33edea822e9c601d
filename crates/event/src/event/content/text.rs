//! Words: text, links with their previews, edits.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use crate::event::UpstreamError;

/// Plain text.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Text {
    /// The words; absent where upstream wrote only an error in their place.
    pub text: Option<String>,
    /// Whether it was made from a template.
    pub template: Option<bool>,
    /// How it looks where it is a story (a status).
    pub story: Option<Story>,
    /// Why there are no words.
    pub error: Option<UpstreamError>,
}

/// A text with a link in it.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Link {
    /// The text, link included.
    pub text: Option<String>,
    /// Whether it was made from a template.
    pub template: Option<bool>,
    /// The preview's title.
    pub title: Option<String>,
    /// The preview's description.
    pub description: Option<String>,
    /// The preview's picture: JPEG in base64.
    pub thumbnail: Option<String>,
    /// Upstream's `previewType`.
    pub preview_type: Option<String>,
    /// The advertisement that led here (click-to-WhatsApp).
    pub ad: Option<Ad>,
    /// How it looks where it is a story (a status).
    pub story: Option<Story>,
    /// Why there are no words.
    pub error: Option<UpstreamError>,
}

/// Where an advertisement's click came from.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Ad {
    /// Whether an automatic reply is part of it.
    pub contains_auto_reply: Option<bool>,
    /// `IMAGE`, `VIDEO` …
    pub media_type: Option<String>,
    /// Whether the advertisement is to be shown.
    pub show_attribution: Option<bool>,
    /// The advertisement.
    pub source_id: Option<String>,
    /// `ad` and the like.
    pub source_type: Option<String>,
    /// Where it leads.
    pub source_url: Option<String>,
    /// Its picture.
    pub thumbnail_url: Option<String>,
}

/// The look of a text that is a story.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Story {
    /// Its background.
    pub background_color: Option<String>,
    /// Its font.
    pub font: Option<String>,
    /// Who may see it.
    pub participants: Option<Vec<String>>,
}

/// Another message's new wording.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Edit {
    /// The message that was edited.
    pub message_id: Option<String>,
    /// Its text now.
    pub text: Option<String>,
    /// Its caption now, where it is a file.
    pub caption: Option<String>,
    /// Why there are no words.
    pub error: Option<UpstreamError>,
}
