use super::*;

const CHAT: &str = "79990000001@c.us";

fn line() -> Line {
    Line { licence: 1, messenger: "grWhatsApp".to_owned() }
}

fn message(chat: &str, id: u64, time: u64) -> Value {
    json!({"id": id, "time": time, "type": "text", "chat": {"id": chat, "type": "private", "name": "Ira"}})
}

/// One chat with a message of each time.
fn archive(times: &[u64]) -> Archive {
    let mut archive = Archive::new(100, 1_000);
    for (id, time) in (1..).zip(times) {
        assert!(archive.take(&line(), "message", &[message(CHAT, id, *time)]));
    }
    archive
}

fn request(query: &[(&str, &str)]) -> PageRequest {
    let query: Vec<_> = query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    PageRequest::read(&query).expect("a request")
}

fn ids(page: &Page) -> Vec<u64> {
    page.items.iter().filter_map(|item| item["id"].as_u64()).collect()
}

/// Every page from the first, with the same limit.
fn all(archive: &Archive, first: &[(&str, &str)], limit: &str) -> Vec<Vec<u64>> {
    let mut query = first.to_vec();
    query.push(("limit", limit));
    let mut page = archive.messages(&line(), CHAT, &request(&query));
    let mut pages = vec![ids(&page)];
    while let Some(cursor) = page.next {
        page = archive.messages(&line(), CHAT, &request(&[("nextPage", &cursor), ("limit", limit)]));
        pages.push(ids(&page));
    }
    pages
}

#[test]
fn pages_go_either_way_without_holes_or_repeats() {
    let archive = archive(&[10, 10, 10, 20, 20, 30]);
    assert_eq!(all(&archive, &[("direction", "next")], "2"), [vec![1, 2], vec![3, 4], vec![5, 6]]);
    assert_eq!(all(&archive, &[("direction", "prev")], "4"), [vec![6, 5, 4, 3], vec![2, 1]]);
    assert_eq!(all(&archive, &[("direction", "next"), ("lastTime", "20")], "2"), [vec![4, 5], vec![6]]);
    assert_eq!(all(&archive, &[("lastTime", "10")], "100"), [vec![3, 2, 1]]);
    assert_eq!(all(&archive, &[("direction", "next"), ("lastTime", "31")], "2"), [Vec::<u64>::new()]);
}

#[test]
fn what_arrives_meanwhile_is_on_the_next_page_that_reaches_it() {
    let mut archive = archive(&[10, 20, 30]);
    let first = archive.messages(&line(), CHAT, &request(&[("direction", "next"), ("limit", "2")]));
    archive.take(&line(), "message", &[message(CHAT, 9, 40)]);
    let cursor = first.next.as_deref().expect("there is more");
    let second = archive.messages(&line(), CHAT, &request(&[("nextPage", cursor)]));
    assert_eq!((ids(&first), ids(&second)), (vec![1, 2], vec![3, 9]));
}

#[test]
fn the_older_paging_style_breaks_ties_by_internal_id() {
    let archive = archive(&[10, 10, 10]);
    let first = archive.messages(&line(), CHAT, &request(&[("direction", "next"), ("limit", "1")]));
    let internal = first.items[0]["internalId"].as_str().expect("text").to_owned();
    let query = [("direction", "next"), ("lastTime", "10"), ("lastInternalId", &*internal)];
    assert_eq!(ids(&archive.messages(&line(), CHAT, &request(&query))), [2, 3]);
}

#[test]
fn the_fetched_form_has_no_chat_and_says_what_is_destroyed() {
    let mut archive = archive(&[10, 20]);
    let destroyed = json!({"id": "1", "chat": {"id": CHAT}});
    assert!(!archive.take(&line(), "messageDestroy", &[destroyed]), "nobody can fetch that it happened");
    let page = archive.messages(&line(), CHAT, &request(&[("direction", "next")]));
    assert!(page.items.iter().all(|item| item.get("chat").is_none() && item["internalId"].is_string()));
    assert_eq!(
        page.items.iter().map(|item| item["destroyed"].as_bool()).collect::<Vec<_>>(),
        [Some(true), Some(false)]
    );
}

#[test]
fn a_message_published_again_is_there_once() {
    let mut archive = archive(&[10]);
    let mut again = message(CHAT, 1, 10);
    again["id"] = json!("1");
    again["type"] = json!("image");
    assert!(archive.take(&line(), "message", &[again]));
    let page = archive.messages(&line(), CHAT, &request(&[]));
    assert_eq!(page.items.len(), 1);
    assert_eq!(page.items[0]["type"], "image");
}

#[test]
fn system_messages_come_where_asked_for() {
    let mut archive = archive(&[10]);
    let mut note = message(CHAT, 2, 20);
    note["type"] = json!("system");
    archive.take(&line(), "message", &[note]);
    assert_eq!(ids(&archive.messages(&line(), CHAT, &request(&[]))), [1]);
    assert_eq!(ids(&archive.messages(&line(), CHAT, &request(&[("includeSystemMessages", "1")]))), [2, 1]);
}

#[test]
fn chats_come_latest_first_in_pages() {
    let mut archive = Archive::new(100, 1_000);
    for (chat, time) in [("a", 10), ("b", 30), ("c", 20), ("d", 20)] {
        archive.take(&line(), "message", &[message(chat, 1, time)]);
    }
    let chats = |query: &[(&str, &str)]| {
        let page = archive.chats(|_| true, &request(query));
        let ids: Vec<_> = page.items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect();
        (ids, page.next)
    };
    let (first, next) = chats(&[("limit", "2")]);
    assert_eq!(first, ["b", "d"]);
    assert_eq!(
        chats(&[("nextPage", &next.expect("more")), ("limit", "2")]),
        (vec!["c".to_owned(), "a".to_owned()], None)
    );
    assert_eq!(chats(&[("lastTime", "20")]).0, ["d", "c", "a"]);
    assert_eq!(archive.chats(|_| false, &request(&[])).items.len(), 0);
}

#[test]
fn memory_is_bounded() {
    let mut archive = Archive::new(1, 2);
    for id in 1..=3 {
        assert!(archive.take(&line(), "message", &[message("a", id, 10 + id)]));
    }
    assert!(!archive.take(&line(), "message", &[message("b", 1, 10)]), "no room for the chat, so it cannot be fetched");
    let page = archive.messages(&line(), "a", &request(&[]));
    assert_eq!(ids(&page), [3, 2]);
}
