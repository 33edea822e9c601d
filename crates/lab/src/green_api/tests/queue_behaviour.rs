//! Receive and delete.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::client::{Client, receive_path};
use super::{INSTANCE, TOKEN, config, patient, start};
use crate::green_api::{
    EnqueueError, EntryId, JournalEvent, Receipts, Redelivery, Simulator, SimulatorConfig, SpentReceipt,
    UnknownInstance,
};

#[tokio::test]
async fn an_empty_queue_answers_null() {
    let (_simulator, client) = start(config()).await;
    let answer = client.receive().await;
    assert_eq!((answer.status, answer.text()), (200, "null"));
}

#[tokio::test]
async fn events_come_in_order_and_verbatim_until_deleted() {
    let (simulator, client) = start(config()).await;
    let odd = r#"{ "text" : "\ud83d lone",  "n":1.0 }"#;
    simulator.enqueue(INSTANCE, odd).expect("queued");
    simulator.enqueue(INSTANCE, "{\"n\":2}").expect("queued");
    assert_eq!(client.receive().await.text(), format!(r#"{{"receiptId":1,"body":{odd}}}"#));
    assert_eq!(
        client.receive().await.text(),
        format!(r#"{{"receiptId":2,"body":{odd}}}"#),
        "again, with a new receipt"
    );
    assert_eq!(client.delete(1).await.json()["result"], false, "only the latest receipt deletes");
    assert_eq!(client.delete(2).await.text(), r#"{"result":true,"reason":""}"#);
    assert_eq!(client.delete(2).await.json()["result"], false, "and only once");
    assert_eq!(client.take().await, json!({"n": 2}));
    assert_eq!(client.receive().await.text(), "null");
}

#[tokio::test]
async fn bodies_need_not_be_json_nor_text() {
    let (simulator, client) = start(config()).await;
    simulator.enqueue(INSTANCE, b"\xff\xfe,{" as &[u8]).expect("queued");
    assert_eq!(client.receive().await.body, b"{\"receiptId\":1,\"body\":\xff\xfe,{}");
}

#[tokio::test]
async fn a_waiting_poll_is_woken_by_an_event() {
    let (simulator, client) = start(patient()).await;
    let (answer, ()) = tokio::join!(client.receive(), async {
        simulator.polls_waiting(1).await;
        simulator.enqueue(INSTANCE, "{\"n\":1}").expect("queued");
    });
    assert_eq!(answer.json()["body"]["n"], 1);
}

#[tokio::test]
async fn a_poll_whose_client_went_away_takes_nothing() {
    let (simulator, client) = start(patient()).await;
    let path = receive_path();
    let abandoned = client.get(&path);
    tokio::select! {
        _ = abandoned => panic!("nothing to receive yet"),
        () = simulator.polls_waiting(1) => {}
    }
    // The simulator notices when it reads the end of the connection.
    while client.get("/simulator/waiting").await.text() != r#"{"polls":0}"# {}
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    assert_eq!(client.receive().await.receipt(), 1, "the first receipt there is");
}

#[tokio::test]
async fn stable_receipts_are_a_choice() {
    let (simulator, client) = start(SimulatorConfig { receipts: Receipts::Stable, ..config() }).await;
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    assert_eq!(client.receive().await.receipt(), 1);
    assert_eq!(client.receive().await.receipt(), 1);
}

#[tokio::test]
async fn a_hidden_head_comes_again_after_its_pause() {
    let pause = Duration::from_millis(80);
    let (simulator, client) =
        start(SimulatorConfig { redelivery: Redelivery::SameHeadAfter(pause), ..patient() }).await;
    simulator.enqueue(INSTANCE, "{\"n\":1}").expect("queued");
    simulator.enqueue(INSTANCE, "{\"n\":2}").expect("queued");
    let begun = Instant::now();
    for _ in 0..2 {
        assert_eq!(client.receive().await.json()["body"]["n"], 1, "the second event waits behind the first");
    }
    assert!(begun.elapsed() >= pause);
}

#[tokio::test]
async fn a_delete_wakes_whoever_waits_behind_a_hidden_head() {
    let redelivery = Redelivery::SameHeadAfter(Duration::from_secs(3600));
    let (simulator, client) = start(SimulatorConfig { redelivery, ..patient() }).await;
    simulator.enqueue(INSTANCE, "{\"n\":1}").expect("queued");
    simulator.enqueue(INSTANCE, "{\"n\":2}").expect("queued");
    let receipt = client.receive().await.receipt();
    let (next, _) = tokio::join!(client.receive(), async {
        simulator.polls_waiting(1).await;
        client.delete(receipt).await
    });
    assert_eq!(next.json()["body"]["n"], 2);
}

#[tokio::test]
async fn next_unacked_is_a_choice() {
    let redelivery = Redelivery::NextUnacked(Duration::from_secs(60));
    let (simulator, client) = start(SimulatorConfig { redelivery, ..config() }).await;
    simulator.enqueue(INSTANCE, "{\"n\":1}").expect("queued");
    simulator.enqueue(INSTANCE, "{\"n\":2}").expect("queued");
    assert_eq!(client.receive().await.json()["body"]["n"], 1);
    assert_eq!(client.receive().await.json()["body"]["n"], 2);
    assert_eq!(client.receive().await.text(), "null");
}

#[tokio::test]
async fn a_spent_receipt_may_be_a_500_that_shows_the_token() {
    let (_simulator, client) = start(SimulatorConfig { spent_receipt: SpentReceipt::AlreadyGone, ..config() }).await;
    let answer = client.delete(7).await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("findUnAckedMessage"));
    assert_eq!(answer.json()["path"], format!("/waInstance{INSTANCE}/deleteNotification/{TOKEN}/7"));
}

#[tokio::test]
async fn a_webhook_url_shuts_the_queue_also_on_a_waiting_poll() {
    let (simulator, client) = start(patient()).await;
    let (answer, ()) = tokio::join!(client.receive(), async {
        simulator.polls_waiting(1).await;
        simulator.set_webhook_url(INSTANCE, "https://example.invalid/").expect("known");
    });
    assert_eq!(answer.status, 400);
    assert!(answer.text().starts_with("Message cannot be received because custom webhook url is set."));
    assert_eq!(client.delete(1).await.status, 400);
    simulator.set_webhook_url(INSTANCE, "").expect("known");
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    assert_eq!(client.take().await, json!({}));
}

#[tokio::test]
async fn with_every_switch_off_the_empty_answer_is_instant() {
    let (simulator, client) = start(patient()).await;
    simulator.silence(INSTANCE).expect("known");
    let begun = Instant::now();
    assert_eq!(client.receive().await.text(), "null");
    assert!(begun.elapsed() < Duration::from_secs(4), "not after the 5 s asked for");
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    assert_eq!(client.take().await, json!({}));
}

#[tokio::test(start_paused = true)]
async fn events_vanish_after_the_retention() {
    let simulator = Simulator::start(config()).await.expect("a free port");
    let begun = Instant::now();
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    tokio::time::advance(Duration::from_secs(24 * 3600 - 1)).await;
    assert_eq!(simulator.depth(INSTANCE), Ok(1));
    simulator.emptied().await;
    assert_eq!(begun.elapsed().as_secs(), 24 * 3600, "emptied() wakes for what vanishes too");
    assert_eq!(simulator.depth(INSTANCE), Ok(0));
    let counted = simulator.handle.world.common.depth.load(Ordering::SeqCst);
    assert_eq!(counted, 0, "else no later delete would be seen to empty the queues");
    let last = simulator.journal().pop().expect("an entry");
    assert_eq!(last.what, JournalEvent::Expired { entry: EntryId(1) });
    assert_eq!(last.at_ms, 24 * 3600 * 1000);
}

#[tokio::test]
async fn emptied_waits_for_the_last_delete_of_all_instances() {
    let (simulator, client) = start(config()).await;
    simulator.add_instance(crate::green_api::SimulatedInstance::new(2, "t")).expect("new");
    simulator.emptied().await;
    for instance in [INSTANCE, 2] {
        simulator.enqueue(instance, "{}").expect("queued");
    }
    assert_eq!(simulator.total_depth(), 2);
    client.take().await;
    let other = client.get("/waInstance2/receiveNotification/t").await;
    tokio::select! {
        biased;
        () = simulator.emptied() => panic!("one is left"),
        () = std::future::ready(()) => {}
    }
    let path = format!("/waInstance2/deleteNotification/t/{}", other.receipt());
    tokio::join!(simulator.emptied(), client.request("DELETE", &path, ""));
    assert_eq!(simulator.total_depth(), 0);
}

#[tokio::test]
async fn unknown_instances_and_full_queues_are_refused() {
    let (simulator, _client) = start(SimulatorConfig { queue_events_max: 1, ..config() }).await;
    assert_eq!(simulator.enqueue(5, "{}"), Err(EnqueueError::UnknownInstance(UnknownInstance(5))));
    assert_eq!(simulator.enqueue(INSTANCE, "{}"), Ok(EntryId(1)));
    assert_eq!(simulator.enqueue(INSTANCE, "{}"), Err(EnqueueError::QueueFull(INSTANCE)));
}

#[tokio::test]
async fn the_journal_tells_the_whole_story() {
    let (simulator, client) = start(config()).await;
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    client.delete(9).await;
    client.take().await;
    let story: Vec<_> = simulator.journal().into_iter().map(|entry| entry.what).collect();
    let (entry, receipt) = (EntryId(1), 1);
    let body = crate::green_api::JournalBody("{}".into());
    assert_eq!(
        story,
        [
            JournalEvent::Enqueued { entry, body },
            JournalEvent::DeleteRefused { receipt: 9 },
            JournalEvent::HandedOut { entry, receipt },
            JournalEvent::Deleted { entry, receipt },
        ]
    );
    assert_eq!(simulator.journal_after(3).len(), 1);
    assert_eq!(simulator.journal_left_out(), 0);
    assert!(!format!("{simulator:?} {:?} {:?}", simulator.journal(), config()).contains(TOKEN));
}

#[tokio::test]
async fn journalled_awaits_what_has_not_happened_yet() {
    let (simulator, client) = start(config()).await;
    let deleted = simulator.journalled(|entry| matches!(entry.what, JournalEvent::Deleted { .. }));
    let ((), found) = tokio::join!(
        async {
            simulator.enqueue(INSTANCE, "{}").expect("queued");
            client.take().await;
        },
        deleted
    );
    assert_eq!(found.sequence, 3);
}

#[tokio::test]
async fn stopping_ends_polls_and_frees_the_port() {
    let (simulator, client) = start(patient()).await;
    let address = simulator.url().strip_prefix("http://").expect("http").to_owned();
    let observer = simulator.clone();
    let (answer, ()) = tokio::join!(client.receive(), async {
        observer.polls_waiting(1).await;
        simulator.stop().await;
    });
    assert_eq!(answer.text(), "null");
    TcpStream::connect(&address).await.expect_err("nobody listens");
    assert_eq!(observer.total_depth(), 0, "a clone still looks");
}

#[tokio::test]
async fn dropping_the_last_handle_stops_the_server() {
    let (simulator, client) = start(patient()).await;
    let clone = simulator.clone();
    drop(simulator);
    let poll = client.receive();
    let (answer, ()) = tokio::join!(poll, async {
        clone.polls_waiting(1).await;
        drop(clone);
    });
    assert_eq!(answer.text(), "null");
}

#[tokio::test]
async fn every_waiting_poll_is_woken() {
    let (simulator, client) = start(SimulatorConfig { requests_per_second_max: 1_000, ..patient() }).await;
    let polls: Vec<_> = (0..200)
        .map(|_| {
            let client = Client::new(simulator.url());
            tokio::spawn(async move { client.receive().await.receipt() })
        })
        .collect();
    simulator.polls_waiting(200).await;
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    let mut receipts = Vec::new();
    for poll in polls {
        receipts.push(poll.await.expect("no panic"));
    }
    receipts.sort_unstable();
    assert_eq!(receipts, (1..=200).collect::<Vec<_>>(), "each is handed the head under a receipt of its own");
    assert_eq!(client.delete(200).await.json()["result"], true);
}
