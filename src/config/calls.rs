//! `[calls]`: what happens to calls.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fingerprint::Compared;
use super::text::{optional_word, text_form, word};

text_form! {
    /// `[calls]`
    #[derive(Clone)]
    pub struct Calls;

    /// Which call events are published: none, ringing, outcome or all.
    #[serde(deserialize_with = "word")]
    pub publish: CallPolicy,
    /// Whether GREEN-API is asked for the name of who calls: `call.caller_name`.
    pub caller_lookup: bool,
    /// The language of `call.summary`, the line about a call for the people in the chat; without one it is absent.
    #[serde(deserialize_with = "optional_word")]
    pub language: Option<Language>,
}

/// `calls.publish`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CallPolicy {
    /// No call at all.
    None,
    /// Only that it rings.
    Ringing,
    /// Only how it ended.
    Outcome,
    /// Both.
    #[default]
    All,
}

/// `calls.language`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    /// Russian.
    Ru,
    /// English.
    En,
}

impl Compared for Calls {}
