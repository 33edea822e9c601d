//! One event on one line: columns, width, colours, and nothing that could control a terminal. Pure.

use console::{Alignment, Style, measure_text_width, pad_str, truncate_str};

use super::view::View;
use crate::core::consume::ConsumedRecord;
use crate::fit;

/// The maximum width of the text if the output is not a terminal.
const WORDS_COLUMNS: usize = 400;
/// The minimum width of the text. A narrower terminal wraps the line.
const WORDS_COLUMNS_MIN: usize = 20;

/// How lines look.
pub(super) struct Layout {
    /// The terminal's width. `None` if it is not a terminal.
    pub(super) columns: Option<usize>,
    /// Whether to use colours.
    pub(super) colours: bool,
}

impl Layout {
    /// The line, without its end.
    pub(super) fn line(&self, view: &View, record: &ConsumedRecord) -> String {
        let time = view.time.map(|time| format!("{time:.0}")).unwrap_or_default();
        let columns = [
            (time, 20, Style::new().dim()),
            (fit::line(view.instance.as_deref().unwrap_or_default()), 12, Style::new().dim()),
            (fit::line(&record.key), 20, Style::new().bold()),
            (view.direction.to_owned(), 3, self.style(view)),
            (fit::line(&view.label), 15, self.style(view)),
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
        line.push_str(&truncate_str(&fit::line(&view.words), room, "…"));
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
