//! `[tracing]`: what is told of each event's way, and to whom.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::Problem;
use super::secrets::{given_secret, secret_file};
use super::validate::{bare_url, complain, number, seconds};
use chatbridge_event::trace::Sampling;

/// Set by the exporter itself; another value would only break it.
const OWN_HEADERS: [&str; 3] = ["content-type", "content-length", "host"];

/// `[tracing]`, as written.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Tracing")]
pub(super) struct File {
    /// Whether records and dead letters carry the header `traceparent` (W3C Trace Context).
    traceparent: bool,
    /// Which share of all traces is recorded: exported, and marked as sampled in `traceparent`.
    #[schemars(range(min = 0, max = 100))]
    sampling_percent: u8,
    /// The root of a collector's OTLP/HTTP interface; without one no spans are exported.
    otlp_endpoint: Option<String>,
    /// Headers the collector wants to see, for authentication.
    #[schemars(with = "BTreeMap<String, String>")]
    otlp_headers: BTreeMap<String, SecretString>,
    /// Headers whose value is read from a file.
    otlp_header_files: BTreeMap<String, PathBuf>,
    /// How many spans may wait for the collector; what comes on top is dropped, and counted.
    #[schemars(range(min = 1, max = 65_536))]
    otlp_queue_spans_max: usize,
    /// How long a span may wait for others to travel with.
    #[schemars(range(min = 100, max = 60_000))]
    otlp_export_interval_ms: u64,
    /// How long a request may take, tries after a failure included.
    #[schemars(range(min = 1, max = 60))]
    otlp_timeout_seconds: u64,
}

impl Default for File {
    fn default() -> Self {
        Self {
            traceparent: false,
            sampling_percent: 100,
            otlp_endpoint: None,
            otlp_headers: BTreeMap::new(),
            otlp_header_files: BTreeMap::new(),
            otlp_queue_spans_max: 2048,
            otlp_export_interval_ms: 5_000,
            otlp_timeout_seconds: 10,
        }
    }
}

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
        tracing(File::default(), &mut Vec::new())
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

pub(super) fn tracing(file: File, problems: &mut Vec<Problem>) -> Tracing {
    let sampling = Sampling::percent(number("tracing.sampling_percent", file.sampling_percent, 0..=100, problems));
    let key = |name: &str| format!("tracing.{name}");
    let queue_spans_max = number(&key("otlp_queue_spans_max"), file.otlp_queue_spans_max, 1..=65_536, problems);
    let interval_ms = number(&key("otlp_export_interval_ms"), file.otlp_export_interval_ms, 100..=60_000, problems);
    let timeout = seconds(&key("otlp_timeout_seconds"), file.otlp_timeout_seconds, 1..=60, problems);
    let headers = headers(file.otlp_headers, file.otlp_header_files, problems);
    if file.otlp_endpoint.is_none() && !headers.is_empty() {
        problems.push(Problem::new(key("otlp_endpoint"), "is missing: the headers are for that collector"));
    }
    let endpoint = file.otlp_endpoint.and_then(|text| endpoint(&text, problems));
    let otlp = endpoint.map(|endpoint| Otlp {
        endpoint,
        headers,
        queue_spans_max,
        export_interval: Duration::from_millis(interval_ms),
        timeout,
    });
    Tracing { traceparent: file.traceparent, sampling, otlp }
}

fn endpoint(text: &str, problems: &mut Vec<Problem>) -> Option<Url> {
    let grpc = Some(4317);
    match bare_url(text) {
        Some(url) if url.path().trim_end_matches('/').ends_with("/v1/traces") => {
            complain(problems, "tracing.otlp_endpoint", "leave out /v1/traces: it is added")
        }
        Some(url) if url.port() == grpc => complain(
            problems,
            "tracing.otlp_endpoint",
            "4317 is the port of OTLP over gRPC; this is OTLP over HTTP, usually port 4318",
        ),
        Some(url) => Some(url),
        None => complain(
            problems,
            "tracing.otlp_endpoint",
            "expected one http or https address such as http://localhost:4318, without user or password",
        ),
    }
}

fn headers(
    given: BTreeMap<String, SecretString>,
    files: BTreeMap<String, PathBuf>,
    problems: &mut Vec<Problem>,
) -> BTreeMap<String, SecretString> {
    let mut headers = BTreeMap::new();
    let mut add = |key: String, name: String, value: SecretString, problems: &mut Vec<Problem>| {
        let name = name.to_lowercase();
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        let is_value = value.expose_secret().bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if !is_name || OWN_HEADERS.contains(&&*name) {
            problems.push(Problem::new(key, "is not the name of a header that may be set"));
        } else if !is_value {
            problems.push(Problem::new(key, "holds characters that no header takes"));
        } else {
            match headers.entry(name) {
                Entry::Occupied(_) => problems.push(Problem::new(key, "is given twice: keep one")),
                Entry::Vacant(vacant) => drop(vacant.insert(value)),
            }
        }
    };
    for (name, value) in given {
        let key = format!("tracing.otlp_headers.{name}");
        if let Some(value) = given_secret(&key, &value, problems) {
            add(key, name, value, problems);
        }
    }
    for (name, path) in files {
        let key = format!("tracing.otlp_header_files.{name}");
        if let Some(value) = secret_file(&key, &path, problems) {
            add(key, name, value, problems);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Tracing, Vec<String>) {
        let file = config::Config::builder()
            .add_source(config::File::from_str(text, config::FileFormat::Toml))
            .build()
            .and_then(config::Config::try_deserialize)
            .expect("the keys are there");
        let mut problems = Vec::new();
        let tracing = tracing(file, &mut problems);
        (tracing, problems.into_iter().map(|problem| problem.to_string()).collect())
    }

    #[test]
    fn nothing_is_told_by_default() {
        let (tracing, problems) = read("");
        assert!(!tracing.traceparent && tracing.otlp.is_none() && problems.is_empty(), "{tracing:?} {problems:?}");
    }

    #[test]
    fn a_collector_with_its_headers_is_read_and_its_secrets_do_not_print() {
        let (tracing, problems) = read(
            "otlp_endpoint = 'https://otlp.example.org/otlp'\notlp_export_interval_ms = 250\n\
             [otlp_headers]\nAuthorization = 'Bearer hunter2'\nX-Scope-OrgID = '7'\n",
        );
        assert_eq!(problems, Vec::<String>::new());
        assert!(!format!("{tracing:?}").contains("hunter2"));
        let otlp = tracing.otlp.expect("an endpoint");
        assert_eq!(otlp.endpoint.as_str(), "https://otlp.example.org/otlp");
        assert_eq!(otlp.export_interval, Duration::from_millis(250));
        assert_eq!(otlp.headers["authorization"].expose_secret(), "Bearer hunter2");
        assert_eq!(otlp.headers["x-scope-orgid"].expose_secret(), "7");
    }

    #[test]
    fn what_cannot_work_is_said_with_what_would() {
        for (text, key, advice) in [
            ("otlp_endpoint = 'localhost:4318'", "otlp_endpoint", "http://localhost:4318"),
            ("otlp_endpoint = 'http://u:p@localhost:4318'", "otlp_endpoint", "without user or password"),
            ("otlp_endpoint = 'http://localhost:4318/v1/traces'", "otlp_endpoint", "leave out /v1/traces"),
            ("otlp_endpoint = 'http://localhost:4317'", "otlp_endpoint", "usually port 4318"),
            ("[otlp_headers]\na = 'b'", "otlp_endpoint", "is missing"),
            ("otlp_endpoint = 'http://a'\n[otlp_headers]\n'a b' = 'c'", "otlp_headers.a b", "not the name"),
            ("otlp_endpoint = 'http://a'\n[otlp_headers]\nHost = 'c'", "otlp_headers.host", "not the name"),
            ("otlp_endpoint = 'http://a'\n[otlp_headers]\na = ''", "otlp_headers.a", "is empty"),
            ("otlp_endpoint = 'http://a'\n[otlp_headers]\na = 'ü'", "otlp_headers.a", "characters that no header"),
            (
                "otlp_endpoint = 'http://a'\n[otlp_header_files]\na = '/nowhere/a'",
                "otlp_header_files.a",
                "cannot be read",
            ),
            ("sampling_percent = 101", "sampling_percent", "between 0 and 100"),
            ("otlp_queue_spans_max = 0", "otlp_queue_spans_max", "between 1 and 65536"),
            ("otlp_export_interval_ms = 99", "otlp_export_interval_ms", "between 100 and 60000"),
            ("otlp_timeout_seconds = 61", "otlp_timeout_seconds", "between 1 and 60"),
        ] {
            let (_, problems) = read(text);
            let [problem] = &problems[..] else { panic!("{text}: {problems:?}") };
            let problem = problem.to_lowercase();
            assert!(problem.starts_with(&format!("tracing.{key}: ")) && problem.contains(advice), "{text}: {problem}");
        }
    }
}
