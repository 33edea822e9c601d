//! What a gap leads to: an event, a fetching, and marks that move past neither.

use std::sync::Mutex;

use serde_json::value::RawValue;

use super::*;
use crate::chatapp::api::{ChatSummary, Moved, Next, Page, Start};
use crate::chatapp::hear::standing::{Marks, Standing};
use crate::chatapp::keep::spool::Frame;
use crate::chatapp::mend::backfill::Obstacle;
use crate::watch::telemetry::metrics::Metrics;
use chatbridge_base::clock::Clock;
use chatbridge_event::event::GapReason;
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

const BOOT: &str = "this start";

fn wall(second: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + second).expect("a time")
}

/// By a clock that is right.
fn at(second: i64) -> Reading {
    by(0, second)
}

/// By a clock that is so many seconds ahead.
fn by(ahead: i64, second: i64) -> Reading {
    Reading { wall: wall(second + ahead), up: SignedDuration::from_secs(1_000_000 + second) }
}

struct Scene {
    dir: std::path::PathBuf,
    clock: Arc<Mutex<Reading>>,
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
    /// A channel that was heard until second 100; it is second 110.
    async fn new(channel: &str, obstacles: Vec<Obstacle>) -> Self {
        Self::over(channel, Marks::first(Some(BOOT), at(100)), obstacles).await
    }

    /// The same, as an earlier run left it.
    async fn over(channel: &str, marks: Marks, obstacles: Vec<Obstacle>) -> Self {
        let dir =
            std::env::temp_dir().join(format!("chatbridge-keeper-{}-{:x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir_all(&dir).expect("the temporary directory takes folders");
        let spool = Spool::open(&dir.join("spool"), 1024 * 1024).expect("a spool");
        spool.keep(channel, &marks).await.expect("open");
        let telemetry = Arc::new(ChatAppTelemetry::new(Arc::new(Metrics::new())));
        let clock = Arc::new(Mutex::new(at(110)));
        let read = Arc::clone(&clock);
        let held = Clock::held(BOOT, move || *read.lock().expect("whole"));
        let ledger = Arc::new(Ledger::new(held, Reconnect::default(), Arc::clone(&telemetry)));
        ledger.expect(channel, Some(marks));
        let intake = Arc::new(Intake::new(spool.clone(), Arc::clone(&telemetry)));
        let history =
            Arc::new(Shelf { obstacles: Mutex::new(obstacles), asked: Mutex::default(), time: 1_760_000_150 });
        let overlap = SignedDuration::from_secs(10);
        let care = Care { backfill: true, reconcile_interval: None, overlap, limits: Limits::default() };
        let stop = CancellationToken::new();
        let desk = Desk { ledger, spool, intake, history, care, telemetry };
        let mut keepers = Keepers::new(stop.clone());
        keepers.look_after(channel, &desk);
        Self { dir, clock, desk, keepers, stop }
    }

    fn set(&self, now: Reading) {
        *self.clock.lock().expect("whole") = now;
    }

    fn live(&self, channel: &str, now: Reading) {
        self.set(now);
        self.desk.ledger.reported(&Report::Live { channel: channel.to_owned() }, now);
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
    async fn told(&self, channel: &str, heard: Reading) {
        let entry = self.desk.ledger.entry(channel).expect("a page");
        while entry.standing().unheard().is_some() {
            tokio::task::yield_now().await;
        }
        self.set(heard);
        self.desk.ledger.heard(heard);
    }

    /// Returns when nothing is left to be fetched.
    async fn fetched(&self) {
        let entry = self.desk.ledger.entry(CHANNEL).expect("a page");
        while entry.standing().unfetched().is_some() {
            tokio::task::yield_now().await;
        }
    }

    /// As the next run takes it up.
    async fn ended(mut self) -> Standing {
        self.stop.cancel();
        self.keepers.ended().await;
        let name = self.desk.ledger.entry(CHANNEL).map_or(COMPANY, |_| CHANNEL);
        let marks = self.desk.spool.kept(name).await.expect("readable");
        Standing::resumed(marks, Some(BOOT), *self.clock.lock().expect("whole"))
    }
}

/// Up to when it was heard, and whether there is something to be fetched.
fn left(mut standing: Standing) -> (SignedDuration, bool) {
    standing.live(at(999));
    let (from, _) = standing.unheard().expect("a gap").told_at(at(999), SignedDuration::ZERO);
    (from.duration_since(wall(0)), standing.unfetched().is_some())
}

fn seconds(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn gap(frame: &Frame) -> Gap {
    assert_eq!(frame.road, Road::Bridge);
    serde_json::from_slice(&frame.body).expect("a gap")
}

#[tokio::test]
async fn a_gap_is_told_then_its_messages_are_fetched_and_the_marks_follow() {
    let scene = Scene::new(CHANNEL, Vec::new()).await;
    scene.live(CHANNEL, at(200));
    let frames = scene.frames(2).await;
    let told = gap(&frames[0]);
    assert_eq!((told.from, told.to, told.reason), (wall(90), wall(200), GapReason::NotRunning));
    assert_eq!(told.missing, [KindName::MessageStatus, KindName::ChatUpdate]);
    assert_eq!(frames[1].road, Road::Backfill);
    let view = scene.desk.telemetry.channels()[0].1.view();
    assert_eq!(view.gaps, 1);
    scene.fetched().await;
    scene.told(CHANNEL, at(210)).await;
    assert_eq!(left(scene.ended().await), (seconds(210), false));
}

#[tokio::test]
async fn a_crash_between_telling_and_fetching_fetches() {
    for marks in [
        Marks::by_time_of_day(wall(100), Some(wall(50))),
        // Those of a clock that had been ahead, and was set back before this one was written.
        Marks::by_time_of_day(wall(100), Some(wall(7200))),
    ] {
        let scene = Scene::over(CHANNEL, marks, Vec::new()).await;
        let frames = scene.frames(1).await;
        assert_eq!(frames[0].road, Road::Backfill, "nobody is told twice");
        scene.fetched().await;
        scene.live(CHANNEL, at(120));
        scene.told(CHANNEL, at(130)).await;
        scene.fetched().await;
        assert_eq!(left(scene.ended().await), (seconds(130), false));
    }
}

#[tokio::test]
async fn messages_that_cannot_be_fetched_are_told_and_tried_for_again() {
    let refused = || Obstacle::Never { detail: "planned".to_owned() };
    let scene = Scene::new(CHANNEL, vec![refused()]).await;
    scene.live(CHANNEL, at(200));
    let frames = scene.frames(2).await;
    assert_eq!(gap(&frames[1]).missing, [KindName::Message]);
    assert!(scene.desk.telemetry.channels()[0].1.view().backfill_pending);
    scene.told(CHANNEL, at(210)).await;
    assert_eq!(left(scene.ended().await), (seconds(210), true), "the next start finds it again");
}

#[tokio::test]
async fn what_has_no_messages_is_told_and_not_fetched() {
    let scene = Scene::new(COMPANY, Vec::new()).await;
    scene.live(COMPANY, at(200));
    let frames = scene.frames(1).await;
    assert_eq!(gap(&frames[0]).missing, [KindName::Employee]);
    assert_eq!(*scene.desk.history.asked.lock().expect("whole"), 0);
    scene.told(COMPANY, at(210)).await;
    assert_eq!(left(scene.ended().await), (seconds(210), false));
}

/// Virtual time passes when every task waits, and not while a disk is waited for.
#[tokio::test(start_paused = true)]
async fn where_the_time_of_day_is_set_gaps_are_told_and_fetched_once_more() {
    let scene = Scene::new(CHANNEL, Vec::new()).await;
    scene.live(CHANNEL, by(7200, 200));
    scene.told(CHANNEL, by(7200, 210)).await;
    scene.fetched().await;
    let asked = *scene.desk.history.asked.lock().expect("whole");
    scene.set(at(220));
    let told: Vec<Gap> = loop {
        let frames = scene.frames(1).await;
        let told: Vec<Gap> = frames.iter().filter(|frame| frame.road == Road::Bridge).map(gap).collect();
        if told.len() > 1 {
            break told;
        }
        sleep(Duration::from_secs(1)).await;
    };
    assert_eq!((told[0].from, told[0].to), (wall(90), wall(7400)), "in doubt what both clocks say");
    assert_eq!((told[1].from, told[1].to, told[1].reason), (wall(-7110), wall(200), GapReason::NotRunning));
    while *scene.desk.history.asked.lock().expect("whole") == asked {
        sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_chatapp_that_is_away_for_hours_is_asked_until_it_is_back() {
    let away = || Obstacle::Again { least: None, detail: "planned".to_owned() };
    let scene = Scene::new(CHANNEL, vec![away(); 400]).await;
    scene.live(CHANNEL, at(200));
    let begun = tokio::time::Instant::now();
    while scene.desk.spool.read(None, 100, usize::MAX).await.expect("readable").len() < 3 {
        sleep(Duration::from_secs(1)).await;
    }
    assert!(begun.elapsed() > Duration::from_secs(3600), "{:?}", begun.elapsed());
    let frames = scene.frames(3).await;
    assert_eq!(gap(&frames[1]).missing, [KindName::Message], "told once");
    assert_eq!(frames[2].road, Road::Backfill);
}

#[tokio::test(start_paused = true)]
async fn what_chatapp_refuses_again_and_again_is_given_up() {
    let refused = || Obstacle::Never { detail: "planned".to_owned() };
    let scene = Scene::new(CHANNEL, vec![refused(); 400]).await;
    scene.live(CHANNEL, at(200));
    scene.frames(2).await;
    let entry = scene.desk.ledger.entry(CHANNEL).expect("a page");
    while entry.standing().unfetched().is_some() {
        sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(*scene.desk.history.asked.lock().expect("whole"), FETCHES_MAX);
}

#[test]
fn a_look_begins_where_the_last_one_ended_or_where_all_of_them_did() {
    let mut looked = Looked::begin(at(0));
    assert_eq!(looked.from(at(900)), wall(0));
    looked.until = at(870);
    assert_eq!(looked.from(at(1800)), wall(870));
    // The clock was set back, or ahead: what was looked for until then was something else.
    assert_eq!(looked.from(by(-7200, 1800)), wall(-7200));
    assert_eq!(looked.from(by(7200, 1800)), wall(0));
    let week = LOOK_BACK_MAX.as_secs();
    assert_eq!(looked.from(by(-7200, 2 * week)), wall(week - 7200));
}
