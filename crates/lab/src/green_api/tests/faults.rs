//! Each fault does what it says, over a real connection.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::time::Instant;

use super::client::{delete_path, receive_path};
use super::{INSTANCE, TOKEN, config, patient, start};
use crate::green_api::{EntryId, Fault, FaultKind, JournalEvent, Method};

#[tokio::test]
async fn replaced_answers_are_verbatim_and_take_nothing() {
    let (simulator, client) = start(patient()).await;
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    let raw = |body: &str| Fault::new(Method::Receive, FaultKind::RawBody { body: body.to_owned() });
    let cases = [
        (Fault::new(Method::Receive, FaultKind::EmptyAtOnce), 200, "null"),
        (Fault::new(Method::Receive, FaultKind::EmptyBody), 200, ""),
        (Fault::new(Method::Receive, FaultKind::EmptyObject), 200, "{}"),
        (raw(r#"{"receiptId":5,"body":"#), 200, r#"{"receiptId":5,"body":"#),
        (Fault::request_timeout(), 408, ""),
        (Fault::gateway_timeout(), 504, "504 Gateway Time-out"),
        (Fault::bad_gateway(Method::Any), 502, "502 Bad Gateway"),
        (Fault::status(Method::Receive, 500, "oops"), 500, "oops"),
        (Fault::unauthorized(), 401, ""),
        (Fault::forbidden(), 403, "403 Forbidden"),
        (Fault::not_found(), 404, "404 Not Found"),
        (Fault::starting(), 400, "instance in starting process try later"),
        (Fault::expired(), 400, "Instance account is expired."),
        (Fault::webhook_url_is_set(), 400, "custom webhook url is set. Please clear webhook url and wait"),
        (Fault::quota_exceeded(Method::Receive), 466, "QUOTE_EXCEEDED"),
    ];
    for (fault, status, text) in cases {
        simulator.add_fault(fault.clone().times(1));
        let answer = client.receive().await;
        assert_eq!(answer.status, status, "{fault:?}");
        assert!(answer.text().contains(text), "{fault:?}: {}", answer.text());
        if text.is_empty() {
            assert_eq!(answer.text(), "", "{fault:?}");
        }
    }
    assert_eq!(client.receive().await.receipt(), 1, "the event was never handed out before");
}

#[tokio::test]
async fn a_429_may_carry_retry_after() {
    let (simulator, client) = start(config()).await;
    simulator.add_fault(Fault::too_many_requests(Method::Receive, Some(7)).times(1));
    let answer = client.receive().await;
    assert_eq!((answer.status, answer.text()), (429, "Too Many Requests"));
    assert!(answer.head.contains("retry-after: 7"));
}

#[tokio::test]
async fn deletes_can_be_refused_in_both_ways_done_or_not() {
    let (simulator, client) = start(config()).await;
    for (fault, status, text) in
        [(Fault::result_false(), 200, r#"{"result":false"#), (Fault::already_gone(), 500, TOKEN)]
    {
        for fault in [fault.clone(), fault.after_effect()] {
            simulator.enqueue(INSTANCE, "{}").expect("queued");
            let receipt = client.receive().await.receipt();
            simulator.add_fault(fault.clone().times(1));
            let answer = client.delete(receipt).await;
            assert_eq!(answer.status, status);
            assert!(answer.text().contains(text), "{}", answer.text());
            let done = fault == fault.clone().after_effect();
            assert_eq!(simulator.total_depth(), usize::from(!done));
            assert_eq!(client.delete(receipt).await.json()["result"], !done);
        }
    }
}

#[tokio::test]
async fn resets_come_before_or_after_the_effect() {
    let (simulator, client) = start(config()).await;
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    let receipt = client.receive().await.receipt();
    let path = delete_path(receipt);
    simulator.add_fault(Fault::reset_before(Method::Delete).times(1));
    let error = client.raw("DELETE", &path, b"").await.expect_err("no answer");
    assert_eq!((error.kind(), simulator.total_depth()), (ErrorKind::ConnectionReset, 1));
    simulator.add_fault(Fault::reset_after(Method::Delete).times(1));
    let error = client.raw("DELETE", &path, b"").await.expect_err("no answer");
    assert_eq!((error.kind(), simulator.total_depth()), (ErrorKind::ConnectionReset, 0));
    let (entry, method) = (EntryId(1), Method::Delete);
    let story: Vec<_> = simulator.journal().into_iter().map(|entry| entry.what).skip(2).collect();
    let reset = JournalEvent::Faulted { method, fault: "reset".to_owned() };
    assert_eq!(story, [reset.clone(), reset, JournalEvent::Deleted { entry, receipt }]);
}

#[tokio::test]
async fn a_hang_ends_without_an_answer_and_without_a_reset() {
    let (simulator, client) = start(config()).await;
    simulator.add_fault(Fault::new(Method::Receive, FaultKind::Hang { duration_ms: 60 }));
    let begun = Instant::now();
    assert_eq!(client.raw("GET", &receive_path(), b"").await.expect("an orderly close"), b"");
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_hang_ends_with_the_simulator() {
    let (simulator, client) = start(config()).await;
    simulator.add_fault(Fault::new(Method::Receive, FaultKind::Hang { duration_ms: 3_600_000 }));
    let observer = simulator.clone();
    let path = receive_path();
    let (answer, ()) = tokio::join!(client.raw("GET", &path, b""), async {
        observer.journalled(|entry| matches!(entry.what, JournalEvent::Faulted { .. })).await;
        simulator.stop().await;
    });
    assert_eq!(answer.expect("an orderly close"), b"");
}

#[tokio::test]
async fn a_delay_serves_later() {
    let (simulator, client) = start(config()).await;
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    simulator.add_fault(Fault::new(Method::Receive, FaultKind::Delay { duration_ms: 60 }).times(1));
    let begun = Instant::now();
    assert_eq!(client.receive().await.receipt(), 1);
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_truncated_answer_promises_more_than_it_holds() {
    let (simulator, client) = start(config()).await;
    simulator.enqueue(INSTANCE, r#"{"text":"hello"}"#).expect("queued");
    simulator.add_fault(Fault::new(Method::Receive, FaultKind::Truncate { bytes: 20 }).times(1));
    let answer = client.receive().await;
    assert_eq!(answer.text(), r#"{"receiptId":1,"body"#);
    assert!(answer.head.contains("content-length: 39"), "{}", answer.head);
}

#[tokio::test]
async fn a_second_consumer_steals_between_receive_and_delete() {
    let (simulator, client) = start(config()).await;
    simulator.enqueue(INSTANCE, "{\"n\":1}").expect("queued");
    simulator.add_fault(Fault::stolen().times(1));
    let receipt = client.receive().await.receipt();
    assert_eq!(simulator.total_depth(), 0);
    assert_eq!(client.delete(receipt).await.json()["result"], false);
    assert!(simulator.journal().iter().any(|one| one.what == JournalEvent::Stolen { entry: EntryId(1), receipt }));

    simulator.enqueue(INSTANCE, "{\"n\":2}").expect("queued");
    let receipt = client.receive().await.receipt();
    simulator.add_fault(Fault::new(Method::Delete, FaultKind::StolenBySecondConsumer).times(1));
    assert_eq!(client.delete(receipt).await.json()["result"], false);
    assert_eq!(simulator.total_depth(), 0);
}

#[tokio::test]
async fn faults_keep_to_their_instance_and_can_be_cleared() {
    let (simulator, client) = start(config()).await;
    simulator.add_fault(Fault::status(Method::Any, 500, "").on(7));
    assert_eq!(client.receive().await.status, 200);
    simulator.add_fault(Fault::status(Method::Any, 500, "").on(INSTANCE));
    assert_eq!(client.receive().await.status, 500);
    simulator.clear_faults();
    assert_eq!(client.receive().await.status, 200);
}

#[tokio::test]
async fn the_seed_decides_which_requests_are_hit() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let (simulator, client) = start(crate::green_api::SimulatorConfig { seed, ..config() }).await;
        simulator.add_fault(Fault { probability: 0.5, ..Fault::status(Method::Delete, 500, "") });
        let mut statuses = Vec::new();
        for _ in 0..30 {
            statuses.push(client.delete(1).await.status);
        }
        runs.push(statuses);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}
