//! An HTTP client that goes where it is told.

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};

/// Follows no redirect and asks no proxy: the URL is where events go.
pub(crate) fn client(url: &Url, extra_roots_pem: &[u8]) -> Result<Client, &'static str> {
    let builder = Client::builder().redirect(Policy::none()).no_proxy();
    let builder = if url.scheme() == "https" {
        // Without one, making the client would panic. Whoever runs a process with TLS installs it.
        CryptoProvider::get_default().ok_or("an https URL needs the process to have a TLS provider")?;
        let extra = Certificate::from_pem_bundle(extra_roots_pem).map_err(|_| "its extra roots are not PEM")?;
        builder.tls_certs_merge(extra)
    } else {
        // No TLS, so the machine's certificates need not be read, nor even be there.
        let provider = rustls::crypto::ring::default_provider();
        let versions = ClientConfig::builder_with_provider(provider.into()).with_safe_default_protocol_versions();
        let tls = versions.map_err(|_| "TLS cannot be set up")?.with_root_certificates(RootCertStore::empty());
        builder.tls_backend_preconfigured(tls.with_no_client_auth())
    };
    builder.build().map_err(|_| "its HTTP client cannot be set up: are there root certificates?")
}
