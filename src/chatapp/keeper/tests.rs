//! What a gap leads to: an event, a fetching, and marks that move past neither.

use std::sync::Mutex;

use serde_json::value::RawValue;

use super::*;
use crate::chatapp::api::{ChatSummary, Moved, Next, Page, Start};
use crate::chatapp::backfill::Obstacle;
use crate::chatapp::spool::Frame;
use crate::telemetry::metrics::Metrics;
use chatbridge_pusher::{Observer as _, Reconnect, Report};

const CHANNEL: &str = "private-v1.licenses.1229.messengers.telegram";
const COMPANY: &str = "private-v1.companies.2224";

/// One chat with one message, or an obstacle; and how often chats were asked for.
struct Shelf {
    obstacles: Mutex<Vec<Obstacle>>,
    asked: Mutex<u32>,
    time: i64,
}

impl History for Shelf {
    async fn chats(&self, _: &Line, _: Start<'_>) -> Result<Page<ChatSummary>, Obstacle> {
        *self.asked.lock().expect("whole") += 1;
        if let Some(obstacle) = self.obstacles.lock().expect("whole").pop() {
            return Err(obstacle);
        }
        let moved = Moved::At(Timestamp::from_second(self.time).expect("a time"));
        Ok(Page { items: vec![ChatSummary { id: "a".to_owned(), moved }], next: Next::End })
    }

    async fn messages(&self, _: &Line, _: &str, _: Start<'_>) -> Result<Page<Box<RawValue>>, Obstacle> {
        let item = format!(r#"{{"id":1,"time":{},"message":{{"text":"x"}}}}"#, self.time);
        Ok(Page { items: vec![RawValue::from_string(item).expect("JSON")], next: Next::End })
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + second).expect("a time")
}

struct Scene {
    dir: std::path::PathBuf,
    desk: Desk<Shelf>,
    keepers: Keepers,
    stop: CancellationToken,
}

impl Drop for Scene {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Scene {
    /// A channel that was heard until second 100; its messages until `fetched`, where that is another.
    async fn new(channel: &str, fetched: Option<i64>, obstacles: Vec<Obstacle>) -> Self {
        let dir =
            std::env::temp_dir().join(format!("chatbridge-keeper-{}-{:x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir_all(&dir).expect("the temporary directory takes folders");
        let spool = Spool::open(&dir.join("spool"), 1024 * 1024).expect("a spool");
        spool.mark(channel, at(100)).await.expect("open");
        if let Some(fetched) = fetched {
            spool.mark(&messages_mark(channel), at(fetched)).await.expect("open");
        }
        let telemetry = Arc::new(ChatAppTelemetry::new(Arc::new(Metrics::new())));
        let overlap = Duration::from_secs(10);
        let ledger = Arc::new(Ledger::new(overlap, Reconnect::default(), Arc::clone(&telemetry)));
        ledger.expect(channel, Some(at(100)));
        let intake = Arc::new(Intake::new(spool.clone(), Arc::clone(&telemetry)));
        let history =
            Arc::new(Shelf { obstacles: Mutex::new(obstacles), asked: Mutex::default(), time: 1_760_000_150 });
        let overlap = SignedDuration::from_secs(10);
        let care = Care { backfill: true, reconcile_interval: None, overlap, limits: Limits::default() };
        let stop = CancellationToken::new();
        let desk = Desk { ledger, spool, intake, history, care, telemetry };
        let mut keepers = Keepers::new(stop.clone());
        keepers.look_after(channel, &desk);
        Self { dir, desk, keepers, stop }
    }

    fn live(&self, channel: &str, second: i64) {
        self.desk.ledger.reported(&Report::Live { channel: channel.to_owned() }, at(second));
    }

    /// So many frames, as soon as they are there.
    async fn frames(&self, count: usize) -> Vec<Frame> {
        loop {
            let frames = self.desk.spool.read(None, 100, usize::MAX).await.expect("readable");
            if frames.len() >= count {
                return frames.into_iter().map(|(_, frame)| frame).collect();
            }
            tokio::task::yield_now().await;
        }
    }

    /// Returns when its gap was told, and something was heard at that time.
    async fn told(&self, channel: &str, heard: i64) {
        let entry = self.desk.ledger.entry(channel).expect("a page");
        while entry.standing().unheard().is_some() {
            tokio::task::yield_now().await;
        }
        self.desk.ledger.heard(at(heard));
    }

    /// Returns when nothing is left to be fetched.
    async fn fetched(&self) {
        let entry = self.desk.ledger.entry(CHANNEL).expect("a page");
        while entry.standing().unfetched().is_some() {
            tokio::task::yield_now().await;
        }
    }

    async fn ended(mut self) -> (Option<Timestamp>, Option<Timestamp>) {
        self.stop.cancel();
        self.keepers.ended().await;
        let name = self.desk.ledger.entry(CHANNEL).map_or(COMPANY, |_| CHANNEL);
        let spool = &self.desk.spool;
        let marks = (spool.heard_until(name).await, spool.heard_until(&messages_mark(name)).await);
        (marks.0.expect("readable"), marks.1.expect("readable"))
    }
}

fn gap(frame: &Frame) -> Gap {
    assert_eq!(frame.road, Road::Bridge);
    serde_json::from_slice(&frame.body).expect("a gap")
}

#[tokio::test]
async fn a_gap_is_told_then_its_messages_are_fetched_and_the_marks_follow() {
    let scene = Scene::new(CHANNEL, None, Vec::new()).await;
    scene.live(CHANNEL, 200);
    let frames = scene.frames(2).await;
    let told = gap(&frames[0]);
    assert_eq!((told.from, told.to, told.reason), (at(90), at(200), GapReason::NotRunning));
    assert_eq!(told.missing, [KindName::MessageStatus, KindName::ChatUpdate]);
    assert_eq!(frames[1].road, Road::Backfill);
    let view = scene.desk.telemetry.channels()[0].1.view();
    assert_eq!(view.gaps, 1);
    scene.fetched().await;
    scene.told(CHANNEL, 210).await;
    assert_eq!(scene.ended().await, (Some(at(210)), Some(at(210))));
}

#[tokio::test]
async fn a_crash_between_telling_and_fetching_fetches() {
    let scene = Scene::new(CHANNEL, Some(50), Vec::new()).await;
    let frames = scene.frames(1).await;
    assert_eq!(frames[0].road, Road::Backfill, "nobody is told twice");
    scene.fetched().await;
    assert_eq!(scene.ended().await, (Some(at(100)), Some(at(100))), "nobody has heard anything since");
}

#[tokio::test]
async fn messages_that_cannot_be_fetched_are_told_and_tried_for_again() {
    let refused = || Obstacle::Never { detail: "planned".to_owned() };
    let scene = Scene::new(CHANNEL, None, vec![refused()]).await;
    scene.live(CHANNEL, 200);
    let frames = scene.frames(2).await;
    assert_eq!(gap(&frames[1]).missing, [KindName::Message]);
    assert!(scene.desk.telemetry.channels()[0].1.view().backfill_pending);
    scene.told(CHANNEL, 210).await;
    assert_eq!(
        scene.ended().await,
        (Some(at(210)), Some(at(100))),
        "the next start finds it again, the first of all as well"
    );
}

#[tokio::test]
async fn what_has_no_messages_is_told_and_not_fetched() {
    let scene = Scene::new(COMPANY, None, Vec::new()).await;
    scene.live(COMPANY, 200);
    let frames = scene.frames(1).await;
    assert_eq!(gap(&frames[0]).missing, [KindName::Employee]);
    assert_eq!(*scene.desk.history.asked.lock().expect("whole"), 0);
    scene.told(COMPANY, 210).await;
    assert_eq!(scene.ended().await.0, Some(at(210)));
}
