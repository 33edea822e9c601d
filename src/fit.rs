//! Makes text from outside safe to show in a log, on a status page or in a terminal.
//!
//! Whoever writes to a chat, answers a request or produces to a topic must not be able to move a terminal's cursor,
//! begin a log line of their own, or change the writing direction so that a line reads differently. Joiners stay,
//! because emoji need them.

use std::borrow::Cow;

/// On one line: white space becomes a space, and harmful characters become U+FFFD.
#[must_use]
pub fn line(text: &str) -> String {
    let words: Vec<Cow<'_, str>> = text.split_whitespace().map(lines).collect();
    words.join(" ")
}

/// Line breaks and tabs stay. Other harmful characters become U+FFFD.
#[must_use]
pub fn lines(text: &str) -> Cow<'_, str> {
    let is_harmful = |character: char| is_unruly(character) && !matches!(character, '\n' | '\t');
    if !text.contains(is_harmful) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(|character| if is_harmful(character) { '\u{fffd}' } else { character }).collect())
}

/// Like [`lines`], for text that the bridge has coloured itself.
#[must_use]
pub fn coloured_lines(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') {
        return lines(text);
    }
    Cow::Owned(text.split('\u{1b}').map(lines).collect::<Vec<_>>().join("\u{1b}"))
}

/// The same JSON line, safe to show. Harmful characters can only stand inside its strings, so they are escaped.
#[must_use]
pub fn json(line: &str) -> Cow<'_, str> {
    if !line.trim_end_matches('\n').contains(is_unruly) {
        return Cow::Borrowed(line);
    }
    let mut escaped = String::with_capacity(line.len() + 16);
    for character in line.chars() {
        match character {
            '\n' => escaped.push(character),
            // White space between the values, if `raw` was written with it.
            '\t' | '\r' => escaped.push(' '),
            _ if is_unruly(character) => escaped.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// Whether the character moves the cursor, ends a line, or changes the writing direction. All of these have four hex
/// digits.
fn is_unruly(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{fff9}'..='\u{fffb}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_moves_the_cursor_ends_the_line_or_turns_the_writing() {
        for (text, shown) in [
            ("plain, привет, 👨‍👩‍👧 and شكرا", "plain, привет, 👨‍👩‍👧 and شكرا"),
            ("one\r\n two\u{2028}three\tfour ", "one two three four"),
            ("\u{1b}[2J\u{7}gone\u{9b}1A", "\u{fffd}[2J\u{fffd}gone\u{fffd}1A"),
            ("file\u{202e}cod.exe", "file\u{fffd}cod.exe"),
            ("\u{2066}a\u{2069}\u{200e}\u{200f}\u{061c}\u{206a}", "\u{fffd}a\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
        ] {
            assert_eq!(line(text), shown);
        }
        assert_eq!(lines("two\n\tlines\r\u{202e}"), "two\n\tlines\u{fffd}\u{fffd}");
        assert!(matches!(lines("two\nlines"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_says_the_same_and_can_be_looked_at() {
        let line = "{\"a\":\"\u{202e}\u{9b}\u{7f}\"}\n";
        let shown = json(line);
        assert_eq!(shown, "{\"a\":\"\\u202e\\u009b\\u007f\"}\n");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("JSON");
        assert_eq!(read(&shown), read(line));
    }
}
