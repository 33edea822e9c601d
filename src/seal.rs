//! Sealing data that others might read: only the holder of the key can open it, and a change does not go unnoticed.
//!
//! The key file holds one key per line. The first one seals, all of them open, so keys can be replaced.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// Version of the envelope.
const VERSION: u32 = 1;
const KEY_BYTES: usize = 32;
/// The length of a key's name, which reveals nothing about the key.
const NAME_BYTES: usize = 8;

/// The keys that seal and open.
pub struct Seal {
    first: Key,
    /// Keys that only open.
    others: Vec<Key>,
}

struct Key {
    name: String,
    key: LessSafeKey,
}

/// What a key file has to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a key of 64 hexadecimal digits, such as `openssl rand -hex 32` makes (or several, one a line)")]
pub struct NotAKey;

/// Why something cannot be opened. The variants differ in what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The right key has to be given.
    #[error("sealed with the key {sealed_with}, and not with {given}: give the key that it was sealed with")]
    AnotherKey {
        /// The name of the key that sealed it.
        sealed_with: String,
        /// The names of the configured keys.
        given: String,
    },
    /// A newer version is needed to open it.
    #[error("sealed in a form that this version does not know")]
    UnknownForm,
    /// A copy has to be found, or the data is lost.
    #[error("changed since it was sealed, or sealed for another purpose")]
    Changed,
}

/// The envelope on disk. `sealed` is its version.
#[derive(Serialize, Deserialize)]
struct Envelope {
    sealed: u32,
    key: String,
    nonce: String,
    text: String,
}

impl Seal {
    /// Uses the keys of a key file.
    ///
    /// # Errors
    /// If the text holds something else.
    pub fn new(text: &SecretString) -> Result<Self, NotAKey> {
        let lines = text.expose_secret().lines().map(str::trim).filter(|line| !line.is_empty());
        let mut keys = lines.map(Key::new).collect::<Option<Vec<_>>>().ok_or(NotAKey)?.into_iter();
        Ok(Self { first: keys.next().ok_or(NotAKey)?, others: keys.collect() })
    }

    /// Seals `text` for `purpose`; it cannot be opened for another purpose.
    ///
    /// # Errors
    /// If the system gives no random numbers.
    pub fn seal(&self, purpose: &str, text: &str) -> std::io::Result<String> {
        let no_numbers = |_| std::io::Error::other("the system gives no random numbers");
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(no_numbers)?;
        let mut sealed = text.as_bytes().to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.first.key.seal_in_place_append_tag(unique, Aad::from(purpose), &mut sealed).map_err(no_numbers)?;
        let key = self.first.name.clone();
        let envelope = Envelope { sealed: VERSION, key, nonce: to_hex(&nonce), text: to_hex(&sealed) };
        Ok(serde_json::to_string(&envelope).expect("numbers and texts"))
    }

    /// Opens what was sealed for `purpose`.
    ///
    /// # Errors
    /// [`SealError`]; the sealed data is left as it is.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let envelope: Envelope = serde_json::from_slice(sealed).map_err(|_| SealError::UnknownForm)?;
        if envelope.sealed != VERSION {
            return Err(SealError::UnknownForm);
        }
        let keys = || std::iter::once(&self.first).chain(&self.others);
        let key = keys().find(|key| key.name == envelope.key).ok_or_else(|| SealError::AnotherKey {
            sealed_with: envelope.key.clone(),
            given: keys().map(|key| key.name.as_str()).collect::<Vec<_>>().join(", "),
        })?;
        let nonce = from_hex(&envelope.nonce).and_then(|nonce| Nonce::try_assume_unique_for_key(&nonce).ok());
        let (nonce, mut text) = nonce.zip(from_hex(&envelope.text)).ok_or(SealError::Changed)?;
        let opened = key.key.open_in_place(nonce, Aad::from(purpose), &mut text).map_err(|_| SealError::Changed)?;
        Ok(opened.to_vec())
    }

    /// Whether these bytes are sealed, by any key.
    #[must_use]
    pub fn is_sealed(bytes: &[u8]) -> bool {
        #[derive(Deserialize)]
        struct Any {
            #[serde(rename = "sealed")]
            _sealed: serde_json::Value,
        }
        serde_json::from_slice::<Any>(bytes).is_ok()
    }
}

impl Key {
    fn new(digits: &str) -> Option<Self> {
        let bytes = from_hex(digits).filter(|bytes| bytes.len() == KEY_BYTES)?;
        let name = to_hex(&digest(&SHA256, &[b"chatbridge seal key\n", &bytes[..]].concat()).as_ref()[..NAME_BYTES]);
        Some(Self { name, key: LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &bytes).ok()?) })
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Print only the names: they tell one configuration's keys from another's.
        let names: Vec<_> = std::iter::once(&self.first).chain(&self.others).map(|key| &key.name).collect();
        f.debug_struct("Seal").field("keys", &names).finish()
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222222222222222222222222222";

    fn seal(lines: &str) -> Seal {
        Seal::new(&lines.to_owned().into()).expect("a key")
    }

    #[test]
    fn what_is_sealed_is_opened_by_its_key_alone_and_shows_nothing() {
        let one = seal(ONE);
        let sealed = one.seal("tokens", "a secret").expect("random numbers");
        assert!(!sealed.contains("secret") && Seal::is_sealed(sealed.as_bytes()));
        assert_eq!(one.open("tokens", sealed.as_bytes()), Ok(b"a secret".to_vec()));
        assert_ne!(one.seal("tokens", "a secret").expect("random numbers"), sealed, "the nonce is another");
        let another = seal(TWO).open("tokens", sealed.as_bytes()).expect_err("not its key");
        assert!(matches!(&another, SealError::AnotherKey { sealed_with, given } if sealed_with != given), "{another}");
        assert_eq!(one.open("ledger", sealed.as_bytes()), Err(SealError::Changed));
        assert!(!format!("{one:?}").contains("1111"));
    }

    #[test]
    fn a_key_that_was_replaced_still_opens() {
        let old = seal(ONE).seal("tokens", "text").expect("random numbers");
        let both = seal(&format!("{TWO}\n\n{ONE}\n"));
        assert_eq!(both.open("tokens", old.as_bytes()), Ok(b"text".to_vec()));
        let new = both.seal("tokens", "text").expect("random numbers");
        assert_eq!(seal(TWO).open("tokens", new.as_bytes()), Ok(b"text".to_vec()));
    }

    #[test]
    fn what_was_changed_is_not_opened() {
        let one = seal(ONE);
        let sealed = one.seal("tokens", "text").expect("random numbers");
        for (from, to) in
            [("\"text\":\"", "\"text\":\"00"), ("\"nonce\":\"", "\"nonce\":\"00"), ("\"nonce\":\"", "\"nonce\":\"zz")]
        {
            assert_eq!(one.open("tokens", sealed.replacen(from, to, 1).as_bytes()), Err(SealError::Changed), "{to}");
        }
        let newer = sealed.replacen("\"sealed\":1", "\"sealed\":2", 1);
        assert!(Seal::is_sealed(newer.as_bytes()));
        for unknown in [newer.as_str(), "{\"sealed\":1}", "", &sealed[..sealed.len() / 2]] {
            assert_eq!(one.open("tokens", unknown.as_bytes()), Err(SealError::UnknownForm), "{unknown}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for wrong in
            ["", "\n", "1111", &ONE[1..], &format!("{ONE}\nnot a key"), &ONE.replace('1', "g"), &format!("{ONE}11")]
        {
            assert!(Seal::new(&wrong.to_owned().into()).is_err(), "{wrong}");
        }
    }
}
