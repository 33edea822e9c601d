//! Text to [`Json`]. Accepts everything that `serde_json` accepts as a `RawValue`.

use std::borrow::Cow;
use std::ops::Range;

use super::{DEPTH_MAX, Json, VALUES_MAX};

/// One document and nothing after it.
pub(super) fn document(text: &str) -> Option<Json<'_>> {
    let mut reader = Reader::new(text, 0);
    let value = reader.value(0)?;
    reader.skip_white_space();
    (reader.at == text.len()).then_some(value)
}

/// The places of the members with these names, and how many members there are in all.
pub(super) fn members<const N: usize>(text: &str, names: [&str; N]) -> Option<([Option<Range<usize>>; N], usize)> {
    let mut reader = Reader::new(text, 0);
    let (mut found, mut count) = ([const { None }; N], 0);
    reader.eat(b'{')?;
    reader.skip_white_space();
    if reader.peek()? == b'}' {
        return Some((found, count));
    }
    loop {
        reader.skip_white_space();
        let key = reader.string()?;
        reader.eat(b':')?;
        let value = reader.step_over()?;
        count += 1;
        if let Some(at) = names.iter().position(|name| *name == key) {
            found[at] = Some(value);
        }
        match reader.peek()? {
            b',' => reader.at += 1,
            _ => return reader.eat(b'}').map(|()| (found, count)),
        }
    }
}

/// Steps into an array. Returns where to look for its first item.
pub(super) fn first_item(text: &str) -> Option<usize> {
    let mut reader = Reader::new(text, 0);
    reader.eat(b'[')?;
    reader.skip_white_space();
    Some(reader.at)
}

/// The item that is at `at`, and where to look for the next one. `None` if there is none.
pub(super) fn item(text: &str, at: usize) -> Option<(Range<usize>, usize)> {
    let mut reader = Reader::new(text, at);
    if reader.peek()? == b']' {
        return None;
    }
    let item = reader.step_over()?;
    match reader.peek()? {
        b',' => reader.at += 1,
        _ => return (reader.peek()? == b']').then_some((item, reader.at)),
    }
    reader.skip_white_space();
    Some((item, reader.at))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// How many more values may be parsed.
    values_left: usize,
    /// Items of the arrays that are being read, those of the innermost last. When an array's end is known, its items
    /// move from here into a vector of exactly its length.
    items: Vec<Json<'a>>,
    /// The same for the members of objects.
    members: Vec<(Cow<'a, str>, Json<'a>)>,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, at: usize) -> Self {
        Self { text, at, values_left: VALUES_MAX, items: Vec::new(), members: Vec::new() }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, expected: u8) -> Option<()> {
        self.skip_white_space();
        (self.peek()? == expected).then(|| self.at += 1)
    }

    fn literal(&mut self, word: &str, value: Json<'a>) -> Option<Json<'a>> {
        self.text[self.at..].starts_with(word).then(|| {
            self.at += word.len();
            value
        })
    }

    fn value(&mut self, depth: usize) -> Option<Json<'a>> {
        self.skip_white_space();
        match self.peek()? {
            b'n' => self.literal("null", Json::Null),
            b't' => self.literal("true", Json::Bool(true)),
            b'f' => self.literal("false", Json::Bool(false)),
            b'"' => Some(Json::String(self.string()?)),
            b'{' | b'[' if depth >= DEPTH_MAX => {
                let start = self.at;
                self.at += 1;
                self.rest_as_text(start)
            }
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'-' | b'0'..=b'9' => Some(self.number()),
            _ => None,
        }
    }

    /// The place of the next value. Moves past it and keeps nothing of it.
    fn step_over(&mut self) -> Option<Range<usize>> {
        self.skip_white_space();
        let start = self.at;
        match self.peek()? {
            b'"' => self.skip_string()?,
            _ => drop(self.value(DEPTH_MAX)?),
        }
        let end = self.at;
        self.skip_white_space();
        Some(start..end)
    }

    /// Counts one more value to be parsed. Returns whether it may be.
    fn may_go_on(&mut self) -> bool {
        let may = self.values_left > 0;
        self.values_left = self.values_left.saturating_sub(1);
        may
    }

    fn number(&mut self) -> Json<'a> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        Json::Number(&self.text[start..self.at])
    }

    fn array(&mut self, depth: usize) -> Option<Json<'a>> {
        let (start, first, values_left) = (self.at, self.items.len(), self.values_left);
        self.eat(b'[')?;
        self.skip_white_space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(Json::Array(Vec::new()));
        }
        loop {
            if !self.may_go_on() {
                self.items.truncate(first);
                self.values_left = values_left;
                return self.rest_as_text(start);
            }
            let item = self.value(depth + 1)?;
            self.items.push(item);
            self.skip_white_space();
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.eat(b']').map(|()| Json::Array(self.items.drain(first..).collect())),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json<'a>> {
        let (start, first, values_left) = (self.at, self.members.len(), self.values_left);
        self.eat(b'{')?;
        self.skip_white_space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(Json::Object(Vec::new()));
        }
        loop {
            if !self.may_go_on() {
                self.members.truncate(first);
                self.values_left = values_left;
                return self.rest_as_text(start);
            }
            self.skip_white_space();
            let key = self.string()?;
            self.eat(b':')?;
            let value = self.value(depth + 1)?;
            self.members.push((key, value));
            self.skip_white_space();
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.eat(b'}').map(|()| Json::Object(self.members.drain(first..).collect())),
            }
        }
    }

    /// Skips the rest of the container that began at `start`. It is not recursive, so no depth can exhaust the stack,
    /// and it does not read again what was read before.
    fn rest_as_text(&mut self, start: usize) -> Option<Json<'a>> {
        let mut open = 1_usize;
        while open > 0 {
            match self.peek()? {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
        }
        Some(Json::Opaque(&self.text[start..self.at]))
    }

    fn skip_string(&mut self) -> Option<()> {
        self.eat(b'"')?;
        loop {
            let special = self.text.as_bytes()[self.at..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            self.at += special + 1;
            if self.text.as_bytes()[self.at - 1] == b'"' {
                return Some(());
            }
            // Skip the escaped byte: it does not end the string.
            self.at += 1;
            self.peek()?;
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.eat(b'"')?;
        let start = self.at;
        let plain = self.text.as_bytes()[start..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        if self.text.as_bytes()[start + plain] == b'"' {
            self.at += plain + 1;
            return Some(Cow::Borrowed(&self.text[start..start + plain]));
        }
        self.at -= 1;
        self.skip_string()?;
        let end = self.at - 1;
        // No escape is shorter than what it stands for, so this never has to grow.
        let mut resolved = String::with_capacity(end - start);
        self.at = start + plain;
        let mut plain_from = start;
        while self.at < end {
            if self.peek()? == b'\\' {
                resolved.push_str(&self.text[plain_from..self.at]);
                self.at += 1;
                resolved.push(self.escape()?);
                plain_from = self.at;
            } else {
                self.at += 1;
            }
        }
        resolved.push_str(self.text.get(plain_from..end)?);
        self.at = end + 1;
        Some(Cow::Owned(resolved))
    }

    fn escape(&mut self) -> Option<char> {
        let byte = self.peek()?;
        self.at += 1;
        Some(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = self.hex4()?;
                self.surrogate_pair(first).or_else(|| char::from_u32(first)).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return None,
        })
    }

    /// The character of a well-formed pair. Consumes the second half only in that case.
    fn surrogate_pair(&mut self, high: u32) -> Option<char> {
        if !(0xD800..0xDC00).contains(&high) || !self.text[self.at..].starts_with("\\u") {
            return None;
        }
        let rest = self.text.get(self.at + 2..self.at + 6)?;
        let low = u32::from_str_radix(rest, 16).ok().filter(|low| (0xDC00..0xE000).contains(low))?;
        self.at += 6;
        char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}
