//! Looks after one channel: tells its gaps, fetches their messages, checks now and then for messages that were never
//! pushed, and stores how far all of that has come.
//!
//! A gap is told first, because some of it is lost whatever is fetched; then its messages are fetched. The marks on
//! disk move only past what was told, and they include what is still to be fetched: after a crash in between, the gap
//! is found again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::backfill::{self, History, Limits, Outcome, backfill};
use crate::chatapp::api::Line;
use crate::chatapp::hear::intake::Intake;
use crate::chatapp::hear::ledger::{Entry, Ledger};
use crate::chatapp::hear::standing::{Unfetched, Unheard};
use crate::chatapp::keep::spool::{Road, Spool, SpoolError};
use crate::supervisor::keep_running;
use crate::watch::telemetry::chatapp::{ChannelTelemetry, ChatAppTelemetry};
use chatbridge_base::clock::{LOOK_BACK_MAX, Reading};
use chatbridge_base::retry::Backoff;
use chatbridge_event::event::{Channel, Gap, KindName};

/// The pause before a spool that cannot be read is tried again.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);
/// How often the marks are written.
const MARK_INTERVAL: Duration = Duration::from_secs(5);
/// More recent messages may still be on their way to us, unless the configured clock difference is smaller.
const RECONCILE_SETTLE_MAX: SignedDuration = SignedDuration::from_secs(30);
/// How often a gap is fetched, counting tries that ChatApp answered, before the rest is given up.
const FETCHES_MAX: u32 = 6;
/// The wait before the second try; it doubles, …
const FETCH_RETRY_MIN: Duration = Duration::from_secs(60);
/// … up to this.
const FETCH_RETRY_MAX: Duration = Duration::from_secs(1800);
/// The wait after a try or a check that ChatApp did not answer, …
const AWAY_RETRY_MIN: Duration = Duration::from_secs(10);
/// … up to this. There is no limit to these tries.
const AWAY_RETRY_MAX: Duration = Duration::from_secs(60);

/// How channels are looked after.
#[derive(Debug, Clone)]
pub struct Care {
    /// Whether messages are fetched at all.
    pub backfill: bool,
    /// How often to check for messages that were never pushed; `None`: never.
    pub reconcile_interval: Option<Duration>,
    /// How far apart the clocks may be.
    pub overlap: SignedDuration,
    /// Limits of a back-fill.
    pub limits: Limits,
}

/// The tasks that look after the channels of one account.
pub struct Keepers {
    stop: CancellationToken,
    names: HashSet<String>,
    tasks: JoinSet<()>,
}

impl Keepers {
    /// No tasks yet. Each ends with `stop`, and all end when this is dropped.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, names: HashSet::new(), tasks: JoinSet::new() }
    }

    /// Whether the channel has a task.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Starts a task for the channel, which `desk`'s ledger must expect.
    pub fn look_after<H: History + 'static>(&mut self, name: &str, desk: &Desk<H>) {
        let Some(entry) = desk.ledger.entry(name) else { return };
        // A channel of a kind that this version does not know gets a task too, but no label of its own.
        let channel = Channel::from_name(name).unwrap_or(Channel::Unnamed);
        let telemetry = desk.telemetry.expect(&channel);
        let keeper = Keeper { name: name.to_owned(), channel, entry, desk: desk.clone(), telemetry };
        let stop = self.stop.clone();
        self.names.insert(name.to_owned());
        let what = format!("the keeper of ChatApp's channel {name}");
        let keeper = Arc::new(keeper);
        self.tasks.spawn(async move {
            keep_running(&what, stop.clone(), || {
                let (keeper, stop) = (Arc::clone(&keeper), stop.clone());
                async move {
                    while let Err(failure) = keeper.run(stop.clone()).await {
                        if stop.is_cancelled() {
                            return;
                        }
                        error!(channel = keeper.name, %failure, "a channel is not looked after: tried again");
                        sleep(TROUBLE_PAUSE).await;
                    }
                }
            })
            .await;
        });
    }

    /// Returns when all tasks have ended.
    pub async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What all keepers share.
pub struct Desk<H> {
    /// The state of the channels.
    pub ledger: Arc<Ledger>,
    /// Where the marks are stored.
    pub spool: Spool,
    /// Where gaps and fetched messages are written.
    pub intake: Arc<Intake>,
    /// Lists chats and messages.
    pub history: Arc<H>,
    /// How channels are looked after.
    pub care: Care,
    /// Where it is counted.
    pub telemetry: Arc<ChatAppTelemetry>,
}

impl<H> Clone for Desk<H> {
    fn clone(&self) -> Self {
        let Self { ledger, spool, intake, history, care, telemetry } = self;
        Self {
            ledger: Arc::clone(ledger),
            spool: spool.clone(),
            intake: Arc::clone(intake),
            history: Arc::clone(history),
            care: care.clone(),
            telemetry: Arc::clone(telemetry),
        }
    }
}

/// Looks after one channel.
struct Keeper<H> {
    name: String,
    channel: Channel,
    entry: Arc<Entry>,
    desk: Desk<H>,
    telemetry: Arc<ChannelTelemetry>,
}

impl<H: History> Keeper<H> {
    /// Runs until `stop`, and stores the marks once more.
    ///
    /// # Errors
    /// If the spool is closed, or cannot be read at the beginning.
    async fn run(&self, stop: CancellationToken) -> Result<(), SpoolError> {
        if self.line().is_none() {
            self.entry.standing().fetches_nothing();
        }
        self.telemetry.set_pending(self.entry.standing().unfetched().is_some());
        let kept = tokio::select! {
            () = stop.cancelled() => Ok(()),
            kept = self.tell_gaps() => kept,
            () = self.fetch_gaps() => Ok(()),
            () = self.reconcile() => Ok(()),
            kept = self.keep_marks() => kept,
        };
        kept?;
        self.mark().await
    }

    /// Both clocks, after the ledger has checked them.
    fn now(&self) -> Reading {
        let now = self.desk.ledger.clock().now();
        if self.entry.look_at_clock(now) {
            warn!(
                channel = self.name,
                "the time of day was set: gaps that were told by the one before are told, and fetched, by this one"
            );
        }
        now
    }

    /// Makes an event of each gap.
    async fn tell_gaps(&self) -> Result<(), SpoolError> {
        loop {
            self.entry.unheard().await;
            let now = self.now();
            let Some(gap) = self.entry.standing().unheard() else { continue };
            self.tell(gap, now, self.unfetchable()).await?;
            self.telemetry.set_pending(self.line().is_some());
            self.entry.told(gap, now, self.line().is_some());
        }
    }

    async fn tell(&self, gap: Unheard, now: Reading, missing: Vec<KindName>) -> Result<(), SpoolError> {
        let (from, to) = gap.told_at(now, self.desk.care.overlap);
        let gap = Gap { channel: Some(self.name.clone()), from, to, reason: gap.reason, missing };
        self.desk.intake.gap(&self.name, &gap).await?;
        self.telemetry.gap(&gap);
        warn!(
            channel = self.name, %from, %to, reason = gap.reason.as_str(),
            "a stretch was not heard: consumers are told by an event of kind gap; what can be fetched follows"
        );
        Ok(())
    }

    /// Fetches the messages of each gap.
    async fn fetch_gaps(&self) {
        let Some(line) = self.line() else { return std::future::pending().await };
        let mut left = None;
        loop {
            let unfetched = self.entry.unfetched().await;
            self.telemetry.set_pending(true);
            let tries = left.take().filter(|tries: &Tries| tries.of == unfetched);
            let mut tries = tries.unwrap_or_else(|| Tries::new(unfetched));
            if let Some(wait) = self.fetch(&line, unfetched.gap, &mut tries).await {
                left = Some(tries);
                sleep(wait).await;
            } else {
                self.entry.standing().fetched(unfetched);
                self.telemetry.set_pending(self.entry.standing().unfetched().is_some());
            }
        }
    }

    /// Fetches what can be fetched. If something is missing, returns how long to wait before the next try.
    async fn fetch(&self, line: &Line, gap: Unheard, tries: &mut Tries) -> Option<Duration> {
        let sink = self.desk.intake.fetching(self.channel.clone(), Road::Backfill);
        let now = self.now();
        let (from, to) = gap.told_at(now, self.desk.care.overlap);
        // ChatApp's clock may differ from ours, so extend the end.
        let span = backfill::Gap { from, to: to + self.desk.care.overlap };
        let (why, chats_missed, has_answered) =
            match backfill(&*self.desk.history, &sink, line, span, &self.desk.care.limits).await {
                Outcome::Done(fetched) => {
                    let (messages, chats) = (fetched.items, fetched.chats);
                    info!(channel = self.name, messages, chats, "the gap's messages were fetched");
                    return None;
                }
                Outcome::GaveUp { why, chats_missed, has_answered, .. } => (why, chats_missed, has_answered),
            };
        self.telemetry.backfill_failed(&why);
        if !std::mem::replace(&mut tries.is_told, true) {
            // If it cannot be told, the process is ending.
            self.tell(gap, now, vec![KindName::Message]).await.ok()?;
        }
        let Some(wait) = tries.failed(has_answered, fastrand::f64()) else {
            error!(
                channel = self.name,
                why, chats_missed, "messages of a gap are missing for good: consumers were told"
            );
            return None;
        };
        warn!(
            channel = self.name,
            why,
            chats_missed,
            retry_seconds = wait.as_secs(),
            "not all of a gap's messages could be fetched"
        );
        Some(wait)
    }

    /// Checks regularly whether everything was pushed.
    async fn reconcile(&self) {
        let (Some(line), Some(pause)) = (self.line(), self.desk.care.reconcile_interval) else {
            return std::future::pending().await;
        };
        let sink = self.desk.intake.fetching(self.channel.clone(), Road::Reconcile);
        let settle = RECONCILE_SETTLE_MAX.min(self.desk.care.overlap);
        let mut looked = Looked::begin(self.now());
        let mut away = Backoff::new(AWAY_RETRY_MIN, AWAY_RETRY_MAX);
        // Spread the channels over the interval.
        sleep(pause.mul_f64(fastrand::f64())).await;
        let mut wait = pause;
        loop {
            sleep(wait).await;
            wait = pause;
            let now = self.now();
            // A gap is being fetched anyway.
            if !now.is_dated() || !self.entry.standing().is_live() || self.entry.standing().unfetched().is_some() {
                continue;
            }
            let until = now.before(settle);
            let span = backfill::Gap { from: looked.from(now) - self.desk.care.overlap, to: until.wall };
            match backfill(&*self.desk.history, &sink, &line, span, &self.desk.care.limits).await {
                Outcome::Done(_) => {
                    looked.until = until;
                    away.reset();
                }
                Outcome::GaveUp { why, has_answered, .. } => {
                    self.telemetry.backfill_failed(&why);
                    if !has_answered {
                        wait = away.next_at_least(AWAY_RETRY_MIN, fastrand::f64()).min(pause);
                    }
                    let retry_seconds = wait.as_secs();
                    warn!(channel = self.name, why, retry_seconds, "could not look whether messages were missed");
                }
            }
        }
    }

    async fn keep_marks(&self) -> Result<(), SpoolError> {
        let mut due = interval(MARK_INTERVAL);
        loop {
            due.tick().await;
            self.mark().await?;
        }
    }

    async fn mark(&self) -> Result<(), SpoolError> {
        let now = self.now();
        let marks = self.entry.standing().marks(self.desk.ledger.clock().boot(), now);
        match marks {
            Some(marks) => self.desk.spool.keep(&self.name, &marks).await,
            None => Ok(()),
        }
    }

    /// The line whose messages to fetch, if it can be fetched and that is wanted.
    fn line(&self) -> Option<Line> {
        match &self.channel {
            Channel::Messenger { license, messenger } if self.desk.care.backfill => {
                Some(Line { license: license.to_string(), messenger: messenger.to_string() })
            }
            _ => None,
        }
    }

    /// The kinds that a gap of this channel loses for good.
    fn unfetchable(&self) -> Vec<KindName> {
        let mut kinds = match self.channel {
            Channel::Messenger { .. } => vec![KindName::MessageStatus, KindName::ChatUpdate],
            Channel::Company(_) => vec![KindName::Employee],
            Channel::User(_) => vec![KindName::QuickResponse],
            Channel::CompanyUser { .. } | Channel::Unnamed => {
                vec![KindName::MessageStatus, KindName::ChatUpdate, KindName::Employee, KindName::QuickResponse]
            }
        };
        if self.line().is_none() && !matches!(self.channel, Channel::Company(_) | Channel::User(_)) {
            kinds.insert(0, KindName::Message);
        }
        kinds
    }
}

/// The tries of fetching one gap.
struct Tries {
    of: Unfetched,
    is_told: bool,
    answers: u32,
    refused: Backoff,
    away: Backoff,
}

impl Tries {
    fn new(of: Unfetched) -> Self {
        let refused = Backoff::new(FETCH_RETRY_MIN, FETCH_RETRY_MAX);
        let away = Backoff::new(AWAY_RETRY_MIN, AWAY_RETRY_MAX);
        Self { of, is_told: false, answers: 0, refused, away }
    }

    /// How long to wait before the next try; `None` if there is none. Only tries that ChatApp answered are counted.
    fn failed(&mut self, has_answered: bool, chance: f64) -> Option<Duration> {
        if !has_answered {
            return Some(self.away.next_at_least(AWAY_RETRY_MIN, chance));
        }
        self.answers += 1;
        (self.answers < FETCHES_MAX).then(|| self.refused.next_at_least(FETCH_RETRY_MIN, chance))
    }
}

/// Up to when pushes were checked.
struct Looked {
    begun: Reading,
    until: Reading,
}

impl Looked {
    fn begin(now: Reading) -> Self {
        Self { begun: now, until: now }
    }

    /// Where to start now. If the time of day was set, start from the beginning: by the old clock other messages were
    /// checked.
    fn from(&self, now: Reading) -> Timestamp {
        if !now.was_set_since(self.until.offset()) {
            return now.wall_at(self.until.up);
        }
        let begun = self.begun.up - now.ahead_since(self.until.offset());
        now.wall_at(begun.max(now.before(LOOK_BACK_MAX).up))
    }
}

#[cfg(test)]
mod tests;
