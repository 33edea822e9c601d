use super::*;
use crate::watch::telemetry::metrics::Metrics;
use crate::watch::telemetry::status::StatusBoard;

/// Answers after this long, with these; notes when it was asked.
struct Planned {
    takes: Duration,
    answer: Result<Option<String>, QueueError>,
    asked: Mutex<Vec<Instant>>,
}

impl ContactDirectory for Planned {
    async fn contact_name(&self, _chat: &ChatId) -> Result<Option<String>, QueueError> {
        self.asked.lock().push(Instant::now());
        tokio::time::sleep(self.takes).await;
        self.answer.clone()
    }
}

fn lookup(takes: Duration, answer: Result<Option<&str>, QueueError>) -> (Arc<Planned>, CallerLookup<Arc<Planned>>) {
    let answer = answer.map(|name| name.map(str::to_owned));
    let directory = Arc::new(Planned { takes, answer, asked: Mutex::default() });
    let telemetry = InstanceTelemetry::new(&Arc::new(Metrics::new()), StatusBoard::default().add(InstanceId::new(1)));
    (Arc::clone(&directory), CallerLookup::new(directory, CallerCache::default(), Arc::new(telemetry)))
}

fn caller(n: u32) -> ChatId {
    ChatId::new(&format!("7900{n:07}@c.us")).expect("not empty")
}

fn failed() -> QueueError {
    QueueError::Unreachable { class: "server_error", detail: String::new() }
}

fn asked(directory: &Planned) -> usize {
    directory.asked.lock().len()
}

#[tokio::test(start_paused = true)]
async fn a_name_is_asked_for_once_and_so_is_its_absence() {
    for name in [Some("Anna"), None] {
        let (directory, lookup) = lookup(Duration::ZERO, Ok(name));
        for _ in 0..3 {
            assert_eq!(lookup.name_of(&caller(1)).await.as_deref(), name);
        }
        assert_eq!(asked(&directory), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_one_request_a_second() {
    let (directory, lookup) = lookup(Duration::from_millis(300), Ok(Some("Anna")));
    let begun = Instant::now();
    let mut named = 0;
    for n in 0..100 {
        named += usize::from(lookup.name_of(&caller(n)).await.is_some());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let asked = directory.asked.lock().clone();
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= BETWEEN_REQUESTS), "{asked:?}");
    assert_eq!(named, asked.len());
    assert!(named >= 7, "{named} in {:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_backlog_of_callers_does_not_wait_for_its_turns() {
    let (directory, lookup) = lookup(Duration::from_millis(900), Ok(Some("Anna")));
    let begun = Instant::now();
    for n in 0..10_000 {
        let _ = lookup.name_of(&caller(n)).await;
    }
    assert_eq!(begun.elapsed(), Duration::from_millis(900), "one was asked for, the others went on without a name");
    assert_eq!(asked(&directory), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lookup_never_takes_longer_than_its_limit() {
    let (_directory, lookup) = lookup(Duration::from_secs(3600), Ok(Some("Anna")));
    let begun = Instant::now();
    assert_eq!(lookup.name_of(&caller(1)).await, None);
    assert_eq!(begun.elapsed(), LOOKUP_MAX);
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_or_a_silence_nobody_waits_for_a_while() {
    for (takes, answer) in [(Duration::ZERO, Err(failed())), (Duration::from_secs(3600), Ok(None))] {
        let (directory, lookup) = lookup(takes, answer);
        assert_eq!(lookup.name_of(&caller(1)).await, None);
        let begun = Instant::now();
        for n in 0..1_000 {
            assert_eq!(lookup.name_of(&caller(n)).await, None);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO, "a thousand calls cost nothing");
        assert_eq!(asked(&directory), 1);
        tokio::time::sleep(FAILURE_PAUSE_MAX).await;
        assert_eq!(lookup.name_of(&caller(1)).await, None);
        assert_eq!(asked(&directory), 2, "a failure is not remembered as a name");
    }
}

#[tokio::test(start_paused = true)]
async fn one_failure_costs_seconds_and_many_in_a_row_cost_up_to_a_minute() {
    let (directory, lookup) = lookup(Duration::ZERO, Err(failed()));
    for n in 0..600 {
        assert_eq!(lookup.name_of(&caller(n)).await, None);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let asked = directory.asked.lock().clone();
    assert!(asked[1] - asked[0] <= Duration::from_secs(5), "{:?}", asked[1] - asked[0]);
    assert!((10..60).contains(&asked.len()), "{} in ten minutes", asked.len());
}

#[tokio::test(start_paused = true)]
async fn groups_are_not_asked_for_and_names_have_a_length() {
    let (directory, lookup) = lookup(Duration::ZERO, Ok(Some(&"я".repeat(5_000))));
    assert_eq!(lookup.name_of(&ChatId::new("120363@g.us").expect("not empty")).await, None);
    assert_eq!(asked(&directory), 0);
    let name = lookup.name_of(&caller(1)).await.expect("a name");
    assert_eq!(name.chars().count(), NAME_CHARS_MAX);
}
