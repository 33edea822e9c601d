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
    condition.wait_for(|condition| *condition == Condition::Full).await.expect("open");
    assert!(!waiting.is_finished());
    spool.settle(first, Vec::new(), at(0)).await.expect("open");
    waiting.await.expect("no panic").expect("open");
    assert_eq!(*condition.borrow_and_update(), Condition::Well);
    assert_eq!(spool.depth().frames, 2);
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
    spool.forget_published_before(at(20));
    spool.keep("c", &marks(8)).await.expect("open");
    assert_eq!(spool.published(ids.to_vec()).await.expect("readable"), [false, true, false]);
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

/// A disk in memory that can be told to take nothing.
#[derive(Debug, Clone, Default)]
struct Disk {
    bytes: Arc<Mutex<Vec<u8>>>,
    takes_nothing: Arc<std::sync::atomic::AtomicBool>,
}

impl Disk {
    fn failing(&self) -> std::io::Result<()> {
        let fails = self.takes_nothing.load(std::sync::atomic::Ordering::Relaxed);
        if fails { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

impl redb::StorageBackend for Disk {
    fn len(&self) -> std::io::Result<u64> {
        Ok(self.bytes.lock().expect("whole").len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        let from = usize::try_from(offset).expect("small");
        out.copy_from_slice(&self.bytes.lock().expect("whole")[from..from + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.failing()?;
        self.bytes.lock().expect("whole").resize(usize::try_from(len).expect("small"), 0);
        Ok(())
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.failing()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.failing()?;
        let from = usize::try_from(offset).expect("small");
        self.bytes.lock().expect("whole")[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}

#[tokio::test]
async fn a_disk_that_takes_nothing_is_waited_for_and_nothing_is_called_received_meanwhile() {
    let disk = Disk::default();
    let backend = disk.clone();
    let open = move || Ok(redb::Builder::new().create_with_backend(backend.clone())?);
    let spool = Spool::over(Store::opened_by(Box::new(open)).expect("usable"), 1 << 20).expect("usable");
    spool.append(&frame(1)).await.expect("open");

    disk.takes_nothing.store(true, std::sync::atomic::Ordering::Relaxed);
    let (waiting, second) = (spool.clone(), frame(2));
    let waiting = tokio::spawn(async move { waiting.append(&second).await });
    let mut condition = spool.condition();
    condition.wait_for(|condition| matches!(condition, Condition::Failing(_))).await.expect("open");
    assert!(!waiting.is_finished());
    disk.takes_nothing.store(false, std::sync::atomic::Ordering::Relaxed);
    waiting.await.expect("no panic").expect("open");
    assert_eq!(*condition.borrow_and_update(), Condition::Well);
    let found = spool.read(None, 9, usize::MAX).await.expect("readable");
    assert_eq!(found.into_iter().map(|(_, frame)| frame).collect::<Vec<_>>(), [frame(1), frame(2)]);
}
