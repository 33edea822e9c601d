//! Places, address cards, and the way into a group.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use crate::event::ChatId;

/// A place.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Location {
    /// Its name.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<String>,
    /// Degrees north.
    pub latitude: Option<f64>,
    /// Degrees east.
    pub longitude: Option<f64>,
    /// A small map: JPEG in base64.
    pub thumbnail: Option<String>,
}

/// An address card.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Contact {
    /// The name to show.
    pub name: Option<String>,
    /// The card itself, in vCard format.
    pub vcard: Option<String>,
}

/// An invitation to a group.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GroupInvite {
    /// The group.
    pub group_id: Option<ChatId>,
    /// Its name.
    pub group_name: Option<String>,
    /// The code to join with.
    pub code: Option<String>,
    /// When the code ends, in Unix seconds; 0 where upstream names no end.
    pub expiration: Option<i64>,
    /// The words that came with it.
    pub caption: Option<String>,
    /// Upstream's `name`, beside `groupName`.
    pub name: Option<String>,
    /// The group's picture: JPEG in base64.
    pub thumbnail: Option<String>,
}
