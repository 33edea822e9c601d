//! `[webhook]`: where GREEN-API's push calls come in, who may call, and how much of everything.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::fingerprint::Compared;
use super::problem::Checks;
use super::secrets::{Given, secret};
use super::text::{Within, bare_url, is_header_word, listen, text_form};

/// What a token may be written with.
const SCHEMES: [&str; 2] = ["Bearer ", "Basic "];
/// Stands for every address that GREEN-API has published.
const GREEN_API: &str = "green-api";
/// What GREEN-API has published so far, the older list and the newer one.
const GREEN_API_ADDRESSES: &str = "51.250.84.44 51.250.94.65 51.250.91.13 51.250.93.251 51.250.76.115 51.250.69.65 \
    51.250.68.181 51.250.69.45 51.250.74.200 51.250.87.205 46.101.109.139 51.250.12.167 \
    51.250.95.149 89.169.137.216 158.160.49.84 165.22.93.202 167.172.162.71 104.248.252.93 \
    158.160.139.176 64.226.111.11 207.154.255.195";

/// Where GREEN-API's push calls come in.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The address GREEN-API knows it by.
    pub public_url: Option<Url>,
    /// How long a call may wait for Kafka's acknowledgement.
    pub answer_timeout: Duration,
    /// The longest body that is read.
    pub body_bytes_max: u32,
    /// How long a body may take.
    pub body_timeout: Duration,
    /// How long a request's head may take, and a connection be idle.
    pub header_timeout: Duration,
    /// How long an answer may stay unread.
    pub write_timeout: Duration,
    /// Connections at a time.
    pub connections_max: usize,
    /// Connections at a time from one address.
    pub connections_per_address_max: usize,
    /// Calls at a time for one instance.
    pub requests_per_instance_max: usize,
    /// Bytes of bodies in memory at a time.
    pub buffered_bytes_max: u32,
    /// Who may call; empty: everybody.
    pub allow_from: Vec<IpNet>,
    /// Whose X-Forwarded-For is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// The certificate, where this listener does TLS itself.
    pub tls: Option<TlsFiles>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, PEM.
    pub cert: PathBuf,
    /// The key, PEM.
    pub key: PathBuf,
}

text_form! {
    /// `[webhook]`, as written.
    #[schemars(rename = "Webhook")]
    pub(super) struct Text;

    /// Where GREEN-API's calls come in: POST /green-api/<idInstance>, or POST /green-api.
    listen: String = "0.0.0.0:8080",
    /// The address GREEN-API knows this endpoint by, as a reverse proxy shows it; `check --online` compares it with each
    /// instance's webhookUrl.
    public_url: Option<String>,
    /// The webhookUrlToken of instances that do not name their own.
    token: Option<Given>,
    /// A file holding that token, instead of `token`.
    token_file: Option<PathBuf>,
    /// How long a call may wait for Kafka's acknowledgement before it is answered with 503; GREEN-API waits 180.
    answer_timeout_seconds: Within<u64, 1, 170> = 60,
    /// The longest body that is read; a longer one is refused with 413.
    body_bytes_max: Within<u32, 65_536, 268_435_456> = 8 * 1024 * 1024,
    /// How long a caller may take for its body.
    body_timeout_seconds: Within<u64, 1, 300> = 30,
    /// How long a caller may take for the head of a request; also how long a connection may be idle.
    header_timeout_seconds: Within<u64, 1, 300> = 60,
    /// How long a caller may leave an answer unread.
    write_timeout_seconds: Within<u64, 1, 300> = 30,
    /// Connections at a time; one more is closed at once. Fewer where the limit of open files is low.
    connections_max: Within<usize, 1, 100_000> = 1024,
    /// Connections at a time from one address that is not among `trusted_proxies`; one more is closed at once.
    connections_per_address_max: Within<usize, 1, 100_000> = 512,
    /// Calls at a time for one instance; one more is answered with 503 at once.
    requests_per_instance_max: Within<usize, 1, 100> = 4,
    /// Bytes of bodies in memory, over all calls; one that would exceed it is answered with 503 at once.
    #[schemars(range(min = 65_536, max = 4_294_967_295_u32))]
    buffered_bytes_max: u32 = 256 * 1024 * 1024_u32,
    /// Who may call: addresses, networks, and "green-api" for those it has published; empty: everybody with the token.
    allow_from: Vec<String>,
    /// Reverse proxies whose X-Forwarded-For is believed: addresses and networks.
    trusted_proxies: Vec<String>,
    /// The certificate chain (PEM), for TLS without a reverse proxy; read again when it changes.
    tls_cert_file: Option<PathBuf>,
    /// The certificate's key (PEM).
    tls_key_file: Option<PathBuf>,
}

/// What cannot be read, and the end of the key that seems to be wrong then.
pub(super) const CONSEQUENCES: &[(&str, &str)] = &[("webhook.body_bytes_max", "webhook.buffered_bytes_max")];

/// The section, and the token of instances that have none of their own; outside `None` where that is wrong.
pub(super) fn check(text: Text, checks: &mut Checks<'_>) -> (Option<Webhook>, Option<Option<SecretString>>) {
    let mut checks = checks.table("webhook");
    let listen = listen(&text.listen, "0.0.0.0:8080", &mut checks);
    let public_url = text.public_url.and_then(|text| {
        let expected = "expected the address as seen from outside, such as https://example.com";
        bare_url(&text).or_else(|| checks.refuse("public_url", expected))
    });
    let token = webhook_token("token", text.token, text.token_file, &mut checks);
    checks.within("buffered_bytes_max", text.buffered_bytes_max, &(text.body_bytes_max.0..=u32::MAX));
    let allow_from = networks("allow_from", &text.allow_from, true, &mut checks);
    let trusted_proxies = networks("trusted_proxies", &text.trusted_proxies, false, &mut checks);
    let tls = match (text.tls_cert_file, text.tls_key_file) {
        (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
        (Some(_), None) => checks.refuse("tls_key_file", "is missing: the certificate's key"),
        (None, Some(_)) => checks.refuse("tls_cert_file", "is missing: the key's certificate chain"),
        (None, None) => None,
    };
    let webhook = listen.map(|listen| Webhook {
        listen,
        public_url,
        answer_timeout: text.answer_timeout_seconds.seconds(),
        body_bytes_max: text.body_bytes_max.0,
        body_timeout: text.body_timeout_seconds.seconds(),
        header_timeout: text.header_timeout_seconds.seconds(),
        write_timeout: text.write_timeout_seconds.seconds(),
        connections_max: text.connections_max.0,
        connections_per_address_max: text.connections_per_address_max.0,
        requests_per_instance_max: text.requests_per_instance_max.0,
        buffered_bytes_max: text.buffered_bytes_max,
        allow_from,
        trusted_proxies,
        tls,
    });
    (webhook, token)
}

/// The token of an `Authorization` header, or of a `webhookUrlToken`, which may be written with either scheme:
/// GREEN-API's own servers strip `Bearer ` and `Basic ` alike.
#[must_use]
pub fn bare_token(text: &str) -> &str {
    let text = text.trim_start();
    SCHEMES.iter().find_map(|scheme| strip_ignoring_case(text, scheme)).unwrap_or(text).trim()
}

fn strip_ignoring_case<'t>(text: &'t str, scheme: &str) -> Option<&'t str> {
    text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).map(|_| &text[scheme.len()..])
}

/// A `webhookUrlToken`, from its key or its file, without the scheme it may be written with; outside `None` where it is
/// wrong.
pub(super) fn webhook_token(
    key: &str,
    token: Option<Given>,
    file: Option<PathBuf>,
    checks: &mut Checks<'_>,
) -> Option<Option<SecretString>> {
    let Some(token) = secret(key, token, file, checks)? else { return Some(None) };
    let bare = bare_token(token.expose_secret());
    let is_scheme_alone = SCHEMES.iter().any(|scheme| scheme.trim_end().eq_ignore_ascii_case(bare));
    if bare.is_empty() || is_scheme_alone || !is_header_word(bare) {
        return checks.refuse(key, "is not a webhookUrlToken: no spaces, nothing that a header does not take");
    }
    Some(Some(bare.to_owned().into()))
}

fn networks(key: &str, words: &[String], with_names: bool, checks: &mut Checks<'_>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for (index, word) in words.iter().enumerate() {
        match network(word) {
            Some(network) => networks.push(network.trunc()),
            None if with_names && word == GREEN_API => {
                networks.extend(GREEN_API_ADDRESSES.split(' ').filter_map(network));
            }
            None => {
                let names = if with_names { ", or \"green-api\"" } else { "" };
                let expected = format!("expected an address such as 192.0.2.7, a network such as 10.0.0.0/8{names}");
                checks.complain(format!("{key}[{index}]"), expected);
            }
        }
    }
    networks
}

/// A network, or an address alone.
fn network(word: &str) -> Option<IpNet> {
    word.parse::<IpNet>().ok().or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from))
}

/// The tokens are the instances' own, and are compared with them.
impl Compared for Webhook {}
