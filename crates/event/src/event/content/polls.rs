//! Polls and their votes.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

use crate::event::ChatId;

/// A question with answers to choose from.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Poll {
    /// The question.
    pub name: Option<String>,
    /// The answers.
    pub options: Vec<PollOption>,
    /// Whether more than one may be chosen.
    pub multiple_answers: Option<bool>,
    /// How many may be chosen, as said in 2023.
    pub selectable_options_count: Option<i64>,
}

/// An answer to choose.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PollOption {
    /// Its wording.
    pub name: Option<String>,
}

/// What one participant chose in a poll; the total is the reader's to add up.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PollVote {
    /// The message that holds the poll.
    pub message_id: Option<String>,
    /// The question.
    pub name: Option<String>,
    /// Every answer, with those who chose it.
    pub votes: Vec<Vote>,
    /// Whether more than one may be chosen.
    pub multiple_answers: Option<bool>,
}

/// An answer, with those who chose it.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Vote {
    /// The answer's wording.
    pub name: Option<String>,
    /// Who chose it.
    pub voters: Vec<Voter>,
}

/// Somebody who voted.
#[skip_serializing_none]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Voter {
    /// As it came.
    pub id: Option<ChatId>,
    /// The name in the account's phone book.
    pub contact_name: Option<String>,
    /// The phone number, absent where hidden.
    pub phone: Option<String>,
}
