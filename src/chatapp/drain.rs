//! Out of the spool and into Kafka: a frame leaves the disk when the broker has everything it held.
//!
//! The guarantee is [`Drain::run`]: read, unpack, deliver, settle. What has the same key goes one after the other in the
//! order of the spool, everything else at the same time. What was published before, by whichever road it came, is not
//! published again. A crash at any point leaves the frame where it is: it is delivered again, with the same ids.

use std::collections::{HashMap, HashSet};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::lanes::Lanes;
use super::ledger::Ledger;
use super::spool::{Frame, Road, Sequence, Spool};
use super::unpack::{Content, Item, unpack};
use crate::bridge::{Bridge, Outcome, Prepared, Settled};
use crate::publish::Publisher;
use crate::telemetry::chatapp::{ChannelTelemetry, ChatAppTelemetry};
use chatbridge_event::event::{Channel, EventId};

/// Frames taken out of the file and not yet settled, at the most …
const FRAMES_IN_HAND_MAX: usize = 512;
/// … and no more once their bodies come to this.
const BYTES_IN_HAND_MAX: usize = 32 * 1024 * 1024;
/// Of one reading.
const READ_FRAMES_MAX: usize = 64;
const READ_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Between two tries of a file that cannot be read.
const READ_RETRY: Duration = Duration::from_secs(1);
/// So long an event is known to be published: longer than any gap is fetched late.
const PUBLISHED_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How often those before that are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(3600);

/// Takes what lies in the spool to Kafka.
pub struct Drain<P> {
    /// Where it lies.
    pub spool: Spool,
    /// Where it goes.
    pub bridge: Arc<Bridge<P>>,
    /// Who hears of what was pushed, and of what never was.
    pub ledger: Arc<Ledger>,
    /// Where it is counted.
    pub telemetry: Arc<ChatAppTelemetry>,
}

/// One item and its way.
struct Turn {
    frame: Sequence,
    key: String,
    road: Road,
    channel: Option<Channel>,
    prepared: Prepared,
    telemetry: Arc<ChannelTelemetry>,
}

/// What came to its end.
enum Step {
    Delivered(Turn, Settled),
    Settled(Sequence),
}

/// What was read and not yet settled.
#[derive(Default)]
struct InHand {
    frames: HashMap<Sequence, Pending>,
    /// Of everything in `frames`.
    ids: HashSet<EventId>,
    bytes: usize,
    lanes: Lanes<Turn>,
}

/// A frame of which something is still on its way.
struct Pending {
    left: usize,
    ids: Vec<EventId>,
    proofs: Vec<Settled>,
    bytes: usize,
}

type Reading<'a> = Pin<Box<dyn Future<Output = Vec<(Sequence, Frame)>> + Send + 'a>>;

impl<P: Publisher + 'static> Drain<P> {
    /// Runs until `stop`, then until what is in hand is settled. Dropped before that, it leaves on disk what was not.
    pub async fn run(&self, stop: CancellationToken) {
        let mut in_hand = InHand::default();
        let mut steps: JoinSet<Step> = JoinSet::new();
        let mut reading: Option<Reading<'_>> = None;
        let mut after = None;
        let mut forgetting = interval(FORGET_INTERVAL);
        let mut stopping = false;
        loop {
            if reading.is_none() && !stopping && in_hand.has_room() {
                reading = Some(Box::pin(self.more(after)));
            }
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    reading = None;
                }
                Some(step) = steps.join_next(), if !steps.is_empty() => match step {
                    Ok(Step::Delivered(turn, proof)) => self.delivered(turn, proof, &mut in_hand, &mut steps),
                    Ok(Step::Settled(frame)) => in_hand.forget(frame),
                    // Whoever watches over this starts it again, and the frame with it.
                    Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
                    Err(_) => return,
                },
                frames = kept(&mut reading), if reading.is_some() => {
                    for (sequence, frame) in frames {
                        after = Some(sequence);
                        self.admit(sequence, frame, &mut in_hand, &mut steps).await;
                    }
                }
                _ = forgetting.tick(), if !stopping => {
                    self.spool.forget_published_before(Timestamp::now() - PUBLISHED_KEPT);
                }
                else => return,
            }
        }
    }

    /// The next frames, as soon as there are some.
    async fn more(&self, after: Option<Sequence>) -> Vec<(Sequence, Frame)> {
        loop {
            self.spool.wait_behind(after).await;
            match self.spool.read(after, READ_FRAMES_MAX, READ_BYTES_MAX).await {
                Ok(frames) if !frames.is_empty() => return frames,
                // What lay there has been settled by an earlier run.
                Ok(_) => {}
                Err(failure) => error!(%failure, "what ChatApp sent waits on disk until it can be read"),
            }
            sleep(READ_RETRY).await;
        }
    }

    /// Sends everything that a frame holds on its way.
    async fn admit(&self, sequence: Sequence, frame: Frame, in_hand: &mut InHand, steps: &mut JoinSet<Step>) {
        let (road, received_at, bytes) = (frame.road, frame.received_at, frame.body.len());
        if let (Road::Push, Some(channel)) = (road, &frame.channel) {
            self.ledger.pushed(channel, received_at);
        }
        let unpacked = unpack(frame);
        if unpacked.is_wrapped {
            self.telemetry.wrapped_body();
        }
        if unpacked.is_without_items {
            self.telemetry.body_without_items();
        }
        let turns: Vec<Turn> = unpacked
            .items
            .into_iter()
            .map(|Item { key, channel, content }| {
                let telemetry = self.telemetry.of(channel.as_ref());
                let prepared = match content {
                    Content::Event(event) => {
                        telemetry.received(&event, received_at);
                        if event.foreign {
                            self.telemetry.foreign_body();
                        }
                        self.bridge.prepare_event(*event, received_at)
                    }
                    Content::Undecodable(source, undecodable) => {
                        crate::bridge::prepare_undecodable(source, undecodable, received_at)
                    }
                };
                Turn { frame: sequence, key, road, channel, prepared, telemetry }
            })
            .collect();
        let ids = turns.iter().map(|turn| turn.prepared.id()).collect();
        // What cannot be asked is published once more rather than never.
        let published = self.spool.published(ids).await.unwrap_or_default();
        let mut pending = Pending { left: 0, ids: Vec::new(), proofs: Vec::new(), bytes };
        let mut fresh = Vec::new();
        for (index, turn) in turns.into_iter().enumerate() {
            let id = turn.prepared.id();
            // An event that is on its way with an earlier frame stays on disk with that one.
            if published.get(index).copied().unwrap_or(false) || !in_hand.ids.insert(id) {
                turn.telemetry.repeat_suppressed();
                continue;
            }
            pending.left += 1;
            pending.ids.push(id);
            fresh.push(turn);
        }
        in_hand.bytes += bytes;
        let nothing_left = fresh.is_empty();
        in_hand.frames.insert(sequence, pending);
        if nothing_left {
            self.settle(sequence, Vec::new(), steps);
        }
        for turn in fresh {
            let key = turn.key.clone();
            if let Some(turn) = in_hand.lanes.enter(&key, turn) {
                self.deliver(turn, steps);
            }
        }
    }

    fn deliver(&self, turn: Turn, steps: &mut JoinSet<Step>) {
        let bridge = Arc::clone(&self.bridge);
        steps.spawn(async move {
            let settled = bridge.deliver(&turn.prepared, &turn.telemetry).await;
            Step::Delivered(turn, settled)
        });
    }

    fn delivered(&self, turn: Turn, proof: Settled, in_hand: &mut InHand, steps: &mut JoinSet<Step>) {
        if let Some(next) = in_hand.lanes.arrived(&turn.key) {
            self.deliver(next, steps);
        }
        if matches!(proof.outcome(), Outcome::Published(_)) {
            match turn.road {
                Road::Backfill => turn.telemetry.backfilled(),
                Road::Reconcile => {
                    turn.telemetry.reconciled();
                    self.ledger.missed(turn.channel.as_ref(), turn.prepared.event_time());
                }
                Road::Push | Road::Callback | Road::Bridge => {}
            }
        }
        if let Some(pending) = in_hand.frames.get_mut(&turn.frame) {
            pending.left -= 1;
            pending.proofs.push(proof);
            if pending.left == 0 {
                let proofs = std::mem::take(&mut pending.proofs);
                self.settle(turn.frame, proofs, steps);
            }
        }
    }

    /// Takes a frame off the disk: Kafka has, or nobody wants, everything that was in it.
    fn settle(&self, frame: Sequence, proofs: Vec<Settled>, steps: &mut JoinSet<Step>) {
        let spool = self.spool.clone();
        steps.spawn(async move {
            // A spool that takes nothing any more has its frames: they are delivered again.
            if spool.settle(frame, proofs, Timestamp::now()).await.is_err() {
                pending::<()>().await;
            }
            Step::Settled(frame)
        });
    }
}

impl InHand {
    fn has_room(&self) -> bool {
        self.frames.len() < FRAMES_IN_HAND_MAX && self.bytes < BYTES_IN_HAND_MAX
    }

    fn forget(&mut self, frame: Sequence) {
        let Some(settled) = self.frames.remove(&frame) else { return };
        self.bytes -= settled.bytes;
        for id in settled.ids {
            self.ids.remove(&id);
        }
    }
}

/// Waits for what is kept, and keeps it no more.
async fn kept(reading: &mut Option<Reading<'_>>) -> Vec<(Sequence, Frame)> {
    let Some(waited_for) = reading else { return pending().await };
    let frames = waited_for.await;
    *reading = None;
    frames
}

#[cfg(test)]
mod tests;
