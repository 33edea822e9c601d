//! Checks the loss radar on its own timer, because it matters most when nothing else happens, and logs when a level
//! changes. If the cause is the instance's own, this is logged once per instance and change. If the cause affects all
//! instances, it is logged once for the whole process: ten thousand lines at once would hide what matters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::loss_radar::{Cause, LossLevel};
use super::status::{InstanceView, LossChange, StatusBoard};

/// Between two checks. A check takes one lock per instance and does no I/O.
const INTERVAL: Duration = Duration::from_secs(2);
/// How many instances are named at one check; the others are only counted.
const NAMED_MAX: usize = 20;
/// Further instances under the same shared cause are logged together, at most this often.
const SHARED_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Checks every instance of `board` until `stop`.
pub async fn watch(board: Arc<StatusBoard>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looking = async {
        let mut shared = Shared::default();
        loop {
            ticks.tick().await;
            look(&board, &mut shared, Instant::now()).iter().for_each(Line::tell);
        }
    };
    stop.run_until_cancelled(looking).await;
}

/// Something worth a line in the log.
#[derive(Debug)]
enum Line {
    /// The level of an instance has changed.
    Instance(LossChange),
    /// The number of further instances that changed to this level.
    More { level: LossLevel, instances: usize },
    /// The number of instances at this level under a shared cause, and the one with the oldest head.
    Shared { level: LossLevel, cause: Cause, instances: usize, oldest: InstanceView },
}

/// What was logged about shared causes.
#[derive(Debug, Default)]
struct Shared {
    told: BTreeMap<(LossLevel, Cause), Told>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    /// Whether further instances have come under the cause since.
    have_joined: bool,
}

/// One check: what has changed since the last one, most serious first.
fn look(board: &StatusBoard, shared: &mut Shared, now: Instant) -> Vec<Line> {
    let instances = board.instances();
    let changes = instances.iter().filter_map(|status| status.loss_level_changed());
    let (of_all, mut own): (Vec<_>, Vec<_>) =
        changes.partition(|change| change.cause.is_shared() && change.view.loss_level != LossLevel::Ok);

    let mut lines = Vec::new();
    for key in shared.due(&of_all, now) {
        let (level, cause) = key;
        let at_it = instances.iter().filter(|status| status.cause() == cause).map(|status| status.view());
        let at_it = at_it.filter(|view| view.loss_level == level).collect::<Vec<_>>();
        let count = at_it.len();
        if let Some(oldest) = at_it.into_iter().max_by_key(|view| view.head_age_seconds) {
            lines.push(Line::Shared { level, cause, instances: count, oldest });
        }
    }
    own.sort_by_key(|change| std::cmp::Reverse((change.view.loss_level, change.view.head_age_seconds)));
    let more = own.split_off(own.len().min(NAMED_MAX));
    lines.extend(own.into_iter().map(Line::Instance));
    for level in [LossLevel::Alarm, LossLevel::Warn, LossLevel::Ok] {
        let instances = more.iter().filter(|change| change.view.loss_level == level).count();
        if instances > 0 {
            lines.push(Line::More { level, instances });
        }
    }
    lines
}

impl Shared {
    /// What to log now, most serious first.
    fn due(&mut self, changes: &[LossChange], now: Instant) -> Vec<(LossLevel, Cause)> {
        let mut due = Vec::new();
        for change in changes {
            let key = (change.view.loss_level, change.cause);
            match self.told.get_mut(&key) {
                Some(told) => told.have_joined = true,
                None => {
                    self.told.insert(key, Told { at: now, have_joined: false });
                    due.push(key);
                }
            }
        }
        for (key, told) in &mut self.told {
            if told.have_joined && now.duration_since(told.at) >= SHARED_PAUSE {
                *told = Told { at: now, have_joined: false };
                due.push(*key);
            }
        }
        due.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        due
    }
}

impl Line {
    fn tell(&self) {
        match self {
            Self::Instance(change) => tell(change),
            Self::More { level: LossLevel::Alarm, instances } => {
                error!(instances, "GREEN-API is about to forget notifications of so many more instances: see /status");
            }
            Self::More { level: LossLevel::Warn, instances } => {
                warn!(instances, "notifications of so many more instances have waited long at GREEN-API: see /status");
            }
            Self::More { level: LossLevel::Ok, instances } => {
                info!(instances, "so many more instances are not close to losing a notification any more");
            }
            Self::Shared { level, cause, instances, oldest } => {
                let (oldest_instance, head_age_seconds) = (oldest.instance, oldest.head_age_seconds);
                let (seconds_until_loss, advice) = (oldest.seconds_until_loss, cause.advice());
                let last_error = oldest.last_error.as_ref().map(|error| error.message.as_str());
                if *level == LossLevel::Alarm {
                    error!(
                        instances, %oldest_instance, head_age_seconds, seconds_until_loss, last_error,
                        "GREEN-API is about to forget notifications that are not in Kafka: {advice}"
                    );
                } else {
                    warn!(
                        instances, %oldest_instance, head_age_seconds, seconds_until_loss, last_error,
                        "notifications have waited long at GREEN-API, which forgets them after 24 hours: {advice}"
                    );
                }
            }
        }
    }
}

fn tell(change: &LossChange) {
    let view = &change.view;
    let (instance, head_age_seconds) = (view.instance, view.head_age_seconds);
    let (seconds_until_loss, drain_seconds) = (view.seconds_until_loss, view.drain_seconds);
    let advice = change.cause.advice();
    let last_error = view.last_error.as_ref().map(|error| error.message.as_str());
    match view.loss_level {
        LossLevel::Alarm => error!(
            %instance, head_age_seconds, seconds_until_loss, drain_seconds, last_error,
            "GREEN-API is about to forget notifications that are not in Kafka: {advice}"
        ),
        LossLevel::Warn => warn!(
            %instance, head_age_seconds, seconds_until_loss, drain_seconds, last_error,
            "notifications have waited long at GREEN-API, which forgets them after 24 hours: {advice}"
        ),
        LossLevel::Ok => info!(%instance, head_age_seconds, "no notification is close to being forgotten any more"),
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};

    use super::super::words::Phase;
    use super::*;
    use chatbridge_event::event::InstanceId;

    /// `count` more instances, whose heads are so old.
    fn heads(board: &StatusBoard, count: u64, hours: i64, for_kafka: bool) {
        let have = u64::try_from(board.instances().len()).expect("few");
        for id in have..have + count {
            let status = board.add(InstanceId::new(id + 1));
            status.received("message", Some(Timestamp::now() - SignedDuration::from_hours(hours)));
            status.set_in_hand(for_kafka);
            if !for_kafka {
                status.set_phase(Phase::Waiting);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_cause_that_is_one_for_all_is_told_once_with_the_count_and_the_worst() {
        let (board, mut shared) = (StatusBoard::default(), Shared::default());
        heads(&board, 1000, 7, true);
        heads(&board, 1, 9, true);
        tokio::time::advance(Duration::from_secs(60)).await;
        let told = |shared: &mut Shared| look(&board, shared, Instant::now());
        let lines = told(&mut shared);
        let [Line::Shared { level: LossLevel::Warn, cause: Cause::Kafka, instances: 1001, oldest }] = &lines[..] else {
            panic!("{lines:#?}")
        };
        assert_eq!(oldest.instance, InstanceId::new(1001));

        heads(&board, 500, 7, true);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(told(&mut shared).is_empty(), "those that join wait");
        tokio::time::advance(SHARED_PAUSE).await;
        let lines = told(&mut shared);
        assert!(matches!(lines[..], [Line::Shared { instances: 1501, .. }]), "{lines:#?}");
        tokio::time::advance(SHARED_PAUSE).await;
        assert!(told(&mut shared).is_empty(), "nothing is new");
        heads(&board, 1, 19, true);
        tokio::time::advance(Duration::from_secs(60)).await;
        let lines = told(&mut shared);
        assert!(matches!(lines[..], [Line::Shared { level: LossLevel::Alarm, instances: 1, .. }]), "{lines:#?}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_instances_own_cause_names_it_up_to_a_bound_and_the_worst_first() {
        let (board, mut shared) = (StatusBoard::default(), Shared::default());
        heads(&board, 30, 7, false);
        heads(&board, 1, 19, false);
        let lines = look(&board, &mut shared, Instant::now());
        assert_eq!(lines.len(), NAMED_MAX + 1, "{lines:#?}");
        assert!(
            matches!(&lines[0], Line::Instance(change) if change.view.instance == InstanceId::new(31)),
            "{lines:#?}"
        );
        let last = lines.last();
        assert!(matches!(last, Some(Line::More { level: LossLevel::Warn, instances: 11 })), "{last:?}");
        assert!(look(&board, &mut shared, Instant::now()).is_empty(), "each change is told once");
    }
}
