//! Others' words for our logs.

/// What others say is repeated up to here.
const EXCERPT_CHARS_MAX: usize = 200;

/// Short, and on one line.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(EXCERPT_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}
