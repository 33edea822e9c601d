//! Figures out of many.

use serde::Serialize;

use crate::kafka::Found;
use crate::upstream::Way;
use std::collections::HashMap;

/// Milliseconds of many events.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Spread {
    pub p50: f64,
    pub p99: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(mut samples: Vec<f64>) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let place = ((samples.len() as f64 * share).ceil() as usize).clamp(1, samples.len().max(1)) - 1;
            samples.get(place).copied().unwrap_or_default()
        };
        Self { p50: at(0.5), p99: at(0.99), max: at(1.0) }
    }
}

/// The middle one; of an even number the mean of the two.
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
    match (sorted.get(low), sorted.get(high)) {
        (Some(low), Some(high)) => (low + high) / 2.0,
        _ => 0.0,
    }
}

/// What was sent and what is in the topic, compared.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Kept {
    /// Taken from the sender for good (deleted from the queue; a call answered with 200), and in Kafka nowhere.
    pub(crate) lost: u64,
    /// In Kafka more often than they were sent.
    pub(crate) repeated: u64,
}

impl Kept {
    /// Of everything sent, by its body's identity, and whether it was taken for good.
    pub(crate) fn of(sent: impl IntoIterator<Item = (u64, bool)>, found: &[Found]) -> Self {
        // Sent, taken, found; by body, for bodies may be equal.
        let mut counts: HashMap<u64, [u64; 3]> = HashMap::new();
        for (body, taken) in sent {
            let count = counts.entry(body).or_default();
            count[0] += 1;
            count[1] += u64::from(taken);
        }
        for record in found {
            counts.entry(record.body).or_default()[2] += 1;
        }
        let lost = counts.values().map(|[_, taken, found]| taken.saturating_sub(*found)).sum();
        let repeated = counts.values().map(|[sent, _, found]| found.saturating_sub(*sent)).sum();
        Self { lost, repeated }
    }

    /// Of events that went through queues.
    pub(crate) fn of_ways(ways: &[Way], found: &[Found]) -> Self {
        Self::of(ways.iter().map(|way| (way.body, way.deleted_ms.is_some())), found)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self { lost: self.lost + other.lost, repeated: self.repeated + other.repeated }
    }
}

/// Deletes a second of a backlog, from the first delete after all was queued to the last: neither the start of the
/// backlog nor its making counts.
pub(crate) fn drain_rate(ways: &[Way]) -> f64 {
    let made = ways.iter().map(|way| way.enqueued_ms).max().unwrap_or_default();
    let deleted: Vec<u64> = ways.iter().filter_map(|way| way.deleted_ms).filter(|deleted| *deleted >= made).collect();
    let (first, last) = (deleted.iter().min(), deleted.iter().max());
    let took_ms = last.zip(first).map_or(0, |(last, first)| last - first);
    (deleted.len().saturating_sub(1)) as f64 * 1000.0 / took_ms.max(1) as f64
}

/// From the queue into Kafka's log: when the broker appended it, by the clock all processes here share.
pub(crate) fn queue_to_kafka(ways: &[Way], found: &[Found]) -> Vec<f64> {
    let appended: HashMap<u64, u64> = found.iter().map(|record| (record.body, record.appended_ms)).collect();
    let took = |way: &Way| Some(appended.get(&way.body)?.saturating_sub(way.enqueued_unix_ms) as f64);
    ways.iter().filter_map(took).collect()
}

pub(crate) fn queue_to_deleted(ways: &[Way]) -> Vec<f64> {
    ways.iter().filter_map(|way| Some((way.deleted_ms? - way.enqueued_ms) as f64)).collect()
}
