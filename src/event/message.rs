//! The block of `message`: who wrote what, and what it answers.

use serde::Serialize;
use serde_with::skip_serializing_none;

/// Block of `message`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Message {
    /// Upstream's `idMessage`. On MAX unique only within a chat (reference §9.1).
    pub id: Option<String>,
    /// Towards the account or away from it.
    pub direction: Direction,
    /// By whose hand.
    pub origin: Origin,
    /// What it says.
    pub content: Content,
    /// The message it answers.
    pub quoted: Option<Quoted>,
    /// Whether it was forwarded.
    pub forwarded: Option<bool>,
    /// How often it was forwarded.
    pub forwarding_score: Option<i64>,
}

/// Towards the instance's account, or away from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the other side.
    Incoming,
    /// From the account itself.
    Outgoing,
}

/// By whose hand a message was written (reference §9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The other side.
    Contact,
    /// The account's phone or another of its clients.
    Phone,
    /// GREEN-API's send methods.
    Api,
}

/// What a message says, tagged by `type` (reference §9.4).
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Plain text.
    Text {
        /// The words.
        text: Option<String>,
    },
    /// Text with a link, its preview, or the advertisement it came through.
    Link(Box<Link>),
    /// A picture.
    Image(Media),
    /// A video, round ones among them.
    Video(Media),
    /// A file.
    Document(Media),
    /// A voice or sound message.
    Audio(Media),
    /// A sticker.
    Sticker(Media),
    /// An emoji put to another message.
    Reaction {
        /// The emoji; absent where the reaction was taken back.
        emoji: Option<String>,
        /// The message it was put to.
        message_id: Option<String>,
        /// Who wrote that message.
        participant: Option<String>,
    },
    /// A message was rewritten.
    Edit {
        /// The message that was rewritten.
        message_id: Option<String>,
        /// Its new text.
        text: Option<String>,
        /// Its new caption, where it is a media message.
        caption: Option<String>,
    },
    /// A message was deleted.
    Deletion {
        /// The message that was deleted.
        message_id: Option<String>,
    },
    /// A `typeMessage` this version does not know: its word, the rest is in `raw`.
    Unsupported {
        /// Upstream's word.
        type_message: Option<String>,
    },
}

impl Content {
    /// Whether this version knows the type.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        !matches!(self, Self::Unsupported { .. })
    }

    /// Takes out the preview picture, for records that are too large; true if there was one.
    pub fn remove_thumbnail(&mut self) -> bool {
        match self {
            Self::Link(link) => link.thumbnail.take().is_some(),
            Self::Image(media)
            | Self::Video(media)
            | Self::Document(media)
            | Self::Audio(media)
            | Self::Sticker(media) => media.thumbnail.take().is_some(),
            _ => false,
        }
    }
}

/// A text with a link in it.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Link {
    /// The text, link included.
    pub text: Option<String>,
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
}

/// Where an advertisement's click came from (seed 001).
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
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

/// A file in a message.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Media {
    /// Where to fetch it. Treat as confidential: it may hold parts of the instance's path (reference §6).
    pub download_url: Option<String>,
    /// The text beneath it.
    pub caption: Option<String>,
    /// Its name; a real one only for documents.
    pub file_name: Option<String>,
    /// Its MIME type.
    pub mime_type: Option<String>,
    /// A small picture of it: JPEG in base64.
    pub thumbnail: Option<String>,
    /// Whether it moves.
    pub animated: Option<bool>,
}

/// The message that was answered, as far as upstream repeats it (reference §9.5).
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quoted {
    /// Its id.
    pub message_id: Option<String>,
    /// Who wrote it.
    pub participant: Option<String>,
    /// What it said.
    pub content: Option<Content>,
}
