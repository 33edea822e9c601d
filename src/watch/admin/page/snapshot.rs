//! What the page shows of one moment: every instance with its level, the worst first, and the sums over them.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use crate::watch::admin::{ProcessView, Shown};
use crate::watch::telemetry::loss_radar::{DrainRate, Forecast, LossLevel, RETENTION};
use crate::watch::telemetry::status::{InstanceStatus, InstanceView};
use crate::watch::telemetry::words::Phase;
use crate::watch::telemetry::words::RIVAL_ADVICE;

/// Trouble that ends within this time is not shown as trouble.
const HICCUP: Duration = Duration::from_secs(60);
/// How long a rival is shown after it was noticed.
const RIVAL_SHOWN: Duration = Duration::from_secs(60 * 60);
/// The most instances that one page gets.
const LIMIT_MAX: usize = 500;
const LIMIT: usize = 50;

/// How much an instance needs somebody; the worst is the least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Level {
    /// Somebody has to act now.
    Alarm,
    /// Somebody should look within hours.
    Warn,
    /// Nothing to do.
    Ok,
}

impl Level {
    fn of(view: &InstanceView, now: Timestamp) -> Self {
        let stuck = matches!(view.phase, Phase::Misconfigured | Phase::Parked);
        if stuck || view.loss_level == LossLevel::Alarm {
            return Self::Alarm;
        }
        let lasting = u64::try_from(view.head_age_seconds).is_ok_and(|seconds| seconds >= HICCUP.as_secs());
        // While calls are listened to, a known head is a notification that GREEN-API does not send.
        let troubled = matches!(view.phase, Phase::BackingOff | Phase::Waiting | Phase::Listening) && lasting;
        let too_slow = view.drain_forecast == Some(Forecast::TooLate);
        if troubled || too_slow || rival(view, now) || view.loss_level == LossLevel::Warn {
            Self::Warn
        } else {
            Self::Ok
        }
    }
}

fn rival(view: &InstanceView, now: Timestamp) -> bool {
    let shown_secs = RIVAL_SHOWN.as_secs() as i64;
    view.rival_suspected_at.is_some_and(|at| now.duration_since(at).as_secs() < shown_secs)
}

/// Which instances a page wants.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    /// Those whose id, phase, state or last error has this in it.
    q: String,
    level: Option<Level>,
    limit: usize,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { q: String::new(), level: None, limit: LIMIT }
    }
}

impl Wanted {
    pub(super) fn bounded(self) -> Self {
        Self { q: self.q.trim().to_lowercase(), limit: self.limit.min(LIMIT_MAX), ..self }
    }

    fn wants(&self, row: &Row) -> bool {
        self.level.is_none_or(|level| level == row.level) && row.words.contains(&self.q)
    }
}

/// One instance.
#[skip_serializing_none]
#[derive(Serialize)]
struct Row {
    level: Level,
    #[serde(flatten)]
    view: InstanceView,
    /// What to do about the loss level, or about a rival; what to do about an error stands in the error.
    advice: Option<&'static str>,
    #[serde(serialize_with = "as_list")]
    deleted_lately: [u32; DrainRate::PASSED],
    /// What it is found by.
    #[serde(skip)]
    words: String,
}

/// serde implements arrays only up to 32.
fn as_list<S: serde::Serializer>(counts: &[u32; DrainRate::PASSED], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(counts)
}

impl Row {
    fn of(status: &InstanceStatus, now: Timestamp) -> Self {
        let view = status.view();
        let advice = if view.loss_level != LossLevel::Ok {
            Some(status.cause().advice())
        } else {
            rival(&view, now).then_some(RIVAL_ADVICE)
        };
        let error = view.last_error.as_ref();
        let words = format!(
            "{}\n{:?}\n{}\n{}\n{}",
            view.instance,
            view.phase,
            view.state.as_deref().unwrap_or_default(),
            error.map_or("", |error| &error.class),
            error.map_or("", |error| &error.message),
        );
        let level = Level::of(&view, now);
        Self { level, advice, deleted_lately: status.deleted_lately(), words: words.to_lowercase(), view }
    }
}

/// The sums over all instances.
#[derive(Default, Serialize)]
struct Totals {
    alarm: usize,
    warn: usize,
    ok: usize,
    received: u64,
    deleted: u64,
    drain_rate_per_second: f64,
    oldest_head_age_seconds: i64,
    /// How many wait at GREEN-API, where that is known.
    waiting: u64,
    /// Of how many instances it is not known.
    waiting_unknown: usize,
    deleted_lately: Vec<u64>,
}

impl Totals {
    fn of(rows: &[Row]) -> Self {
        let mut totals = Self { deleted_lately: vec![0; DrainRate::PASSED], ..Self::default() };
        for Row { level, view, deleted_lately, .. } in rows {
            match level {
                Level::Alarm => totals.alarm += 1,
                Level::Warn => totals.warn += 1,
                Level::Ok => totals.ok += 1,
            }
            totals.received += view.received;
            totals.deleted += view.deleted;
            totals.drain_rate_per_second += view.drain_rate_per_second;
            totals.oldest_head_age_seconds = totals.oldest_head_age_seconds.max(view.head_age_seconds);
            totals.waiting += view.waiting.unwrap_or(0);
            totals.waiting_unknown += usize::from(view.waiting.is_none());
            for (sum, count) in totals.deleted_lately.iter_mut().zip(deleted_lately) {
                *sum += u64::from(*count);
            }
        }
        totals
    }
}

/// What the page measures ages against.
#[derive(Clone, Copy, Serialize)]
struct Limits {
    warn_seconds: u64,
    alarm_seconds: u64,
    retention_seconds: u64,
    slice_seconds: u64,
}

/// One moment.
pub(super) struct Snapshot {
    now: Timestamp,
    process: ProcessView,
    limits: Limits,
    totals: Totals,
    rows: Vec<Row>,
}

/// What one page gets of it.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    now: Timestamp,
    #[serde(flatten)]
    process: &'a ProcessView,
    limits: Limits,
    totals: &'a Totals,
    /// How many instances are as wanted; of these come the first.
    matched: usize,
    instances: Vec<&'a Row>,
}

impl Snapshot {
    pub(super) fn of(shown: &Shown) -> Self {
        let now = Timestamp::now();
        let mut rows: Vec<Row> = shown.board.instances().iter().map(|status| Row::of(status, now)).collect();
        // Healthy instances keep their places, so that a line can be read while the page updates.
        rows.sort_by_key(|row| {
            let age = if row.level == Level::Ok { 0 } else { row.view.head_age_seconds };
            (row.level, std::cmp::Reverse(age), row.view.instance)
        });
        let thresholds = shown.board.thresholds();
        let limits = Limits {
            warn_seconds: thresholds.warn_after.as_secs(),
            alarm_seconds: thresholds.alarm_after.as_secs(),
            retention_seconds: RETENTION.as_secs(),
            slice_seconds: DrainRate::SLICE.as_secs(),
        };
        Self { now, process: shown.process(), limits, totals: Totals::of(&rows), rows }
    }

    pub(super) fn answer(&self, wanted: &Wanted) -> Answer<'_> {
        let matching = || self.rows.iter().filter(|row| wanted.wants(row));
        Answer {
            now: self.now,
            process: &self.process,
            limits: self.limits,
            totals: &self.totals,
            matched: matching().count(),
            instances: matching().take(wanted.limit).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
