//! The block of `employee`.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

/// Block of `employee`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Employee {
    /// The employee.
    pub id: Option<String>,
    /// What of the employee it tells.
    pub about: EmployeeAspect,
    /// How that stands now.
    pub state: EmployeeState,
    /// Upstream's word.
    pub status: Option<String>,
}

/// What of an employee an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmployeeAspect {
    /// Whether somebody is there.
    Presence,
    /// The day's work.
    Workday,
}

/// How it stands with an employee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EmployeeState {
    /// Is there.
    Online,
    /// The day's work was begun.
    Started,
    /// The day's work was ended.
    Ended,
    /// A word this version does not know, or none; see `status`.
    Unknown,
}

impl EmployeeState {
    /// From upstream's word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "online" => Self::Online,
            "start" => Self::Started,
            "end" => Self::Ended,
            _ => Self::Unknown,
        }
    }
}
