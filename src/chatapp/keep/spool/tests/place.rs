//! A file that is taken away under the spool.

use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use tokio::time::timeout;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

async fn lying(spool: &Spool) -> Vec<Frame> {
    spool.read(None, 99, usize::MAX).await.expect("readable").into_iter().map(|(_, frame)| frame).collect()
}

#[tokio::test]
async fn a_file_that_was_deleted_is_put_back_with_all_that_was_in_it() {
    let place = Folder::new();
    let spool = place.open(1 << 20);
    spool.append(&frame(1)).await.expect("open");
    spool.keep("a", &Marks::by_time_of_day(at(5), None)).await.expect("open");
    std::fs::remove_file(place.file()).expect("there");
    timeout(PATIENCE, spool.append(&frame(2))).await.expect("in time").expect("open");
    assert_eq!(std::fs::metadata(place.file()).expect("back").permissions().mode() & 0o777, 0o600);
    spool.append(&frame(3)).await.expect("open");
    drop(spool);
    let spool = place.open(1 << 20);
    assert_eq!(lying(&spool).await, [frame(1), frame(2), frame(3)]);
    assert_eq!(spool.kept("a").await.expect("readable"), Some(Marks::by_time_of_day(at(5), None)));
}

#[tokio::test]
async fn it_is_noticed_though_nothing_is_written_and_though_the_folder_went_with_it() {
    let place = Folder::new();
    let spool = place.open(1 << 20);
    spool.append(&frame(1)).await.expect("open");
    let elsewhere = Folder::new();
    std::fs::rename(&place.0, elsewhere.0.join("taken away")).expect("ours");
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !place.file().exists() {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", *spool.condition().borrow());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(lying(&spool).await, [frame(1)]);
    assert_eq!(std::fs::metadata(&place.0).expect("back").permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_file_in_its_place_is_left_alone_and_nothing_counts_as_received() {
    let place = Folder::new();
    let spool = place.open(1 << 20);
    spool.append(&frame(1)).await.expect("open");
    std::fs::rename(place.file(), place.0.join("moved")).expect("ours");
    std::fs::write(place.file(), "of somebody else").expect("writable");
    let mut condition = spool.condition();
    let waiting = tokio::spawn({
        let spool = spool.clone();
        async move { spool.append(&frame(2)).await }
    });
    let failing = |condition: &Condition| matches!(condition, Condition::Failing(why) if why.contains("another file"));
    timeout(PATIENCE, condition.wait_for(failing)).await.expect("in time").expect("open");
    assert!(!waiting.is_finished());
    assert_eq!(std::fs::read(place.file()).expect("there"), b"of somebody else");
    // What is there is delivered all the same.
    let first = spool.read(None, 1, usize::MAX).await.expect("readable").remove(0).0;
    timeout(PATIENCE, spool.settle(first, Vec::new(), at(1))).await.expect("in time").expect("open");
    std::fs::remove_file(place.file()).expect("there");
    timeout(PATIENCE, waiting).await.expect("in time").expect("no panic").expect("open");
    assert_eq!(lying(&spool).await, [frame(2)]);
    let moved = std::fs::metadata(place.0.join("moved")).expect("there");
    assert_ne!(std::fs::metadata(place.file()).expect("back").ino(), moved.ino());
}

#[tokio::test]
async fn the_file_of_an_empty_spool_gets_small_again() {
    let place = Folder::new();
    let spool = place.open(1 << 30);
    let occupied = || std::fs::metadata(place.file()).expect("there").blocks() * 512;
    let frames: Vec<Frame> = (0..40).map(|number| Frame { body: vec![b'x'; 1_000_000], ..frame(number) }).collect();
    spool.append_all(&frames).await.expect("open");
    assert!(occupied() > 40_000_000);
    for (sequence, _) in spool.read(None, 99, usize::MAX).await.expect("readable") {
        spool.settle(sequence, Vec::new(), at(1)).await.expect("open");
    }
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while occupied() > 4_000_000 {
        assert!(tokio::time::Instant::now() < deadline, "{}", occupied());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    spool.append(&frame(1)).await.expect("open");
    assert_eq!(lying(&spool).await, [frame(1)]);
}

/// The same as in memory, on a real file and a real disk.
#[tokio::test]
async fn a_real_disk_that_the_spool_filled_and_others_filled_up_is_drained() {
    let place = Folder::new();
    let Some(disk) = crate::chatapp::keep::reserve::tests::SmallDisk::mount(&place.0) else { return };
    let spool = place.open(1 << 30);
    let mut condition = spool.condition();
    let appending = async {
        loop {
            spool.append(&Frame { body: vec![b'x'; 1500], ..frame(1) }).await.expect("open");
        }
    };
    tokio::select! {
        () = appending => unreachable!("it has no end"),
        full = condition.wait_for(|condition| matches!(condition, Condition::Full(_))) => drop(full.expect("open")),
    }
    disk.fill();
    let mut left = spool.depth().frames;
    assert!(left > 500, "{left}");
    while left > 0 {
        for (sequence, _) in spool.read(None, 64, usize::MAX).await.expect("readable") {
            let settled = timeout(PATIENCE, spool.settle(sequence, Vec::new(), at(1))).await;
            settled.unwrap_or_else(|_| panic!("{left} left: {:?}", *spool.condition().borrow())).expect("open");
            left -= 1;
        }
    }
    drop(spool);
}
