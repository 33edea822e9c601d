//! Writes to the spool: whatever comes, pushed, called or fetched, counts as received when it is there.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use serde_json::value::RawValue;
use tokio::sync::{Notify, Semaphore};
use tracing::error;

use super::ahead::Ahead;
use super::ledger::Ledger;
use crate::chatapp::keep::forms::Verdict;
use crate::chatapp::keep::spool::{Frame, Road, Sequence, Spool, SpoolError, Stored};
use crate::chatapp::mend::backfill::Sink;
use crate::watch::telemetry::chatapp::ChatAppTelemetry;
use chatbridge_base::clock::Reading;
use chatbridge_event::event::{Channel, ChatId, Gap};
use chatbridge_event::normalize::chatapp::{self as normalize, Item};
use chatbridge_pusher::{EventSink, Observer, Received, ReceivedFrame, Report};

/// Writes to one spool. Clones share it.
#[derive(Clone)]
pub struct Intake {
    spool: Spool,
    telemetry: Arc<ChatAppTelemetry>,
}

impl Intake {
    /// An intake for `spool`.
    #[must_use]
    pub fn new(spool: Spool, telemetry: Arc<ChatAppTelemetry>) -> Self {
        Self { spool, telemetry }
    }

    /// Returns when the body of a call is durable.
    ///
    /// # Errors
    /// Only [`SpoolError::Closed`]: the call has to come again.
    pub async fn called(&self, body: Vec<u8>) -> Result<Stored, SpoolError> {
        let frame = Frame {
            road: Road::Callback,
            channel: None,
            event: None,
            received_at: Timestamp::now(),
            asked_behind: None,
            body,
        };
        self.take(frame).await
    }

    /// Returns when the gap is durable, so that consumers will be told of it.
    ///
    /// # Errors
    /// Only [`SpoolError::Closed`].
    pub async fn gap(&self, channel: &str, gap: &Gap) -> Result<(), SpoolError> {
        let body = serde_json::to_vec(gap).expect("words and times are JSON");
        let (channel, received_at) = (Some(channel.to_owned()), Timestamp::now());
        let frame = Frame { road: Road::Bridge, channel, event: None, received_at, asked_behind: None, body };
        self.take(frame).await.map(drop)
    }

    /// A sink for the fetched messages of a channel; `road` says why they were fetched.
    #[must_use]
    pub fn fetching(&self, channel: Channel, road: Road) -> Fetching {
        Fetching { intake: self.clone(), channel, road }
    }

    async fn take(&self, frame: Frame) -> Result<Stored, SpoolError> {
        let stored = self.spool.append(&frame).await?;
        self.telemetry.frame_received(frame.road.as_str());
        Ok(stored)
    }
}

/// The most bytes of frames that were read from the socket and are not yet on disk.
const AHEAD_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// The sink of the socket: writes frames to the disk in order. A heard time counts once the disk has all frames before
/// it.
pub struct Ears(Arc<Inner>);

struct Inner {
    intake: Arc<Intake>,
    ledger: Arc<Ledger>,
    ahead: Mutex<Ahead>,
    level: Notify,
    room: Arc<Semaphore>,
}

impl Ears {
    /// Frames go to `intake`; `ledger` is told of everything.
    #[must_use]
    pub fn new(intake: Arc<Intake>, ledger: Arc<Ledger>) -> Self {
        let room = Arc::new(Semaphore::new(AHEAD_BYTES_MAX as usize));
        Self(Arc::new(Inner { intake, ledger, ahead: Mutex::default(), level: Notify::new(), room }))
    }

    /// Returns when everything that was read is on disk.
    pub async fn level(&self) {
        loop {
            let level = self.0.level.notified();
            if self.0.ahead().is_level() {
                return;
            }
            level.await;
        }
    }
}

impl Inner {
    fn ahead(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock()
    }

    fn durable(&self) {
        let heard = self.ahead().durable();
        if let Some(at) = heard {
            self.ledger.heard(at);
        }
        self.level.notify_waiters();
    }
}

impl EventSink for Ears {
    async fn accept(&self, frame: ReceivedFrame) {
        let (channel, event, body) = match frame.received {
            Received::Event { channel, event, data } => (channel, Some(event), data.into_bytes()),
            Received::Unreadable { bytes } => (None, None, bytes),
        };
        if let Some(channel) = &channel {
            self.0.ledger.pushed(channel);
        }
        let frame =
            Frame { road: Road::Push, channel, event, received_at: frame.received_at, asked_behind: None, body };
        let bytes = u32::try_from(frame.body.len()).unwrap_or(u32::MAX).min(AHEAD_BYTES_MAX);
        let room = Arc::clone(&self.0.room).acquire_many_owned(bytes).await;
        let appending = self.0.intake.spool.begin_append(&frame).await;
        self.0.ahead().read();
        self.0.intake.telemetry.frame_received(Road::Push.as_str());
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let appended = match appending {
                Ok(appending) => appending.await.is_ok(),
                Err(_) => false,
            };
            drop(room);
            if appended {
                inner.durable();
            } else {
                // The writer lives as long as the spool, unless it panicked. From here on no heard time counts, so the
                // next start finds the gap.
                error!("a frame of ChatApp was received and could not be kept: restart the bridge");
            }
        });
    }
}

impl Observer for Ears {
    fn heard(&self, at: Reading) {
        let heard = self.0.ahead().heard(at);
        if let Some(at) = heard {
            self.0.ledger.heard(at);
        }
    }

    fn reported(&self, report: &Report, at: Reading) {
        self.0.ledger.reported(report, at);
    }
}

/// Takes the fetched messages of one channel.
pub struct Fetching {
    intake: Intake,
    channel: Channel,
    road: Road,
}

impl Fetching {
    /// For each item, whether consumers do not have it yet. This must agree with the drain's judgement, so it only
    /// decides once the drain has passed everything that was in the spool when the items were asked for: a frame that
    /// is still there may change the result.
    async fn news(&self, items: &[Item], asked_behind: Sequence) -> Vec<bool> {
        let all = vec![true; items.len()];
        let spool = &self.intake.spool;
        let subjects: Vec<_> = items.iter().filter_map(|item| item.form).map(|form| form.subject).collect();
        if !spool.is_settled_up_to(asked_behind) {
            return all;
        }
        // If the history cannot be read, the drain decides.
        let Ok(histories) = spool.histories(subjects.clone()).await else { return all };
        let mut histories: HashMap<_, _> = subjects.into_iter().zip(histories).collect();
        let mut is_news = |(index, item): (u32, &Item)| {
            let Some(form) = item.form else { return true };
            let history = histories.entry(form.subject).or_default();
            // A place after everything that is there.
            let spot = (Sequence::MAX, index);
            matches!(history.judge(&form, self.road, spot, Some(asked_behind)), Verdict::New(_))
        };
        (0..).zip(items).map(&mut is_news).collect()
    }
}

impl Sink for Fetching {
    type Moment = Sequence;

    fn moment(&self) -> Sequence {
        self.intake.spool.last_appended()
    }

    async fn take(&self, chat: &str, items: Vec<Box<RawValue>>, asked_behind: Sequence) -> bool {
        let Some(chat) = ChatId::new(chat) else { return true };
        let items: Vec<Item> = items.iter().flat_map(|item| normalize::fetched(&self.channel, &chat, item)).collect();
        // What consumers have already needs no room on disk.
        let news = self.news(&items, asked_behind).await;
        let received_at = Timestamp::now();
        let frames: Vec<Frame> = items
            .into_iter()
            .zip(news)
            .filter(|(_, is_news)| *is_news)
            .map(|(item, _)| Frame {
                road: self.road,
                channel: self.channel.name(),
                event: None,
                received_at,
                asked_behind: Some(asked_behind),
                body: item.event.raw.get().as_bytes().to_vec(),
            })
            .collect();
        for _ in &frames {
            self.intake.telemetry.frame_received(self.road.as_str());
        }
        self.intake.spool.append_all(&frames).await.is_ok()
    }
}
