//! The other methods, the gate before all of them, and the debug endpoint.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{delete_path, method_path, receive_path};
use super::{INSTANCE, TOKEN, config, start};
use crate::green_api::{Contact, InstanceState, JournalEvent, Method, SimulatorConfig};

/// Without the one request a second.
fn unhurried() -> SimulatorConfig {
    SimulatorConfig { other_requests_per_second_max: 1_000, ..config() }
}

#[tokio::test]
async fn the_gate_answers_as_the_service_does() {
    let (_simulator, client) = start(unhurried()).await;
    let wrong_token = client.get(&format!("/waInstance{INSTANCE}/receiveNotification/wrong")).await;
    assert_eq!((wrong_token.status, wrong_token.text()), (401, ""));
    assert!(wrong_token.head.contains("content-length: 0"));
    let nginx = |status| format!("<center><h1>{status}</h1></center>\r\n<hr><center>nginx</center>");
    let cases = [
        ("GET", format!("/waInstance7/receiveNotification/{TOKEN}"), 403, nginx("403 Forbidden")),
        ("GET", method_path("receiveNotifications"), 404, nginx("404 Not Found")),
        ("POST", receive_path(), 404, nginx("404 Not Found")),
        ("GET", delete_path(1), 404, nginx("404 Not Found")),
        ("GET", method_path("getContactInfo"), 404, nginx("404 Not Found")),
        ("PUT", "/".to_owned(), 404, nginx("404 Not Found")),
        ("GET", "/anything".to_owned(), 404, nginx("404 Not Found")),
        ("GET", format!("/waInstanceX/getSettings/{TOKEN}"), 400, "Parameter idInstance not an integer".to_owned()),
        ("GET", format!("/waInstance{INSTANCE}/getSettings"), 400, "Parameter apiTokenInstance not define".to_owned()),
        ("DELETE", method_path("deleteNotification") + "/x", 400, "Parameter receiptId must be a Number".to_owned()),
        ("OPTIONS", receive_path(), 204, String::new()),
    ];
    for (verb, path, status, text) in cases {
        let answer = client.request(verb, &path, "").await;
        assert_eq!(answer.status, status, "{verb} {path}");
        assert!(answer.text().contains(&text), "{verb} {path}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_max_prefix_and_the_old_spelling_are_understood() {
    let (_simulator, client) = start(unhurried()).await;
    for path in [format!("/v3{}", receive_path()), method_path("ReceiveNotification")] {
        assert_eq!(client.get(&path).await.text(), "null", "{path}");
    }
}

#[tokio::test]
async fn too_many_requests_are_429_by_method_and_instance() {
    let (simulator, client) = start(SimulatorConfig { requests_per_second_max: 3, ..config() }).await;
    simulator.add_instance(crate::green_api::SimulatedInstance::new(2, "t")).expect("new");
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(client.delete(1).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 429]);
    assert_eq!(client.get(&method_path("getStateInstance")).await.status, 200);
    let limited = client.get(&method_path("getStateInstance")).await;
    assert_eq!((limited.status, limited.text()), (429, "Too Many Requests"));
    assert!(!limited.head.contains("retry-after"), "not documented, so not there");
    assert_eq!(client.request("DELETE", "/waInstance2/deleteNotification/t/1", "").await.status, 200);
    let limited = JournalEvent::RateLimited { method: Method::Delete };
    assert!(simulator.journal().iter().any(|entry| entry.what == limited));
}

#[tokio::test]
async fn states_are_told() {
    let (simulator, client) = start(unhurried()).await;
    let path = method_path("getStateInstance");
    assert_eq!(client.get(&path).await.json(), json!({"stateInstance": "authorized"}));
    assert_eq!(client.get(&method_path("getStatusInstance")).await.json(), json!({"statusInstance": "online"}));
    simulator.set_state(INSTANCE, InstanceState::NotAuthorized).expect("known");
    assert_eq!(client.get(&path).await.json(), json!({"stateInstance": "notAuthorized"}));
    assert_eq!(client.get(&method_path("getStatusInstance")).await.json(), json!({"statusInstance": "offline"}));
    simulator.set_state(INSTANCE, InstanceState::BeingCreated).expect("known");
    assert_eq!(client.get(&path).await.text(), "null");
}

#[tokio::test]
async fn settings_list_every_switch() {
    let (simulator, client) = start(unhurried()).await;
    let path = method_path("getSettings");
    let settings = client.get(&path).await.json();
    assert_eq!(settings["webhookUrl"], "");
    assert_eq!(settings["webhookUrlToken"], "");
    assert_eq!(settings["wid"], "79001000001@c.us");
    let switches = settings.as_object().expect("an object").iter().filter(|(key, _)| key.ends_with("Webhook"));
    assert!(switches.clone().all(|(_, value)| value == "yes"));
    assert_eq!(switches.count(), 16);
    simulator.silence(INSTANCE).expect("known");
    simulator.set_webhook_url(INSTANCE, "https://example.invalid/").expect("known");
    let settings = client.get(&path).await.json();
    assert_eq!(
        (&settings["incomingWebhook"], &settings["webhookUrl"]),
        (&json!("no"), &json!("https://example.invalid/"))
    );
}

#[tokio::test]
async fn contacts_are_known_by_name() {
    let (simulator, client) = start(unhurried()).await;
    let contact = Contact { name: "Ира".to_owned(), contact_name: "Ира Б.".to_owned() };
    simulator.set_contact(INSTANCE, "79995554433@c.us", contact).expect("known");
    let path = method_path("getContactInfo");
    let ask = |chat: &str| client.request("POST", &path, json!({ "chatId": chat }).to_string());
    let known = ask("79995554433@c.us").await.json();
    assert_eq!((&known["name"], &known["contactName"]), (&json!("Ира"), &json!("Ира Б.")));
    assert_eq!(known["products"], json!([]));
    assert_eq!(ask("79990000000@c.us").await.json()["name"], "");
    let max = ask("61000001").await.json();
    assert_eq!((&max["chatType"], max.get("products")), (&json!("user"), None::<&Value>));
    assert_eq!(ask("120363000000000001@g.us").await.status, 400);
    assert_eq!(client.request("POST", &path, "{").await.status, 400);
}

#[tokio::test]
async fn the_count_may_be_stale() {
    let (simulator, client) = start(unhurried()).await;
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    let path = method_path("getWebhooksCount");
    assert_eq!(client.get(&path).await.text(), r#"{"count":1}"#);
    simulator.enqueue(INSTANCE, "{}").expect("queued");
    assert_eq!(client.get(&path).await.text(), r#"{"count":1}"#, "up to ten seconds old");
}

#[tokio::test]
async fn the_debug_endpoint_queues_bare_notifications() {
    let (_simulator, client) = start(config()).await;
    let body = json!({"typeWebhook": "x", "instanceData": {"idInstance": INSTANCE}}).to_string();
    for path in ["/", "/v1", "/v1/"] {
        assert_eq!(client.request("POST", path, &body).await.status, 200, "{path}");
        assert_eq!(client.take().await["typeWebhook"], "x", "{path}");
    }
    assert_eq!(client.request("POST", "/", r#"{"instanceData":{"idInstance":7}}"#).await.status, 403);
    assert_eq!(client.request("POST", "/", r#"{"instanceData":{}}"#).await.status, 400);
    assert_eq!(client.request("POST", "/", "not JSON").await.status, 400);
}

#[tokio::test]
async fn bodies_are_limited() {
    let (simulator, client) = start(SimulatorConfig { body_bytes_max: 100, ..unhurried() }).await;
    let long = vec![b' '; 101];
    let enqueue = format!("/simulator/enqueue/{INSTANCE}");
    for path in ["/", &enqueue, "/simulator/faults", &method_path("getContactInfo")] {
        assert_eq!(client.request("POST", path, &long).await.status, 413, "{path}");
    }
    assert_eq!(client.request("POST", &enqueue, &long[..100]).await.status, 200);
    assert_eq!(simulator.total_depth(), 1);
}

#[tokio::test]
async fn latency_is_added() {
    let latency = Duration::from_millis(60);
    let (_simulator, client) = start(SimulatorConfig { latency, ..config() }).await;
    let begun = tokio::time::Instant::now();
    client.delete(1).await;
    assert!(begun.elapsed() >= latency);
}
