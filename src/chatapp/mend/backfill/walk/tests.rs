use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("a time")
}

fn chats(chats: &[(&str, Moved)], next: Next) -> Page<ChatSummary> {
    let items = chats.iter().map(|(id, moved)| ChatSummary { id: (*id).to_owned(), moved: *moved }).collect();
    Page { items, next }
}

fn moved(seconds: i64) -> Moved {
    Moved::At(at(seconds))
}

fn cursor(text: &str) -> Next {
    Next::Cursor(text.to_owned())
}

fn asks_for(text: &str) -> Ask {
    Ask::Page(Position::Cursor(text.to_owned()))
}

const TOP: Ask = Ask::Page(Position::Top);

#[test]
fn chats_are_read_until_a_whole_page_is_older_and_then_once_more_from_the_top() {
    let mut walk = ChatWalk::new(at(100), 10);
    assert_eq!(walk.first(), TOP);
    assert_eq!(walk.took(chats(&[("a", moved(300)), ("b", moved(200))], cursor("1"))), asks_for("1"));
    // One that is older and one that is not: somebody pinned it.
    assert_eq!(walk.took(chats(&[("old", moved(99)), ("c", moved(100))], cursor("2"))), asks_for("2"));
    // Nothing said of one: no end to be seen yet.
    assert_eq!(walk.took(chats(&[("new", Moved::Never), ("older", moved(98))], cursor("3"))), asks_for("3"));
    assert_eq!(walk.took(chats(&[("e", Moved::Unreadable), ("older", moved(97))], cursor("4"))), asks_for("4"));
    assert_eq!(walk.took(chats(&[("x", moved(60)), ("y", moved(50))], cursor("5"))), TOP, "read again");
    // Down to where the top was: "b" has been there, "d" jumped while the pages above were read.
    assert_eq!(walk.took(chats(&[("d", moved(310)), ("a", moved(300)), ("b", moved(200))], cursor("1"))), Ask::Done);
    assert_eq!(walk.into_chats(), ["a", "b", "c", "e", "d"]);
}

#[test]
fn one_page_is_a_moments_picture() {
    for next in [Next::End, cursor("1")] {
        let mut walk = ChatWalk::new(at(100), 10);
        assert_eq!(walk.took(chats(&[("x", moved(60)), ("y", moved(50))], next)), Ask::Done);
        assert!(walk.into_chats().is_empty());
    }
    let mut walk = ChatWalk::new(at(100), 10);
    assert_eq!(walk.took(chats(&[("a", moved(160)), ("y", moved(50))], Next::End)), Ask::Done);
    assert_eq!(walk.into_chats(), ["a"]);
}

#[test]
fn while_a_page_full_of_chats_moves_it_is_read_again_and_not_for_ever() {
    let mut walk = ChatWalk::new(at(0), 7);
    for reading in 0..3 {
        let now = 1000 * (reading + 1);
        assert_eq!(
            walk.took(chats(&[("a", moved(now + 1)), ("b", moved(now))], cursor("1"))),
            asks_for("1"),
            "{reading}"
        );
        assert_eq!(walk.took(chats(&[("c", moved(now - 999)), ("d", moved(1))], Next::End)), TOP, "{reading}");
    }
    assert_eq!(
        walk.took(chats(&[("a", moved(9001)), ("b", moved(9000))], cursor("1"))),
        Ask::GiveUp("a list has more pages than are read")
    );
}

#[test]
fn a_list_that_leads_round_in_a_circle_is_left() {
    let mut walk = ChatWalk::new(at(0), 100);
    assert_eq!(walk.took(chats(&[("a", moved(9))], cursor("1"))), asks_for("1"));
    assert_eq!(walk.took(chats(&[("b", moved(8))], cursor("2"))), asks_for("2"));
    assert!(matches!(walk.took(chats(&[("c", moved(7))], cursor("1"))), Ask::GiveUp(_)));
    let mut walk = MessageWalk::new(Gap { from: at(0), to: at(9) }, 100);
    assert_eq!(walk.took(messages(&["{}"], cursor("1"))).1, asks_for("1"));
    assert!(matches!(walk.took(messages(&["{}"], cursor("1"))).1, Ask::GiveUp(_)));
    let mut walk = MessageWalk::new(Gap { from: at(0), to: at(9) }, 2);
    assert_eq!(walk.took(messages(&["{}"], cursor("1"))).1, asks_for("1"));
    assert!(matches!(walk.took(messages(&["{}"], cursor("2"))).1, Ask::GiveUp(_)), "or has no end");
}

fn messages(items: &[&str], next: Next) -> Page<Box<RawValue>> {
    let raw = |item: &&str| RawValue::from_string((*item).to_owned()).expect("JSON");
    Page { items: items.iter().map(raw).collect(), next }
}

#[test]
fn of_a_chat_everything_since_the_gap_began_is_taken_once() {
    let halves = |seconds: i64| at(seconds) + SignedDuration::from_millis(500);
    let mut walk = MessageWalk::new(Gap { from: halves(100), to: halves(200) }, 10);
    assert_eq!(walk.first(), Ask::Page(Position::From(at(99))));
    let mut taken = |items: &[&str], next| {
        let (items, ask) = walk.took(messages(items, next));
        (items.iter().map(|item| item.get().to_owned()).collect::<Vec<_>>(), ask)
    };
    let [before, first, text, odd, nameless] = [
        r#"{"id":1,"time":99}"#,
        r#"{"id":2,"time":100}"#,
        r#"{"id":"3","time":"150"}"#,
        r#"{"id":4,"time":"soon"}"#,
        r#"{"time":160}"#,
    ];
    let (items, ask) = taken(&[before, first, text, odd, nameless], cursor("1"));
    assert_eq!((items, ask), ([first, text, odd, nameless].map(str::to_owned).to_vec(), asks_for("1")));
    // Repeats go, but what has no name may be another one.
    let (items, ask) = taken(&[r#"{"id":3,"time":150}"#, nameless, "7"], cursor("2"));
    assert_eq!((items, ask), (vec![nameless.to_owned(), "7".to_owned()], asks_for("2")));
    assert_eq!(taken(&[], cursor("3")), (vec![], asks_for("3")), "an empty page is not the end");
    let (items, ask) = taken(&[r#"{"id":5,"time":200}"#, r#"{"id":6,"time":201}"#], cursor("4"));
    assert_eq!((items.len(), ask), (2, asks_for("4")));
    let (items, ask) = taken(&[r#"{"id":9,"time":900}"#, r#"{"id":10,"time":800}"#], cursor("x"));
    assert_eq!((items.len(), ask), (2, asks_for("x")), "the newest first: what belongs to the gap is still to come");
    let (items, ask) = taken(&[r#"{"id":7,"time":201}"#, r#"{"id":8,"time":202}"#], cursor("5"));
    assert_eq!((items.len(), ask), (2, Ask::Done), "what is later was heard");
}
