//! The listener's own certificate, read again when its files change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::{SECRET_FILE_BYTES_MAX, TlsFiles, read_regular_file};

/// How often the files are checked.
const CHECK: Duration = Duration::from_secs(5);

/// Why a certificate cannot be used: the files have to be corrected.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is not the right PEM.
    #[error("{path} cannot be used as the webhook's {what}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        error: String,
    },
    /// The two do not match, or rustls does not support this key.
    #[error("webhook.tls_cert_file and webhook.tls_key_file cannot be used together: {0}")]
    Mismatch(#[source] rustls::Error),
    /// rustls cannot be set up.
    #[error("TLS cannot be set up for the webhook's listener: {0}")]
    Setup(#[source] rustls::Error),
}

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    key: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// Reads the files.
    ///
    /// # Errors
    /// If they cannot be used.
    pub(crate) fn load(files: &TlsFiles) -> Result<Arc<Self>, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = RwLock::new(Arc::new(read(files, &provider)?));
        Ok(Arc::new(Self { files: files.clone(), provider, key }))
    }

    /// Accepts TLS with the certificate that is in use at the time.
    ///
    /// # Errors
    /// If rustls supports no TLS version.
    pub(crate) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }

    /// Reads the files again whenever they change, until `stop`. If they cannot be used, the current certificate stays.
    pub(crate) async fn follow(&self, stop: CancellationToken) {
        let mut seen = self.modified().await;
        while stop.run_until_cancelled(tokio::time::sleep(CHECK)).await.is_some() {
            let now = self.modified().await;
            if now == seen {
                continue;
            }
            seen = now;
            match read(&self.files, &self.provider) {
                Ok(key) => {
                    *self.key.write() = Arc::new(key);
                    info!("the webhook's certificate was read again and is in use");
                }
                Err(error) => {
                    error!(%error, "the webhook's certificate has changed and cannot be used; the one before stays")
                }
            }
        }
    }

    async fn modified(&self) -> [Option<Timestamp>; 2] {
        let of = async |path: &Path| {
            let modified = tokio::fs::metadata(path).await.and_then(|metadata| metadata.modified()).ok()?;
            Timestamp::try_from(modified).ok()
        };
        [of(&self.files.cert).await, of(&self.files.key).await]
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key.read()))
    }
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let chain = read_pem(&files.cert, "certificate chain", |pem| CertificateDer::pem_slice_iter(pem).collect())?;
    let key = read_pem(&files.key, "private key", PrivateKeyDer::from_pem_slice)?;
    CertifiedKey::from_der(chain, key, provider).map_err(TlsError::Mismatch)
}

fn read_pem<T>(
    path: &Path,
    what: &'static str,
    parse: impl FnOnce(&[u8]) -> Result<T, pem::Error>,
) -> Result<T, TlsError> {
    let unreadable = |error: String| TlsError::Unreadable { path: path.to_owned(), what, error };
    let pem = read_regular_file(path, SECRET_FILE_BYTES_MAX).map_err(|fault| unreadable(fault.to_string()))?;
    parse(&pem).map_err(|error| unreadable(error.to_string()))
}
