//! How a secret is read. There is one way for all of them, whether they stand in the file, in the environment or in a
//! file of their own.
//!
//! White space around a secret is taken away, because editors and `echo` put a line break there. Whatever else cannot
//! be meant as a part of it is an error: nobody could see it later in a login that fails.

use std::fmt::Display;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::problem::Checks;

/// The largest file that is read for a secret. A chain of certificates is some kilobytes long.
pub const SECRET_FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Files in PEM have lines, other secrets do not.
const PEM: &str = "-----BEGIN ";
const QUOTATION_MARKS: [(char, char); 8] =
    [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('„', '“'), ('‘', '’'), ('«', '»'), ('»', '«')];

/// Why a text cannot be the secret that is meant. The text itself is never told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretFault {
    /// Nothing is there.
    #[error("is empty")]
    Empty,
    /// As it stands in the sample.
    #[error("is still the sample's placeholder: replace it with the value that is yours")]
    Placeholder,
    /// What some editors put in front of a text.
    #[error(
        "begins with a byte order mark (U+FEFF), which would be a part of the secret: save it as UTF-8 without one"
    )]
    ByteOrderMark,
    /// As Windows writes it.
    #[error("is text in UTF-16: save it as UTF-8")]
    Utf16,
    /// No text at all.
    #[error("is not text in UTF-8")]
    NotText,
    /// The file's format would take them away, or they were copied along.
    #[error("is in quotation marks, which would be a part of the secret: take them away")]
    Quoted,
    /// Two secrets, or a secret and a comment.
    #[error("has more than one line: the secret has to stand there alone")]
    SeveralLines,
    /// Nobody sees it, and it was copied along.
    #[error("holds the invisible character U+{:04X}: type the secret anew, or copy it without that", u32::from(*.0))]
    Invisible(char),
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// It is missing, or may not be read.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// Reading it might never end, or not be possible a second time.
    #[error("is {0}: name a regular file")]
    NotAFile(&'static str),
    /// Too much.
    #[error("is larger than {0} bytes: is it the right file?")]
    TooLarge(u64),
}

/// The secret that this text stands for.
///
/// # Errors
/// Where the text cannot be meant.
pub fn secret_of(text: &str) -> Result<SecretString, SecretFault> {
    if text.starts_with('\u{FEFF}') {
        return Err(SecretFault::ByteOrderMark);
    }
    let text = text.trim();
    if text.is_empty() {
        return Err(SecretFault::Empty);
    }
    if is_placeholder(text) {
        return Err(SecretFault::Placeholder);
    }
    let in_quotation_marks =
        |(left, right): &(char, char)| text.strip_prefix(*left).is_some_and(|rest| rest.ends_with(*right));
    if QUOTATION_MARKS.iter().any(in_quotation_marks) {
        return Err(SecretFault::Quoted);
    }
    let is_line_break = |character: char| matches!(character, '\n' | '\r');
    if text.contains(is_line_break) && !text.contains(PEM) {
        return Err(SecretFault::SeveralLines);
    }
    match text.chars().find(|character| is_invisible(*character) && !is_line_break(*character)) {
        Some(invisible) => Err(SecretFault::Invisible(invisible)),
        None => Ok(text.to_owned().into()),
    }
}

/// Whether this is one of the texts that the sample asks to be replaced.
pub(super) fn is_placeholder(text: &str) -> bool {
    text.split_once("PASTE-").is_some_and(|(_, rest)| rest.contains("-HERE"))
}

/// Control characters, marks without a width, and white space other than the space.
pub(super) fn is_invisible(character: char) -> bool {
    let has_no_width = matches!(
        character,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{180B}'..='\u{180E}' | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}' | '\u{FFA0}'
    );
    has_no_width || character.is_control() || (character.is_whitespace() && character != ' ')
}

/// What is in a file that may be a secret's: only a regular one, and only so many bytes.
///
/// # Errors
/// Where it is another kind of file, too large, or cannot be read.
pub fn read_regular_file(path: &Path, bytes_max: u64) -> Result<Vec<u8>, FileFault> {
    // Before it is opened: some devices do something when they are opened.
    regular(&std::fs::metadata(path)?)?;
    // Another file may have taken its place since. Without waiting, should it be a pipe.
    let file = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    read(&file, bytes_max)
}

/// Whether something that others read, and that is there, can be read to an end.
///
/// # Errors
/// Where it is neither a regular file nor, where that `may_be_folder`, a directory.
pub(super) fn readable(path: &Path, may_be_folder: bool) -> Result<(), FileFault> {
    match std::fs::metadata(path) {
        Ok(metadata) if !(may_be_folder && metadata.is_dir()) => regular(&metadata),
        // Whoever reads it says what is wrong with it.
        _ => Ok(()),
    }
}

fn read(file: &File, bytes_max: u64) -> Result<Vec<u8>, FileFault> {
    regular(&file.metadata()?)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max { Err(FileFault::TooLarge(bytes_max)) } else { Ok(bytes) }
}

fn regular(metadata: &Metadata) -> Result<(), FileFault> {
    let kind = metadata.file_type();
    let other = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(FileFault::NotAFile(other))
}

// A secret as it stands in the configuration itself, not read yet. A doc comment would be told of keys in the JSON
// Schema.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub(super) struct Given(#[schemars(with = "String")] pub(super) SecretString);

impl Given {
    pub(super) fn read(&self, key: impl Display, checks: &mut Checks<'_>) -> Option<SecretString> {
        secret_of(self.0.expose_secret()).map_err(|fault| checks.complain(key, fault.to_string())).ok()
    }
}

/// The secret from the key `name` or the file that `name_file` names; outside `None` where that failed.
pub(super) fn secret(
    name: &str,
    given: Option<Given>,
    path: Option<PathBuf>,
    checks: &mut Checks<'_>,
) -> Option<Option<SecretString>> {
    let file_key = format!("{name}_file");
    match (given, path) {
        (Some(_), Some(_)) => checks.refuse(file_key, format!("{name} is given as well: keep one")),
        (Some(given), None) => given.read(name, checks).map(Some),
        (None, Some(path)) => secret_file(&file_key, &path, checks).map(Some),
        (None, None) => Some(None),
    }
}

/// The secret in a file.
pub(super) fn secret_file(key: &str, path: &Path, checks: &mut Checks<'_>) -> Option<SecretString> {
    read_secrets(key, path, checks, secret_of)
}

/// The secrets in a file that holds one a line, still one a line.
pub(super) fn secret_lines(key: &str, path: &Path, checks: &mut Checks<'_>) -> Option<SecretString> {
    read_secrets(key, path, checks, |text| {
        let lines = text.trim().lines().map(secret_of).collect::<Result<Vec<_>, _>>()?;
        Ok(lines.iter().map(ExposeSecret::expose_secret).collect::<Vec<_>>().join("\n").into())
    })
}

fn read_secrets(
    key: &str,
    path: &Path,
    checks: &mut Checks<'_>,
    read: impl Fn(&str) -> Result<SecretString, SecretFault>,
) -> Option<SecretString> {
    // What has no folder may be the secret itself, put where its file belongs.
    let shown =
        if path.parent().is_some_and(|folder| folder != "") { path.to_string_lossy() } else { "the file".into() };
    let bytes = match read_regular_file(path, SECRET_FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(fault) => return checks.refuse(key, format!("{shown} {fault}")),
    };
    let secret = match String::from_utf8(bytes) {
        Ok(text) => read(&text),
        Err(error) if matches!(error.as_bytes(), [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) => Err(SecretFault::Utf16),
        Err(_) => Err(SecretFault::NotText),
    };
    secret.map_err(|fault| checks.complain(key, format!("{shown} {fault}"))).ok()
}

#[cfg(test)]
mod tests;
