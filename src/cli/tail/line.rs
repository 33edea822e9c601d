//! One event on one line: columns, width, colours, and nothing that could move a terminal's cursor. Pure.

use std::borrow::Cow;

use console::{Alignment, Style, measure_text_width, pad_str, truncate_str};

use super::view::View;
use crate::consume::ConsumedRecord;

/// So much of the words is shown where there is no terminal to fit them into.
const WORDS_COLUMNS: usize = 400;
/// So much of the words is shown on the narrowest terminal, which then wraps the line.
const WORDS_COLUMNS_MIN: usize = 20;

/// How lines look.
pub(super) struct Layout {
    /// The terminal's width; `None`: not a terminal.
    pub(super) columns: Option<usize>,
    /// Whether in colours.
    pub(super) colours: bool,
}

impl Layout {
    /// The line, without its end.
    pub(super) fn line(&self, view: &View, record: &ConsumedRecord) -> String {
        let time = view.time.map(|time| format!("{time:.0}")).unwrap_or_default();
        let columns = [
            (time, 20, Style::new().dim()),
            (harmless(view.instance.as_deref().unwrap_or_default()), 12, Style::new().dim()),
            (harmless(&record.key), 20, Style::new().bold()),
            (view.direction.to_owned(), 3, self.style(view)),
            (harmless(&view.label), 15, self.style(view)),
        ];
        let mut line = String::new();
        let mut taken = 0;
        for (text, width, style) in columns {
            let padded = pad_str(&text, width, Alignment::Left, None);
            taken += measure_text_width(&padded) + 2;
            line.push_str(&style.force_styling(self.colours).apply_to(padded).to_string());
            line.push_str("  ");
        }
        let room = self.columns.map_or(WORDS_COLUMNS, |columns| columns.saturating_sub(taken).max(WORDS_COLUMNS_MIN));
        line.push_str(&truncate_str(&harmless(&view.words), room, "…"));
        line.truncate(line.trim_end().len());
        line
    }

    fn style(&self, view: &View) -> Style {
        match (view.label.as_str(), view.direction) {
            ("message", "out") => Style::new().cyan(),
            ("message", _) => Style::new().green(),
            ("message_status", _) => Style::new().dim(),
            ("call", _) => Style::new().yellow(),
            ("?", _) => Style::new().red(),
            (label, _) if label.starts_with("dead") => Style::new().red(),
            _ => Style::new().magenta(),
        }
    }
}

/// Whoever writes to a chat shall not write to this terminal: white space becomes a space, and what moves the cursor or
/// turns the direction of writing becomes U+FFFD. Joiners stay, for emoji are made of them.
fn harmless(text: &str) -> String {
    let shown = |character: char| match character {
        _ if character.is_whitespace() => ' ',
        _ if is_unruly(character) => '\u{fffd}',
        _ => character,
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().map(shown).collect()
}

fn is_unruly(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A line of JSON that says the same and can be looked at: such characters stand only inside its strings.
pub(super) fn without_controls(line: &str) -> Cow<'_, str> {
    if !line.trim_end_matches('\n').chars().any(is_unruly) {
        return Cow::Borrowed(line);
    }
    let mut escaped = String::with_capacity(line.len() + 16);
    for character in line.chars() {
        match character {
            '\n' => escaped.push(character),
            // White space between the values, where `raw` was written with it.
            '\t' | '\r' => escaped.push(' '),
            _ if is_unruly(character) => escaped.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}
