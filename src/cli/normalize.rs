//! `chatbridge normalize`: bodies in, records out, no network.

use std::io::{self, BufRead, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::documents::{self, Document};
use super::json_line::{self, Value};
use super::{EXIT_FAILED, EXIT_USAGE, complain};
use crate::core::policy::Policy;
use crate::core::prepared::{Prepared, prepare, prepare_event};
use chatbridge_base::json::Json;
use chatbridge_event::event::{Body, DeadLetterReason, InstanceId, Notification};
use chatbridge_event::normalize::chatapp;
use chatbridge_event::record::RecordFactory;
use chatbridge_event::trace::Sampling;

/// Arguments of `normalize`.
#[derive(Debug, clap::Args)]
pub(super) struct NormalizeArgs {
    /// Bodies or {receiptId, body} envelopes of GREEN-API, {data, meta} of ChatApp: one JSON document, or JSON lines
    /// [default: standard input]
    file: Option<PathBuf>,
    /// GREEN-API: the instance they were received for [default: the one each body names]
    #[arg(long, value_name = "ID")]
    instance: Option<u64>,
    /// Write the trace into the headers, as tracing.traceparent = true has the daemon do
    #[arg(long)]
    traceparent: bool,
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
    let mut normalizer = Normalizer::new(args.instance.map(InstanceId::new), output);
    normalizer.records.traceparent = args.traceparent.then(|| Sampling::percent(100));
    match normalizer.all(input) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader closed the pipe, which is no error.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("failed to normalise: {error}"));
            EXIT_FAILED.into()
        }
    }
}

/// The body inside `{receiptId, body}`, if the document is such an envelope.
pub(super) fn enveloped(document: &RawValue) -> Option<Box<RawValue>> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(rename = "receiptId", borrow)]
        _receipt_id: &'a RawValue,
        body: Box<RawValue>,
    }
    serde_json::from_str::<Envelope>(document.get()).ok().map(|envelope| envelope.body)
}

/// Whether it is ChatApp's. Its bodies may hold several events.
fn is_chatapp(document: &RawValue) -> bool {
    Json::parse(document.get()).is_some_and(|view| chatapp::is_body(&view))
}

/// What a document says about itself, before it is normalised.
struct Seen {
    receipt_id: Option<String>,
    /// The instance the body names.
    instance: Option<u64>,
    body: Box<RawValue>,
}

/// Reads only the simple case, a bare body with its instance in the usual place. `None` for all others.
fn glance(document: &RawValue) -> Option<Seen> {
    #[derive(Deserialize)]
    struct Plain {
        #[serde(rename = "instanceData")]
        data: InstanceData,
        #[serde(rename = "receiptId")]
        receipt_id: Option<IgnoredAny>,
    }
    #[derive(Deserialize)]
    struct InstanceData {
        #[serde(rename = "idInstance")]
        instance: u64,
    }
    let plain: Plain = serde_json::from_str(document.get()).ok()?;
    let instance = Some(plain.data.instance);
    plain.receipt_id.is_none().then(|| Seen { receipt_id: None, instance, body: document.to_owned() })
}

/// All other cases: an envelope, an instance in another spelling, no object at all.
fn look_closely(document: &RawValue) -> Seen {
    let view = Json::parse(document.get()).unwrap_or(Json::Null);
    let named =
        |body: &Json| body.get("instanceData").get("idInstance").integer().and_then(|id| u64::try_from(id).ok());
    match enveloped(document) {
        Some(body) => {
            let receipt_id = view.get("receiptId").text().map(str::to_owned);
            Seen { receipt_id, instance: named(view.get("body")), body }
        }
        None => Seen { receipt_id: None, instance: named(&view), body: document.to_owned() },
    }
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
        let glanced = glance(document);
        if glanced.is_none() && is_chatapp(document) {
            let items = chatapp::normalize(chatapp::Arrival::default(), document.to_owned());
            for chatapp::Item { event, .. } in items {
                let now = Timestamp::now();
                self.emit(&prepare_event(event, &self.policy, now), now)?;
            }
            return Ok(());
        }
        let seen = glanced.unwrap_or_else(|| look_closely(document));
        let instance = self.instance.unwrap_or(InstanceId::new(seen.instance.unwrap_or_default()));
        self.notification(Notification { instance, receipt_id: seen.receipt_id, body: Body::Json(seen.body) })
    }

    fn malformed(&mut self, bytes: &[u8], error: &serde_json::Error) -> io::Result<()> {
        let error = format!("not JSON, line {} column {}", error.line(), error.column());
        complain(&error);
        let instance = self.instance.unwrap_or(InstanceId::new(0));
        let (bytes, reason) = (bytes.to_vec(), DeadLetterReason::NotJson);
        let body = Body::Undecodable { bytes, reason, error, receipt_at: 0..0 };
        self.notification(Notification { instance, receipt_id: None, body })
    }

    fn notification(&mut self, notification: Notification) -> io::Result<()> {
        let now = Timestamp::now();
        self.emit(&prepare(notification, &self.policy, now), now)
    }

    fn emit(&mut self, prepared: &Prepared, now: Timestamp) -> io::Result<()> {
        let Some(record) = prepared.record(&self.records, now) else { return Ok(()) };
        let headers = record.headers.iter().map(|(name, value)| (*name, value.as_str()));
        let value = match prepared.event() {
            Some(_) => Value::Json(&record.value),
            None => Value::Bytes(&record.value),
        };
        json_line::write(&mut self.output, &record.topic, &record.key, headers, value)
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
    fn a_glance_sees_what_a_closer_look_would_or_nothing() {
        for (document, is_plain) in [
            (BODY, true),
            (r#"{"instanceData":{"idInstance":7,"wid":"\ud83d"},"x":[[[{"receiptId":1}]]]}"#, true),
            (r#"{"instanceData":{"idInstance":"7"}}"#, false),
            (r#"{"instanceData":{"idInstance":7.5}}"#, false),
            (r#"{"instanceData":{"idInstance":-7}}"#, false),
            (r#"{"instanceData":{"idInstance":7},"instanceData":{"idInstance":8}}"#, false),
            (r#"{"\ud83d":1,"instanceData":{"idInstance":7}}"#, false),
            (r#"{"receiptId":5,"body":{"instanceData":{"idInstance":7}}}"#, false),
            (r#"{"receiptId":5,"instanceData":{"idInstance":7},"body":{}}"#, false),
            (r#""text""#, false),
            ("null", false),
        ] {
            let raw = RawValue::from_string(document.to_owned()).expect("JSON");
            let (glance, close) = (glance(&raw), look_closely(&raw));
            assert_eq!(glance.is_some(), is_plain, "{document}");
            if let Some(seen) = glance {
                assert_eq!((seen.receipt_id, seen.instance), (close.receipt_id, close.instance), "{document}");
                assert_eq!(seen.body.get(), close.body.get(), "{document}");
            }
        }
    }

    #[test]
    fn a_body_of_chatapp_becomes_a_record_for_each_of_its_items() {
        let item = |id: u32| format!(r#"{{"id":{id},"chat":{{"id":"79:2@c.us"}}}}"#);
        let body = format!(
            r#"{{"data":[{},{}],"meta":{{"type":"messageDestroy","licenseId":1,"messengerType":"grWhatsApp"}}}}"#,
            item(1),
            item(2)
        );
        let lines = normalized(&format!("{body}\n{{\"payload\":{body}}}\n{BODY}\n"));
        let sources: Vec<_> = lines.iter().map(|line| line["headers"]["ce_source"].as_str().expect("one")).collect();
        let chatapp = "/chatapp/1/grWhatsApp";
        assert_eq!(sources, [chatapp, chatapp, chatapp, chatapp, "/green-api/7"]);
        assert_eq!(lines[0], lines[2], "wrapped or not");
        assert_eq!((&lines[0]["key"], &lines[1]["key"]), (&"79:2@c.us".into(), &"79:2@c.us".into()), "as given");
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
