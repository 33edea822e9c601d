use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::chatapp::api::{Moved, Next};
use chatbridge_base::json::Json;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("a time")
}

const GAP: (i64, i64) = (10_000, 20_000);

fn gap() -> Gap {
    Gap { from: at(GAP.0), to: at(GAP.1) }
}

fn line() -> Line {
    Line { license: "7".to_owned(), messenger: "telegram".to_owned() }
}

fn limits() -> Limits {
    Limits { chat_pages_max: 500, message_pages_max: 200, attempts_max: 4, ..Limits::default() }
}

/// A server with the habits that are worst for a reader: cursors are mere offsets, pages have odd sizes, chats go on
/// moving between two requests, and requests fail.
#[derive(Default)]
struct FakeServer {
    /// Messages of each chat: id and time, oldest first.
    chats: Vec<(String, Vec<(u64, i64)>)>,
    page_items: usize,
    /// Chats that move before each further request, until there are no more: by index.
    moves: Vec<usize>,
    /// Whether each request fails, over and over.
    failures: Vec<bool>,
    /// Each page begins with the last item of the page before it.
    repeats: bool,
    requests: usize,
    clock: i64,
    /// Chats of which nothing can be read, and how.
    broken: HashMap<String, Obstacle>,
}

struct Served(Mutex<FakeServer>);

impl FakeServer {
    fn moved(&self, chat: usize) -> i64 {
        self.chats[chat].1.last().map_or(0, |(_, time)| *time)
    }

    /// What happens before each request; whether it fails.
    fn requested(&mut self) -> Result<(), Obstacle> {
        self.requests += 1;
        if let Some(chat) = self.moves.pop() {
            let chat = chat % self.chats.len();
            self.clock += 1;
            let (id, time) = (1_000_000 + self.requests as u64, self.clock);
            self.chats[chat].1.push((id, time));
        }
        if !self.failures.is_empty() && self.failures[self.requests % self.failures.len()] {
            return Err(Obstacle::Again { least: None, detail: "weather".to_owned() });
        }
        Ok(())
    }

    fn page<T: Clone>(&self, all: &[T], start: Start<'_>) -> Page<T> {
        let begin: usize = if let Start::Cursor(cursor) = start { cursor.parse().expect("ours") } else { 0 };
        let end = (begin + self.page_items).min(all.len());
        let from = if self.repeats { begin.saturating_sub(1) } else { begin };
        let items = all[from.min(end)..end].to_vec();
        Page { items, next: if end < all.len() { Next::Cursor(end.to_string()) } else { Next::End } }
    }
}

impl History for Served {
    async fn chats(&self, _line: &Line, start: Start<'_>) -> Result<Page<ChatSummary>, Obstacle> {
        let mut server = self.0.lock().expect("unpoisoned");
        server.requested()?;
        let mut order: Vec<usize> = (0..server.chats.len()).collect();
        order.sort_by_key(|chat| std::cmp::Reverse(server.moved(*chat)));
        let summary = |chat: &usize| {
            let moved = match server.moved(*chat) {
                0 => Moved::Never,
                time => Moved::At(at(time)),
            };
            ChatSummary { id: server.chats[*chat].0.clone(), moved }
        };
        Ok(server.page(&order.iter().map(summary).collect::<Vec<_>>(), start))
    }

    async fn messages(&self, _line: &Line, chat: &str, start: Start<'_>) -> Result<Page<Box<RawValue>>, Obstacle> {
        let mut server = self.0.lock().expect("unpoisoned");
        server.requested()?;
        if let Some(obstacle) = server.broken.get(chat) {
            return Err(obstacle.clone());
        }
        let (_, messages) = server.chats.iter().find(|(id, _)| id == chat).expect("a chat of the list");
        // Whoever begins at a time gets a little of what was before; a cursor counts from there.
        let raw = |(id, time): &(u64, i64)| {
            let text = if id % 2 == 0 {
                format!(r#"{{"id":{id},"time":{time}}}"#)
            } else {
                format!(r#"{{"id":"{id}","time":"{time}"}}"#)
            };
            RawValue::from_string(text).expect("JSON")
        };
        let all: Vec<Box<RawValue>> = messages.iter().filter(|(_, time)| *time > GAP.0 - 50).map(raw).collect();
        Ok(server.page(&all, start))
    }
}

#[derive(Default)]
struct Taken {
    items: Mutex<Vec<(String, u64)>>,
    room_for: Option<usize>,
}

impl Sink for Taken {
    type Moment = ();

    fn moment(&self) {}

    async fn take(&self, chat: &str, items: Vec<Box<RawValue>>, (): ()) -> bool {
        let mut taken = self.items.lock().expect("unpoisoned");
        for item in items {
            let id = Json::parse(item.get()).expect("JSON").get("id").integer().expect("an id");
            taken.push((chat.to_owned(), id.try_into().expect("positive")));
        }
        self.room_for.is_none_or(|room| taken.len() <= room)
    }
}

/// What of the server's messages lies in the gap.
fn in_gap(server: &FakeServer) -> HashSet<(String, u64)> {
    let inside = |time: i64| (GAP.0..=GAP.1).contains(&time);
    server
        .chats
        .iter()
        .flat_map(|(chat, messages)| {
            messages.iter().filter(move |(_, time)| inside(*time)).map(move |(id, _)| (chat.clone(), *id))
        })
        .collect()
}

fn run(server: FakeServer, sink: &Taken) -> (Outcome, HashSet<(String, u64)>, usize) {
    let wanted = in_gap(&server);
    let served = Served(Mutex::new(server));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let outcome = runtime.expect("a runtime").block_on(backfill(&served, sink, &line(), gap(), &limits()));
    let requests = served.0.lock().expect("unpoisoned").requests;
    (outcome, wanted, requests)
}

/// Chats with messages at these times.
fn chats(times: Vec<Vec<i64>>) -> Vec<(String, Vec<(u64, i64)>)> {
    let mut id = 0;
    let named = times.into_iter().enumerate().map(|(chat, mut times)| {
        times.sort_unstable();
        let messages = times.into_iter().map(|time| {
            id += 1;
            (id, time)
        });
        (format!("chat{chat}"), messages.collect())
    });
    named.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn every_message_of_the_gap_is_handed_over_in_order_per_chat_whatever_happens_meanwhile(
        times in proptest::collection::vec(proptest::collection::vec(5_000_i64..25_000, 0..12), 1..30),
        page_items in 1_usize..8,
        moves in proptest::collection::vec(0_usize..30, 0..40),
        failures in proptest::collection::vec(any::<bool>(), 0..6),
        repeats: bool,
    ) {
        // Now and then there is an answer, or it would be no server.
        let failures = failures.into_iter().chain([false]).collect();
        let chats = chats(times);
        let server = FakeServer { chats, page_items, moves, failures, repeats, clock: 30_000, ..FakeServer::default() };
        let sink = Taken::default();
        let patient = Limits { attempts_max: 100, ..limits() };
        let wanted = in_gap(&server);
        let served = Served(Mutex::new(server));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let outcome = runtime.expect("a runtime").block_on(backfill(&served, &sink, &line(), gap(), &patient));
        let taken = sink.items.into_inner().expect("unpoisoned");
        let Outcome::Done(fetched) = outcome else { panic!("{outcome:?}") };
        prop_assert_eq!(fetched.items, taken.len() as u64);
        let server = served.0.into_inner().expect("unpoisoned");
        let found: HashSet<(String, u64)> = taken.iter().cloned().collect();
        prop_assert!(wanted.is_subset(&found), "missing: {:?}", wanted.difference(&found));
        prop_assert_eq!(found.len(), taken.len(), "each once");
        for (chat, messages) in &server.chats {
            let order: Vec<u64> = messages.iter().map(|(id, _)| *id).collect();
            let place = |id: &u64| order.iter().position(|have| have == id).expect("of this chat");
            let places: Vec<usize> = taken.iter().filter(|(of, _)| of == chat).map(|(_, id)| place(id)).collect();
            prop_assert!(places.is_sorted(), "{}: {:?}", chat, places);
            let earliest = taken.iter().filter(|(of, _)| of == chat).map(|(_, id)| messages[place(id)].1).min();
            prop_assert!(earliest.is_none_or(|time| time >= GAP.0), "nothing from before the gap");
        }
    }
}

#[test]
fn a_chat_that_jumps_to_the_top_past_the_reader_is_not_missed() {
    // Ten chats, two a page; the last one was said something in during the gap, and moves while the first page is read.
    let mut times: Vec<Vec<i64>> = (0..9).map(|chat| vec![19_000 - chat]).collect();
    times.push(vec![11_000]);
    let server = FakeServer {
        chats: chats(times),
        page_items: 2,
        // Taken from the end: nothing moves before the first request, the last chat before the second.
        moves: vec![9, 0],
        clock: 30_000,
        ..FakeServer::default()
    };
    let sink = Taken::default();
    let (outcome, wanted, _) = run(server, &sink);
    let taken: HashSet<_> = sink.items.into_inner().expect("unpoisoned").into_iter().collect();
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    assert!(wanted.is_subset(&taken), "{:?}", wanted.difference(&taken));
}

#[test]
fn a_quiet_gap_costs_one_request_and_nothing_old_is_read() {
    let server =
        FakeServer { chats: chats(vec![vec![9_999], vec![500], vec![]]), page_items: 100, ..FakeServer::default() };
    let sink = Taken::default();
    assert_eq!(run(server, &sink), (Outcome::Done(Fetched::default()), HashSet::new(), 1));
}

fn broken(chats: &[(&str, Obstacle)]) -> (Outcome, usize, usize) {
    let times = (0..8).map(|chat| vec![15_000 - chat]).collect();
    let broken = chats.iter().map(|(chat, obstacle)| ((*chat).to_owned(), obstacle.clone())).collect();
    let server = FakeServer { chats: self::chats(times), page_items: 100, broken, ..FakeServer::default() };
    let sink = Taken::default();
    let (outcome, _, requests) = run(server, &sink);
    (outcome, requests, sink.items.into_inner().expect("unpoisoned").len())
}

#[test]
fn a_chat_that_cannot_be_read_is_told_and_holds_up_no_other() {
    let never = Obstacle::Never { detail: "refused".to_owned() };
    let again = Obstacle::Again { least: None, detail: "weather".to_owned() };
    let stop = Obstacle::Stop { detail: "log in".to_owned() };
    let gave_up = |why: &str, chats, missed, has_answered| Outcome::GaveUp {
        why: why.to_owned(),
        fetched: Fetched { items: chats, chats },
        chats_missed: Some(missed),
        has_answered,
    };
    let refused = ["chat0", "chat1", "chat2", "chat5"].map(|chat| (chat, never.clone()));
    assert_eq!(broken(&refused), (gave_up("refused", 4, 4, true), 9, 4));
    let tired = "asked again and again: weather";
    // Two that fail for other reasons than their own are followed by others …
    assert_eq!(broken(&["chat1", "chat2"].map(|chat| (chat, again.clone()))), (gave_up(tired, 6, 2, true), 15, 6));
    // … three in a row are not.
    assert_eq!(
        broken(&["chat1", "chat2", "chat3"].map(|chat| (chat, again.clone()))),
        (gave_up(tired, 1, 7, false), 14, 1)
    );
    assert_eq!(broken(&[("chat2", stop)]), (gave_up("log in", 2, 6, false), 4, 2));
}

#[test]
fn without_the_list_of_chats_nothing_is_known() {
    let server =
        FakeServer { chats: chats(vec![vec![15_000]]), page_items: 1, failures: vec![true], ..FakeServer::default() };
    let (outcome, _, requests) = run(server, &Taken::default());
    let Outcome::GaveUp { chats_missed: None, fetched, why, has_answered: false } = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!((fetched, requests), (Fetched::default(), 4));
    assert!(why.contains("weather"), "{why}");
}

#[test]
fn a_sink_that_closes_ends_it() {
    let server =
        FakeServer { chats: chats(vec![vec![15_000, 15_001], vec![14_000]]), page_items: 1, ..FakeServer::default() };
    let sink = Taken { room_for: Some(1), ..Taken::default() };
    let (outcome, ..) = run(server, &sink);
    assert!(matches!(outcome, Outcome::GaveUp { chats_missed: Some(2), .. }), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn a_page_is_waited_for_as_long_as_chatapp_asks() {
    let attempts = Mutex::new(0);
    let before = tokio::time::Instant::now();
    let limits = limits();
    let page = patiently(&limits, || async {
        *attempts.lock().expect("unpoisoned") += 1;
        let least = Some(Duration::from_secs(300));
        if *attempts.lock().expect("unpoisoned") < 3 {
            Err(Obstacle::Again { least, detail: String::new() })
        } else {
            Ok(7)
        }
    });
    assert_eq!(page.await.ok(), Some(7));
    assert!(before.elapsed() >= Duration::from_secs(600), "{:?}", before.elapsed());
}
