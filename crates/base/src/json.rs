//! A borrowed, tolerant view of one JSON document.
//!
//! `serde_json` has already checked the text (as a `RawValue`), so this module only has to read it. It reads what a
//! typed decoder would refuse: a lone surrogate escape (`"\ud83d"`) becomes U+FFFD, a number keeps all its digits,
//! nesting deeper than [`DEPTH_MAX`] stays an opaque slice, and of two equal keys the last one counts. Upstream bodies
//! contain all of this.
//!
//! # How much memory a document takes
//!
//! A value takes up to 56 bytes here and as few as two in the text (`0,`), so a view of the whole document could be
//! thirty times as large as its text. Therefore at most [`VALUES_MAX`] values are parsed. A container with more values
//! than are left stays an opaque slice, like one that is nested too deep. What stands beside it is read as usual. So a
//! view takes at most 8 MiB, plus no more bytes than the text has.
//!
//! No I/O, and no other module of this repository.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

mod reader;

/// Containers nested deeper than this are kept as text. Documented bodies nest five deep.
pub const DEPTH_MAX: usize = 64;

/// At most this many values of a document are parsed. The largest known bodies, votes in a poll of a large group, have
/// about twelve thousand.
pub const VALUES_MAX: usize = 32_768;

/// One JSON value, borrowing from the text it was read from.
#[derive(Debug, Clone, PartialEq)]
pub enum Json<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// The number's own digits, as they came.
    Number(&'a str),
    /// A string, escapes resolved.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object in the order of the text; keys may repeat.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
    /// A container below [`DEPTH_MAX`], or with more values than [`VALUES_MAX`] allows, as text.
    Opaque(&'a str),
}

static NULL: Json<'static> = Json::Null;

impl<'a> Json<'a> {
    /// Reads one document. `None` if the text is not JSON, which cannot happen for text from a `RawValue`.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Json<'a>> {
        reader::document(text)
    }

    /// The member `key` of an object, or `null` if there is none, so that look-ups can be chained.
    #[must_use]
    pub fn get(&self, key: &str) -> &Json<'a> {
        match self {
            Json::Object(members) => {
                members.iter().rev().find(|(name, _)| name == key).map_or(&NULL, |(_, value)| value)
            }
            _ => &NULL,
        }
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Json::Null)
    }

    /// Whether this is an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        matches!(self, Json::Object(_))
    }

    /// Whether anything in here was not parsed.
    #[must_use]
    pub fn has_opaque(&self) -> bool {
        match self {
            Json::Opaque(_) => true,
            Json::Array(items) => items.iter().any(Json::has_opaque),
            Json::Object(members) => members.iter().any(|(_, value)| value.has_opaque()),
            _ => false,
        }
    }

    /// A string, or a number or boolean in its own spelling, because upstream varies between the forms.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            Json::Number(digits) => Some(digits),
            Json::Bool(true) => Some("true"),
            Json::Bool(false) => Some("false"),
            _ => None,
        }
    }

    /// Like [`Json::text`], but `""` counts as absent: upstream writes `""` for missing values.
    #[must_use]
    pub fn words(&self) -> Option<&str> {
        self.text().filter(|text| !text.is_empty())
    }

    /// A whole number, also if it came as a string or as `4.0`.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        let text = self.text()?.trim();
        text.parse().ok().or_else(|| {
            let float: f64 = text.parse().ok()?;
            // Beyond 2^53 a float no longer tells which whole number was meant.
            (float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0).then_some(float as i64)
        })
    }

    /// A number that a double can hold, also if it came as a string.
    #[must_use]
    pub fn number(&self) -> Option<f64> {
        self.text()?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// The items of an array, or none if this is no array.
    #[must_use]
    pub fn items(&self) -> &[Json<'a>] {
        if let Json::Array(items) = self { items } else { &[] }
    }

    /// A boolean, also as `"true"`, `"yes"`, `1` and their opposites.
    #[must_use]
    pub fn boolean(&self) -> Option<bool> {
        match self.text()? {
            "true" | "yes" | "1" => Some(true),
            "false" | "no" | "0" => Some(false),
            _ => None,
        }
    }

    /// Appends the canonical form of RFC 8785: keys sorted by UTF-16 code units, no white space, shortest numbers.
    ///
    /// One deliberate difference: whole numbers keep all their digits, where the RFC rounds them to a double. Otherwise
    /// two ids of 18 digits could become one.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        match self {
            Json::Null => out.extend_from_slice(b"null"),
            Json::Bool(true) => out.extend_from_slice(b"true"),
            Json::Bool(false) => out.extend_from_slice(b"false"),
            Json::Number(digits) => write_number(digits, out),
            Json::String(text) => write_string(text, out),
            Json::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write_canonical(out);
                }
                out.push(b']');
            }
            Json::Object(members) => {
                out.push(b'{');
                for (index, (key, value)) in sorted_last_wins(members).into_iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_string(key, out);
                    out.push(b':');
                    value.write_canonical(out);
                }
                out.push(b'}');
            }
            Json::Opaque(text) => write_without_white_space(text, out),
        }
    }

    /// Removes every member named `key` whose value is a string longer than `bytes_max`, at any depth. True if any was
    /// removed.
    pub fn remove_long(&mut self, key: &str, bytes_max: usize) -> bool {
        match self {
            Json::Array(items) => {
                items.iter_mut().fold(false, |removed, item| item.remove_long(key, bytes_max) | removed)
            }
            Json::Object(members) => {
                let before = members.len();
                members.retain(|(name, value)| {
                    name != key || !matches!(value, Json::String(text) if text.len() > bytes_max)
                });
                let removed = members.len() < before;
                members.iter_mut().fold(removed, |removed, (_, value)| value.remove_long(key, bytes_max) | removed)
            }
            _ => false,
        }
    }
}

/// The places of the members `names` in an object's text, and how many members it has in all. If a name occurs more
/// than once, the last counts. `None` if the text is no object.
#[must_use]
pub fn members<const N: usize>(text: &str, names: [&str; N]) -> Option<([Option<Range<usize>>; N], usize)> {
    reader::members(text, names)
}

/// Goes through the items of an array one by one and keeps none. It does not borrow the text, so the owner of the text
/// can store both together.
#[derive(Debug, Clone, Copy)]
pub struct Items {
    at: usize,
}

impl Items {
    /// Starts at the first item. `None` if the text is no array.
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        Some(Self { at: reader::first_item(text)? })
    }

    /// The place of the next item in `text`, which has to be the same text each time.
    pub fn next(&mut self, text: &str) -> Option<Range<usize>> {
        let (item, next) = reader::item(text, self.at)?;
        self.at = next;
        Some(item)
    }

    /// How many items are left.
    #[must_use]
    pub fn count(mut self, text: &str) -> usize {
        std::iter::from_fn(|| self.next(text)).count()
    }
}

/// The same JSON on one line, otherwise unchanged.
#[must_use]
pub fn on_one_line(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    write_without_white_space(text, &mut out);
    String::from_utf8(out).expect("only ASCII white space was taken out of a str")
}

/// The members in canonical order. Of equal keys only the last is kept.
fn sorted_last_wins<'m, 'a>(members: &'m [(Cow<'a, str>, Json<'a>)]) -> Vec<(&'m str, &'m Json<'a>)> {
    let mut sorted: Vec<(&str, &Json)> = members.iter().rev().map(|(key, value)| (&**key, value)).collect();
    // A stable sort: of equal keys the one that came last stands first and survives the dedup.
    sorted.sort_by(|(a, _), (b, _)| compare_utf16(a, b));
    sorted.dedup_by(|(later, _), (kept, _)| later == kept);
    sorted
}

fn compare_utf16(a: &str, b: &str) -> Ordering {
    if a.is_ascii() && b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

fn write_number(digits: &str, out: &mut Vec<u8>) {
    let whole = digits.strip_prefix('-').unwrap_or(digits);
    if whole.bytes().all(|byte| byte.is_ascii_digit()) {
        out.extend_from_slice(if whole == "0" { b"0" } else { digits.as_bytes() });
        return;
    }
    match digits.parse::<f64>() {
        Ok(float) if float.is_finite() => {
            out.extend_from_slice(ryu_js::Buffer::new().format_finite(float).as_bytes());
        }
        // 1e999 is valid JSON but no double. Its spelling is the only identity it has.
        _ => out.extend_from_slice(digits.as_bytes()),
    }
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    // Without an early return, so that the compiler can check sixteen bytes at a time.
    let is_plain = text.bytes().fold(true, |plain, byte| plain & (byte >= 0x20) & (byte != b'"') & (byte != b'\\'));
    if is_plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    // serde_json escapes exactly what RFC 8785, 3.2.2.2 asks for, and writing to a Vec cannot fail.
    serde_json::to_writer(out, text).expect("a Vec takes every byte");
}

fn write_without_white_space(text: &str, out: &mut Vec<u8>) {
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        if in_string {
            (in_string, escaped) = match byte {
                _ if escaped => (true, false),
                b'\\' => (true, true),
                b'"' => (false, false),
                _ => (true, false),
            };
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        out.push(byte);
    }
}

#[cfg(test)]
mod tests;
