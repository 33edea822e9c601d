//! `/simulator/…`, as another process uses it.

use std::collections::BTreeSet;

use serde_json::json;

use super::client::method_path;
use super::{INSTANCE, config, start};
use crate::green_api::{JournalConfig, JournalEntry, JournalEvent, SimulatorConfig};

#[tokio::test]
async fn instances_are_added_and_changed() {
    let (simulator, client) = start(config()).await;
    let made = json!({"id": 2, "token": "secret-token"}).to_string();
    assert_eq!(client.request("POST", "/simulator/instances", &made).await.json(), json!({"id": 2}));
    let again = client.request("POST", "/simulator/instances", &made).await;
    assert_eq!((again.status, again.text()), (409, "instance 2 exists already"));
    assert_eq!(client.request("POST", "/simulator/instances", r#"{"id":2}"#).await.status, 400);
    assert_eq!(client.get("/waInstance2/getStateInstance/secret-token").await.status, 200);

    let change = json!({"state": "suspended", "webhook_url": "https://example.invalid/",
        "settings": {"webhookUrlToken": "t"}, "contacts": {"7@c.us": {"name": "Ann"}}});
    let path = format!("/simulator/instances/{INSTANCE}");
    assert_eq!(client.request("PATCH", &path, change.to_string()).await.status, 200);
    assert_eq!(client.get(&method_path("getStateInstance")).await.json()["stateInstance"], "suspended");
    let settings = client.get(&method_path("getSettings")).await.json();
    assert_eq!(
        (&settings["webhookUrl"], &settings["webhookUrlToken"]),
        (&json!("https://example.invalid/"), &json!("t"))
    );
    let ann = client.request("POST", &method_path("getContactInfo"), r#"{"chatId":"7@c.us"}"#).await;
    assert_eq!(ann.json()["name"], "Ann");
    assert_eq!(client.request("PATCH", "/simulator/instances/9", "{}").await.status, 404);
    assert_eq!(client.request("PATCH", &path, r#"{"stat":"x"}"#).await.status, 400);
    assert!(!format!("{:?}", simulator.journal()).contains("secret-token"));
}

#[tokio::test]
async fn faults_are_added_listed_and_cleared() {
    let (_simulator, client) = start(config()).await;
    let fault = r#"{"method":"receive","kind":{"type":"status","code":503},"times":1}"#;
    assert_eq!(client.request("POST", "/simulator/faults", fault).await.json(), json!({"faults": 1}));
    assert_eq!(client.get("/simulator/faults").await.json()[0]["kind"]["code"], 503);
    assert_eq!(client.receive().await.status, 503);
    assert_eq!(client.get("/simulator/faults").await.json(), json!([]), "used up");
    client.request("POST", "/simulator/faults", r#"{"kind":{"type":"reset"}}"#).await;
    assert_eq!(client.request("DELETE", "/simulator/faults", "").await.json(), json!({"faults": 0}));
    assert_eq!(client.receive().await.status, 200);
    assert_eq!(client.request("POST", "/simulator/faults", r#"{"kind":{"type":"x"}}"#).await.status, 400);
}

#[tokio::test]
async fn bytes_are_enqueued_verbatim_and_depth_tells() {
    let (_simulator, client) = start(config()).await;
    let path = format!("/simulator/enqueue/{INSTANCE}");
    assert_eq!(client.request("POST", &path, b"\xff{").await.json(), json!({"entry": 1}));
    assert_eq!(client.get("/simulator/depth").await.json(), json!({"total": 1, "instances": {"1101000001": 1}}));
    assert_eq!(client.receive().await.body, b"{\"receiptId\":1,\"body\":\xff{}");
    assert_eq!(client.get("/simulator/emptied?timeout_seconds=0").await.json(), json!({"emptied": false}));
    let (emptied, _) = tokio::join!(client.get("/simulator/emptied"), client.delete(1));
    assert_eq!(emptied.json(), json!({"emptied": true}));
    assert_eq!(client.request("POST", "/simulator/enqueue/9", "{}").await.status, 404);
}

#[tokio::test]
async fn the_journal_is_json_lines_and_can_be_followed() {
    let (simulator, client) = start(config()).await;
    let generate = format!("/simulator/generate/{INSTANCE}?events=600&seed=1&chats=3");
    let next = client.request("POST", &generate, "").await.json()["next"].as_u64().expect("a number");
    let lines = client.get("/simulator/journal").await;
    let entries: Vec<JournalEntry> =
        lines.text().lines().map(|line| serde_json::from_str(line).expect("an entry")).collect();
    assert_eq!(entries, simulator.journal());
    assert_eq!(entries.len(), 600);
    client.delete(5).await;
    assert_eq!(client.get("/simulator/journal?after=600").await.text().lines().count(), 1);

    let more = format!("/simulator/generate/{INSTANCE}?events=600&seed=1&first={next}");
    client.request("POST", &more, "").await;
    let bodies: BTreeSet<_> = simulator
        .journal()
        .into_iter()
        .filter_map(|entry| match entry.what {
            JournalEvent::Enqueued { body, .. } => Some(body.0),
            _ => None,
        })
        .collect();
    assert!(bodies.len() >= 1_199, "at most the state events of one second may be equal: {}", bodies.len());
}

#[tokio::test]
async fn the_journal_can_go_to_a_file_alone() {
    let path = std::env::temp_dir().join(format!("simulator-journal-{}.jsonl", std::process::id()));
    let journal = JournalConfig { entries_max: 0, file: Some(path.clone()) };
    let (simulator, client) = start(SimulatorConfig { journal, ..config() }).await;
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    client.take().await;
    assert_eq!(simulator.journal(), []);
    simulator.stop().await;
    let lines = std::fs::read_to_string(&path).expect("readable");
    std::fs::remove_file(&path).expect("removable");
    assert_eq!(lines.lines().count(), 3);
}

#[tokio::test]
async fn without_a_journal_everything_else_works() {
    let (simulator, client) = start(SimulatorConfig { journal: JournalConfig::off(), ..config() }).await;
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    client.take().await;
    simulator.emptied().await;
    assert_eq!((simulator.journal(), simulator.journal_left_out()), (vec![], 0));
}

#[tokio::test]
async fn waiting_polls_are_counted() {
    let (simulator, client) = start(config()).await;
    assert_eq!(client.get("/simulator/waiting").await.json(), json!({"polls": 0}));
    let seen = async {
        simulator.polls_waiting(1).await;
        let seen = client.get("/simulator/waiting").await.json();
        simulator.enqueue(INSTANCE, "{}").expect("a known instance");
        seen
    };
    let (seen, received) = tokio::join!(seen, client.receive());
    assert_eq!((seen, received.status), (json!({"polls": 1}), 200));
}
