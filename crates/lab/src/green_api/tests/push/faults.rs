//! What can go wrong on the way to a webhook.

use std::time::Duration;

use tokio::time::Instant;

use super::super::receiver::{Receiver, Reply};
use super::{acknowledged, bodies, body, enqueue, failed, hurried, pushed, pushing, story};
use crate::green_api::{Fault, FaultKind, JournalEvent, Method, PushConfig, PushFailure};

fn faulted(fault: &str) -> JournalEvent {
    JournalEvent::Faulted { method: Method::Push, fault: fault.to_owned() }
}

#[tokio::test]
async fn an_answer_may_be_lost_and_a_proxy_may_answer_instead() {
    let receiver = Receiver::start().await;
    let (simulator, _) = pushing(&receiver, hurried()).await;
    let cases = [
        (Fault::reset_after(Method::Push), "reset", true, PushFailure::NoAnswer),
        (Fault::reset_before(Method::Push), "reset", false, PushFailure::NotSent),
        (Fault::bad_gateway(Method::Push), "nginx", false, PushFailure::Status(502)),
        (Fault::status(Method::Push, 504, "").after_effect(), "status", true, PushFailure::Status(504)),
    ];
    for (entry, (fault, name, is_seen, why)) in (1..).zip(cases) {
        let before = (story(&simulator).len(), receiver.seen().len());
        simulator.add_fault(fault.times(1));
        enqueue(&simulator, [entry]);
        simulator.emptied().await;
        assert_eq!(receiver.texts_from(before.1), vec![body(entry); 1 + usize::from(is_seen)], "{name}");
        let mut expected = vec![faulted(name), failed(entry, why), pushed(entry), acknowledged(entry)];
        if is_seen {
            expected.insert(1, pushed(entry));
        }
        assert_eq!(story(&simulator)[before.0..], expected);
    }
}

#[tokio::test]
async fn a_proxy_that_answers_200_by_itself_loses_the_event() {
    let receiver = Receiver::start().await;
    let (simulator, _) = pushing(&receiver, hurried()).await;
    simulator.add_fault(Fault::status(Method::Push, 200, "").times(1));
    enqueue(&simulator, 1..=2);
    simulator.emptied().await;
    assert_eq!(receiver.texts(), bodies([2]));
    assert_eq!(story(&simulator), [faulted("status"), acknowledged(1), pushed(2), acknowledged(2)]);
}

#[tokio::test]
async fn a_connection_may_break_off_inside_the_body() {
    let receiver = Receiver::start().await;
    let (simulator, _) = pushing(&receiver, hurried()).await;
    for (number, bytes) in [(1, 0), (2, 3), (3, 1_000)] {
        simulator.add_fault(Fault::new(Method::Push, FaultKind::Truncate { bytes }).times(1));
        enqueue(&simulator, [number]);
        simulator.emptied().await;
        assert!(story(&simulator).contains(&failed(number, PushFailure::NoAnswer)), "{bytes}");
    }
    let whole: Vec<String> =
        receiver.seen().iter().filter(|seen| seen.body.is_some()).map(|s| s.text().into()).collect();
    assert_eq!(whole, bodies(1..=3), "the broken ones never arrived whole");
    assert!(receiver.seen().iter().any(|seen| seen.body.is_none()));
}

#[tokio::test]
async fn a_body_may_trickle() {
    let receiver = Receiver::start().await;
    let (simulator, _) = pushing(&receiver, hurried()).await;
    simulator.add_fault(Fault::new(Method::Push, FaultKind::Trickle { bytes: 2, pause_ms: 20 }).times(1));
    let begun = Instant::now();
    enqueue(&simulator, [1234]);
    simulator.emptied().await;
    assert!(begun.elapsed() >= Duration::from_millis(80), "five pieces: {:?}", begun.elapsed());
    assert_eq!(receiver.texts(), bodies([1234]));
    assert_eq!(receiver.seen()[0].header("content-length"), Some("10"));
}

#[tokio::test]
async fn a_body_that_trickles_too_slowly_runs_out_of_time() {
    let receiver = Receiver::start().await;
    let (simulator, _) = pushing(&receiver, PushConfig { answer_max: Duration::from_millis(60), ..hurried() }).await;
    simulator.add_fault(Fault::new(Method::Push, FaultKind::Trickle { bytes: 1, pause_ms: 3_600_000 }).times(1));
    enqueue(&simulator, [1]);
    simulator.emptied().await;
    let story = story(&simulator);
    assert_eq!((&story[2], story.last()), (&failed(1, PushFailure::TimedOut), Some(&acknowledged(1))));
}

#[tokio::test]
async fn an_event_may_come_again_while_its_first_request_waits() {
    let receiver = Receiver::start().await;
    let (simulator, _) = pushing(&receiver, hurried()).await;
    simulator.add_fault(Fault::new(Method::Push, FaultKind::Overlap { after_ms: 0 }).times(1));
    receiver.will([Reply::Held, Reply::Held]);
    enqueue(&simulator, 1..=2);
    receiver.has_seen(2).await;
    receiver.let_go();
    simulator.journalled(|entry| entry.what == acknowledged(1)).await;
    assert_eq!(receiver.texts(), bodies([1, 1]), "the next waits for both");
    receiver.let_go();
    simulator.emptied().await;
    assert_eq!((receiver.texts(), receiver.at_once_most()), (bodies([1, 1, 2]), 2));
    let overlap = [faulted("overlap"), pushed(1), pushed(1), acknowledged(1), pushed(2), acknowledged(2)];
    assert_eq!(story(&simulator), overlap);
}

#[tokio::test]
async fn an_event_may_come_twice_for_nothing() {
    let receiver = Receiver::start().await;
    let (simulator, _) = pushing(&receiver, hurried()).await;
    simulator.add_fault(Fault::new(Method::Push, FaultKind::Twice).times(1));
    enqueue(&simulator, 1..=2);
    simulator.emptied().await;
    assert_eq!((receiver.texts(), receiver.at_once_most()), (bodies([1, 1, 2]), 1));
    let twice = [faulted("twice"), pushed(1), acknowledged(1), pushed(1), pushed(2), acknowledged(2)];
    assert_eq!(story(&simulator), twice);
}

#[tokio::test]
async fn what_cannot_happen_is_refused_and_faults_of_every_method_spare_pushes() {
    let receiver = Receiver::start().await;
    let (simulator, client) = pushing(&receiver, hurried()).await;
    for fault in
        [r#"{"method":"receive","kind":{"type":"twice"}}"#, r#"{"method":"push","kind":{"type":"empty_body"}}"#]
    {
        let refused = client.request("POST", "/simulator/faults", fault).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
    }
    simulator.add_fault(Fault::new(Method::Push, FaultKind::EmptyBody));
    simulator.add_fault(Fault::status(Method::Any, 500, ""));
    enqueue(&simulator, [1]);
    simulator.emptied().await;
    assert_eq!((receiver.texts(), client.receive().await.status), (bodies([1]), 500));
}
