//! What happened, as an oracle needs it: enough to judge what was lost, deleted too early, repeated or
//! out of order. It never holds a token.

use hyper::body::Bytes;
use serde::{Deserialize, Serialize};

use super::config::EntryId;
use super::method::Method;
use crate::kit::hex;
use crate::kit::journal::{Entry, Stamp};

/// One thing that happened. As JSON:
/// `{"sequence":1,"at_ms":0,"unix_ms":1760000000000,"instance":1101,"what":{"event":"enqueued","entry":1,"body":{"text":"{…}"}}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Its place among all entries of the simulator. Within one instance the order is that of the effects.
    pub sequence: u64,
    /// Milliseconds since the simulator started, by a clock that only goes forward.
    pub at_ms: u64,
    /// The same moment as UNIX time: the start by the wall clock plus `at_ms`.
    pub unix_ms: u64,
    /// The instance.
    pub instance: u64,
    /// What happened to it.
    pub what: JournalEvent,
}

impl JournalEntry {
    pub(super) fn new(Stamp { sequence, at_ms, unix_ms }: Stamp, instance: u64, what: JournalEvent) -> Self {
        Self { sequence, at_ms, unix_ms, instance, what }
    }
}

impl Entry for JournalEntry {
    fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// The kinds of things that happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JournalEvent {
    /// An event joined the queue.
    Enqueued {
        /// Its place in the instance's order.
        entry: EntryId,
        /// Its bytes, verbatim.
        body: JournalBody,
    },
    /// An event was given to a receiver. Whether the answer arrived is not known here.
    HandedOut {
        /// Which event.
        entry: EntryId,
        /// Under which `receiptId`.
        receipt: u64,
    },
    /// An event was deleted by a client.
    Deleted {
        /// Which event.
        entry: EntryId,
        /// With which `receiptId`.
        receipt: u64,
    },
    /// A delete found nothing: the receipt was spent, replaced or never given.
    DeleteRefused {
        /// The `receiptId` that was sent.
        receipt: u64,
    },
    /// An event was sent to the `webhookUrl`. Where no entry says how it ended, a change of settings
    /// or the end of the simulator cut it off.
    Pushed {
        /// Which event.
        entry: EntryId,
    },
    /// The `webhookUrl` answered 200 and the event left the queue: what a delete is to the HTTP queue.
    Acknowledged {
        /// Which event.
        entry: EntryId,
    },
    /// A push was in vain; the same event is pushed again after the pause.
    PushFailed {
        /// Which event.
        entry: EntryId,
        /// What the sender saw.
        why: PushFailure,
    },
    /// An event was older than the retention and vanished. Noticed at the next look at the queue.
    Expired {
        /// Which event.
        entry: EntryId,
    },
    /// An event was deleted by an imaginary second consumer ([`super::FaultKind::StolenBySecondConsumer`]).
    Stolen {
        /// Which event.
        entry: EntryId,
        /// The receipt it was handed out with.
        receipt: u64,
    },
    /// A request met a fault.
    Faulted {
        /// The method called.
        method: Method,
        /// The fault's `type`.
        fault: String,
    },
    /// A request was one too many.
    RateLimited {
        /// The method called.
        method: Method,
    },
}

/// Why a push was in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushFailure {
    /// An answer other than 200.
    Status(u16),
    /// No connection, or nothing that could be sent: a `webhookUrl` that is none, a token that fits no header.
    NotSent,
    /// The connection ended without an answer.
    NoAnswer,
    /// No answer in time ([`super::PushConfig::answer_max`]).
    TimedOut,
}

/// The bytes of an event: as text where they are UTF-8, else in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "BodyText", try_from = "BodyText")]
pub struct JournalBody(pub Bytes);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BodyText {
    Text(String),
    Hex(String),
}

impl From<JournalBody> for BodyText {
    fn from(body: JournalBody) -> Self {
        match std::str::from_utf8(&body.0) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Hex(hex::encode(&body.0)),
        }
    }
}

impl TryFrom<BodyText> for JournalBody {
    type Error = &'static str;

    fn try_from(text: BodyText) -> Result<Self, Self::Error> {
        match text {
            BodyText::Text(text) => Ok(Self(Bytes::from(text))),
            BodyText::Hex(digits) => {
                let bytes = hex::decode(&digits).ok_or("`hex` is not pairs of hexadecimal digits")?;
                Ok(Self(Bytes::from(bytes)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(body: &'static [u8]) -> String {
        let entry = JournalEntry {
            sequence: 1,
            at_ms: 2,
            unix_ms: 3,
            instance: 4,
            what: JournalEvent::Enqueued { entry: EntryId(5), body: JournalBody(Bytes::from_static(body)) },
        };
        let line = serde_json::to_string(&entry).expect("json");
        assert_eq!(serde_json::from_str::<JournalEntry>(&line).expect("read back"), entry);
        line
    }

    #[test]
    fn bodies_survive_as_text_or_hex() {
        assert!(round_trip(br#"{"a":1}"#).contains(r#""body":{"text":"{\"a\":1}"}"#));
        assert!(round_trip(b"\xff\x00z").contains(r#""body":{"hex":"ff007a"}"#));
        assert!(round_trip(b"").contains(r#"{"text":""}"#));
    }
}
