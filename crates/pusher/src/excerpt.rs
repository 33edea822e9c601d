//! Excerpts of foreign text for the log.

/// The longest excerpt.
const EXCERPT_CHARS_MAX: usize = 200;

/// Shortened, and on one line.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
