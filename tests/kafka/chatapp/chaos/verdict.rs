//! What came of it, by the publisher's own numbers: what was published is in Kafka or told to be missing, in its order,
//! and every gap that was told is true.

use std::collections::{BTreeMap, HashMap, HashSet};

use chatbridge_lab::chatapp::{JournalEntry, JournalEvent, PublicationId};
use serde_json::Value;

use super::publisher::{Burst, ODD, Published, Theme};
use super::stage::{Deaf, OVERLAP_SECONDS};
use crate::support::chatapp::{Judgement, Told, judge};

/// Between what the server knows of a connection, and what the bridge does.
const SLACK_MS: i64 = 2_000;
/// How far a gap may reach beyond what was not heard: marks are written down every few seconds, and a kill goes back to
/// the last of them.
const EXCESS_MS_MAX: i64 = 10_000;

/// The words.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Of the generator's items.
    pub(super) items: Judgement,
    pub(super) bursts: usize,
    /// Of bursts: what is not in Kafka, in no gap; and what came in another order than it was published.
    pub(super) bursts_lost: Vec<String>,
    pub(super) bursts_disordered: Vec<String>,
    /// Of bursts, in gaps.
    pub(super) bursts_in_gaps: usize,
    pub(super) odd: usize,
    pub(super) odd_lost: Vec<String>,
    /// Gaps of a stretch that was heard, or of no stretch at all.
    pub(super) gaps_untrue: Vec<String>,
    /// Gaps that reach far beyond what was not heard, though the time of day was right all the while.
    pub(super) gaps_excessive: Vec<String>,
    /// The longest stretch that a gap tells beyond what was not heard.
    pub(super) excess_ms_max: i64,
}

impl Verdict {
    pub(super) fn lost(&self) -> usize {
        self.items.lost.len() + self.bursts_lost.len() + self.odd_lost.len()
    }
}

/// A gap, by the bridge's own time of day.
struct Gap<'r> {
    channel: &'r str,
    from_ms: i64,
    to_ms: i64,
}

/// Everything there is to judge by.
pub(super) struct Evidence<'e> {
    pub(super) journal: &'e [JournalEntry],
    pub(super) records: &'e [Told],
    pub(super) letters: &'e [Vec<u8>],
    pub(super) published: &'e Published,
    pub(super) deaf: &'e [Deaf],
    /// When the time of day was set to be off by so many seconds.
    pub(super) offsets: &'e [(i64, i64)],
}

pub(super) fn verdict(evidence: &Evidence<'_>) -> Verdict {
    let gaps: Vec<Gap<'_>> = evidence.records.iter().filter_map(|told| gap(&told.value)).collect();
    let published_ms: HashMap<PublicationId, i64> = evidence
        .journal
        .iter()
        .filter_map(|entry| match entry.what {
            JournalEvent::Published { publication, .. } => Some((publication, entry.unix_ms as i64)),
            _ => None,
        })
        .collect();
    let is_told = |channel: &str, publication: &PublicationId| {
        let at = published_ms[publication];
        gaps.iter().any(|gap| gap.channel == channel && (gap.from_ms..=gap.to_ms).contains(&at))
    };
    let mut verdict = Verdict {
        items: judge(evidence.journal, evidence.records),
        bursts: evidence.published.bursts.len(),
        odd: evidence.published.odd.len(),
        ..Verdict::default()
    };
    judge_bursts(evidence, &is_told, &mut verdict);
    let raws = evidence.records.iter().map(|told| told.value["raw"].to_string());
    let letters = evidence.letters.iter().map(|letter| String::from_utf8_lossy(letter).into_owned());
    let there: HashSet<String> = raws.chain(letters).filter_map(|text| mark(&text)).collect();
    for odd in &evidence.published.odd {
        if !there.contains(&odd.mark) && !is_told(&odd.channel, &odd.publication) {
            verdict.odd_lost.push(format!("{} of {}", odd.mark, odd.channel));
        }
    }
    judge_gaps(evidence, &gaps, &mut verdict);
    verdict
}

/// The mark of an odd frame, with the hyphen that ends it.
fn mark(text: &str) -> Option<String> {
    let at = text.find(ODD)?;
    let end = at + ODD.len() + text[at + ODD.len()..].find('-')?;
    Some(text[at..=end].to_owned())
}

fn gap(value: &Value) -> Option<Gap<'_>> {
    let gap = (value["kind"] == "gap").then_some(&value["gap"])?;
    let ms = |value: &Value| Some(value.as_str()?.parse::<jiff::Timestamp>().ok()?.as_millisecond());
    Some(Gap { channel: gap["channel"].as_str()?, from_ms: ms(&gap["from"])?, to_ms: ms(&gap["to"])? })
}

// --- Bursts ---

fn judge_bursts(evidence: &Evidence<'_>, is_told: &dyn Fn(&str, &PublicationId) -> bool, verdict: &mut Verdict) {
    let mut found: HashMap<&str, Vec<String>> = HashMap::new();
    let by_key: HashMap<&str, Vec<&Told>> = evidence.records.iter().fold(HashMap::new(), |mut by_key, told| {
        by_key.entry(told.key.as_str()).or_insert_with(Vec::new).push(told);
        by_key
    });
    for burst in &evidence.published.bursts {
        let of_company = || by_key.iter().filter(|(key, _)| key.starts_with("company:")).flat_map(|(_, told)| told);
        let told: Vec<&&Told> = match burst.theme {
            Theme::Employee => of_company().collect(),
            _ => by_key.get(burst.mark.as_str()).into_iter().flatten().collect(),
        };
        let mut ids = HashSet::new();
        let words = told.into_iter().filter_map(|told| Some((told.value["id"].as_str()?, burst.word(&told.value)?)));
        found.insert(&burst.mark, words.filter(|(id, _)| ids.insert(*id)).map(|(_, word)| word).collect());
    }
    for burst in &evidence.published.bursts {
        let found = &found[burst.mark.as_str()];
        let told: Vec<bool> = burst.published.iter().map(|(id, _)| is_told(&burst.channel, id)).collect();
        let at = || {
            format!(
                "{:?} {} of {}: {:?}, told {told:?}, found {found:?}",
                burst.theme,
                burst.mark,
                burst.channel,
                burst.words()
            )
        };
        // Whoever fetches a message gets its last form, whatever it heard of the others.
        let last = burst.words().last().copied();
        if burst.theme == Theme::Edit && found.last().map(String::as_str) != last {
            verdict.bursts_lost.push(at());
            continue;
        }
        match unexplained(&burst.words(), found, &told) {
            None => verdict.bursts_disordered.push(at()),
            Some(0) => verdict.bursts_in_gaps += burst.published.len() - found.len(),
            Some(_) => verdict.bursts_lost.push(at()),
        }
    }
}

impl Burst {
    fn words(&self) -> Vec<&str> {
        self.published.iter().map(|(_, word)| word.as_str()).collect()
    }
}

/// How many of `published` are missing in `found` and not told, by whichever way of laying the one beside the other
/// explains the most; `None` where `found` is not in the order of `published`.
fn unexplained(published: &[&str], found: &[String], told: &[bool]) -> Option<usize> {
    // Of the first so many found, beside the published ones until now.
    let mut best: Vec<Option<usize>> = vec![None; found.len() + 1];
    best[0] = Some(0);
    for (word, is_told) in published.iter().zip(told) {
        for count in (0..=found.len()).rev() {
            let left_out = best[count].map(|missing| missing + usize::from(!is_told));
            let is_it = count > 0 && found[count - 1] == *word;
            let taken = if is_it { best[count - 1] } else { None };
            best[count] = left_out.into_iter().chain(taken).min();
        }
    }
    best[found.len()]
}

// --- Gaps ---

fn judge_gaps(evidence: &Evidence<'_>, gaps: &[Gap<'_>], verdict: &mut Verdict) {
    let unheard = unheard(evidence);
    let nothing = Vec::new();
    // By which times of day it may have been told. All of them are far apart.
    let offsets: HashSet<i64> = evidence.offsets.iter().map(|(_, seconds)| *seconds).chain([0]).collect();
    for gap in gaps {
        let unheard = unheard.get(gap.channel).unwrap_or(&nothing);
        let real = |offset: i64| (gap.from_ms + (OVERLAP_SECONDS - offset) * 1_000, gap.to_ms - offset * 1_000);
        let meets = |(from, to): (i64, i64)| {
            unheard.iter().any(|(begin, end)| from - SLACK_MS <= *end && to + SLACK_MS >= *begin)
        };
        let at = || format!("{} from {} to {}", gap.channel, gap.from_ms, gap.to_ms);
        let meant = offsets.iter().map(|offset| real(*offset)).filter(|stretch| meets(*stretch));
        let Some(excess) = meant.map(|stretch| excess(stretch, unheard)).min() else {
            verdict.gaps_untrue.push(at());
            continue;
        };
        if gap.from_ms >= gap.to_ms {
            verdict.gaps_untrue.push(at());
        }
        let (from, to) = real(0);
        let is_set_meanwhile = |(at, _): &(i64, i64)| (from - 60_000..=to + 60_000).contains(at);
        if meets((from, to)) && !evidence.offsets.iter().any(is_set_meanwhile) {
            verdict.excess_ms_max = verdict.excess_ms_max.max(excess);
            if excess > EXCESS_MS_MAX {
                verdict.gaps_excessive.push(format!("{excess} ms too long: {}", at()));
            }
        }
    }
}

/// How much of a stretch was heard.
fn excess((from, to): (i64, i64), unheard: &[(i64, i64)]) -> i64 {
    let covered: i64 =
        unheard.iter().map(|(begin, end)| ((end + SLACK_MS).min(to) - (begin - SLACK_MS).max(from)).max(0)).sum();
    (to - from - covered).max(0)
}

/// Of each channel, when nobody was subscribed to it, or whoever was could not hear; in order, and apart.
fn unheard(evidence: &Evidence<'_>) -> HashMap<String, Vec<(i64, i64)>> {
    let mut live: BTreeMap<String, HashSet<&str>> = BTreeMap::new();
    let mut since: HashMap<String, i64> = HashMap::new();
    let mut unheard: HashMap<String, Vec<(i64, i64)>> = HashMap::new();
    for entry in evidence.journal {
        let now = entry.unix_ms as i64;
        match &entry.what {
            JournalEvent::Subscribed { socket, channel } => {
                let sockets = live.entry(channel.clone()).or_default();
                sockets.insert(socket);
                let stretch = since.remove(channel).map(|since| (since, now));
                unheard.entry(channel.clone()).or_default().extend(stretch);
            }
            JournalEvent::Unsubscribed { socket, channel, .. } => {
                leave(&mut live, socket, channel.as_deref(), now, &mut since);
            }
            JournalEvent::Disconnected { socket, .. } => leave(&mut live, socket, None, now, &mut since),
            _ => {}
        }
    }
    for stretches in unheard.values_mut() {
        stretches.extend(evidence.deaf.iter().map(|deaf| (deaf.from_ms, deaf.to_ms)));
        stretches.sort_unstable();
        let mut apart: Vec<(i64, i64)> = Vec::new();
        for (begin, end) in stretches.drain(..) {
            match apart.last_mut() {
                // As near as what is granted at both ends.
                Some((_, last)) if begin <= *last + 2 * SLACK_MS => *last = end.max(*last),
                _ => apart.push((begin, end)),
            }
        }
        *stretches = apart;
    }
    unheard
}

fn leave(
    live: &mut BTreeMap<String, HashSet<&str>>,
    socket: &str,
    channel: Option<&str>,
    now: i64,
    since: &mut HashMap<String, i64>,
) {
    for (name, sockets) in live.iter_mut().filter(|(name, _)| channel.is_none_or(|channel| channel == *name)) {
        if sockets.remove(socket) && sockets.is_empty() {
            since.insert(name.clone(), now);
        }
    }
}
