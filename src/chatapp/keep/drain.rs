//! From the spool into Kafka: a frame leaves the disk when the broker has everything it held.
//!
//! The guarantee is in [`Drain::run`]: read, unpack, deliver, settle. Items with the same key go one after the other in
//! spool order; everything else goes at the same time. What consumers have already, by whichever road it came, is not
//! published again (`forms`). It still waits for its turn, so that a message's history is never stored before
//! everything it lists is in Kafka. After a crash at any point the frame is still on disk: it is delivered again, with
//! the same ids.

use std::collections::HashSet;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::error;

use super::forms::{History, Remembered, Verdict};
use super::spool::{Frame, Road, Sequence, Spool};
use super::suspects::{LIVES_MAX, Suspects};
use super::unpack::{Content, Item, crashed, unpack};
use crate::chatapp::hear::ledger::Ledger;
use crate::core::bridge::Bridge;
use crate::core::prepared::{Prepared, prepare_undecodable};
use crate::core::publish::Publisher;
use crate::core::settled::{Outcome, Settled};
use crate::watch::telemetry::chatapp::{ChannelTelemetry, ChatAppTelemetry};
use chatbridge_event::event::{Channel, Event};
use chatbridge_event::normalize::chatapp::identity::Subject;
use in_hand::{EVENT_BYTES, InHand, Open, Pending};

mod in_hand;

/// Frames per read.
const READ_FRAMES_MAX: usize = 64;
const READ_BYTES_MAX: usize = 1024 * 1024;
/// The pause before a file that cannot be read is tried again.
const READ_RETRY: Duration = Duration::from_secs(1);
/// How long the published forms of a message are remembered after the last item about it: longer than any gap is
/// fetched late. At most [`super::forms::FORMS_KEPT_MAX`] forms are kept for each message.
const PUBLISHED_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How often older ones are forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(3600);

/// Delivers the spool's frames to Kafka.
pub struct Drain<P> {
    /// Where frames are read.
    pub spool: Spool,
    /// Remembers the frame that is being read, and those that ended the bridge.
    pub suspects: Arc<Suspects>,
    /// Where events are delivered.
    pub bridge: Arc<Bridge<P>>,
    /// Told about messages that were never pushed.
    pub ledger: Arc<Ledger>,
    /// Where it is counted.
    pub telemetry: Arc<ChatAppTelemetry>,
}

/// One item and what to do with it.
struct Turn {
    ticket: Ticket,
    work: Work,
}

/// Identifies an item in its lane.
struct Ticket {
    frame: Sequence,
    key: String,
    road: Road,
    channel: Option<Channel>,
    telemetry: Arc<ChannelTelemetry>,
    /// How much it adds to the bytes in flight.
    bytes: usize,
}

/// What to do when it is an item's turn.
enum Work {
    /// Publish it.
    Deliver(Box<Prepared>),
    /// Consumers have it, as soon as everything before it in its lane is delivered.
    Pass,
}

/// A task that has ended.
enum Step {
    Delivered(Ticket, Option<Timestamp>, Settled),
    Settled(Sequence),
}

type Reading<'a> = Pin<Box<dyn Future<Output = Vec<(Sequence, Frame)>> + Send + 'a>>;

impl<P: Publisher + 'static> Drain<P> {
    /// Runs until `stop`, then until everything in hand is settled. If it is dropped earlier, unsettled frames stay on
    /// disk.
    pub async fn run(&self, stop: CancellationToken) {
        let mut in_hand = InHand::default();
        let mut steps: JoinSet<Step> = JoinSet::new();
        let mut reading: Option<Reading<'_>> = None;
        let mut after = None;
        let mut forgetting = interval(FORGET_INTERVAL);
        let mut stopping = false;
        loop {
            self.take_apart(&mut in_hand, &mut steps).await;
            if reading.is_none() && !stopping && in_hand.read.is_empty() && in_hand.has_room() {
                reading = Some(Box::pin(self.more(after)));
            }
            tokio::select! {
                biased;
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    reading = None;
                    in_hand.read.clear();
                }
                Some(step) = steps.join_next(), if !steps.is_empty() => match step {
                    Ok(Step::Delivered(ticket, time, proof)) => {
                        self.delivered(&ticket, time, &proof);
                        let next = self.ended(&ticket, Some(proof), &mut in_hand, &mut steps);
                        self.begin(next, &mut in_hand, &mut steps);
                    }
                    Ok(Step::Settled(frame)) => {
                        in_hand.forget(frame);
                        self.suspects.settled(frame);
                    }
                    // The supervisor starts the drain again, and the frame is delivered again.
                    Err(failed) if failed.is_panic() => std::panic::resume_unwind(failed.into_panic()),
                    Err(_) => return,
                },
                frames = kept(&mut reading), if reading.is_some() => {
                    after = frames.last().map(|(sequence, _)| *sequence).or(after);
                    in_hand.read.extend(frames);
                }
                _ = forgetting.tick(), if !stopping => {
                    self.spool.forget_published(Timestamp::now(), PUBLISHED_KEPT);
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
                // An earlier run has settled what was there.
                Ok(_) => {}
                Err(failure) => error!(%failure, "what ChatApp sent waits on disk until it can be read"),
            }
            sleep(READ_RETRY).await;
        }
    }

    /// Starts what was read, as far as there is room.
    async fn take_apart(&self, in_hand: &mut InHand, steps: &mut JoinSet<Step>) {
        while in_hand.has_room_for_more() {
            let begun = in_hand.open.take().or_else(|| self.next_frame(in_hand));
            let Some(mut open) = begun else { return };
            let items = self.suspects.watch(open.sequence, || open.some_items());
            if items.is_empty() {
                self.close(open, in_hand, steps);
            } else {
                self.admit(&mut open, items, in_hand, steps).await;
                in_hand.open = Some(open);
            }
        }
    }

    fn next_frame(&self, in_hand: &mut InHand) -> Option<Open> {
        let (sequence, frame) = in_hand.read.pop_front()?;
        let body_bytes = frame.body.len();
        let (road, received_at, asked_behind) = (frame.road, frame.received_at, frame.asked_behind);
        let place = self.spool.place(sequence);
        let unpacked = if self.suspects.is_given_up(sequence) {
            error!(
                channel = frame.channel,
                bytes = body_bytes,
                "the bridge ended {LIVES_MAX} times in a row at this body of ChatApp: it goes to the dead letters \
                 unread (reason crashed); please report it with the log of those ends"
            );
            crashed(frame, place)
        } else {
            self.suspects.watch(sequence, || unpack(frame, place))
        };
        if unpacked.is_wrapped {
            self.telemetry.wrapped_body();
        }
        if unpacked.is_without_items {
            self.telemetry.body_without_items();
        }
        in_hand.frames.insert(sequence, Pending::default());
        let (items, subjects, new) = (unpacked.items, HashSet::new(), Vec::new());
        Some(Open { sequence, road, received_at, asked_behind, body_bytes, items, index: 0, subjects, new })
    }

    /// Starts these items of a frame.
    async fn admit(&self, open: &mut Open, items: Vec<Item>, in_hand: &mut InHand, steps: &mut JoinSet<Step>) {
        let subjects = items.iter().filter_map(|item| item.form).map(|form| form.subject);
        let first_met: Vec<Subject> = subjects.filter(|subject| open.subjects.insert(*subject)).collect();
        self.learn(&first_met, in_hand).await;
        self.suspects.watch(open.sequence, || self.start(open, items, in_hand, steps));
    }

    fn start(&self, open: &mut Open, items: Vec<Item>, in_hand: &mut InHand, steps: &mut JoinSet<Step>) {
        for item in items {
            let spot = (open.sequence, open.index);
            open.index += 1;
            let verdict = item.form.map(|form| in_hand.judge(&form, open.road, spot, open.asked_behind));
            if let Some(Verdict::New(id)) = verdict {
                open.new.push(id);
            }
            let (telemetry, body_bytes) = (self.telemetry.of(item.channel.as_ref()), item.bytes());
            let Some(work) = self.work(item.content, verdict, open.received_at, &telemetry) else { continue };
            let bytes = EVENT_BYTES + if matches!(work, Work::Deliver(_)) { body_bytes } else { 0 };
            let (frame, road) = (open.sequence, open.road);
            let ticket = Ticket { frame, key: item.key, road, channel: item.channel, telemetry, bytes };
            in_hand.count(&ticket);
            let key = ticket.key.clone();
            let turn = in_hand.lanes.enter(&key, Turn { ticket, work });
            self.begin(turn, in_hand, steps);
        }
    }

    /// The frame is unpacked.
    fn close(&self, open: Open, in_hand: &mut InHand, steps: &mut JoinSet<Step>) {
        let unproved = in_hand.unproved(open.subjects, open.new);
        if let Some(pending) = in_hand.frames.get_mut(&open.sequence) {
            pending.unproved = Some(unproved);
        }
        self.settle_if_done(open.sequence, in_hand, steps);
    }

    /// Reads from disk the histories of the subjects that are not in memory.
    async fn learn(&self, subjects: &[Subject], in_hand: &mut InHand) {
        let unknown: Vec<Subject> =
            subjects.iter().filter(|subject| !in_hand.histories.contains_key(subject)).copied().collect();
        let known = self.histories(&unknown).await;
        let known = known.into_iter().map(|history| (Arc::new(history), 0));
        in_hand.histories.extend(unknown.into_iter().zip(known));
        for subject in subjects {
            in_hand.histories.entry(*subject).or_default().1 += 1;
        }
    }

    /// Retries until the disk answers: without the history, an event might get the id of another.
    async fn histories(&self, subjects: &[Subject]) -> Vec<History> {
        while !subjects.is_empty() {
            match self.spool.histories(subjects.to_vec()).await {
                Ok(histories) => return histories,
                Err(failure) => {
                    error!(%failure, "what ChatApp sent waits until the disk says what was published before");
                }
            }
            sleep(READ_RETRY).await;
        }
        Vec::new()
    }

    /// What to do with an item; `None` if an earlier run has finished it.
    fn work(
        &self,
        content: Content,
        verdict: Option<Verdict>,
        received_at: Timestamp,
        telemetry: &ChannelTelemetry,
    ) -> Option<Work> {
        if let Content::Event(event) = &content {
            telemetry.received(event, received_at);
            if event.foreign {
                self.telemetry.foreign_body();
            }
        }
        if matches!(verdict, Some(Verdict::Done | Verdict::Repeat)) {
            telemetry.repeat_suppressed();
        }
        let prepared = match (content, verdict) {
            (_, Some(Verdict::Done)) => return None,
            (_, Some(Verdict::Repeat)) => return Some(Work::Pass),
            (Content::Event(event), Some(Verdict::New(id))) => {
                self.bridge.prepare_event(Event { id, ..*event }, received_at)
            }
            (Content::Event(event), None) => self.bridge.prepare_event(*event, received_at),
            (Content::Undecodable(source, id, undecodable), _) => {
                prepare_undecodable(source, id, undecodable, received_at)
            }
        };
        Some(Work::Deliver(Box::new(prepared)))
    }

    /// Starts this item, and those behind it as long as they only pass.
    fn begin(&self, turn: Option<Turn>, in_hand: &mut InHand, steps: &mut JoinSet<Step>) {
        let mut next = turn;
        while let Some(Turn { ticket, work }) = next {
            next = match work {
                Work::Pass => self.ended(&ticket, None, in_hand, steps),
                Work::Deliver(prepared) => {
                    let (bridge, suspects) = (Arc::clone(&self.bridge), Arc::clone(&self.suspects));
                    steps.spawn(async move {
                        let _blame = BlamedForPanic { suspects, frame: ticket.frame };
                        let proof = bridge.deliver(&prepared, &ticket.telemetry).await;
                        Step::Delivered(ticket, prepared.event_time(), proof)
                    });
                    None
                }
            };
        }
    }

    fn delivered(&self, ticket: &Ticket, time: Option<Timestamp>, proof: &Settled) {
        if !matches!(proof.outcome(), Outcome::Published(_)) {
            return;
        }
        match ticket.road {
            Road::Backfill => ticket.telemetry.backfilled(),
            Road::Reconcile => {
                ticket.telemetry.reconciled();
                self.ledger.missed(ticket.channel.as_ref(), time);
            }
            Road::Push | Road::Callback | Road::Bridge => {}
        }
    }

    /// An item is finished; returns the next one in its lane.
    fn ended(
        &self,
        ticket: &Ticket,
        proof: Option<Settled>,
        in_hand: &mut InHand,
        steps: &mut JoinSet<Step>,
    ) -> Option<Turn> {
        in_hand.bytes -= ticket.bytes;
        if let Some(pending) = in_hand.frames.get_mut(&ticket.frame) {
            pending.left -= 1;
            pending.proofs.extend(proof);
        }
        self.settle_if_done(ticket.frame, in_hand, steps);
        in_hand.lanes.arrived(&ticket.key)
    }

    /// An empty frame, and one that an earlier run delivered, have nothing left to do.
    fn settle_if_done(&self, frame: Sequence, in_hand: &mut InHand, steps: &mut JoinSet<Step>) {
        let Some(pending) = in_hand.frames.get_mut(&frame).filter(|pending| pending.left == 0) else { return };
        let Some(unproved) = &pending.unproved else { return };
        let told = unproved.settled_by(&std::mem::take(&mut pending.proofs));
        self.settle(frame, told, steps);
    }

    /// Takes a frame off the disk: everything in it is in Kafka, or not wanted.
    fn settle(&self, frame: Sequence, told: Vec<Remembered>, steps: &mut JoinSet<Step>) {
        let spool = self.spool.clone();
        steps.spawn(async move {
            // A closed spool keeps its frames: they are delivered again.
            if spool.settle(frame, told, Timestamp::now()).await.is_err() {
                pending::<()>().await;
            }
            Step::Settled(frame)
        });
    }
}

/// Blames the frame of a delivery that panics. While Kafka is waited for nothing is blamed: a kill then says nothing
/// about the frame.
struct BlamedForPanic {
    suspects: Arc<Suspects>,
    frame: Sequence,
}

impl Drop for BlamedForPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.suspects.blame(self.frame);
        }
    }
}

/// Waits for the stored future, and clears it.
async fn kept(reading: &mut Option<Reading<'_>>) -> Vec<(Sequence, Frame)> {
    let Some(waited_for) = reading else { return pending().await };
    let frames = waited_for.await;
    *reading = None;
    frames
}

#[cfg(test)]
mod tests;
