//! What is wrong with a configuration, and how a section says so.

use std::fmt::{self, Display};
use std::ops::RangeInclusive;

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, as a path through the file.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into() }
    }
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.key, self.message) }
    }
}

/// All that is wrong with the configuration: fix the file, then start again (exit code 64).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// Where the configuration was read from.
    pub origin: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        write!(f, "{count} problem{} in {}:", if count == 1 { "" } else { "s" }, self.origin)?;
        self.problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// The table that is being checked, and all that was found wrong so far.
#[derive(Debug)]
pub(super) struct Checks<'p> {
    table: String,
    problems: &'p mut Vec<Problem>,
}

impl<'p> Checks<'p> {
    /// For the file as a whole.
    pub(super) fn new(problems: &'p mut Vec<Problem>) -> Self {
        Self { table: String::new(), problems }
    }

    /// For a table in this one.
    pub(super) fn table(&mut self, name: impl Display) -> Checks<'_> {
        Checks { table: self.path(name), problems: self.problems }
    }

    /// The key of this table, as a path through the file.
    pub(super) fn path(&self, key: impl Display) -> String {
        if self.table.is_empty() { key.to_string() } else { format!("{}.{key}", self.table) }
    }

    pub(super) fn complain(&mut self, key: impl Display, message: impl Into<String>) {
        self.problems.push(Problem::new(self.path(key), message));
    }

    /// Complains where a number is not in the range that another key leaves it.
    pub(super) fn within<N: PartialOrd + Display>(&mut self, key: &str, number: N, range: &RangeInclusive<N>) {
        if !range.contains(&number) {
            self.complain(key, outside(number, range));
        }
    }

    /// Complains of a value that there cannot be then.
    pub(super) fn refuse<T>(&mut self, key: impl Display, message: impl Into<String>) -> Option<T> {
        self.complain(key, message);
        None
    }
}

/// What is said of a number that is not in its range.
pub(super) fn outside(number: impl Display, range: &RangeInclusive<impl Display>) -> String {
    format!("{number} is not between {} and {}", range.start(), range.end())
}
