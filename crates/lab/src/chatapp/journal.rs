//! What happened, as a judge needs it: what was published, to whom it went, what could be fetched. Never a token.

use serde::{Deserialize, Serialize};

use super::fault::Place;
use crate::kit::journal::{Entry, Stamp};

/// One thing that happened. As JSON: `{"sequence":7,"at_ms":12,"unix_ms":1760000000012,"what":{"event":"written",…}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// Its place among all entries.
    pub sequence: u64,
    /// Milliseconds since the simulator started, by a clock that only goes forward.
    pub at_ms: u64,
    /// The same moment as UNIX time: the start by the wall clock plus `at_ms`.
    pub unix_ms: u64,
    /// What it was.
    pub what: JournalEvent,
}

impl JournalEntry {
    pub(super) fn new(Stamp { sequence, at_ms, unix_ms }: Stamp, what: JournalEvent) -> Self {
        Self { sequence, at_ms, unix_ms, what }
    }
}

impl Entry for JournalEntry {
    fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// The number of a publication, from 1.
pub type PublicationId = u64;

/// The kinds of things that happen. `socket` is a `socket_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum JournalEvent {
    /// The application published.
    Published {
        /// Which one.
        publication: PublicationId,
        /// Where.
        channel: String,
        /// The event's name.
        name: String,
        /// Its body, verbatim.
        body: String,
        /// Of each item in turn, as far as it has them: chat and id.
        items: Vec<ItemIds>,
        /// Whether REST gives every item back.
        fetchable: bool,
        /// Sockets that were subscribed.
        subscribers: usize,
    },
    /// A frame with it was handed to the network. Whether it arrived is not known here where the socket ended soon
    /// after.
    Written {
        /// Which one.
        publication: PublicationId,
        /// To whom.
        socket: String,
    },
    /// A WebSocket was welcomed.
    Connected {
        /// Its id.
        socket: String,
    },
    /// A channel is live.
    Subscribed {
        /// Who.
        socket: String,
        /// Where.
        channel: String,
    },
    /// A channel is no longer live, though the socket is.
    Unsubscribed {
        /// Who.
        socket: String,
        /// Where; absent: everywhere.
        channel: Option<String>,
        /// Whether the client neither asked for it nor was told.
        silently: bool,
    },
    /// A subscription was refused.
    Refused {
        /// Who.
        socket: String,
        /// Where.
        channel: String,
    },
    /// A socket ended, and all its subscriptions.
    Disconnected {
        /// Its id.
        socket: String,
        /// The close code we sent; absent where we sent none or the client went.
        code: Option<u16>,
    },
    /// A fault happened.
    Faulted {
        /// Where.
        place: Place,
        /// What, in the words of its JSON.
        fault: String,
    },
}

/// The ids of one item, numbers as their digits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemIds {
    /// `chat.id`.
    pub chat: Option<String>,
    /// `id`.
    pub id: Option<String>,
}

/// What became of a publication, as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Written to a subscriber: who received nothing lost it himself.
    Pushed,
    /// Nobody was there, and REST gives it back.
    Fetchable,
    /// Nobody was there, and it cannot be fetched: a gap.
    Lost,
}

/// What became of each publication, in their order.
#[must_use]
pub fn fates(journal: &[JournalEntry]) -> Vec<(PublicationId, Fate)> {
    let pushed: std::collections::HashSet<PublicationId> = journal
        .iter()
        .filter_map(|entry| match entry.what {
            JournalEvent::Written { publication, .. } => Some(publication),
            _ => None,
        })
        .collect();
    journal
        .iter()
        .filter_map(|entry| match entry.what {
            JournalEvent::Published { publication, .. } if pushed.contains(&publication) => {
                Some((publication, Fate::Pushed))
            }
            JournalEvent::Published { publication, fetchable: true, .. } => Some((publication, Fate::Fetchable)),
            JournalEvent::Published { publication, .. } => Some((publication, Fate::Lost)),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(publication: PublicationId, fetchable: bool) -> JournalEvent {
        JournalEvent::Published {
            publication,
            channel: "private-v1.users.685".to_owned(),
            name: "message".to_owned(),
            body: "{}".to_owned(),
            items: vec![ItemIds { chat: Some("c".to_owned()), id: None }],
            fetchable,
            subscribers: 1,
        }
    }

    #[test]
    fn a_judge_sees_what_was_pushed_what_can_be_fetched_and_what_is_lost() {
        let written = |publication| JournalEvent::Written { publication, socket: "1.2".to_owned() };
        let happened =
            [published(1, false), written(1), published(2, true), published(3, false), published(4, true), written(4)];
        let stamp = Stamp { sequence: 1, at_ms: 0, unix_ms: 0 };
        let journal = happened.map(|what| JournalEntry::new(stamp, what));
        let expected = [(1, Fate::Pushed), (2, Fate::Fetchable), (3, Fate::Lost), (4, Fate::Pushed)];
        assert_eq!(fates(&journal), expected);
    }
}
