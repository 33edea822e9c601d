use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::chatapp::keep::forms::{Unproved, Verdict};
use crate::core::settled::Settled;
use chatbridge_event::event::EventId;
use chatbridge_event::normalize::chatapp::identity::Form;

/// A spool's file, gone with the test.
struct Folder(PathBuf);

impl Folder {
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

impl Drop for Folder {
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
        asked_behind: None,
        body: format!("{{\"n\": \"line\\n{number}\"}}\n").into_bytes(),
    }
}

#[test]
fn a_frame_is_the_same_on_disk() {
    for frame in [
        frame(1),
        Frame { road: Road::Backfill, channel: None, event: Some("message \"\n".to_owned()), ..frame(2) },
        Frame { asked_behind: Some(Sequence(7)), ..frame(2) },
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
    let place = Folder::new();
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
    assert!(spool.append(&frame(4)).await.expect("open").sequence() > found[1].0);
}

#[tokio::test]
async fn a_full_spool_takes_no_more_until_something_is_settled_and_says_so() {
    let place = Folder::new();
    let size = frame(1).encode().len() as u64;
    let spool = place.open(size * 2);
    let first = spool.append(&frame(1)).await.expect("open").sequence();
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
    let place = Folder::new();
    let spool = place.open(1);
    let sequence = spool.append(&frame(1)).await.expect("open").sequence();
    spool.settle(sequence, Vec::new(), at(0)).await.expect("open");
    spool.append(&frame(2)).await.expect("open");
}

#[tokio::test]
async fn who_waits_behind_is_woken_and_reads_no_more_than_wanted() {
    let place = Folder::new();
    let spool = place.open(1 << 20);
    let (waiting, reader) = (spool.clone(), spool.clone());
    let woken = tokio::spawn(async move { waiting.wait_behind(None).await });
    let first = spool.append(&frame(1)).await.expect("open").sequence();
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

/// Spread as hashes are.
fn spread(number: u128) -> u128 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
}

fn form(subject: u128) -> Form {
    let words = EventId::from_uuid(uuid::Uuid::from_u128(subject));
    Form { subject: Subject::from_number(subject), words, exact: subject, is_past: false }
}

/// What is known of these subjects once the frame with their forms is settled.
fn told(frame: Sequence, subjects: &[u128]) -> Vec<Remembered> {
    let (mut histories, mut proofs) = (Vec::new(), Vec::new());
    for subject in subjects {
        let mut history = History::default();
        let verdict = history.judge(&form(*subject), Road::Push, (frame, 0), None);
        let Verdict::New(id) = verdict else { panic!("{verdict:?}") };
        histories.push((Subject::from_number(*subject), Arc::new(history)));
        proofs.push(Settled::dropped(id));
    }
    let ids = proofs.iter().map(Settled::id).collect();
    Unproved::new(histories, ids).settled_by(&proofs)
}

async fn known(spool: &Spool, subjects: &[u128]) -> Vec<bool> {
    let subjects = subjects.iter().copied().map(Subject::from_number).collect();
    let histories = spool.histories(subjects).await.expect("readable");
    histories.iter().map(|history| *history != History::default()).collect()
}

#[tokio::test]
async fn marks_and_what_was_published_outlive_a_restart_and_the_latter_is_forgotten_in_time() {
    let place = Folder::new();
    let spool = place.open(1 << 20);
    let marks = |second| Marks::by_time_of_day(at(second), None);
    assert_eq!(spool.kept("a").await.expect("readable"), None);
    for (channel, second) in [("a", 5), ("b", 6), ("a", 7)] {
        spool.keep(channel, &marks(second)).await.expect("open");
    }
    for (subject, second) in [spread(1), spread(2)].into_iter().zip([10, 20]) {
        let sequence = spool.append(&frame(1)).await.expect("open").sequence();
        spool.settle(sequence, told(sequence, &[subject]), at(second)).await.expect("open");
    }
    drop(spool);
    let spool = place.open(1 << 20);
    assert_eq!(spool.kept("a").await.expect("readable"), Some(marks(7)));
    let subjects = [1, 2, 3].map(spread);
    assert_eq!(known(&spool, &subjects).await, [true, true, false]);
    spool.forget_published(at(25), SignedDuration::from_secs(5));
    // One part after the other.
    while known(&spool, &subjects).await != [false, true, false] {
        spool.keep("c", &marks(8)).await.expect("open");
    }
}

#[tokio::test]
async fn of_two_frames_that_settle_in_either_order_the_later_history_stays() {
    let place = Folder::new();
    let spool = place.open(1 << 20);
    let first = spool.append(&frame(1)).await.expect("open").sequence();
    let second = spool.append(&frame(2)).await.expect("open").sequence();
    spool.settle(second, told(second, &[1]), at(0)).await.expect("open");
    spool.settle(first, told(first, &[1]), at(1)).await.expect("open");
    drop(spool);
    let spool = place.open(1 << 20);
    let mut history = spool.histories(vec![Subject::from_number(1)]).await.expect("readable").remove(0);
    assert_eq!(history.judge(&form(1), Road::Push, (second, 0), None), Verdict::Done);
    assert_eq!(history.judge(&form(1), Road::Push, (Sequence(second.0 + 1), 0), None), Verdict::Repeat);
}

#[tokio::test]
async fn what_no_proof_says_is_settled_is_not_remembered() {
    let mut history = History::default();
    let frame = Sequence(1);
    let Verdict::New(id) = history.judge(&form(1), Road::Push, (frame, 0), None) else { panic!("new") };
    let another = Settled::dropped(EventId::from_uuid(uuid::Uuid::from_u128(2)));
    assert!(
        Unproved::new(vec![(Subject::from_number(1), Arc::new(history))], vec![id]).settled_by(&[another]).is_empty()
    );
}

#[tokio::test]
async fn no_place_is_given_twice_not_even_by_a_file_that_was_made_anew() {
    let place = Folder::new();
    let mut given = Vec::new();
    for life in 0..3 {
        let spool = place.open(1 << 20);
        assert_eq!(given.last().map(|place: &SpoolPlace| place.spool), (life > 0).then(|| spool.shared.id));
        for number in 0..2 {
            let sequence = spool.append(&frame(number)).await.expect("open").sequence();
            given.push(spool.place(sequence));
            spool.settle(sequence, Vec::new(), at(0)).await.expect("open");
        }
    }
    assert_eq!(given.iter().map(|place| place.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    std::fs::remove_file(place.file()).expect("it was there");
    let spool = place.open(1 << 20);
    let sequence = spool.append(&frame(1)).await.expect("open").sequence();
    assert_eq!(spool.place(sequence).sequence, 1, "it begins again");
    assert!(given.iter().all(|place| place.spool != spool.place(sequence).spool), "under another id");
}

/// As it was before forms were remembered.
#[tokio::test]
async fn a_file_of_an_earlier_version_is_read_on() {
    use redb::TableDefinition;
    const FRAMES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("frames");
    const SEQUENCE: TableDefinition<'_, (), u64> = TableDefinition::new("sequence");
    const MARKS: TableDefinition<'_, &str, i64> = TableDefinition::new("marks");
    const PUBLISHED: TableDefinition<'_, u128, i64> = TableDefinition::new("published");
    let place = Folder::new();
    let bytes = b"{\"road\":\"push\",\"channel\":\"c\",\"received_at\":\"2026-01-01T00:00:00Z\"}\n{}";
    let old = redb::Database::create(place.file()).expect("a file");
    let writing = old.begin_write().expect("open");
    writing.open_table(FRAMES).expect("a table").insert(41, &bytes[..]).expect("writable");
    writing.open_table(SEQUENCE).expect("a table").insert((), 41).expect("writable");
    writing.open_table(MARKS).expect("a table").insert("c", 7_000).expect("writable");
    writing.open_table(PUBLISHED).expect("a table").insert(1, 1).expect("writable");
    writing.commit().expect("writable");
    drop(old);

    let spool = place.open(1 << 20);
    let found = spool.read(None, 9, usize::MAX).await.expect("readable");
    assert_eq!((found.len(), found[0].0, &found[0].1.body[..]), (1, Sequence(41), &b"{}"[..]));
    assert_eq!(spool.kept("c").await.expect("readable"), Some(Marks::by_time_of_day(at(7), None)));
    assert_eq!(spool.append(&frame(1)).await.expect("open").sequence(), Sequence(42));
    let id = spool.place(Sequence(42)).spool;
    drop(spool);
    assert_eq!(place.open(1 << 20).place(Sequence(42)).spool, id, "it keeps the id it was given");
}

#[tokio::test]
async fn many_who_append_at_once_share_the_disks_word() {
    let place = Folder::new();
    let spool = place.open(1 << 20);
    let mut appending = tokio::task::JoinSet::new();
    for number in 0..200 {
        let spool = spool.clone();
        appending.spawn(async move { spool.append(&frame(number)).await.expect("open").sequence() });
    }
    let mut sequences = appending.join_all().await;
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!((sequences.len(), spool.depth().frames), (200, 200));
}

#[tokio::test]
async fn a_file_that_is_no_spool_or_is_in_use_is_named_with_the_reason() {
    let place = Folder::new();
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
