//! The block of `quick_response`: the texts that employees answer with.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

/// Block of `quick_response`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuickResponseChange {
    /// What changed.
    pub changed: QuickResponsePart,
    /// What became of it.
    pub action: QuickResponseAction,
    /// Upstream's word.
    pub status: Option<String>,
    /// The list; of one that was deleted, or that only holds the response, its id.
    pub list: Option<QuickResponseList>,
    /// The response; of one that was deleted, its id.
    pub response: Option<QuickResponse>,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuickResponsePart {
    /// A whole list.
    List,
    /// One response in a list.
    Response,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum QuickResponseAction {
    /// It is new.
    Created,
    /// It is another now.
    Edited,
    /// It is gone.
    Deleted,
    /// A word this version does not know, or none; see `status`.
    Unknown,
}

impl QuickResponseAction {
    /// From upstream's word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "create" => Self::Created,
            "edit" => Self::Edited,
            "destroy" => Self::Deleted,
            _ => Self::Unknown,
        }
    }
}

/// A list of responses.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuickResponseList {
    /// Its id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its place among the lists.
    pub sort: Option<i64>,
    /// Who may do what with it.
    pub access: Option<Vec<QuickResponseAccess>>,
}

/// Somebody's right to a list.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuickResponseAccess {
    /// Who.
    pub user: Option<String>,
    /// The user's address.
    pub email: Option<String>,
    /// `r` to read it, `w` to change it.
    pub permission: Option<String>,
}

/// One response.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct QuickResponse {
    /// Its id.
    pub id: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its place in the list.
    pub sort: Option<i64>,
    /// The response it belongs to, where it belongs to one.
    pub parent: Option<String>,
    /// Its words.
    pub text: Option<String>,
    /// Words to find it by.
    pub keywords: Option<String>,
    /// Whether the vendor's AI may use it.
    pub ai_enabled: Option<bool>,
}
