//! `[tracing]`: what is told of each event's way, and to whom.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::time::Duration;

use chatbridge_event::trace::Sampling;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::fingerprint::Compared;
use super::problem::Checks;
use super::secrets::{Given, secret_file};
use super::text::{Within, bare_url, is_made_of, text_form};

/// Set by the exporter itself; another value would only break it.
const OWN_HEADERS: [&str; 3] = ["content-type", "content-length", "host"];

/// What is told of each event's way.
#[derive(Debug, Clone)]
pub struct Tracing {
    /// Whether records carry `traceparent`.
    pub traceparent: bool,
    /// Which traces are recorded.
    pub sampling: Sampling,
    /// Where spans are exported to; `None`: nowhere.
    pub otlp: Option<Otlp>,
}

/// What applies where the file says nothing.
impl Default for Tracing {
    fn default() -> Self {
        check(Text::default(), &mut Checks::new(&mut Vec::new()))
    }
}

/// Where spans are exported to, and how.
#[derive(Debug, Clone)]
pub struct Otlp {
    /// The root of the collector's OTLP/HTTP interface.
    pub endpoint: Url,
    /// Headers of each request, by their names in lower case. Values may be tokens, so none of them prints.
    pub headers: BTreeMap<String, SecretString>,
    /// How many spans may wait.
    pub queue_spans_max: usize,
    /// How long a span may wait for others.
    pub export_interval: Duration,
    /// How long a request may take, tries after a failure included.
    pub timeout: Duration,
}

text_form! {
    /// `[tracing]`, as written.
    #[schemars(rename = "Tracing")]
    pub(super) struct Text;

    /// Whether records and dead letters carry the header `traceparent` (W3C Trace Context).
    traceparent: bool,
    /// Which share of all traces is recorded: exported, and marked as sampled in `traceparent`.
    sampling_percent: Within<u8, 0, 100> = 100,
    /// The root of a collector's OTLP/HTTP interface; without one no spans are exported.
    otlp_endpoint: Option<String>,
    /// Headers the collector wants to see, for authentication.
    otlp_headers: BTreeMap<String, Given>,
    /// Headers whose value is read from a file.
    otlp_header_files: BTreeMap<String, PathBuf>,
    /// How many spans may wait for the collector; what comes on top is dropped, and counted.
    otlp_queue_spans_max: Within<usize, 1, 65_536> = 2048,
    /// How long a span may wait for others to travel with.
    otlp_export_interval_ms: Within<u64, 100, 60_000> = 5_000,
    /// How long a request may take, tries after a failure included.
    otlp_timeout_seconds: Within<u64, 1, 60> = 10,
}

pub(super) fn check(text: Text, checks: &mut Checks<'_>) -> Tracing {
    let mut checks = checks.table("tracing");
    let headers = headers(text.otlp_headers, text.otlp_header_files, &mut checks);
    if text.otlp_endpoint.is_none() && !headers.is_empty() {
        checks.complain("otlp_endpoint", "is missing: the headers are for that collector");
    }
    let endpoint = text
        .otlp_endpoint
        .and_then(|text| endpoint(&text).map_err(|wrong| checks.complain("otlp_endpoint", wrong)).ok());
    let otlp = endpoint.map(|endpoint| Otlp {
        endpoint,
        headers,
        queue_spans_max: text.otlp_queue_spans_max.0,
        export_interval: text.otlp_export_interval_ms.millis(),
        timeout: text.otlp_timeout_seconds.seconds(),
    });
    Tracing { traceparent: text.traceparent, sampling: Sampling::percent(text.sampling_percent.0), otlp }
}

fn endpoint(text: &str) -> Result<Url, &'static str> {
    let grpc = Some(4317);
    match bare_url(text) {
        Some(url) if url.path().trim_end_matches('/').ends_with("/v1/traces") => {
            Err("leave out /v1/traces: it is added")
        }
        Some(url) if url.port() == grpc => {
            Err("4317 is the port of OTLP over gRPC; this is OTLP over HTTP, usually port 4318")
        }
        Some(url) => Ok(url),
        None => Err("expected one http or https address such as http://localhost:4318, without user or password"),
    }
}

fn headers(
    given: BTreeMap<String, Given>,
    files: BTreeMap<String, PathBuf>,
    checks: &mut Checks<'_>,
) -> BTreeMap<String, SecretString> {
    let mut found = Vec::new();
    for (name, value) in given {
        let key = format!("otlp_headers.{name}");
        found.extend(value.read(&key, checks).map(|value| (key, name, value)));
    }
    for (name, path) in files {
        let key = format!("otlp_header_files.{name}");
        found.extend(secret_file(&key, &path, checks).map(|value| (key, name, value)));
    }
    let mut headers = BTreeMap::new();
    for (key, name, value) in found {
        let name = name.to_lowercase();
        if name.is_empty() || !is_made_of(&name, b"-_.") || OWN_HEADERS.contains(&&*name) {
            checks.complain(key, "is not the name of a header that may be set");
        } else if !value.expose_secret().bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            checks.complain(key, "holds characters that no header takes");
        } else {
            match headers.entry(name) {
                Entry::Occupied(_) => checks.complain(key, "is given twice: keep one"),
                Entry::Vacant(vacant) => drop(vacant.insert(value)),
            }
        }
    }
    headers
}

impl Compared for Tracing {
    fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.otlp.iter().flat_map(|otlp| otlp.headers.values())
    }
}
