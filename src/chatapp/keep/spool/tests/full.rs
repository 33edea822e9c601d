//! A disk that is full, by the spool or by others, and what makes room on it.

use std::time::Duration;

use tokio::time::timeout;

use super::disk::Disk;
use super::*;

const PAGES: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(20);
const TOGETHER: usize = 32;

fn open(disk: &Disk) -> Spool {
    Spool::over(Box::new(disk.clone()), 1 << 30).expect("usable")
}

fn large(number: i64, bytes: usize) -> Frame {
    Frame { body: vec![b'x'; bytes], ..frame(number) }
}

/// Appends until there is no room; how many were taken.
async fn fill(spool: &Spool, bytes: usize) -> u64 {
    let mut condition = spool.condition();
    let before = spool.depth().frames;
    let appending = async {
        for number in 0.. {
            let frames: Vec<Frame> = (0..TOGETHER).map(|_| large(number, bytes)).collect();
            spool.append_all(&frames).await.expect("open");
        }
    };
    tokio::select! {
        () = appending => unreachable!("it has no end"),
        full = condition.wait_for(|condition| *condition != Condition::Well) => drop(full.expect("open")),
    }
    spool.depth().frames - before
}

/// Settles all there is, each with an id.
async fn drain(spool: &Spool) -> u64 {
    let mut drained = 0;
    loop {
        let frames = spool.read(None, TOGETHER, usize::MAX).await.expect("readable");
        if frames.is_empty() {
            return drained;
        }
        let mut settling = tokio::task::JoinSet::new();
        for (sequence, _) in frames {
            let (spool, told) = (spool.clone(), told(sequence, &[spread(u128::from(drained))]));
            settling.spawn(async move { spool.settle(sequence, told, at(1)).await });
            drained += 1;
        }
        let settled = timeout(PATIENCE, settling.join_all()).await;
        let settled = settled.unwrap_or_else(|_| panic!("{:?} after {drained}", *spool.condition().borrow()));
        assert!(settled.into_iter().all(|settled| settled.is_ok()));
    }
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_waited_for_and_nothing_is_called_received_meanwhile() {
    let disk = Disk::of_pages(PAGES);
    let spool = open(&disk);
    spool.append(&frame(1)).await.expect("open");

    disk.take_nothing(true);
    let (waiting, second) = (spool.clone(), frame(2));
    let waiting = tokio::spawn(async move { waiting.append(&second).await });
    let mut condition = spool.condition();
    condition.wait_for(|condition| matches!(condition, Condition::Failing(_))).await.expect("open");
    assert!(!waiting.is_finished());
    disk.take_nothing(false);
    waiting.await.expect("no panic").expect("open");
    condition.wait_for(|condition| *condition == Condition::Well).await.expect("open");
    let found = spool.read(None, 9, usize::MAX).await.expect("readable");
    assert_eq!(found.into_iter().map(|(_, frame)| frame).collect::<Vec<_>>(), [frame(1), frame(2)]);
}

#[tokio::test]
async fn what_filled_the_disk_leaves_it_again_and_more_is_taken() {
    for bytes in [300, 3000, 20_000, 200_000] {
        let disk = Disk::of_pages(PAGES);
        let spool = open(&disk);
        let filled = fill(&spool, bytes).await;
        assert!(filled * bytes as u64 > (PAGES * 4096) as u64 / 3, "{filled} frames of {bytes} bytes");
        assert_eq!(drain(&spool).await, filled);
        let mut condition = spool.condition();
        let well = condition.wait_for(|condition| *condition == Condition::Well);
        drop(timeout(PATIENCE, well).await.expect("it is empty").expect("open"));
        // What is remembered of the first frames stays, and takes more room than small frames do.
        let again = fill(&spool, bytes).await;
        assert!(
            again >= filled / 16,
            "a file that was full is filled again: {again} of {filled} frames of {bytes} bytes"
        );
        drain(&spool).await;
    }
}

#[tokio::test]
async fn what_filled_the_disk_leaves_it_after_a_restart_as_well() {
    let disk = Disk::of_pages(PAGES);
    let spool = open(&disk);
    let filled = fill(&spool, 2000).await;
    drop(spool);
    disk.leave(0);
    // The thread of the old one closes the file.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let spool = open(&disk);
    assert_eq!(spool.depth().frames, filled);
    spool.keep("a", &Marks::by_time_of_day(at(1), None)).await.expect("open");
    assert_eq!(drain(&spool).await, filled);
}

#[tokio::test]
async fn what_others_filled_to_the_last_page_is_drained_by_the_reserve() {
    let disk = Disk::of_pages(PAGES);
    let spool = open(&disk);
    let mut frames = 0;
    // As full as it gets: no page is free in the file itself.
    for number in 0..400 {
        spool.append(&large(number, 3000)).await.expect("open");
        frames += 1;
    }
    assert!(disk.has_reserve());
    disk.leave(0);
    assert_eq!(drain(&spool).await, frames);
    // The reserve comes back with the room.
    disk.give_back();
    let mut condition = spool.condition();
    condition.wait_for(|condition| *condition == Condition::Well).await.expect("open");
    for _ in 0..30 {
        if disk.has_reserve() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no reserve");
}

#[tokio::test]
async fn an_append_that_finds_no_room_holds_up_nothing_else() {
    let disk = Disk::of_pages(PAGES);
    let spool = open(&disk);
    let first = spool.append(&frame(1)).await.expect("open").sequence();
    spool.append(&frame(2)).await.expect("open");
    disk.leave(8);
    // Past the gate while there was room, as it were.
    let (answer, waiting) = oneshot::channel();
    let command = Command::Append(large(3, 100_000).encode(), at(3), answer);
    spool.commands.send(command).await.expect("open");
    timeout(PATIENCE, spool.settle(first, told(first, &[spread(1)]), at(1))).await.expect("in time").expect("open");
    timeout(PATIENCE, spool.keep("a", &Marks::by_time_of_day(at(2), None))).await.expect("in time").expect("open");
    assert!(matches!(&*spool.condition().borrow(), Condition::Full(_)));
    disk.give_back();
    let third = timeout(PATIENCE, waiting).await.expect("in time").expect("open");
    assert!(third > first && spool.depth().frames == 2);
}

#[tokio::test]
async fn a_frame_of_very_many_events_is_settled_in_pieces() {
    let disk = Disk::of_pages(PAGES);
    let spool = open(&disk);
    let sequence = spool.append(&frame(1)).await.expect("open").sequence();
    let subjects: Vec<u128> = (0..5000).map(spread).collect();
    spool.settle(sequence, told(sequence, &subjects), at(1)).await.expect("open");
    assert!(known(&spool, &subjects).await.into_iter().all(|known| known));
    assert_eq!(spool.depth().frames, 0);
}

#[tokio::test]
async fn an_append_whose_asker_has_gone_away_is_not_written() {
    let disk = Disk::of_pages(PAGES);
    let spool = open(&disk);
    spool.append(&frame(1)).await.expect("open");
    disk.leave(8);
    let (answer, waiting) = oneshot::channel();
    let command = Command::Append(large(2, 100_000).encode(), at(3), answer);
    spool.commands.send(command).await.expect("open");
    drop(waiting);
    spool.keep("a", &Marks::by_time_of_day(at(2), None)).await.expect("open");
    disk.give_back();
    spool.append(&frame(3)).await.expect("open");
    let found = spool.read(None, 9, usize::MAX).await.expect("readable");
    assert_eq!(found.into_iter().map(|(_, frame)| frame).collect::<Vec<_>>(), [frame(1), frame(3)]);
}

#[tokio::test]
async fn what_is_remembered_is_bounded_by_the_spools_size() {
    let disk = Disk::of_pages(PAGES);
    let spool = Spool::over(Box::new(disk.clone()), 1 << 20).expect("usable");
    // More than a quarter of a mebibyte, 256 bytes each.
    let many = 2000;
    let sequence = spool.append(&frame(1)).await.expect("open").sequence();
    let hours = |hours: i64| at(hours * 3600);
    let all: Vec<u128> = (0..many).map(spread).collect();
    spool.settle(sequence, told(sequence, &all), hours(100)).await.expect("open");
    spool.forget_published(hours(110), SignedDuration::from_hours(12));
    let some: Vec<u128> = all.into_iter().step_by(100).collect();
    assert!(known(&spool, &some).await.into_iter().all(|known| known));
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while known(&spool, &some).await.into_iter().any(|known| known) {
        assert!(tokio::time::Instant::now() < deadline);
        spool.keep("a", &Marks::by_time_of_day(at(1), None)).await.expect("open");
    }
}
