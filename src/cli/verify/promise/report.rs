//! The verdict for people and for machines. Without phone numbers, texts and tokens.

use std::fmt;

use serde::Serialize;

use chatbridge_lab::oracle::Judgement;

/// What became of the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Promise {
    /// Something was there to show it, and nothing speaks against it.
    Kept,
    /// An event was lost, altered, misplaced or deleted too early, or a token is in a record.
    Broken,
    /// Nothing shows that it was broken, and something stands in the way of saying that it was kept.
    CannotBeTold,
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// The verdict.
    pub promise: Promise,
    /// Whether the verdict is [`Promise::Kept`].
    pub promise_held: bool,
    /// Whether any event reached Kafka, or was dropped as configured. A promise nobody called upon proves nothing.
    pub anything_delivered: bool,
    /// What became of the events.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// Records whose id is not that of their content: a consumer would not know their repeats.
    pub wrong_id: u64,
    /// Records that hold a token; `None` where no token was searched for.
    pub secrets_seen: Option<u64>,
    /// What was searched for.
    pub secrets: Secrets,
    /// What was read.
    pub read: Seen,
    /// Simulator runs in the journals.
    pub runs: usize,
    /// Where to look: of each breach the first few.
    pub examples: Vec<Example>,
}

/// The search for tokens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Secrets {
    /// Records in which one was found.
    #[serde(skip)]
    pub records: u64,
    /// Of these, foreign ones: who wrote the token cannot be told.
    pub in_foreign: u64,
    /// Tokens searched for.
    pub tokens_searched: usize,
    /// Tokens too short to be told from a word.
    pub tokens_too_short: usize,
}

/// The records that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Seen {
    /// All of them.
    pub records: u64,
    /// Of these, records of other instances or of none: foreign, passed over.
    pub of_others: u64,
    /// Of these again, records of no instance: ChatApp's, or another program's.
    pub of_no_instance: u64,
    /// Of these, appended before the simulator started: passed over.
    pub older: u64,
    /// Of these, marks of replayed dead letters: passed over.
    pub marks: u64,
}

/// Where a breach can be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Example {
    /// A record.
    Record {
        /// The breach.
        what: &'static str,
        /// Its topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
    },
    /// An entry of the journal.
    Entry {
        /// The breach.
        what: &'static str,
        /// The instance.
        instance: u64,
        /// Its number among the instance's events.
        entry: u64,
    },
}

impl Example {
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Record { what, .. } | Self::Entry { what, .. } => what,
        }
    }
}

impl Report {
    pub(super) fn new(
        judgement: Judgement,
        read: Seen,
        secrets: Secrets,
        wrong_id: u64,
        runs: usize,
        examples: Vec<Example>,
    ) -> Self {
        let anything_delivered = judgement.verdict.published + judgement.dead_lettered + judgement.dropped > 0;
        let is_broken = judgement.has_breach() || wrong_id > 0 || secrets.records > secrets.in_foreign;
        let is_doubtful = !anything_delivered || judgement.verdict.unexpected > 0 || secrets.in_foreign > 0;
        let promise = match (is_broken, is_doubtful) {
            (true, _) => Promise::Broken,
            (false, true) => Promise::CannotBeTold,
            (false, false) => Promise::Kept,
        };
        Self {
            promise,
            promise_held: promise == Promise::Kept,
            anything_delivered,
            judgement,
            wrong_id,
            secrets_seen: (secrets.tokens_searched > 0).then_some(secrets.records),
            secrets,
            read,
            runs,
            examples,
        }
    }

    fn fates(&self) -> [(&'static str, u64, String); 6] {
        let Judgement { verdict, dead_lettered, dropped, still_queued, lost_by, .. } = &self.judgement;
        let runs = format!("{} run{} of the simulator", self.runs, if self.runs == 1 { "" } else { "s" });
        let published = listed(&[
            (self.judgement.published_not_deleted, "to be deleted yet"),
            (self.judgement.collapsed, "in the record of an equal neighbour"),
        ]);
        let lost = listed(&[
            (lost_by.deletion, "deleted"),
            (lost_by.age, "expired"),
            (lost_by.theft, "taken by another reader"),
        ]);
        let where_any = |count: u64, remark: &str| if count == 0 { String::new() } else { remark.to_owned() };
        [
            ("queued", verdict.queued, runs),
            ("published", verdict.published, published),
            ("dead-lettered", *dead_lettered, where_any(*dead_lettered, "`chatbridge dlq list` shows why")),
            ("dropped", *dropped, where_any(*dropped, "as the configuration wants")),
            ("still queued", *still_queued, where_any(*still_queued, "at GREEN-API, to come")),
            ("lost", verdict.lost, lost),
        ]
    }
}

/// `2 deleted, 1 expired`: zero counts are left out.
fn listed(counts: &[(u64, &str)]) -> String {
    let some = counts.iter().filter(|(count, _)| *count > 0);
    some.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

const UNCHECKED: &str = "not checked";

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, figure: &dyn fmt::Display, remark: &str| {
            writeln!(f, "{}", format!("{name:<28}{figure:>12}   {remark}").trim_end())
        };
        let judgement = &self.judgement;
        let verdict = &judgement.verdict;
        for (name, figure, remark) in self.fates() {
            row(name, &figure, &remark)?;
        }
        row("repeated", &verdict.repeated, "allowed: a repeat has the same ce_id")?;
        match judgement.deleted_before_acknowledged {
            Some(found) => {
                let mut remark = format!("of {} deletions", judgement.deletions_checked);
                if let Some(closest) = judgement.closest_deletion_ms {
                    remark.push_str(&format!(", the closest {closest} ms after the broker's append"));
                }
                if judgement.deletions_not_checked > 0 {
                    remark.push_str(&format!("; {} {UNCHECKED}, see below", judgement.deletions_not_checked));
                }
                row("deleted before acknowledged", &found, &remark)?;
            }
            None => row("deleted before acknowledged", &UNCHECKED, "see below")?,
        }
        row("out of order", &verdict.out_of_order, "")?;
        row("wrong key", &verdict.wrong_key, "")?;
        row("chats on several partitions", &judgement.split_chats, "")?;
        row("wrong id", &self.wrong_id, "")?;
        match self.secrets_seen {
            Some(found) => {
                let mut remark = format!("tokens searched for: {}", self.secrets.tokens_searched);
                if self.secrets.in_foreign > 0 {
                    remark.push_str(&format!("; {} in foreign records", self.secrets.in_foreign));
                }
                row("secrets seen", &found, &remark)?
            }
            None => row("secrets seen", &UNCHECKED, "see below")?,
        }
        let Seen { records, of_others, of_no_instance, older, marks } = self.read;
        let foreign = listed(&[
            (of_others - of_no_instance, "of other instances"),
            (of_no_instance, "of no instance"),
            (verdict.unexpected, "of these instances but never queued"),
        ]);
        row("foreign", &(of_others + verdict.unexpected), &foreign)?;
        let passed = listed(&[(older, "older than the journal"), (marks, "marks of replays")]);
        let passed = if passed.is_empty() { passed } else { format!("passed over: {passed}") };
        row("records read", &records, &passed)?;
        if !self.examples.is_empty() {
            writeln!(f, "\nwhere to look:")?;
        }
        for example in &self.examples {
            match example {
                Example::Record { what, topic, partition, offset } => {
                    writeln!(f, "  {what}: {topic}, partition {partition}, offset {offset}")?;
                }
                Example::Entry { what, instance, entry } => {
                    writeln!(f, "  {what}: instance {instance}, entry {entry} of the journal")?;
                }
            }
        }
        writeln!(f)?;
        self.explain(f)
    }
}

impl Report {
    fn explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let judgement = &self.judgement;
        if judgement.deletions_not_checked > 0 {
            writeln!(
                f,
                "Whether Kafka had {} of the events before their deletion cannot be told: the broker does not stamp these \
                 records. Set message.timestamp.type=LogAppendTime on the topics before the trial. (An event that was \
                 deleted and never came is counted as lost all the same.)",
                judgement.deletions_not_checked
            )?;
        } else if judgement.deleted_before_acknowledged.is_none() {
            writeln!(f, "Nothing that is in Kafka was deleted, so no deletion could be compared.")?;
        }
        if judgement.deleted_before_acknowledged.is_some_and(|found| found > 0) {
            writeln!(
                f,
                "Is the broker's clock ahead of the simulator's? Then say by how much with --clock-tolerance-ms."
            )?;
        }
        if self.secrets.tokens_too_short > 0 {
            writeln!(
                f,
                "{} tokens of the configuration are shorter than {} characters and were not searched for: give simulated \
                 instances longer ones.",
                self.secrets.tokens_too_short,
                super::TOKEN_BYTES_MIN
            )?;
        }
        if judgement.verdict.unexpected > 0 {
            writeln!(
                f,
                "{} foreign records name an instance of this trial, and the journal never queued their bodies. An earlier \
                 run, another journal, or another program may have written them; or the bridge made them up. Give the \
                 trial topics of its own, and every journal of it.",
                judgement.verdict.unexpected
            )?;
        }
        if self.secrets.in_foreign > 0 {
            writeln!(f, "A token is in foreign records. Who wrote it there cannot be told; change the token.")?;
        }
        writeln!(
            f,
            "{}",
            match self.promise {
                Promise::Kept => "The promise held: every event that left GREEN-API's queue is accounted for.",
                Promise::Broken if self.anything_delivered => "THE PROMISE WAS BROKEN: see the figures above.",
                Promise::Broken =>
                    "THE PROMISE WAS BROKEN: events left the queue, and none is in Kafka. Are these the topics?",
                Promise::CannotBeTold if self.anything_delivered =>
                    "IT CANNOT BE TOLD whether the promise held: every event that left GREEN-API's queue is accounted \
                     for, but the foreign records are not.",
                Promise::CannotBeTold =>
                    "IT CANNOT BE TOLD whether the promise held: no event reached Kafka. Did the bridge run, and into \
                     these topics?",
            }
        )
    }
}

#[cfg(test)]
mod tests;
