//! The errors GREEN-API writes where a text or an address should stand.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with::skip_serializing_none;

/// An error of GREEN-API's own, found in a body as `{{SWE001}}` or `SWE004: 1000`.
#[skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UpstreamError {
    /// `SWE` and three digits.
    pub code: String,
    /// What it means, where that is documented.
    pub meaning: Option<&'static str>,
}

impl UpstreamError {
    /// The error a text begins with, and the words behind it. Without braces it takes a colon to be one.
    #[must_use]
    pub fn at_start_of(text: &str) -> Option<(Self, &str)> {
        let text = text.trim();
        let bare = text.strip_prefix("{{");
        let (code, rest) = split_code(bare.unwrap_or(text))?;
        let rest = rest.strip_prefix(if bare.is_some() { "}}" } else { ":" })?;
        Some((Self { meaning: meaning(code), code: code.to_owned() }, rest.trim_start_matches(':').trim()))
    }
}

fn split_code(text: &str) -> Option<(&str, &str)> {
    let digits = text.strip_prefix("SWE")?.bytes().take_while(u8::is_ascii_digit).count();
    (digits == 3).then(|| text.split_at(6))
}

fn meaning(code: &str) -> Option<&'static str> {
    match code {
        "SWE001" => Some("the message could not be decrypted on a linked device"),
        "SWE002" => Some("the file is larger than 100 MB"),
        "SWE003" => Some("the decryption keys are lost; the account has to be linked again"),
        "SWE004" => Some("sending failed: the group is too large, or for the reason the code behind it stands for"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_told_from_words() {
        for (text, expected) in [
            ("{{SWE001}}", Some(("SWE001", ""))),
            (" {{SWE003}}\n", Some(("SWE003", ""))),
            ("{{SWE004}}: too large", Some(("SWE004", "too large"))),
            ("SWE004: 1000", Some(("SWE004", "1000"))),
            ("{{SWE123}} tell me", Some(("SWE123", "tell me"))),
            ("SWE001", None),
            ("{{SWE01}}", None),
            ("{{SWE0001}}", None),
            ("{{SWE001", None),
            ("SWEden: lovely", None),
            ("what is {{SWE001}}?", None),
            ("", None),
        ] {
            let found = UpstreamError::at_start_of(text);
            assert_eq!(found.as_ref().map(|(error, rest)| (&*error.code, *rest)), expected, "{text}");
        }
    }
}
