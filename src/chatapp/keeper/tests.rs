use std::future::pending;
use std::path::PathBuf;

use jiff::Timestamp;

use super::*;
use crate::chatapp::api::{ChatSummary, Page, Start};
use crate::chatapp::backfill::Obstacle;
use crate::chatapp::pusher::Reconnect;
use crate::telemetry::metrics::Metrics;
use serde_json::value::RawValue;

const CHANNEL: &str = "private-v1.licenses.1229.messengers.telegram";

/// A spool's folder, gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("chatbridge-keeper-{:x}", fastrand::u64(..)));
        std::fs::create_dir_all(&folder).expect("the temporary directory takes folders");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Never answers.
struct Unreachable;

impl History for Unreachable {
    async fn chats(&self, _: &Line, _: Start<'_>) -> Result<Page<ChatSummary>, Obstacle> {
        pending().await
    }

    async fn messages(&self, _: &Line, _: &str, _: Start<'_>) -> Result<Page<Box<RawValue>>, Obstacle> {
        pending().await
    }
}

/// A keeper of a process that just began.
async fn keeper(spool: &Spool) -> Keeper<Unreachable> {
    let telemetry = Arc::new(ChatAppTelemetry::new(Arc::new(Metrics::new())));
    let ledger = Arc::new(Ledger::new(Duration::from_secs(2), Reconnect::default(), Arc::clone(&telemetry)));
    let heard_until = spool.heard_until(CHANNEL).await.expect("readable");
    ledger.expect(CHANNEL, heard_until);
    let channel = Channel::from_name(CHANNEL).expect("a messenger's");
    let care = Care {
        backfill: true,
        reconcile_interval: None,
        overlap: SignedDuration::from_secs(2),
        limits: Limits::default(),
    };
    Keeper {
        name: CHANNEL.to_owned(),
        channel: channel.clone(),
        entry: ledger.entry(CHANNEL).expect("expected"),
        telemetry: telemetry.expect(&channel),
        desk: Desk {
            intake: Arc::new(Intake::new(spool.clone(), Arc::clone(&telemetry))),
            ledger,
            spool: spool.clone(),
            history: Arc::new(Unreachable),
            care,
            telemetry,
        },
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_760_000_000 + second).expect("a time")
}

#[tokio::test]
async fn a_gap_that_was_told_and_not_fetched_is_taken_up_by_the_next_run_also_where_it_was_the_first() {
    let folder = Folder::new();
    let spool = Spool::open(&folder.0.join("spool"), 1024 * 1024).expect("usable");
    // As the channel is written down before anything can come.
    spool.mark(CHANNEL, at(0)).await.expect("open");
    let first = keeper(&spool).await;
    first.take_up_what_was_left().await.expect("open");
    first.entry.standing().live(at(1), SignedDuration::from_secs(2));
    let gap = first.entry.unheard().await;
    first.entry.told(gap, true);
    first.entry.standing().heard(at(3));
    first.mark().await.expect("open");

    let second = keeper(&spool).await;
    second.take_up_what_was_left().await.expect("open");
    let left = second.entry.standing().unfetched().expect("its messages are not there");
    assert!(left.from <= gap.from && left.to >= gap.to, "{left:?} {gap:?}");
}
