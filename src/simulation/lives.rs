//! The processes: each poller lives until it is stopped or killed between any two awaits, and another takes its place.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use fastrand::Rng;
use tokio::select;
use tokio_util::sync::CancellationToken;

use super::broker::Broker;
use super::conditions::{Endings, up_to};
use super::story::Happening;
use super::upstream::{Line, RECEIVE_TIMEOUT};
use super::world::Shared;
use super::{Plant, STOP_MAX};
use crate::core::bridge::Bridge;
use crate::green_api::poll::poller::Poller;
use crate::green_api::poll::weather::Pacing;
use crate::watch::telemetry::InstanceTelemetry;

const LIFE_MAX: Duration = Duration::from_secs(5 * 60);
const DOWNTIME_MAX: Duration = Duration::from_secs(30);

/// What all lives of one instance share.
pub(super) struct Place {
    pub(super) shared: Shared,
    pub(super) instance: usize,
    pub(super) bridge: Arc<Bridge<Broker>>,
    pub(super) telemetry: Arc<InstanceTelemetry>,
    pub(super) plant: Plant,
    /// From now on nobody is killed or stopped.
    pub(super) calm: CancellationToken,
    /// The history is over: a last graceful stop.
    pub(super) finish: CancellationToken,
}

/// How a life ends, unless the calm begins first.
#[derive(Debug, Clone, Copy)]
enum Fate {
    LiveOn,
    /// After it has been polled this often, so at some await.
    KillAtPoll(u32),
    KillAfter(Duration),
    StopAfter(Duration),
    /// Stopped, then killed because the stop took too long.
    StopThenKill(Duration, Duration),
}

impl Fate {
    fn draw(endings: Endings, dice: &mut Rng) -> Self {
        let (life, grace) = (up_to(dice, LIFE_MAX), up_to(dice, Duration::from_secs(2)));
        match (endings, dice.u8(..8)) {
            (Endings::None, _) | (_, 0) => Self::LiveOn,
            (Endings::Stops, _) | (Endings::All, 1) => Self::StopAfter(life),
            (Endings::All, 2) => Self::StopThenKill(life, grace),
            (Endings::All, 3 | 4) => Self::KillAfter(life),
            (Endings::All, 5) => Self::KillAfter(grace),
            (Endings::All, _) => Self::KillAtPoll(dice.u32(1..60)),
        }
    }
}

enum End {
    Stopped,
    Killed,
    Finished,
    /// It was asked to stop and did not.
    Deaf,
}

/// One life after the other, until the history ends.
pub(super) async fn live(place: Place) {
    let pacing = Pacing {
        receive_timeout: RECEIVE_TIMEOUT,
        retry_min: Duration::from_millis(500),
        retry_max: Duration::from_secs(30),
        misconfigured_retry: Duration::from_secs(60),
        overlap_delete: place.shared.lock().conditions.overlap_delete,
    };
    loop {
        let stop = CancellationToken::new();
        let (life, fate) = {
            let mut world = place.shared.lock();
            let endings = world.conditions.endings;
            let lives_on = world.calm || place.plant == Plant::ForgetsLast;
            let fate = if lives_on { Fate::LiveOn } else { Fate::draw(endings, &mut world.dice) };
            let life = world.next_life();
            world.tell(place.instance, Happening::LifeBegins { life, fate: format!("{fate:?}") });
            (life, fate)
        };
        let forgetful = (place.plant == Plant::ForgetsLast).then(|| stop.clone());
        let line = Line::new(place.shared.clone(), place.instance, life, forgetful);
        let poller = Poller::new(line, Arc::clone(&place.bridge), pacing.clone(), Arc::clone(&place.telemetry));
        // A new life remembers nothing, like a process after a kill.
        let mut last = None;
        let end = place.run(Box::pin(poller.run(stop.clone(), &mut last)), fate, &stop).await;
        // Dropped here, whatever it was doing: a killed process does nothing more.
        drop(poller);
        let downtime = {
            let mut world = place.shared.lock();
            let how = match end {
                End::Stopped => "stopped",
                End::Killed => "killed",
                End::Finished => "finished",
                End::Deaf => "deaf",
            };
            world.tell(place.instance, Happening::LifeEnds { life, how });
            match end {
                // It only stopped because the plant made it stop. The operator did nothing.
                End::Stopped if place.plant == Plant::ForgetsLast => world.judge.forgot(life),
                End::Stopped | End::Finished => world.judge.stopped(life),
                End::Killed => world.judge.killed(life),
                End::Deaf => world.judge.breach(format!("asked to stop, and still running {STOP_MAX:?} later")),
            }
            if world.dice.bool() { Duration::ZERO } else { up_to(&mut world.dice, DOWNTIME_MAX) }
        };
        if matches!(end, End::Finished | End::Deaf) || place.finish.is_cancelled() {
            return;
        }
        if place.plant != Plant::ForgetsLast {
            tokio::time::sleep(downtime).await;
        }
    }
}

impl Place {
    async fn run<F: Future<Output = ()>>(&self, mut running: Pin<Box<F>>, fate: Fate, stop: &CancellationToken) -> End {
        let ended = select! {
            biased;
            end = meet(&mut running, fate, stop) => Some(end),
            () = self.calm.cancelled() => None,
        };
        if let Some(end) = ended {
            return end;
        }
        select! {
            biased;
            () = &mut running => return End::Stopped,
            () = self.finish.cancelled() => stop.cancel(),
        }
        match tokio::time::timeout(STOP_MAX, running).await {
            Ok(()) => End::Finished,
            Err(_) => End::Deaf,
        }
    }
}

async fn meet<F: Future<Output = ()>>(running: &mut Pin<Box<F>>, fate: Fate, stop: &CancellationToken) -> End {
    match fate {
        Fate::LiveOn => {
            running.as_mut().await;
            End::Stopped
        }
        Fate::KillAtPoll(polls) => {
            let mut left = polls;
            poll_fn(|context| {
                if running.as_mut().poll(context).is_ready() {
                    return Poll::Ready(End::Stopped);
                }
                left -= 1;
                if left == 0 { Poll::Ready(End::Killed) } else { Poll::Pending }
            })
            .await
        }
        Fate::KillAfter(life) => match tokio::time::timeout(life, running).await {
            Ok(()) => End::Stopped,
            Err(_) => End::Killed,
        },
        Fate::StopAfter(life) => {
            if tokio::time::timeout(life, running.as_mut()).await.is_err() {
                stop.cancel();
                running.as_mut().await;
            }
            End::Stopped
        }
        Fate::StopThenKill(life, grace) => {
            if tokio::time::timeout(life, running.as_mut()).await.is_err() {
                stop.cancel();
                if tokio::time::timeout(grace, running.as_mut()).await.is_err() {
                    return End::Killed;
                }
            }
            End::Stopped
        }
    }
}
