use proptest::prelude::*;

use super::*;

/// A form of subject 1 with these words; `exact` tells one file from another.
fn form(words: char, exact: u8) -> Form {
    let number = u128::from(u32::from(words));
    let words = EventId::from_uuid(uuid::Uuid::from_u128(number));
    Form { subject: Subject::from_number(1), words, exact: number << 8 | u128::from(exact), is_past: false }
}

/// A history and the frame that comes next.
#[derive(Default)]
struct Story {
    history: History,
    frames: u64,
    ids: Vec<EventId>,
}

impl Story {
    fn came(&mut self, road: Road, form: Form, asked_behind: Option<u64>) -> Verdict {
        self.frames += 1;
        let spot = (Sequence(self.frames), 0);
        let verdict = self.history.judge(&form, road, spot, asked_behind.map(Sequence));
        if let Verdict::New(id) = verdict {
            assert!(!self.ids.contains(&id), "each published form has an id of its own");
            self.ids.push(id);
        }
        verdict
    }

    fn is_new(&mut self, road: Road, words: char) -> bool {
        matches!(self.came(road, form(words, 0), None), Verdict::New(_))
    }

    /// Fetched, asked for after `behind` frames.
    fn is_new_when_fetched(&mut self, words: char, behind: u64) -> bool {
        matches!(self.came(Road::Backfill, form(words, 0), Some(behind)), Verdict::New(_))
    }
}

use Road::{Callback, Push};

#[test]
fn only_the_last_form_is_a_repeat() {
    let mut story = Story::default();
    let new: Vec<bool> = "aabbabba".chars().map(|words| story.is_new(Push, words)).collect();
    assert_eq!(new, [true, false, true, false, true, true, false, true]);
    assert_eq!(story.ids[0], form('a', 0).words, "what was not said before has the id of its words");
    assert_eq!(story.ids[1], form('b', 0).words);
    assert_eq!(story.ids[2], of_return(form('a', 0).words, story.ids[1]));
    assert_eq!(story.ids[3], of_return(form('b', 0).words, story.ids[2]));
}

#[test]
fn a_file_that_is_swapped_is_another_form_when_pushed_and_the_same_when_fetched() {
    let mut story = Story::default();
    assert!(matches!(story.came(Push, form('a', 1), None), Verdict::New(_)));
    assert_eq!(story.came(Push, form('a', 1), None), Verdict::Repeat);
    let Verdict::New(swapped) = story.came(Push, form('a', 2), None) else { panic!("another file") };
    assert_eq!(swapped, of_return(form('a', 0).words, form('a', 0).words));
    assert_eq!(story.came(Road::Reconcile, form('a', 3), Some(3)), Verdict::Repeat, "its link may be signed anew");
    assert!(matches!(story.came(Push, form('a', 1), None), Verdict::New(_)));
}

#[test]
fn the_second_road_is_the_first_ones_echo() {
    let mut story = Story::default();
    assert!([(Push, 'a'), (Push, 'b'), (Push, 'a')].into_iter().all(|(road, words)| story.is_new(road, words)));
    assert!([(Callback, 'a'), (Callback, 'b'), (Callback, 'a')].into_iter().all(|(r, words)| !story.is_new(r, words)));
    assert!(story.is_new(Callback, 'b'), "both are level, so this is news");
    assert!(!story.is_new(Push, 'b'));
    assert!(story.is_new(Callback, 'c'));
    assert!(story.is_new(Push, 'b'), "the last form is another road's, and is replaced");
}

#[test]
fn what_was_fetched_is_as_old_as_the_question() {
    let mut story = Story::default();
    assert!(story.is_new(Push, 'a'));
    assert!(story.is_new(Push, 'b'));
    assert!(!story.is_new_when_fetched('b', 2));
    assert!(!story.is_new_when_fetched('a', 1), "asked before it was edited");
    assert!(story.is_new_when_fetched('a', 2), "edited back, and the push of it was missed");
    assert!(!story.is_new(Push, 'a'), "it comes after all");
    assert!(story.is_new_when_fetched('c', 0), "what nobody has is told, however old");
    assert_eq!(story.came(Road::Backfill, form('a', 0), None), Verdict::Repeat, "asked nobody knows when");
}

#[test]
fn the_past_of_a_destroyed_message_is_no_news_and_its_end_stays_the_last_form() {
    let past = Form { is_past: true, ..form('a', 0) };
    let mut story = Story::default();
    assert!(story.is_new(Push, 'a') && story.is_new(Push, 'x'));
    assert_eq!(story.came(Road::Backfill, past, Some(2)), Verdict::Repeat);
    assert!(!story.is_new_when_fetched('x', 3));

    let mut missed = Story::default();
    assert!(missed.is_new(Push, 'x'));
    assert!(matches!(missed.came(Road::Backfill, past, Some(1)), Verdict::New(_)), "nobody knew what it said");
    assert!(missed.is_new_when_fetched('x', 1), "whoever now believes it is there learns that it is not");
    assert!(!missed.is_new(Push, 'x'));
}

#[test]
fn what_an_earlier_run_settled_is_done_and_what_it_did_not_gets_the_same_id() {
    let words = "abacab";
    let judged = |history: &mut History, from: usize| -> Vec<Verdict> {
        let frames = words.chars().enumerate().skip(from);
        frames.map(|(n, words)| history.judge(&form(words, 0), Push, (Sequence(n as u64), 0), None)).collect()
    };
    let first_time = judged(&mut History::default(), 0);
    for settled in 0..words.len() {
        let mut history = History::default();
        for (n, words) in words.chars().enumerate().take(settled) {
            history.judge(&form(words, 0), Push, (Sequence(n as u64), 0), None);
        }
        let stored = history.store();
        // Frames need not settle in their order, so any of them may come again.
        for from in 0..=settled {
            let mut history = if settled == 0 { History::default() } else { History::restore(stored.clone()) };
            let again = judged(&mut history, from);
            let (done, rest) = again.split_at(settled - from);
            assert!(done.iter().all(|verdict| *verdict == Verdict::Done), "{settled} {from}: {again:?}");
            assert_eq!(rest, &first_time[settled..], "{settled} {from}");
        }
    }
}

#[test]
fn items_of_one_frame_are_told_apart() {
    let mut history = History::default();
    let verdicts = [0, 1, 2].map(|index| {
        let words = if index == 1 { 'b' } else { 'a' };
        history.judge(&form(words, 0), Push, (Sequence(5), index), None)
    });
    assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::New(_))), "{verdicts:?}");
    assert_eq!(history.judge(&form('c', 0), Push, (Sequence(5), 2), None), Verdict::Done);
}

#[test]
fn old_forms_are_forgotten_and_no_id_is_given_twice_for_that() {
    let mut story = Story::default();
    for turn in 0..FORMS_KEPT_MAX * 3 {
        let words = char::from(b'a' + u8::try_from(turn % 3).expect("small"));
        assert!(story.is_new(Push, words));
        assert!(!story.is_new(Callback, words));
    }
    // Longer ago than is remembered, so it may have been said before.
    let Verdict::New(id) = story.came(Push, form('z', 0), None) else { panic!("new") };
    assert_ne!(id, form('z', 0).words);
    assert_eq!(story.history.forms.len(), FORMS_KEPT_MAX);
    assert_eq!(History::restore(story.history.store()), story.history);
    let (.., forms) = story.history.store();
    assert!(forms.iter().map(Vec::len).sum::<usize>() <= FORMS_KEPT_MAX * 3);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However two roads interleave that each bring everything in order: each form is published once, in order.
    #[test]
    fn two_roads_bring_each_form_once(said in "[abc]{1,12}", turns in prop::collection::vec(any::<bool>(), 0..24)) {
        // What is said twice in a row was said once.
        let mut truth: Vec<char> = said.chars().collect();
        truth.dedup();
        let mut story = Story::default();
        let (mut brought, mut published) = ([0, 0], Vec::new());
        for road in turns.into_iter().map(usize::from).chain([0; 12]).chain([1; 12]) {
            let Some(words) = truth.get(brought[road]) else { continue };
            brought[road] += 1;
            if story.is_new([Push, Callback][road], *words) {
                published.push(*words);
            }
        }
        prop_assert_eq!(published, truth);
    }
}
