//! The same for ChatApp's bodies; and ids that speak of the message and not of the road it came by.

use std::sync::OnceLock;

use chatbridge_event::event::{ChatId, Event};
use chatbridge_event::normalize::chatapp::identity::Place;
use chatbridge_event::normalize::chatapp::{Arrival, decode, fetched, normalize};
use chatbridge_event::record::{Extent, RecordFactory};
use proptest::prelude::*;

use super::event_validator;
use super::mutation::{Mutation, Tree};
use crate::chatapp::{PLACE, at, bodies as fixtures, channel, events, raw, record};

fn bodies() -> &'static [Tree] {
    static BODIES: OnceLock<Vec<Tree>> = OnceLock::new();
    BODIES.get_or_init(|| {
        let parsed = |body: &String| serde_json::from_str::<serde_json::Value>(body).ok();
        fixtures().values().filter_map(parsed).map(|body| Tree::of(&body)).collect()
    })
}

fn names() -> &'static [String] {
    static NAMES: OnceLock<Vec<String>> = OnceLock::new();
    NAMES.get_or_init(|| {
        let mut names: Vec<String> = bodies().iter().flat_map(Tree::names).collect();
        // The wrapper and what is in it are to be confused more often than they are to be found.
        names.extend(["payload", "data", "meta", "destroyed", "fetched", "chatId"].map(str::to_owned));
        names.sort();
        names.dedup();
        names
    })
}

fn member<'t>(tree: &'t mut Tree, name: &str) -> Option<&'t mut Tree> {
    match tree {
        Tree::Object(members) => members.iter_mut().rev().find(|(key, _)| key == name).map(|(_, value)| value),
        _ => None,
    }
}

/// What `raw` has to be for each event of this body.
fn raws(body: &Tree) -> Vec<String> {
    let mut body = body.clone();
    if member(&mut body, "data").is_none()
        && let Some(inside @ Tree::Object(_)) = member(&mut body, "payload")
    {
        let mut inside = inside.clone();
        let only_payload = matches!(&body, Tree::Object(members) if members.len() == 1);
        return with_each_item(&mut inside)
            .into_iter()
            .map(|item| match (item, only_payload) {
                (Some(item), true) => item.to_string(),
                (Some(item), false) => {
                    let mut whole = body.clone();
                    *member(&mut whole, "payload").expect("there") = item;
                    whole.to_string()
                }
                (None, _) => body.to_string(),
            })
            .collect();
    }
    let whole = body.to_string();
    with_each_item(&mut body)
        .into_iter()
        .map(|item| item.map_or_else(|| whole.clone(), |item| item.to_string()))
        .collect()
}

/// The body with each of its items alone; one `None` where it has no items.
fn with_each_item(body: &mut Tree) -> Vec<Option<Tree>> {
    match member(body, "data").cloned() {
        Some(Tree::Array(items)) if !items.is_empty() => {
            let alone = |item: Tree| {
                let mut body = body.clone();
                *member(&mut body, "data").expect("there") = Tree::Array(vec![item]);
                Some(body)
            };
            items.into_iter().map(alone).collect()
        }
        Some(Tree::Object(_)) => vec![Some(body.clone())],
        _ => vec![None],
    }
}

/// What must hold for any JSON at all.
fn becomes_records(body: &Tree) -> Result<(), TestCaseError> {
    let text = body.to_string();
    let read = events(&text);
    let found: Vec<&str> = read.iter().map(|event| event.raw.get()).collect();
    prop_assert_eq!(found, raws(body), "an event for each item, and nothing lost");
    for (event, again) in read.into_iter().zip(events(&text)) {
        let now = at(1_760_000_060);
        // Without the body's own raw, which may hold numbers that serde_json's own values cannot.
        let without_raw = Event { raw: raw("{}"), ..event.clone() };
        for extent in [Extent::Whole, Extent::WithoutThumbnails] {
            let record = RecordFactory::default().record(&without_raw, extent, now);
            let value = serde_json::from_slice(&record.value).expect("a value is JSON");
            let problems: Vec<String> = event_validator().iter_errors(&value).map(|error| error.to_string()).collect();
            prop_assert!(problems.is_empty(), "{:?} in {}", problems, value);
        }
        let record = record(event);
        prop_assert!(record == self::record(again), "the same input, the same record");
        prop_assert!(!record.key.is_empty());
    }
    Ok(())
}

fn ids(body: &str) -> Vec<String> {
    events(body).into_iter().map(|event| event.id.to_string()).collect()
}

/// Numbers turn into strings, and strings of digits into numbers.
fn wobbled(tree: Tree, turn: &mut impl FnMut() -> bool) -> Tree {
    match tree {
        Tree::Scalar(text) => {
            let bare = text.trim_matches('"');
            let is_whole = !bare.is_empty() && bare.len() < 18 && bare.bytes().all(|byte| byte.is_ascii_digit());
            // 007 is a string and no number.
            let turns = is_whole && (bare == "0" || !bare.starts_with('0')) && turn();
            Tree::Scalar(match text.starts_with('"') {
                true if turns => bare.to_owned(),
                false if turns => format!("\"{bare}\""),
                _ => text,
            })
        }
        Tree::Array(items) => Tree::Array(items.into_iter().map(|item| wobbled(item, turn)).collect()),
        Tree::Object(members) => {
            Tree::Object(members.into_iter().map(|(name, value)| (name, wobbled(value, turn))).collect())
        }
    }
}

/// What tells one message from another.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    chat: String,
    id: String,
    text: String,
    caption: String,
    has_file: bool,
}

fn said() -> impl Strategy<Value = Said> {
    // Few of each, so that two often share some.
    let id = prop_oneof!["[1-3]", "3EB0[0-9A-F]", "wamid\\.[a-c]="];
    let chat = prop_oneof!["7999[1-3]@c\\.us", "private-1h[1-3]", "7999[1-3]"];
    (chat, id, "(a|b|ä\"|)", "(a|b|)", any::<bool>()).prop_map(|(chat, id, text, caption, has_file)| Said {
        chat,
        id,
        text,
        caption,
        has_file,
    })
}

impl Said {
    /// This one, but for one field.
    fn with(&self, field: usize, of: &Self) -> Self {
        let mut other = self.clone();
        match field {
            0 => other.chat.clone_from(&of.chat),
            1 => other.id.clone_from(&of.id),
            2 => other.text.clone_from(&of.text),
            3 => other.caption.clone_from(&of.caption),
            _ => other.has_file = of.has_file,
        }
        other
    }

    /// As an item; pushed with its chat, fetched without it and with two fields more.
    fn item(&self, is_pushed: bool, link: u8) -> serde_json::Value {
        let file = self.has_file.then(|| serde_json::json!({"link": format!("https://x.invalid/{link}"), "name": "f"}));
        let mut item = serde_json::json!({
            "id": self.id, "side": "in", "time": 1_760_000_000, "type": "text",
            "message": {"text": self.text, "caption": self.caption, "file": file, "location": null},
        });
        match is_pushed {
            true => item["chat"] = serde_json::json!({"id": self.chat, "name": "Ira", "status": link.to_string()}),
            false => {
                item["internalId"] = link.into();
                item["destroyed"] = false.into();
            }
        }
        item
    }

    fn pushed(&self, link: u8, seed: u64) -> String {
        let body = serde_json::json!({"data": [self.item(true, link)], "meta": {"type": "message"}});
        let place = Some(Place { sequence: link.into(), ..PLACE });
        let arrival = Arrival { channel: Some(channel()), event: None, place };
        let item = normalize(arrival, raw(&respelt(&body, seed))).next().expect("one");
        item.event.id.to_string()
    }

    fn fetched(&self, link: u8, seed: u64) -> String {
        let chat = ChatId::new(&self.chat).expect("not empty");
        let items = fetched(&channel(), &chat, &raw(&respelt(&self.item(false, link), seed)));
        assert_eq!(items.len(), 1);
        items[0].event.id.to_string()
    }
}

fn respelt(body: &serde_json::Value, seed: u64) -> String {
    let mut coins = seed;
    let mut turn = || {
        coins = coins.rotate_left(1);
        coins & 1 == 1
    };
    wobbled(Tree::of(body), &mut turn).respelt(seed)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_mutated_body_becomes_records(
        body in prop::sample::select(bodies()),
        mutations in prop::collection::vec(Mutation::any(names()), 1..8),
    ) {
        let mut body = body;
        for mutation in mutations {
            mutation.apply(&mut body);
        }
        becomes_records(&body)?;
    }

    #[test]
    fn every_json_becomes_records(
        items in prop::collection::vec(Tree::any(names()), 0..5),
        rest in Tree::any(names()),
        is_wrapped in any::<bool>(),
    ) {
        becomes_records(&rest)?;
        let body = Tree::Object(vec![("data".to_owned(), Tree::Array(items)), ("meta".to_owned(), rest)]);
        becomes_records(&if is_wrapped { Tree::Object(vec![("payload".to_owned(), body)]) } else { body })?;
    }

    #[test]
    fn bytes_are_json_or_handed_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        match decode(bytes.clone()) {
            Ok(body) => prop_assert!(normalize(Arrival::default(), body).count() > 0),
            Err(undecodable) => prop_assert_eq!(undecodable.bytes, bytes),
        }
    }

    #[test]
    fn neither_order_nor_spelling_nor_the_type_of_a_scalar_changes_an_id(
        body in prop::sample::select(bodies()),
        coins in prop::collection::vec(any::<bool>(), 1..50),
        seed in any::<u64>(),
    ) {
        let mut coins = coins.into_iter().cycle();
        let wobbled = wobbled(body.clone(), &mut || coins.next() == Some(true));
        prop_assert_eq!(ids(&body.to_string()), ids(&wobbled.respelt(seed)));
    }

    #[test]
    fn a_message_has_one_id_pushed_or_fetched_and_two_have_two(
        (one, another) in (said(), said()),
        field in 0_usize..5,
        links in any::<(u8, u8)>(),
        seeds in any::<(u64, u64)>(),
    ) {
        let other = one.with(field, &another);
        prop_assert_eq!(one.pushed(links.0, seeds.0), one.fetched(links.1, seeds.1));
        prop_assert_eq!(one == other, one.pushed(links.0, seeds.0) == other.fetched(links.1, seeds.1));
        prop_assert_eq!(one == other, one.fetched(links.0, seeds.0) == other.fetched(links.1, seeds.1));
    }
}
