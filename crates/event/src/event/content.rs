//! What a message says, one type per form.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

mod controls;
mod media;
mod places;
mod polls;
mod shop;
mod text;

pub use controls::{
    Button, ButtonKind, ButtonReply, Buttons, Control, Interactive, List, ListRow, ListSection, Template,
};
pub use media::Media;
pub use places::{Contact, GroupInvite, Location};
pub use polls::{Poll, PollOption, PollVote, Vote, Voter};
pub use shop::{Order, Product};
pub use text::{Ad, Edit, Link, Story, Text};

/// What a message says, tagged by `type`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Content {
    /// Plain text.
    Text(Text),
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
    /// A place.
    Location(Location),
    /// One address card or several.
    Contacts {
        /// The cards, in upstream's order.
        contacts: Vec<Contact>,
    },
    /// A question with answers to choose from.
    Poll(Poll),
    /// What one participant chose in a poll; the total is the reader's to add up.
    PollVote(PollVote),
    /// An emoji put to another message.
    Reaction {
        /// The emoji; absent where the reaction was taken back.
        emoji: Option<String>,
        /// The message it is put to.
        message_id: Option<String>,
        /// Who wrote that message.
        participant: Option<String>,
        /// ChatApp: the emoji that was taken back.
        taken_back: Option<String>,
    },
    /// Another message's new wording.
    Edit(Edit),
    /// Another message was deleted.
    Deletion {
        /// The message that was deleted.
        message_id: Option<String>,
    },
    /// An invitation to a group.
    GroupInvite(GroupInvite),
    /// Text with buttons; upstream no longer sends these.
    Buttons(Buttons),
    /// Text with a list to choose from; upstream no longer sends these.
    List(List),
    /// A message made from a template, perhaps with buttons.
    Template(Template),
    /// Text with buttons of today's form.
    Interactive(Interactive),
    /// A button was pressed, or a row of a list chosen.
    ButtonReply(ButtonReply),
    /// A product of a catalogue.
    Product(Box<Product>),
    /// A cart that was sent as an order.
    Order(Box<Order>),
    /// ChatApp: a note of its own in the chat, such as who was assigned to it.
    System(Text),
    /// A type of message this version does not know; the message is in `raw`.
    Unsupported {
        /// Upstream's word.
        type_message: Option<String>,
    },
}

impl Content {
    /// Whether this version knows the `typeMessage`.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        !matches!(self, Self::Unsupported { .. })
    }

    /// Takes the preview picture out, wherever it is; true if there was one.
    pub fn remove_thumbnail(&mut self) -> bool {
        let thumbnail = match self {
            Self::Link(link) => &mut link.thumbnail,
            Self::Image(media)
            | Self::Video(media)
            | Self::Document(media)
            | Self::Audio(media)
            | Self::Sticker(media) => &mut media.thumbnail,
            Self::Location(location) => &mut location.thumbnail,
            Self::GroupInvite(invite) => &mut invite.thumbnail,
            Self::Product(product) => match &mut product.image {
                Some(image) => &mut image.thumbnail,
                None => return false,
            },
            Self::Text(_)
            | Self::Contacts { .. }
            | Self::Poll(_)
            | Self::PollVote(_)
            | Self::Reaction { .. }
            | Self::Edit(_)
            | Self::Deletion { .. }
            | Self::Buttons(_)
            | Self::List(_)
            | Self::Template(_)
            | Self::Interactive(_)
            | Self::ButtonReply(_)
            | Self::Order(_)
            | Self::System(_)
            | Self::Unsupported { .. } => return false,
        };
        thumbnail.take().is_some()
    }
}
