//! `[webhook]`: where GREEN-API's push calls come in, who may call, and how much of everything.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::Problem;
use super::secrets::secret;
use super::validate::{bare_url, complain, number, seconds};

/// What a token may be written with.
const SCHEMES: [&str; 2] = ["Bearer ", "Basic "];
/// Stands for every address that GREEN-API has published.
const GREEN_API: &str = "green-api";
/// What GREEN-API has published so far, the older list and the newer one (reference §7).
const GREEN_API_ADDRESSES: &[[u8; 4]] = &[
    [51, 250, 84, 44],
    [51, 250, 94, 65],
    [51, 250, 91, 13],
    [51, 250, 93, 251],
    [51, 250, 76, 115],
    [51, 250, 69, 65],
    [51, 250, 68, 181],
    [51, 250, 69, 45],
    [51, 250, 74, 200],
    [51, 250, 87, 205],
    [46, 101, 109, 139],
    [51, 250, 12, 167],
    [51, 250, 95, 149],
    [89, 169, 137, 216],
    [158, 160, 49, 84],
    [165, 22, 93, 202],
    [167, 172, 162, 71],
    [104, 248, 252, 93],
    [158, 160, 139, 176],
    [64, 226, 111, 11],
    [207, 154, 255, 195],
];

/// `[webhook]`, as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Webhook")]
pub(super) struct File {
    /// Where GREEN-API's calls come in: POST /green-api/<idInstance>, or POST /green-api.
    listen: String,
    /// The address GREEN-API knows this endpoint by, as a reverse proxy shows it; `check --online` compares it with each
    /// instance's webhookUrl.
    public_url: Option<String>,
    /// The webhookUrlToken of instances that do not name their own.
    #[schemars(with = "Option<String>")]
    token: Option<SecretString>,
    /// A file holding that token, instead of `token`.
    token_file: Option<PathBuf>,
    /// How long a call may wait for Kafka's acknowledgement before it is answered with 503; GREEN-API waits 180.
    #[schemars(range(min = 1, max = 170))]
    answer_timeout_seconds: u64,
    /// The longest body that is read; a longer one is refused with 413.
    #[schemars(range(min = 65_536, max = 268_435_456))]
    body_bytes_max: u32,
    /// How long a caller may take for its body.
    #[schemars(range(min = 1, max = 300))]
    body_timeout_seconds: u64,
    /// How long a caller may take for the head of a request; also how long a connection may be idle.
    #[schemars(range(min = 1, max = 300))]
    header_timeout_seconds: u64,
    /// How long a caller may leave an answer unread.
    #[schemars(range(min = 1, max = 300))]
    write_timeout_seconds: u64,
    /// Connections at a time; one more is closed at once. Fewer where the limit of open files is low.
    #[schemars(range(min = 1, max = 100_000))]
    connections_max: usize,
    /// Connections at a time from one address that is not among `trusted_proxies`; one more is closed at once.
    #[schemars(range(min = 1, max = 100_000))]
    connections_per_address_max: usize,
    /// Calls at a time for one instance; one more is answered with 503 at once.
    #[schemars(range(min = 1, max = 100))]
    requests_per_instance_max: usize,
    /// Bytes of bodies in memory, over all calls; one that would exceed it is answered with 503 at once.
    #[schemars(range(min = 65_536, max = 4_294_967_295_u32))]
    buffered_bytes_max: u32,
    /// Who may call: addresses, networks, and "green-api" for those it has published; empty: everybody with the token.
    allow_from: Vec<String>,
    /// Reverse proxies whose X-Forwarded-For is believed: addresses and networks.
    trusted_proxies: Vec<String>,
    /// The certificate chain (PEM), for TLS without a reverse proxy; read again when it changes.
    tls_cert_file: Option<PathBuf>,
    /// The certificate's key (PEM).
    tls_key_file: Option<PathBuf>,
}

impl Default for File {
    fn default() -> Self {
        Self {
            listen: "0.0.0.0:8080".to_owned(),
            public_url: None,
            token: None,
            token_file: None,
            answer_timeout_seconds: 60,
            body_bytes_max: 8 * 1024 * 1024,
            body_timeout_seconds: 30,
            header_timeout_seconds: 60,
            write_timeout_seconds: 30,
            connections_max: 1024,
            connections_per_address_max: 512,
            requests_per_instance_max: 4,
            buffered_bytes_max: 256 * 1024 * 1024,
            allow_from: Vec::new(),
            trusted_proxies: Vec::new(),
            tls_cert_file: None,
            tls_key_file: None,
        }
    }
}

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

/// The section, and the token of instances that have none of their own; outside `None` where that is wrong.
pub(super) fn webhook(file: File, problems: &mut Vec<Problem>) -> (Option<Webhook>, Option<Option<SecretString>>) {
    let key = |name: &str| format!("webhook.{name}");
    let listen = match file.listen.parse() {
        Ok(listen) => Some(listen),
        Err(_) => complain(problems, key("listen"), "expected address:port, such as 0.0.0.0:8080"),
    };
    let public_url = file.public_url.and_then(|text| {
        bare_url(&text).or_else(|| {
            complain(
                problems,
                key("public_url"),
                "expected the address as seen from outside, such as https://example.com",
            )
        })
    });
    let is_given = file.token.is_some() || file.token_file.is_some();
    let token = webhook_token(key, file.token, file.token_file, problems);
    let token = (token.is_some() || !is_given).then_some(token);
    let mut timed = |name: &str, value, range| seconds(&key(name), value, range, problems);
    let answer_timeout = timed("answer_timeout_seconds", file.answer_timeout_seconds, 1..=170);
    let body_timeout = timed("body_timeout_seconds", file.body_timeout_seconds, 1..=300);
    let header_timeout = timed("header_timeout_seconds", file.header_timeout_seconds, 1..=300);
    let write_timeout = timed("write_timeout_seconds", file.write_timeout_seconds, 1..=300);
    let body_bytes_max = number(&key("body_bytes_max"), file.body_bytes_max, 65_536..=268_435_456, problems);
    let buffered = body_bytes_max.clamp(65_536, 268_435_456)..=u32::MAX;
    let buffered_bytes_max = number(&key("buffered_bytes_max"), file.buffered_bytes_max, buffered, problems);
    let connections_max = number(&key("connections_max"), file.connections_max, 1..=100_000, problems);
    let per_address = file.connections_per_address_max;
    let connections_per_address_max = number(&key("connections_per_address_max"), per_address, 1..=100_000, problems);
    let requests = file.requests_per_instance_max;
    let requests_per_instance_max = number(&key("requests_per_instance_max"), requests, 1..=100, problems);
    let allow_from = networks("webhook.allow_from", &file.allow_from, true, problems);
    let trusted_proxies = networks("webhook.trusted_proxies", &file.trusted_proxies, false, problems);
    let tls = match (file.tls_cert_file, file.tls_key_file) {
        (Some(cert), Some(key)) => Some(TlsFiles { cert, key }),
        (Some(_), None) => complain(problems, key("tls_key_file"), "is missing: the certificate's key"),
        (None, Some(_)) => complain(problems, key("tls_cert_file"), "is missing: the key's certificate chain"),
        (None, None) => None,
    };
    let webhook = listen.map(|listen| Webhook {
        listen,
        public_url,
        answer_timeout,
        body_bytes_max,
        body_timeout,
        header_timeout,
        write_timeout,
        connections_max,
        connections_per_address_max,
        requests_per_instance_max,
        buffered_bytes_max,
        allow_from,
        trusted_proxies,
        tls,
    });
    (webhook, token)
}

/// The token of an `Authorization` header, or of a `webhookUrlToken`, which may be written with either scheme: GREEN-API's
/// own servers strip `Bearer ` and `Basic ` alike (reference §7).
#[must_use]
pub fn bare_token(text: &str) -> &str {
    let text = text.trim_start();
    SCHEMES.iter().find_map(|scheme| strip_ignoring_case(text, scheme)).unwrap_or(text).trim()
}

fn strip_ignoring_case<'t>(text: &'t str, scheme: &str) -> Option<&'t str> {
    text.get(..scheme.len()).filter(|start| start.eq_ignore_ascii_case(scheme)).map(|_| &text[scheme.len()..])
}

/// A `webhookUrlToken`, from its key or its file, without the scheme it may be written with (reference §7).
pub(super) fn webhook_token(
    key: impl Fn(&str) -> String,
    token: Option<SecretString>,
    file: Option<PathBuf>,
    problems: &mut Vec<Problem>,
) -> Option<SecretString> {
    let token = secret(&key, "token", token, file.as_deref(), problems)??;
    let bare = bare_token(token.expose_secret());
    let is_scheme_alone = SCHEMES.iter().any(|scheme| scheme.trim_end().eq_ignore_ascii_case(bare));
    if bare.is_empty() || is_scheme_alone || !bare.bytes().all(|byte| byte.is_ascii_graphic()) {
        return complain(
            problems,
            key("token"),
            "is not a webhookUrlToken: no spaces, nothing that a header does not take",
        );
    }
    Some(bare.to_owned().into())
}

fn networks(key: &str, words: &[String], with_names: bool, problems: &mut Vec<Problem>) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for (index, word) in words.iter().enumerate() {
        let one = word.parse::<IpNet>().ok().or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from));
        match one {
            Some(network) => networks.push(network.trunc()),
            None if with_names && word == GREEN_API => {
                networks.extend(GREEN_API_ADDRESSES.iter().map(|address| IpNet::from(IpAddr::from(*address))));
            }
            None => {
                let names = if with_names { ", or \"green-api\"" } else { "" };
                let expected = format!("expected an address such as 192.0.2.7, a network such as 10.0.0.0/8{names}");
                problems.push(Problem::new(format!("{key}[{index}]"), expected));
            }
        }
    }
    networks
}
