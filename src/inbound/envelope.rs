//! What a call's head says about its body: is an unreadable body broken itself, or only encoded in an unknown way?
//! Pure.
//!
//! A broken body goes to the dead letters and is answered with 200, because sending it again would not help. A body in
//! an unknown encoding (another format, another character set, compression that the head does not name) may be intact.
//! It is refused, so that upstream keeps it. A body that can be read is taken, whatever its head says.

use axum::http::{HeaderMap, header};
use serde_json::value::RawValue;

/// The first bytes of formats other than JSON in UTF-8: gzip, zstd, UTF-16 and UTF-32 in either byte order.
const OTHER_FORMATS: [&[u8]; 7] =
    [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfe\xff", b"\xff\xfe", b"\0\0\xfe\xff", b"\0", b"{\0"];

/// Whether the encoding may be the reason why these bytes are not JSON.
pub(crate) fn is_at_fault(head: &HeaderMap, bytes: &[u8]) -> bool {
    let content_type = match head.get(header::CONTENT_TYPE).map(|value| value.to_str()) {
        None => String::new(),
        Some(Ok(content_type)) => content_type.to_ascii_lowercase(),
        Some(Err(_)) => return true,
    };
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    let charset = parts.find_map(|part| part.strip_prefix("charset=")).map(|charset| charset.trim_matches('"'));
    !may_be_json(media_type)
        || charset.is_some_and(|charset| !matches!(charset, "utf-8" | "utf8" | "us-ascii"))
        || OTHER_FORMATS.iter().any(|start| bytes.starts_with(start))
}

/// Whether these bytes are JSON in UTF-8.
pub(crate) fn is_json(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice::<&RawValue>(bytes).is_ok()
}

/// Simple senders call everything plain text.
fn may_be_json(media_type: &str) -> bool {
    matches!(media_type, "" | "application/json" | "application/x-json" | "text/json" | "text/plain" | "*/*")
        || media_type.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn another_format_or_character_set_is_told_from_a_broken_body() {
        for (content_type, bytes, expected) in [
            (None, &b"{"[..], false),
            (None, b"\xff", false),
            (None, b"", false),
            (Some(&b"application/json"[..]), b"{", false),
            (Some(b"Application/JSON; Charset=UTF-8"), b"{\"a\":\"\xff\"}", false),
            (Some(b"application/cloudevents+json; charset=\"utf-8\""), b"{", false),
            (Some(b"text/plain"), b"{", false),
            (Some(b"application/json; charset=utf-16"), b"{", true),
            (Some(b"application/json;charset=windows-1251"), b"\xcf", true),
            (Some(b"application/x-www-form-urlencoded"), b"payload=%7B%7D", true),
            (Some(b"multipart/form-data; boundary=x"), b"--x\r\n", true),
            (Some(b"application/octet-stream"), b"{", true),
            (Some(b"text/html"), b"<html>", true),
            (Some(b"\xff"), b"{", true),
            (None, b"\x1f\x8b\x08", true),
            (Some(b"application/json"), b"\x28\xb5\x2f\xfd", true),
            (Some(b"application/json"), b"\xff\xfe{\0}\0", true),
            (Some(b"application/json"), b"\xfe\xff\0{\0}", true),
            (Some(b"application/json"), b"{\0}\0", true),
            (Some(b"application/json"), b"\0{\0}", true),
            (Some(b"application/json"), b"\0\0\0{", true),
        ] {
            let mut head = HeaderMap::new();
            if let Some(value) = content_type {
                head.insert(header::CONTENT_TYPE, HeaderValue::from_bytes(value).expect("a value"));
            }
            assert_eq!(is_at_fault(&head, bytes), expected, "{head:?} {bytes:?}");
        }
    }
}
