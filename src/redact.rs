//! Removes every secret of the configuration from text that comes from outside.
//!
//! GREEN-API may quote the path of a request, and with it a token. A proxy may quote a header, a broker a user's
//! password. We do not know beforehand which answer holds which secret, so all secrets are searched for everywhere. A
//! process has one redactor. It is handed to everything that shows text from outside, and is updated with each new
//! configuration.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use parking_lot::RwLock;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use tracing::error;

use crate::fit;

/// Shorter secrets are not searched for: they could be part of any word, and removing them would ruin the text.
pub const SECRET_BYTES_MIN: usize = 8;
/// Replaces a secret.
const PLACEHOLDER: &str = "<secret>";
/// How many of the secrets made while the process runs are remembered. For ChatApp's tokens this covers those that an
/// answer may still quote.
const LEARNED_MAX: usize = 16;

/// Knows every secret. Clones share what they know.
#[derive(Clone, Default)]
pub struct Redactor(Arc<RwLock<Known>>);

#[derive(Default)]
struct Known {
    present: Vec<SecretString>,
    /// The secrets of the previous configuration: an answer may still quote them.
    former: Vec<SecretString>,
    /// Secrets that are in no configuration.
    learned: Vec<SecretString>,
    finder: Option<AhoCorasick>,
}

impl Redactor {
    /// A redactor that knows these secrets.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s SecretString>) -> Self {
        let redactor = Self::default();
        redactor.configured(secrets);
        redactor
    }

    /// Replaces the configured secrets. The previous ones stay known until the next call.
    pub fn configured<'s>(&self, secrets: impl IntoIterator<Item = &'s SecretString>) {
        self.change(|known| {
            known.former = std::mem::replace(&mut known.present, secrets.into_iter().cloned().collect());
        });
    }

    /// Adds a secret that was made while the process runs.
    pub fn learn(&self, secret: &SecretString) {
        let is_known = |known: &SecretString| known.expose_secret() == secret.expose_secret();
        if self.known().learned.iter().any(is_known) {
            return;
        }
        self.change(|known| {
            let excess = (known.learned.len() + 1).saturating_sub(LEARNED_MAX);
            known.learned.drain(..excess);
            known.learned.push(secret.clone());
        });
    }

    /// The text without secrets.
    #[must_use]
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match &self.known().finder {
            Some(finder) if finder.is_match(text) => {
                let mut clean = String::with_capacity(text.len());
                finder.replace_all_with(text, &mut clean, |_, _, clean| {
                    clean.push_str(PLACEHOLDER);
                    true
                });
                Cow::Owned(clean)
            }
            _ => Cow::Borrowed(text),
        }
    }

    /// Text from outside on one line, without secrets, safe to show.
    #[must_use]
    pub fn outside(&self, text: &str) -> String {
        fit::line(&self.text(text))
    }

    /// A document that holds text from outside, as JSON. Its strings are without secrets and safe to show.
    ///
    /// # Errors
    /// If the document cannot be written as JSON.
    pub fn json(&self, document: &impl Serialize) -> serde_json::Result<String> {
        let mut document = serde_json::to_value(document)?;
        self.clean(&mut document);
        serde_json::to_string(&document)
    }

    fn clean(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                let redacted = self.text(text);
                let clean = fit::lines(&redacted);
                if *clean != **text {
                    *text = clean.into_owned();
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean(item)),
            Value::Object(members) => members.values_mut().for_each(|member| self.clean(member)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn change(&self, change: impl FnOnce(&mut Known)) {
        let mut known = self.0.write();
        change(&mut known);
        let secrets = [&known.present, &known.former, &known.learned];
        match finder(secrets.into_iter().flatten()) {
            Ok(finder) => known.finder = finder,
            // This error's message never holds the secrets themselves.
            Err(failure) => error!(%failure, "secrets that are new cannot be looked for in what is shown"),
        }
    }

    fn known(&self) -> parking_lot::RwLockReadGuard<'_, Known> {
        self.0.read()
    }
}

/// Shows neither how many secrets there are nor how long they are.
impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

fn finder<'s>(
    secrets: impl Iterator<Item = &'s SecretString>,
) -> Result<Option<AhoCorasick>, aho_corasick::BuildError> {
    let mut spellings = BTreeSet::new();
    for secret in secrets {
        spell(secret.expose_secret().trim(), &mut spellings);
    }
    if spellings.is_empty() {
        return Ok(None);
    }
    // The longest first, because one secret may begin with another. This kind needs the least memory for thousands of
    // tokens.
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostLongest)
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .build(&spellings)
        .map(Some)
}

/// The ways a secret may appear in a text: as it is, escaped in JSON, or encoded in a URL. For `Bearer …` also the
/// token alone.
fn spell(secret: &str, spellings: &mut BTreeSet<String>) {
    let token = secret.split_whitespace().next_back().unwrap_or_default();
    for form in [secret, token] {
        if form.len() < SECRET_BYTES_MIN {
            continue;
        }
        let quoted = Value::from(form).to_string();
        spellings.insert(quoted[1..quoted.len() - 1].to_owned());
        spellings.insert(percent_encoding::utf8_percent_encode(form, percent_encoding::NON_ALPHANUMERIC).to_string());
        spellings.insert(form.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(texts: &[&str]) -> Vec<SecretString> {
        texts.iter().map(|text| SecretString::from((*text).to_owned())).collect()
    }

    #[test]
    fn every_secret_is_taken_out_in_every_spelling() {
        let redactor =
            Redactor::new(&secrets(&["d75b3a66c0ffee", "d75b3a66c0ffee1234", "pa\"ss wo/rd+", "Bearer tok-en-123"]));
        for (text, clean) in [
            (
                "GET /waInstance1/receiveNotification/d75b3a66c0ffee HTTP/1.1",
                "GET /waInstance1/receiveNotification/<secret> HTTP/1.1",
            ),
            ("d75b3a66c0ffee1234d75b3a66c0ffee", "<secret><secret>"),
            ("xd75b3a66c0ffeex", "x<secret>x"),
            (r#"{"password":"pa\"ss wo/rd+"}"#, r#"{"password":"<secret>"}"#),
            ("password=pa%22ss%20wo%2Frd%2B", "password=<secret>"),
            ("authorization: Bearer tok-en-123", "authorization: <secret>"),
            ("token tok-en-123 is not known", "token <secret> is not known"),
            ("nothing of that sort", "nothing of that sort"),
        ] {
            assert_eq!(redactor.text(text), clean);
        }
    }

    #[test]
    fn short_secrets_leave_text_as_it_is() {
        let redactor = Redactor::new(&secrets(&["", " ", "a", "kafka", "1234567"]));
        let text = "a broker of kafka answers 12345678";
        assert!(matches!(redactor.text(text), Cow::Borrowed(same) if same == text));
        assert_eq!(Redactor::default().text(text), text);
    }

    #[test]
    fn a_new_configuration_is_known_at_once_and_the_one_before_once_more() {
        let redactor = Redactor::new(&secrets(&["first-secret"]));
        let clone = redactor.clone();
        redactor.configured(&secrets(&["second-secret"]));
        assert_eq!(clone.text("first-secret second-secret"), "<secret> <secret>");
        redactor.configured(&secrets(&["third-secret"]));
        assert_eq!(clone.text("first-secret second-secret third-secret"), "first-secret <secret> <secret>");
    }

    #[test]
    fn what_was_learned_is_known_and_only_so_much_is_kept() {
        let redactor = Redactor::default();
        for number in 0..=LEARNED_MAX {
            let token = SecretString::from(format!("token-number-{number:02}."));
            redactor.learn(&token);
            redactor.learn(&token);
        }
        assert_eq!(redactor.text("token-number-00. token-number-01."), "token-number-00. <secret>");
    }

    #[test]
    fn strings_of_a_document_are_clean_and_its_names_stay() {
        let redactor = Redactor::new(&secrets(&["instances"]));
        let document = serde_json::json!({"instances": [{"last_error": "instances\u{202e}\nare gone", "n": 1}]});
        let clean = redactor.json(&document).expect("JSON");
        assert_eq!(clean, "{\"instances\":[{\"last_error\":\"<secret>\u{fffd}\\nare gone\",\"n\":1}]}");
    }

    #[test]
    fn it_does_not_print_what_it_knows() {
        let shown = format!("{:?}", Redactor::new(&secrets(&["d75b3a66c0ffee"])));
        assert_eq!(shown, "Redactor { .. }");
    }
}
