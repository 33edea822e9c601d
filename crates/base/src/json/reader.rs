//! Text to [`Json`], refusing nothing that `serde_json` lets through as a `RawValue`.

use std::borrow::Cow;
use std::ops::Range;

use super::{DEPTH_MAX, Json};

/// Few objects of documented bodies have more.
const MEMBERS_EXPECTED: usize = 8;

/// One document and nothing behind it.
pub(super) fn document(text: &str) -> Option<Json<'_>> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    reader.skip_white_space();
    (reader.at == text.len()).then_some(value)
}

/// The members of the object that the text is.
pub(super) fn members(text: &str) -> Option<Vec<(Cow<'_, str>, Range<usize>)>> {
    let mut reader = Reader { text, at: 0 };
    let mut members = Vec::new();
    reader.eat(b'{')?;
    reader.skip_white_space();
    if reader.peek()? == b'}' {
        return Some(members);
    }
    loop {
        reader.skip_white_space();
        let key = reader.string()?;
        reader.eat(b':')?;
        members.push((key, reader.step_over()?));
        match reader.peek()? {
            b',' => reader.at += 1,
            _ => return reader.eat(b'}').map(|()| members),
        }
    }
}

/// The items of the array that the text is.
pub(super) fn items(text: &str) -> Option<Vec<Range<usize>>> {
    let mut reader = Reader { text, at: 0 };
    let mut items = Vec::new();
    reader.eat(b'[')?;
    reader.skip_white_space();
    if reader.peek()? == b']' {
        return Some(items);
    }
    loop {
        items.push(reader.step_over()?);
        match reader.peek()? {
            b',' => reader.at += 1,
            _ => return reader.eat(b']').map(|()| items),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
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
            b'{' | b'[' if depth >= DEPTH_MAX => self.opaque(),
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'-' | b'0'..=b'9' => Some(self.number()),
            _ => None,
        }
    }

    /// Where the next value stands; and on to what follows it.
    fn step_over(&mut self) -> Option<Range<usize>> {
        self.skip_white_space();
        let start = self.at;
        self.value(DEPTH_MAX)?;
        let end = self.at;
        self.skip_white_space();
        Some(start..end)
    }

    fn number(&mut self) -> Json<'a> {
        let start = self.at;
        while matches!(self.peek(), Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')) {
            self.at += 1;
        }
        Json::Number(&self.text[start..self.at])
    }

    fn array(&mut self, depth: usize) -> Option<Json<'a>> {
        self.eat(b'[')?;
        let mut items = Vec::new();
        self.skip_white_space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(Json::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_white_space();
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.eat(b']').map(|()| Json::Array(items)),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Json<'a>> {
        self.eat(b'{')?;
        self.skip_white_space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(Json::Object(Vec::new()));
        }
        let mut members = Vec::with_capacity(MEMBERS_EXPECTED);
        loop {
            self.skip_white_space();
            let key = self.string()?;
            self.eat(b':')?;
            members.push((key, self.value(depth + 1)?));
            self.skip_white_space();
            match self.peek()? {
                b',' => self.at += 1,
                _ => return self.eat(b'}').map(|()| Json::Object(members)),
            }
        }
    }

    /// Steps over a container without recursion, so that no depth can exhaust the stack.
    fn opaque(&mut self) -> Option<Json<'a>> {
        let start = self.at;
        let mut open = 0_usize;
        loop {
            match self.peek()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return Some(Json::Opaque(&self.text[start..self.at]));
            }
        }
    }

    fn string(&mut self) -> Option<Cow<'a, str>> {
        self.eat(b'"')?;
        let start = self.at;
        let plain = self.text.as_bytes()[start..].iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        self.at += plain;
        if self.peek()? == b'"' {
            self.at += 1;
            return Some(Cow::Borrowed(&self.text[start..start + plain]));
        }
        let mut resolved = String::with_capacity(self.at - start + 32);
        let mut plain_from = start;
        loop {
            match self.peek()? {
                b'"' => {
                    resolved.push_str(&self.text[plain_from..self.at]);
                    self.at += 1;
                    return Some(Cow::Owned(resolved));
                }
                b'\\' => {
                    resolved.push_str(&self.text[plain_from..self.at]);
                    self.at += 1;
                    resolved.push(self.escape()?);
                    plain_from = self.at;
                }
                _ => self.at += 1,
            }
        }
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

    /// The character of a well-formed pair; consumes the second half only then.
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
