//! JSON documents from a file or standard input: one document, or JSON lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde_json::value::RawValue;

/// The limit for a document that spans lines.
const DOCUMENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One piece of the input.
pub(super) enum Document<'a> {
    /// A JSON document.
    Json(&'a RawValue),
    /// A line, or lines, that are not JSON, and where that shows.
    Malformed(&'a [u8], serde_json::Error),
}

/// `file`, or standard input if there is none or it is `-`.
pub(super) fn open(file: Option<&Path>) -> io::Result<Box<dyn BufRead>> {
    match file {
        Some(path) if path != Path::new("-") => {
            let file = File::open(path)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
            Ok(Box::new(BufReader::with_capacity(1 << 18, file)))
        }
        _ => Ok(Box::new(io::stdin().lock())),
    }
}

/// A line that is a document by itself is one document. Lines that are only JSON together are joined.
pub(super) fn for_each(
    mut input: impl BufRead,
    mut take: impl FnMut(Document<'_>) -> io::Result<()>,
) -> io::Result<()> {
    let mut pending = Vec::new();
    loop {
        let start = pending.len();
        let at_end = input.read_until(b'\n', &mut pending)? == 0;
        if at_end && pending.trim_ascii().is_empty() {
            return Ok(());
        }
        if !at_end && pending[start..].trim_ascii().is_empty() {
            continue;
        }
        match serde_json::from_slice::<&RawValue>(&pending) {
            Ok(document) => take(Document::Json(document))?,
            Err(error) if error.is_eof() && !at_end && pending.len() < DOCUMENT_BYTES_MAX => continue,
            Err(error) => take(Document::Malformed(pending.trim_ascii(), error))?,
        }
        if at_end {
            return Ok(());
        }
        pending.clear();
    }
}
