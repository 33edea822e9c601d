//! The form of an event record's value, and the headers that go with it.
//!
//! Every form contains the same JSON object. So a form is the bytes before and after that object, and a record is still
//! written in one pass into one buffer.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Headers;

const STRUCTURED_CONTENT_TYPE: &str = "application/cloudevents+json; charset=UTF-8";
/// The first byte of Confluent's wire format.
const MAGIC_BYTE: u8 = 0;

/// The length of its prefix: the magic byte and the schema id.
const FRAME_BYTES: usize = 5;

/// The contents without the prefix of Confluent's wire format, or the value itself if it has none. JSON never begins
/// with a zero byte.
#[must_use]
pub fn unframed(value: &[u8]) -> &[u8] {
    if value.first() == Some(&MAGIC_BYTE) { value.get(FRAME_BYTES..).unwrap_or_default() } else { value }
}

/// The form of the values in the topics of events. Dead letters have none: their bytes stay as they came.
#[derive(Debug, Clone, Default)]
pub enum ValueForm {
    /// Only the object; the CloudEvents attributes are headers (binary mode).
    #[default]
    Plain,
    /// A CloudEvents JSON envelope with the object as its `data` (structured mode).
    ///
    /// The attributes are only in the envelope. The binding would allow them as headers too, but some consumers
    /// (Python's `cloudevents`) take a `ce_` header as a sign of binary mode, and the whole envelope as the data.
    CloudEvent,
    /// The object in Confluent's wire format; the CloudEvents attributes are headers. `content-type` describes the
    /// object inside, because `datacontenttype` is about the data and not about their transport.
    Framed(SchemaIds),
}

impl ValueForm {
    /// The record's headers, made from the attributes of binary mode.
    pub(super) fn headers(&self, attributes: Headers) -> Headers {
        match self {
            Self::Plain | Self::Framed(_) => attributes,
            Self::CloudEvent => vec![("content-type", STRUCTURED_CONTENT_TYPE.to_owned())],
        }
    }

    /// The bytes before the object.
    pub(super) fn opening(&self, topic: &str, attributes: &Headers) -> Vec<u8> {
        match self {
            Self::Plain => Vec::new(),
            Self::CloudEvent => envelope_opening(attributes),
            Self::Framed(ids) => ids.frame(topic).to_vec(),
        }
    }

    /// The bytes after it.
    pub(super) fn closing(&self) -> &'static [u8] {
        match self {
            Self::Plain | Self::Framed(_) => b"",
            Self::CloudEvent => b"}",
        }
    }
}

/// The envelope up to its `data`: the attributes of binary mode under their own names.
fn envelope_opening(attributes: &Headers) -> Vec<u8> {
    let mut opening = vec![b'{'];
    for (header, value) in attributes {
        let name = match *header {
            "content-type" => "datacontenttype",
            other => other.strip_prefix("ce_").unwrap_or(other),
        };
        for (text, end) in [(name, b':'), (value.as_str(), b',')] {
            serde_json::to_writer(&mut opening, text).expect("text into a Vec: nothing here can fail");
            opening.push(end);
        }
    }
    opening.extend_from_slice(b"\"data\":");
    opening
}

/// The id that the schema registry gave the event schema, for each topic of events.
#[derive(Debug, Clone, Default)]
pub struct SchemaIds(BTreeMap<Arc<str>, u32>);

impl SchemaIds {
    /// Ids by topic. It must contain every topic that events may go to.
    #[must_use]
    pub fn new(ids: BTreeMap<Arc<str>, u32>) -> Self {
        Self(ids)
    }

    fn frame(&self, topic: &str) -> [u8; FRAME_BYTES] {
        let id = self.0.get(topic).expect("nothing is received before each topic of events has its schema id");
        let [a, b, c, d] = id.to_be_bytes();
        [MAGIC_BYTE, a, b, c, d]
    }
}
