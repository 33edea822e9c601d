//! How a configuration that was just read is compared with the one that runs.

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use secrecy::{ExposeSecret, SecretString};

/// Stands for a configuration, secrets included, without holding any: equal for equal ones. Never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(u64);

/// What is compared. Values are told apart by what `Debug` shows, so that no field can be forgotten.
pub(super) trait Compared: Debug {
    /// What `Debug` hides, in an order that never changes.
    fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        std::iter::empty()
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut hasher = DefaultHasher::new();
        format!("{self:?}").hash(&mut hasher);
        for secret in self.secrets() {
            secret.expose_secret().hash(&mut hasher);
        }
        Fingerprint(hasher.finish())
    }
}

impl<T: Compared> Compared for Option<T> {
    fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.iter().flat_map(T::secrets)
    }
}

impl Compared for std::time::Duration {}

impl Compared for Vec<Fingerprint> {}
