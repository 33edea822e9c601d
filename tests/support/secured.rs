//! A broker as managed Kafka offers it: TLS, client certificates, passwords over TLS; and what a client needs for each.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use super::broker::{Broker, free_port, further_listeners};
use super::guard::strs;
use super::needs::Unavailable;

/// Who logs in.
pub(crate) const USER: &str = "bridge";

/// The broker, its addresses and its secrets. The files go with it.
pub(crate) struct Secured {
    dir: PathBuf,
    /// TLS, and nobody is asked who they are.
    pub(crate) ssl: String,
    /// TLS with client certificates.
    pub(crate) mtls: String,
    /// TLS with passwords: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    pub(crate) sasl_ssl: String,
    /// PLAIN alone, without TLS.
    pub(crate) sasl_plaintext: String,
    /// The password of [`USER`], the same for all mechanisms.
    pub(crate) password: String,
}

impl Secured {
    /// Starts it; topics are made on first use. The plain listener stays open, for the test itself.
    pub(crate) fn start() -> Result<(Broker, Self), Unavailable> {
        let ports = [free_port(), free_port(), free_port(), free_port()];
        let [ssl, mtls, sasl_ssl, sasl_plaintext] = ports.map(|port| format!("127.0.0.1:{port}"));
        let dir = std::env::temp_dir().join(format!("chatbridge-secured-{}-{}", std::process::id(), ports[0]));
        fs::create_dir_all(&dir).map_err(|error| Unavailable::Broken(format!("{}: {error}", dir.display())))?;
        let password = format!("{:032x}", fastrand::u128(..));
        let secured = Self { dir, ssl, mtls, sasl_ssl, sasl_plaintext, password };
        secured.write_certificates();

        let listeners = [
            ("SSL", ports[0], &*secured.ssl),
            ("MTLS", ports[1], &*secured.mtls),
            ("SASL_SSL", ports[2], &*secured.sasl_ssl),
            ("SASL_PLAINTEXT", ports[3], &*secured.sasl_plaintext),
        ];
        let jaas = "org.apache.kafka.common.security";
        let plain = format!("{jaas}.plain.PlainLoginModule required user_{USER}=\"{}\";", secured.password);
        let mut properties = further_listeners(&listeners).to_vec();
        properties.extend([
            ("auto.create.topics.enable", "true".to_owned()),
            ("ssl.keystore.type", "PEM".to_owned()),
            ("ssl.keystore.location", secured.file("broker.pem")),
            ("ssl.truststore.type", "PEM".to_owned()),
            ("ssl.truststore.location", secured.file("ca.pem")),
            ("listener.name.mtls.ssl.client.auth", "required".to_owned()),
            ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512".to_owned()),
            ("listener.name.sasl_ssl.plain.sasl.jaas.config", plain.clone()),
            ("listener.name.sasl_plaintext.sasl.enabled.mechanisms", "PLAIN".to_owned()),
            ("listener.name.sasl_plaintext.plain.sasl.jaas.config", plain),
        ]);
        for mechanism in ["scram-sha-256", "scram-sha-512"] {
            let key = format!("listener.name.sasl_ssl.{mechanism}.sasl.jaas.config");
            properties.push((key.leak(), format!("{jaas}.scram.ScramLoginModule required;")));
        }
        let users = ["SCRAM-SHA-256", "SCRAM-SHA-512"]
            .map(|mechanism| format!("{mechanism}=[name={USER},password={}]", secured.password));
        let broker = Broker::start_with_users(&strs(&properties), &users.each_ref().map(String::as_str))?;
        Ok((broker, secured))
    }

    /// Its path. `ca.pem` signed what `broker.pem`, `client.pem` and `client.key` hold; `stranger-ca.pem` signed
    /// `stranger.pem` and `stranger.key`, and nobody knows it.
    pub(crate) fn file(&self, name: &str) -> String {
        self.dir.join(name).to_string_lossy().into_owned()
    }

    fn write_certificates(&self) {
        let ca = authority(&self.dir, "ca.pem");
        let broker = certificate(&ca, "127.0.0.1");
        // In this order or the other: a PEM key store is one file.
        self.write("broker.pem", &format!("{}{}", broker.0, broker.1));
        let stranger = authority(&self.dir, "stranger-ca.pem");
        for (name, ca) in [("client", &ca), ("stranger", &stranger)] {
            let (key, certificate) = certificate(ca, name);
            self.write(&format!("{name}.key"), &key);
            self.write(&format!("{name}.pem"), &certificate);
        }
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).expect("writable");
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A certificate authority, its certificate written to `name`.
fn authority(dir: &Path, name: &str) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    fs::write(dir.join(name), params.self_signed(&key).expect("a certificate").pem()).expect("writable");
    Issuer::new(params, key)
}

/// Key and certificate of `name`, in PEM.
fn certificate(authority: &Issuer<'_, KeyPair>, name: &str) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    (key.serialize_pem(), certificate.pem())
}
