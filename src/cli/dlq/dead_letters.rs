//! Reads dead letters: which there are, which are not replayed yet, and how one is replayed.
//!
//! The topic itself remembers what was replayed. Once Kafka has acknowledged the event, a replay writes a mark after
//! the letter, under the same key. A letter with a mark is settled. So any selection can be replayed in any order,
//! interrupted and repeated: letters with a mark are skipped, letters without one are replayed. A crash between event
//! and mark repeats that one event, with the same `ce_id`. The offset of a consumer group could not record that:
//! everything before it counts as done.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use crate::core::consume::{ConsumedRecord, Position, ReadError, Records};
use chatbridge_event::event::{DeadLetterReason, InstanceId, KindName, SourceId};
use chatbridge_event::record::dead_letter::{MARK_REASON, MARKED_LETTER};

pub(crate) mod replay;

/// How many letters one selection may hold, because their positions are kept in memory.
pub(crate) const SELECTED_LETTERS_MAX: usize = 1_000_000;

/// Why the dead letters cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SurveyError {
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// More than fit into memory.
    #[error("more than {SELECTED_LETTERS_MAX} dead letters: take a part of them with --since and --until")]
    TooMany,
}

/// A dead letter as it is stored in its topic.
pub(crate) struct Letter {
    /// Its position.
    pub position: Position,
    /// When it was written.
    pub time: Option<Timestamp>,
    /// The reason: one of [`DeadLetterReason`]'s words, or whatever else the header says.
    pub reason: String,
    /// The failure in words.
    pub error: String,
    /// The source that it was received from.
    pub source: Option<SourceId>,
    /// Whether it is a gap. A gap's bytes were made by the bridge and are not a body.
    pub is_gap: bool,
    /// The topic it was meant for.
    pub topic: Option<Arc<str>>,
    /// The `ce_id`.
    pub id: Option<Uuid>,
    /// How often publishing had been tried.
    pub attempts: Option<u32>,
    /// When the bridge saw it first.
    pub first_seen: Option<Timestamp>,
    /// The receipt it was handed out with.
    pub receipt_id: Option<String>,
    /// How long the bytes were, if the broker accepted only a part of them.
    pub truncated_from_bytes: Option<u64>,
    /// The key.
    pub key: String,
    /// The bytes as they were received.
    pub bytes: Vec<u8>,
}

impl Letter {
    /// The GREEN-API instance, if it was received for one.
    #[must_use]
    pub(crate) fn instance(&self) -> Option<u64> {
        self.source.as_ref()?.instance().map(InstanceId::get)
    }

    /// The reason, if it is one of ours.
    #[must_use]
    pub(crate) fn known_reason(&self) -> Option<DeadLetterReason> {
        DeadLetterReason::ALL.into_iter().find(|reason| reason.as_str() == self.reason)
    }
}

/// A record of the dead-letter topic.
pub(crate) enum Entry {
    /// A dead letter.
    Letter(Box<Letter>),
    /// The mark of the letter at this position, with its id.
    Mark(Position, Option<Uuid>),
}

impl Entry {
    /// Reads a record of the dead-letter topic. Everything that is not a mark is a letter.
    #[must_use]
    pub(crate) fn read(record: ConsumedRecord) -> Self {
        let header = |name: &str| record.header(name);
        let id = header("ce_id").and_then(|id| id.parse().ok());
        let reason = header("reason").unwrap_or_default();
        if reason == MARK_REASON
            && let Some((partition, offset)) = header(MARKED_LETTER).and_then(|place| place.split_once('/'))
            && let (Ok(partition), Ok(offset)) = (partition.parse(), offset.parse())
        {
            return Self::Mark(Position { partition, offset }, id);
        }
        Self::Letter(Box::new(Letter {
            position: record.position,
            time: record.timestamp_ms.and_then(|ms| Timestamp::from_millisecond(ms).ok()),
            reason: reason.to_owned(),
            error: header("error").unwrap_or_default().to_owned(),
            source: header("instance")
                .map(|instance| instance.parse().ok().map(InstanceId::new).map(SourceId::GreenApi))
                .unwrap_or_else(|| header("ce_source").and_then(SourceId::from_uri)),
            is_gap: header("ce_type").and_then(|word| word.split('.').nth(1)) == Some(KindName::Gap.as_str()),
            topic: header("topic").filter(|topic| !topic.is_empty()).map(Arc::from),
            id,
            attempts: header("attempts").and_then(|attempts| attempts.parse().ok()),
            first_seen: header("first_seen").and_then(|time| time.parse().ok()),
            receipt_id: header("receipt_id").map(str::to_owned),
            truncated_from_bytes: header("truncated_from_bytes").and_then(|bytes| bytes.parse().ok()),
            key: record.key,
            bytes: record.value,
        }))
    }
}

/// Which letters are selected. An empty list means any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Reasons.
    pub reasons: Vec<DeadLetterReason>,
    /// Instances.
    pub instances: Vec<u64>,
    /// Written at this time or later.
    pub since: Option<Timestamp>,
    /// Written before this time.
    pub until: Option<Timestamp>,
    /// At most this many, the oldest first.
    pub limit: Option<usize>,
    /// Also those that were replayed before.
    pub replayed_too: bool,
}

impl Filter {
    fn matches(&self, letter: &Letter) -> bool {
        let any_of = |empty: bool, found: bool| empty || found;
        any_of(self.reasons.is_empty(), self.reasons.iter().any(|reason| reason.as_str() == letter.reason))
            && any_of(self.instances.is_empty(), letter.instance().is_some_and(|id| self.instances.contains(&id)))
            && self.since.is_none_or(|since| letter.time.is_some_and(|time| time >= since))
            && self.until.is_none_or(|until| letter.time.is_some_and(|time| time < until))
    }
}

/// The result of reading the topic once: the selected letters, and the topics they were meant for.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// The letters, each with whether it was replayed before.
    pub selected: HashMap<Position, bool>,
    /// The topics named in their headers.
    pub topics: HashSet<Arc<str>>,
    /// How many there are for each reason.
    pub reasons: BTreeMap<String, usize>,
}

struct Sighted {
    time: Option<Timestamp>,
    position: Position,
    id: Option<Uuid>,
    topic: Option<Arc<str>>,
    reason: Arc<str>,
}

/// Reads the topic once. Marks come after their letters, so the state of a letter is known only at the end.
///
/// # Errors
/// If the topic cannot be read, or holds too many letters.
pub(crate) async fn survey(mut records: Records, filter: &Filter) -> Result<Survey, SurveyError> {
    let mut sighted: Vec<Sighted> = Vec::new();
    let mut marks = HashSet::new();
    // There are few words and topics, so all letters share them.
    let mut words: HashSet<Arc<str>> = HashSet::new();
    let mut shared = |word: &str| match words.get(word) {
        Some(known) => Arc::clone(known),
        None => {
            let word: Arc<str> = word.into();
            words.insert(Arc::clone(&word));
            word
        }
    };
    while let Some(record) = records.recv().await {
        match Entry::read(record?) {
            Entry::Mark(position, id) => drop(marks.insert((position, id))),
            Entry::Letter(letter) if filter.matches(&letter) => sighted.push(Sighted {
                time: letter.time,
                position: letter.position,
                id: letter.id,
                topic: letter.topic.as_deref().map(&mut shared),
                reason: shared(&letter.reason),
            }),
            Entry::Letter(_) => {}
        }
        if sighted.len() > SELECTED_LETTERS_MAX || marks.len() > SELECTED_LETTERS_MAX {
            return Err(SurveyError::TooMany);
        }
    }
    // Compare the id as well as the position: if the topic was copied or recreated, the position alone proves nothing.
    let is_replayed = |letter: &Sighted| marks.contains(&(letter.position, letter.id));
    sighted.retain(|letter| filter.replayed_too || !is_replayed(letter));
    // Within a partition the order of offsets decides which letters are the oldest, whatever their timestamps say.
    // Between partitions there is only the time.
    sighted.sort_unstable_by_key(|letter| letter.position);
    for run in sighted.chunk_by_mut(|one, next| one.position.partition == next.position.partition) {
        let mut latest = None;
        for letter in run {
            latest = latest.max(letter.time);
            letter.time = latest;
        }
    }
    sighted.sort_by_key(|letter| (letter.time, letter.position));
    sighted.truncate(filter.limit.unwrap_or(usize::MAX));
    let mut survey = Survey::default();
    for letter in sighted {
        survey.selected.insert(letter.position, is_replayed(&letter));
        *survey.reasons.entry(letter.reason.to_string()).or_default() += 1;
        survey.topics.extend(letter.topic);
    }
    Ok(survey)
}

#[cfg(test)]
mod tests;
