use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::bridge::Settled;

/// A spool's file, gone with the test.
struct Place(PathBuf);

impl Place {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("chatbridge-spool-{}-{:x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir_all(&dir).expect("the temporary directory takes folders");
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.join("spool")
    }

    fn open(&self, bytes_max: u64) -> Spool {
        // The file is the old one's until its thread has ended.
        loop {
            match Spool::open(&self.file(), bytes_max) {
                Err(SpoolError::Unusable { detail, .. }) if detail.contains("already open") => std::thread::yield_now(),
                opened => return opened.expect("usable"),
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn frame(number: i64) -> Frame {
    Frame {
        road: Road::Push,
        channel: Some("private-v1.licenses.1.messengers.grWhatsApp".to_owned()),
        event: None,
        received_at: at(1_700_000_000 + number),
        body: format!("{{\"n\": \"line\\n{number}\"}}\n").into_bytes(),
    }
}

#[test]
fn a_frame_is_the_same_on_disk() {
    for frame in [
        frame(1),
        Frame { road: Road::Backfill, channel: None, event: Some("message \"\n".to_owned()), ..frame(2) },
        Frame { body: b"\xff\n\n\0".to_vec(), ..frame(3) },
        Frame { body: Vec::new(), ..frame(4) },
    ] {
        assert_eq!(Frame::decode(&frame.encode()), Some(frame));
    }
    for nothing in [&b""[..], b"{}", b"{}\n", b"\n{}"] {
        assert_eq!(Frame::decode(nothing), None);
    }
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_restart_in_order_until_it_is_settled() {
    let place = Place::new();
    let spool = place.open(1 << 20);
    for number in 1..=3 {
        spool.append(&frame(number)).await.expect("open");
    }
    let depth = spool.depth();
    assert_eq!((depth.frames, depth.oldest), (3, Some(at(1_700_000_001))));
    let first = spool.read(None, 1, usize::MAX).await.expect("readable");
    spool.settle(first[0].0, Vec::new(), at(0)).await.expect("open");
    drop(spool);

    let spool = place.open(1 << 20);
    let found = spool.read(None, 10, usize::MAX).await.expect("readable");
    assert_eq!(found.iter().map(|(_, frame)| frame.clone()).collect::<Vec<_>>(), [frame(2), frame(3)]);
    assert_eq!(spool.depth().frames, 2);
    let mode = std::fs::metadata(place.file()).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Behind what was read, and never a place twice, even if all before it are gone.
    let behind = spool.read(Some(found[0].0), 10, usize::MAX).await.expect("readable");
    assert_eq!(behind.len(), 1);
    for (sequence, _) in &found {
        spool.settle(*sequence, Vec::new(), at(0)).await.expect("open");
    }
    drop(spool);
    let spool = place.open(1 << 20);
    assert!(spool.append(&frame(4)).await.expect("open") > found[1].0);
}

#[tokio::test]
async fn a_full_spool_takes_no_more_until_something_is_settled_and_says_so() {
    let place = Place::new();
    let size = frame(1).encode().len() as u64;
    let spool = place.open(size * 2);
    let first = spool.append(&frame(1)).await.expect("open");
    spool.append(&frame(2)).await.expect("open");
    let (waiting, third) = (spool.clone(), frame(3));
    let waiting = tokio::spawn(async move { waiting.append(&third).await });
    let mut condition = spool.condition();
    condition.wait_for(|condition| matches!(condition, Condition::Full(_))).await.expect("open");
    assert!(!waiting.is_finished());
    spool.settle(first, Vec::new(), at(0)).await.expect("open");
    waiting.await.expect("no panic").expect("open");
    assert_eq!(spool.depth().frames, 2);
    spool.settle(first_left(&spool).await, Vec::new(), at(0)).await.expect("open");
    condition.wait_for(|condition| *condition == Condition::Well).await.expect("open");
}

async fn first_left(spool: &Spool) -> Sequence {
    spool.read(None, 1, usize::MAX).await.expect("readable")[0].0
}

#[tokio::test]
async fn a_frame_larger_than_the_spool_is_taken_when_it_is_empty() {
    let place = Place::new();
    let spool = place.open(1);
    let sequence = spool.append(&frame(1)).await.expect("open");
    spool.settle(sequence, Vec::new(), at(0)).await.expect("open");
    spool.append(&frame(2)).await.expect("open");
}

#[tokio::test]
async fn who_waits_behind_is_woken_and_reads_no_more_than_wanted() {
    let place = Place::new();
    let spool = place.open(1 << 20);
    let (waiting, reader) = (spool.clone(), spool.clone());
    let woken = tokio::spawn(async move { waiting.wait_behind(None).await });
    let first = spool.append(&frame(1)).await.expect("open");
    woken.await.expect("no panic");
    let (waiting, behind) = (spool.clone(), Some(first));
    let woken = tokio::spawn(async move { waiting.wait_behind(behind).await });
    for number in 2..=5 {
        spool.append(&frame(number)).await.expect("open");
    }
    woken.await.expect("no panic");
    let size = frame(1).encode().len();
    assert_eq!(reader.read(None, 3, usize::MAX).await.expect("readable").len(), 3);
    assert_eq!(reader.read(None, 9, size + 1).await.expect("readable").len(), 2);
    assert_eq!(reader.read(None, 9, 0).await.expect("readable").len(), 1, "one at least");
}

#[tokio::test]
async fn marks_and_published_ids_outlive_a_restart_and_ids_are_forgotten_in_time() {
    let place = Place::new();
    let spool = place.open(1 << 20);
    let ids = [1, 2, 3].map(|number| EventId::from_uuid(uuid::Uuid::from_u128(number)));
    let marks = |second| Marks::by_time_of_day(at(second), None);
    assert_eq!(spool.kept("a").await.expect("readable"), None);
    for (channel, second) in [("a", 5), ("b", 6), ("a", 7)] {
        spool.keep(channel, &marks(second)).await.expect("open");
    }
    for (id, second) in ids.iter().zip([10, 20]) {
        let sequence = spool.append(&frame(1)).await.expect("open");
        spool.settle(sequence, vec![Settled::dropped(*id)], at(second)).await.expect("open");
    }
    drop(spool);
    let spool = place.open(1 << 20);
    assert_eq!(spool.kept("a").await.expect("readable"), Some(marks(7)));
    assert_eq!(spool.published(ids.to_vec()).await.expect("readable"), [true, true, false]);
    spool.forget_published(at(25), SignedDuration::from_secs(5));
    // One part after the other.
    while spool.published(ids.to_vec()).await.expect("readable") != [false, true, false] {
        spool.keep("c", &marks(8)).await.expect("open");
    }
}

#[tokio::test]
async fn many_who_append_at_once_share_the_disks_word() {
    let place = Place::new();
    let spool = place.open(1 << 20);
    let mut appending = tokio::task::JoinSet::new();
    for number in 0..200 {
        let spool = spool.clone();
        appending.spawn(async move { spool.append(&frame(number)).await.expect("open") });
    }
    let mut sequences = appending.join_all().await;
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!((sequences.len(), spool.depth().frames), (200, 200));
}

#[tokio::test]
async fn a_file_that_is_no_spool_or_is_in_use_is_named_with_the_reason() {
    let place = Place::new();
    let open = place.open(1 << 20);
    let in_use = Spool::open(&place.file(), 1).map(drop).expect_err("in use").to_string();
    assert!(in_use.contains("spool") && in_use.contains("already open"), "{in_use}");
    drop(open);
    let other = place.0.join("other");
    std::fs::write(&other, "something else").expect("writable");
    assert!(Spool::open(&other, 1).is_err());
    assert!(Spool::open(&place.0.join("no/such/folder"), 1).is_err());
}

mod disk;
mod full;
mod place;
