//! A record as one line of JSON: `{"topic","key","headers","value"}`.

use std::io::{self, Write};

use serde::Serializer as _;
use serde_json::value::RawValue;

use chatbridge_base::json::on_one_line;

/// A record's value. It goes into the line unchanged if it is JSON.
pub(super) enum Value<'a> {
    /// Known to be JSON.
    Json(&'a [u8]),
    /// Anything. If it is not JSON, it is shown as a string.
    Bytes(&'a [u8]),
}

/// Writes the line in pieces, so that a value that is already JSON is neither parsed nor copied.
pub(super) fn write<'a>(
    out: &mut impl Write,
    topic: &str,
    key: &str,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    value: Value<'_>,
) -> io::Result<()> {
    out.write_all(b"{\"topic\":")?;
    serde_json::to_writer(&mut *out, topic)?;
    out.write_all(b",\"key\":")?;
    serde_json::to_writer(&mut *out, key)?;
    out.write_all(b",\"headers\":")?;
    serde_json::Serializer::new(&mut *out).collect_map(headers)?;
    out.write_all(b",\"value\":")?;
    let (bytes, text) = match value {
        Value::Json(bytes) => (bytes, std::str::from_utf8(bytes).ok()),
        Value::Bytes(bytes) => (bytes, serde_json::from_slice::<&RawValue>(bytes).ok().map(RawValue::get)),
    };
    match text {
        // `raw` may hold the line breaks of a body that was written over several lines.
        Some(text) if text.contains('\n') => out.write_all(on_one_line(text).as_bytes())?,
        Some(text) => out.write_all(text.as_bytes())?,
        None => serde_json::to_writer(&mut *out, &String::from_utf8_lossy(bytes))?,
    }
    out.write_all(b"}\n")
}
