//! An authority of our own and what it signed for 127.0.0.1.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// The files, gone with the test.
pub(super) struct Certificates(PathBuf);

impl Certificates {
    pub(super) fn new() -> Self {
        let files = Self(std::env::temp_dir().join(format!("chatbridge-pusher-{:x}", fastrand::u64(..))));
        fs::create_dir_all(&files.0).expect("writable");
        let mut authority = CertificateParams::new(Vec::new()).expect("no names");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Without a name of its own it would look like the one it signs for.
        authority.distinguished_name.push(DnType::CommonName, "the tests' authority");
        let key = KeyPair::generate().expect("a key");
        fs::write(files.authority(), authority.self_signed(&key).expect("a certificate").pem()).expect("writable");
        let authority = Issuer::new(authority, key);
        let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        let key = KeyPair::generate().expect("a key");
        fs::write(files.certificate(), server.signed_by(&key, &authority).expect("a certificate").pem())
            .expect("writable");
        fs::write(files.key(), key.serialize_pem()).expect("writable");
        files
    }

    pub(super) fn authority(&self) -> String {
        self.file("authority.pem")
    }

    pub(super) fn certificate(&self) -> String {
        self.file("server.pem")
    }

    pub(super) fn key(&self) -> String {
        self.file("server.key")
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
