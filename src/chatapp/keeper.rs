//! Looks after one channel: tells its gaps, fetches what can be fetched of them, looks now and then for what was never
//! pushed, and writes down how far all of that has come.
//!
//! A gap is told first, for what cannot be fetched is lost already; then its messages are fetched. The marks on disk move
//! only past what was told, and past what was fetched: a crash in between finds the gap again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::api::Line;
use super::backfill::{self, History, Limits, Outcome, backfill};
use super::intake::Intake;
use super::ledger::{Entry, Ledger};
use super::spool::{Road, Spool, SpoolError};
use super::standing::Unheard;
use crate::supervisor::keep_running;
use crate::telemetry::chatapp::{ChannelTelemetry, ChatAppTelemetry};
use chatbridge_base::retry::Backoff;
use chatbridge_event::event::{Channel, Gap, GapReason, KindName};

/// Between two tries of a spool that cannot be read.
const TROUBLE_PAUSE: Duration = Duration::from_secs(1);
/// How often the marks are written.
const MARK_INTERVAL: Duration = Duration::from_secs(5);
/// What was said so lately may be on its way to us still, unless clocks are trusted to be closer.
const RECONCILE_SETTLE_MAX: SignedDuration = SignedDuration::from_secs(30);
/// Fetchings of one gap, before what is missing is given up.
const FETCHES_MAX: u32 = 6;
/// The wait before the second; it doubles, …
const FETCH_RETRY_MIN: Duration = Duration::from_secs(60);
/// … up to this.
const FETCH_RETRY_MAX: Duration = Duration::from_secs(1800);

/// How channels are looked after.
#[derive(Debug, Clone)]
pub struct Care {
    /// Whether messages are fetched at all.
    pub backfill: bool,
    /// How often to look for messages that were never pushed; `None`: never.
    pub reconcile_interval: Option<Duration>,
    /// How far clocks may differ.
    pub overlap: SignedDuration,
    /// Bounds of a fetching.
    pub limits: Limits,
}

/// Everybody who looks after a channel of one account.
pub struct Keepers {
    stop: CancellationToken,
    names: HashSet<String>,
    tasks: JoinSet<()>,
}

impl Keepers {
    /// Nobody yet. Each ends with `stop`, and all where this is dropped.
    #[must_use]
    pub fn new(stop: CancellationToken) -> Self {
        Self { stop, names: HashSet::new(), tasks: JoinSet::new() }
    }

    /// Whether somebody looks after the channel.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// From now on somebody does. The channel is one that `desk`'s ledger expects.
    pub fn look_after<H: History + 'static>(&mut self, name: &str, desk: &Desk<H>) {
        let Some(entry) = desk.ledger.entry(name) else { return };
        // A channel of a sort that this version does not know is looked after as well, under no label of its own.
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

    /// Returns when each has come to its end.
    pub async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What every keeper works with.
pub struct Desk<H> {
    /// The books.
    pub ledger: Arc<Ledger>,
    /// Where the marks are.
    pub spool: Spool,
    /// Where gaps and fetched messages go.
    pub intake: Arc<Intake>,
    /// Where messages are listed.
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
    /// Runs until `stop`, and writes the marks once more.
    ///
    /// # Errors
    /// Where the spool is closed, or cannot be read at the beginning.
    async fn run(&self, stop: CancellationToken) -> Result<(), SpoolError> {
        self.take_up_what_was_left().await?;
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

    /// Each gap becomes an event.
    async fn tell_gaps(&self) -> Result<(), SpoolError> {
        loop {
            let gap = self.entry.unheard().await;
            self.tell(gap, self.unfetchable()).await?;
            self.telemetry.set_pending(self.line().is_some());
            self.entry.told(gap, self.line().is_some());
        }
    }

    async fn tell(&self, gap: Unheard, missing: Vec<KindName>) -> Result<(), SpoolError> {
        let Unheard { from, to, reason } = gap;
        let gap = Gap { channel: Some(self.name.clone()), from, to, reason, missing };
        self.desk.intake.gap(&self.name, &gap).await?;
        self.telemetry.gap(&gap);
        warn!(
            channel = self.name, %from, %to, reason = reason.as_str(),
            "a stretch was not heard: consumers are told by an event of kind gap; what can be fetched follows"
        );
        Ok(())
    }

    /// The messages of each gap.
    async fn fetch_gaps(&self) {
        let Some(line) = self.line() else { return std::future::pending().await };
        loop {
            let gap = self.entry.unfetched().await;
            self.fetch(&line, gap).await;
            self.entry.standing().fetched(gap);
            self.telemetry.set_pending(self.entry.standing().unfetched().is_some());
        }
    }

    /// Returns when all of it is fetched, or it is told what is not.
    async fn fetch(&self, line: &Line, gap: Unheard) {
        let sink = self.desk.intake.fetching(self.channel.clone(), Road::Backfill);
        // Whatever ChatApp's clock calls the end of it.
        let span = backfill::Gap { from: gap.from, to: gap.to + self.desk.care.overlap };
        let mut backoff = Backoff::new(FETCH_RETRY_MIN, FETCH_RETRY_MAX);
        for fetching in 1..=FETCHES_MAX {
            let (why, chats_missed) =
                match backfill(&*self.desk.history, &sink, line, span, &self.desk.care.limits).await {
                    Outcome::Done(fetched) => {
                        info!(
                            channel = self.name,
                            messages = fetched.items,
                            chats = fetched.chats,
                            "the gap's messages were fetched"
                        );
                        return;
                    }
                    Outcome::GaveUp { why, chats_missed, .. } => (why, chats_missed),
                };
            self.telemetry.backfill_failed(&why);
            if fetching == 1 && self.tell(gap, vec![KindName::Message]).await.is_err() {
                return;
            }
            if fetching == FETCHES_MAX {
                error!(
                    channel = self.name,
                    why, chats_missed, "messages of a gap are missing for good: consumers were told"
                );
                return;
            }
            let wait = backoff.next_at_least(FETCH_RETRY_MIN, fastrand::f64());
            warn!(
                channel = self.name,
                why,
                chats_missed,
                retry_seconds = wait.as_secs(),
                "not all of a gap's messages could be fetched"
            );
            sleep(wait).await;
        }
    }

    /// Looks, again and again, whether everything was pushed that should have been.
    async fn reconcile(&self) {
        let (Some(line), Some(pause)) = (self.line(), self.desk.care.reconcile_interval) else {
            return std::future::pending().await;
        };
        let sink = self.desk.intake.fetching(self.channel.clone(), Road::Reconcile);
        let mut from = Timestamp::now();
        // Not all channels at the same time.
        sleep(pause.mul_f64(fastrand::f64())).await;
        loop {
            sleep(pause).await;
            // A gap is looked into already.
            if !self.entry.standing().is_live() || self.entry.standing().unfetched().is_some() {
                continue;
            }
            let to = Timestamp::now() - RECONCILE_SETTLE_MAX.min(self.desk.care.overlap);
            let span = backfill::Gap { from: from - self.desk.care.overlap, to };
            match backfill(&*self.desk.history, &sink, &line, span, &self.desk.care.limits).await {
                Outcome::Done(_) => from = to.max(from),
                Outcome::GaveUp { why, .. } => {
                    self.telemetry.backfill_failed(&why);
                    warn!(channel = self.name, why, "could not look whether messages were missed; tried again");
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
        let (told, fetched) = {
            let standing = self.entry.standing();
            (standing.told_until(), standing.fetched_until())
        };
        // In this order: a crash in between fetches once more.
        if let Some(told) = told {
            self.desk.spool.mark(&self.name, told).await?;
        }
        if let Some(fetched) = fetched {
            self.desk.spool.mark(&messages_mark(&self.name), fetched).await?;
        }
        Ok(())
    }

    /// Messages of a gap that an earlier run told and did not get to fetch.
    async fn take_up_what_was_left(&self) -> Result<(), SpoolError> {
        let Some(told) = self.desk.spool.heard_until(&self.name).await? else { return Ok(()) };
        let Some(fetched) = self.desk.spool.heard_until(&messages_mark(&self.name)).await? else {
            // From here on, whatever becomes of the first gap: without this mark a crash would forget its messages.
            return self.desk.spool.mark(&messages_mark(&self.name), told).await;
        };
        if fetched < told && self.line().is_some() {
            let from = fetched - self.desk.care.overlap;
            self.entry.standing().left_unfetched(Unheard { from, to: told, reason: GapReason::NotRunning });
            self.telemetry.set_pending(true);
        }
        Ok(())
    }

    /// Where its messages are listed, if they are and are wanted.
    fn line(&self) -> Option<Line> {
        match &self.channel {
            Channel::Messenger { license, messenger } if self.desk.care.backfill => {
                Some(Line { license: license.to_string(), messenger: messenger.to_string() })
            }
            _ => None,
        }
    }

    /// What a gap of it loses for good.
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

/// The mark that says how far messages are complete, beside the one that says how far the channel was heard.
fn messages_mark(channel: &str) -> String {
    format!("{channel}#messages")
}

#[cfg(test)]
mod tests;
