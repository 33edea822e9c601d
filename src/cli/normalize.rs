//! `chatbridge normalize`: bodies in, records out, no network.

use std::io::{self, BufRead, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::documents::{self, Document};
use super::{EXIT_FAILED, EXIT_USAGE, complain};
use crate::bridge::prepare;
use crate::event::{Body, DeadLetterReason, InstanceId, Notification};
use crate::json::{Json, on_one_line};
use crate::policy::Policy;
use crate::record::{Record, RecordFactory};

/// Arguments of `normalize`.
#[derive(Debug, clap::Args)]
pub(super) struct NormalizeArgs {
    /// Bodies or {receiptId, body} envelopes: one JSON document, or JSON lines [default: standard input]
    file: Option<PathBuf>,
    /// The instance they were received for [default: the one each body names]
    #[arg(long, value_name = "ID")]
    instance: Option<u64>,
}

/// One line of output.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    key: &'a str,
    headers: serde_json::Map<String, serde_json::Value>,
    value: Value<'a>,
}

enum Value<'a> {
    Json(&'a RawValue),
    OneLine(Box<RawValue>),
    /// A dead letter that is not JSON.
    Text(String),
}

impl Serialize for Value<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Json(raw) => raw.serialize(serializer),
            Self::OneLine(raw) => raw.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

pub(super) fn normalize(args: &NormalizeArgs) -> ExitCode {
    let input = match documents::open(args.file.as_deref()) {
        Ok(input) => input,
        Err(error) => {
            complain(format_args!("failed to open {error}"));
            return EXIT_USAGE.into();
        }
    };
    let output = BufWriter::with_capacity(1 << 18, io::stdout().lock());
    match Normalizer::new(args.instance.map(InstanceId::new), output).all(input) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("failed to normalise: {error}"));
            EXIT_FAILED.into()
        }
    }
}

/// The body inside `{receiptId, body}`, where the document is such an envelope.
pub(super) fn enveloped(document: &RawValue) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(rename = "receiptId", borrow)]
        _receipt_id: &'a RawValue,
        body: Box<RawValue>,
    }
    serde_json::from_str::<Envelope>(document.get()).ok().map(|envelope| envelope.body)
}

struct Normalizer<W> {
    instance: Option<InstanceId>,
    records: RecordFactory,
    policy: Policy,
    output: W,
}

impl<W: Write> Normalizer<W> {
    fn new(instance: Option<InstanceId>, output: W) -> Self {
        Self { instance, records: RecordFactory::default(), policy: Policy::default(), output }
    }

    fn all(&mut self, input: impl BufRead) -> io::Result<()> {
        documents::for_each(input, |document| match document {
            Document::Json(document) => self.document(document),
            Document::Malformed(bytes, error) => self.malformed(bytes, &error),
        })?;
        self.output.flush()
    }

    fn document(&mut self, document: &RawValue) -> io::Result<()> {
        let view = Json::parse(document.get()).unwrap_or(Json::Null);
        let mut receipt_id = None;
        let mut body = document.to_owned();
        let mut named = view.get("instanceData").get("idInstance").integer();
        if let Some(inner) = enveloped(document) {
            receipt_id = view.get("receiptId").text().map(str::to_owned);
            named = view.get("body").get("instanceData").get("idInstance").integer();
            body = inner;
        }
        let named = named.and_then(|id| u64::try_from(id).ok()).unwrap_or_default();
        let instance = self.instance.unwrap_or(InstanceId::new(named));
        self.emit(Notification { instance, receipt_id, body: Body::Json(body) })
    }

    fn malformed(&mut self, bytes: &[u8], error: &serde_json::Error) -> io::Result<()> {
        let error = format!("not JSON, line {} column {}", error.line(), error.column());
        complain(&error);
        let instance = self.instance.unwrap_or(InstanceId::new(0));
        let (bytes, reason) = (bytes.to_vec(), DeadLetterReason::NotJson);
        let body = Body::Undecodable { bytes, reason, error, receipt_at: 0..0 };
        self.emit(Notification { instance, receipt_id: None, body })
    }

    fn emit(&mut self, notification: Notification) -> io::Result<()> {
        let now = Timestamp::now();
        let prepared = prepare(notification, &self.policy, now);
        let Some(record) = prepared.record(&self.records, now) else { return Ok(()) };
        let Record { topic, key, headers, value, .. } = record;
        let line = Line {
            topic: &topic,
            key: &key,
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
            value: match serde_json::from_slice::<&RawValue>(&value) {
                // `raw` may hold the line breaks of a body that was written over several lines.
                Ok(raw) if raw.get().contains('\n') => Value::OneLine(RawValue::from_string(on_one_line(raw.get()))?),
                Ok(raw) => Value::Json(raw),
                Err(_) => Value::Text(String::from_utf8_lossy(&value).into_owned()),
            },
        };
        serde_json::to_writer(&mut self.output, &line)?;
        self.output.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalized(input: &str) -> Vec<serde_json::Value> {
        let mut output = Vec::new();
        Normalizer::new(None, &mut output).all(input.as_bytes()).expect("a Vec takes everything");
        output
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).expect("a JSON line"))
            .collect()
    }

    const BODY: &str = r#"{"typeWebhook":"incomingCall","instanceData":{"idInstance":7},"from":"7900:2@c.us"}"#;

    #[test]
    fn documents_lines_and_envelopes_are_told_apart() {
        let pretty = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(BODY).expect("JSON"))
            .expect("JSON");
        for (input, expected) in [
            (BODY.to_owned(), 1),
            (format!("{BODY}\n{BODY}\n\n"), 2),
            (format!("\n{pretty}\n{pretty}"), 2),
            (format!(r#"{{"receiptId": 5, "body": {BODY}}}"#), 1),
            (String::new(), 0),
        ] {
            let lines = normalized(&input);
            assert_eq!(lines.len(), expected, "{input}");
            assert!(
                lines.iter().all(|line| line["key"] == "7900@c.us" && line["value"]["source"]["instance"] == "7"),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_broken_line_becomes_a_dead_letter_and_the_next_ones_follow() {
        let lines = normalized(&format!("{BODY}\n{{\"a\":]\n{BODY}\n"));
        let topics: Vec<_> = lines.iter().map(|line| line["topic"].as_str().expect("a topic")).collect();
        assert_eq!(topics, ["chat-events", "chat-events-dlq", "chat-events"]);
        assert_eq!(lines[1]["value"], "{\"a\":]");
        assert_eq!(lines[1]["headers"]["reason"], "not_json");
    }
}
