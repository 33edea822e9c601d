//! Buttons and lists, and the presses on them.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

/// Text with buttons.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Buttons {
    /// The words above the buttons.
    pub text: Option<String>,
    /// The words below.
    pub footer: Option<String>,
    /// The buttons.
    pub buttons: Vec<Button>,
}

/// Text with a list to choose from.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct List {
    /// The words.
    pub text: Option<String>,
    /// The words above them.
    pub title: Option<String>,
    /// The words below.
    pub footer: Option<String>,
    /// The label that opens the list.
    pub button_text: Option<String>,
    /// The list.
    pub sections: Vec<ListSection>,
}

/// Part of a list.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListSection {
    /// Its heading.
    pub title: Option<String>,
    /// Its rows.
    pub rows: Vec<ListRow>,
}

/// A row to choose.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListRow {
    /// What the choice will be known by.
    pub id: Option<String>,
    /// Its words.
    pub title: Option<String>,
    /// More words.
    pub description: Option<String>,
}

/// A message made from a template.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Template {
    /// The template it was made from. Such a message has no words here: they are the template's, with `params` filled in.
    pub template_id: Option<String>,
    /// What was filled into the template, in its order.
    pub params: Option<Vec<String>>,
    /// The template's namespace.
    pub namespace: Option<String>,
    /// The template's name.
    pub element_name: Option<String>,
    /// The words above the text.
    pub title: Option<String>,
    /// The words above the buttons.
    pub text: Option<String>,
    /// The words below.
    pub footer: Option<String>,
    /// Where to fetch the picture, video or file that it shows.
    pub media_url: Option<String>,
    /// The buttons.
    pub buttons: Vec<Button>,
}

/// Text with buttons of today's form.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Interactive {
    /// The words.
    pub text: Option<String>,
    /// The words above them.
    pub title: Option<String>,
    /// The words below.
    pub footer: Option<String>,
    /// The buttons.
    pub buttons: Vec<Button>,
}

/// A button.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Button {
    /// What pressing it does.
    #[serde(rename = "type")]
    pub kind: ButtonKind,
    /// What the press will be known by.
    pub id: Option<String>,
    /// Its label.
    pub text: Option<String>,
    /// Its place in a template.
    pub index: Option<i64>,
    /// `url`: where it leads.
    pub url: Option<String>,
    /// `call`: whom it calls.
    pub phone: Option<String>,
    /// `copy`: what it copies.
    pub code: Option<String>,
}

/// What pressing a button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ButtonKind {
    /// Answers.
    Reply,
    /// Opens an address.
    Url,
    /// Calls a number.
    Call,
    /// Copies a code.
    Copy,
    /// A word this version does not know.
    Unknown,
}

impl ButtonKind {
    /// From upstream's word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "reply" => Self::Reply,
            "url" => Self::Url,
            "call" => Self::Call,
            "copy" => Self::Copy,
            _ => Self::Unknown,
        }
    }
}

/// A button was pressed, or a row of a list chosen.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ButtonReply {
    /// What it was chosen from.
    pub control: Control,
    /// The message that holds the buttons.
    pub message_id: Option<String>,
    /// The button's or row's id.
    pub id: Option<String>,
    /// Its label.
    pub text: Option<String>,
    /// Its place in a template.
    pub index: Option<i64>,
    /// Lists: upstream's number for the sort of list.
    pub list_type: Option<i64>,
}

/// What a choice was made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// Content `buttons`.
    Buttons,
    /// Content `list`.
    List,
    /// Content `template`.
    Template,
    /// Content `interactive`.
    Interactive,
}
