//! REST: tokens, discovery, pages, the authorisation endpoint, and what goes wrong there.

use reqwest::Method;
use serde_json::json;

use super::*;
use crate::chatapp::{Act, Fault, FaultKind, Place};

const CHATS: &str = "/v1/licenses/1229/messengers/telegram/chats";

#[tokio::test]
async fn a_token_is_asked_for_everywhere_and_refreshed_by_its_header() {
    let simulator = start(ChatAppSimulatorConfig::default()).await;
    let mut api = Api::log_in(&simulator).await;
    api.get("/v1/tokens/check").await;
    simulator.act(&Act::ExpireTokens);
    for path in ["/v1/tokens/check", "/v1/licenses", "/v1/companies", "/v1/me", CHATS] {
        let (status, body) = api.call(Method::GET, path, None).await;
        assert_eq!((status, &body["error"]["code"]), (403, &json!("ApiInvalidTokenError")), "{path}");
        assert_eq!(body["success"], false);
    }
    assert_eq!(api.authorise("1.2", CHANNEL).await.0, 403);
    let (status, pair) = api.call(Method::POST, "/v1/tokens/refresh", None).await;
    assert_eq!(status, 200);
    let (status, again) = api.call(Method::POST, "/v1/tokens/refresh", None).await;
    assert_eq!((status, &again["error"]["code"]), (403, &json!("ApiInvalidTokenError")), "the old one is void");
    pair["data"]["accessToken"].as_str().expect("text").clone_into(&mut api.access);
    api.get("/v1/tokens/check").await;
}

#[tokio::test]
async fn logins_are_counted() {
    let config = ChatAppSimulatorConfig { logins_per_day_max: 2, ..ChatAppSimulatorConfig::default() };
    let simulator = start(config).await;
    let api = Api::log_in(&simulator).await;
    let wrong = json!({"email": "a", "password": "b", "appId": "c"});
    let code = |answer: (u16, serde_json::Value)| answer.1["error"]["code"].clone();
    let first = code(api.call(Method::POST, "/v1/tokens", Some(wrong.clone())).await);
    let second = code(api.call(Method::POST, "/v1/tokens", Some(wrong)).await);
    assert_ne!(first, second);
}

#[tokio::test]
async fn what_there_is_can_be_discovered() {
    let simulator = start(ChatAppSimulatorConfig::default()).await;
    let api = Api::log_in(&simulator).await;
    let licences = api.get("/v1/licenses").await;
    assert_eq!(licences["data"][0]["licenseId"], 1229);
    assert_eq!(licences["data"][0]["messenger"][1]["type"], "telegram");
    assert_eq!(api.get("/v1/companies").await["data"]["items"][0]["companyId"], 2224);
    assert_eq!(api.get("/v1/me").await["data"]["id"], 685);
    assert_eq!(api.call(Method::GET, "/v1/nothing", None).await.0, 404);
    assert_eq!(api.call(Method::GET, "/v1/licenses/1/messengers/telegram/chats", None).await.0, 403);
    assert_eq!(api.call(Method::GET, &format!("{CHATS}?limit=x"), None).await.0, 422);
}

#[tokio::test]
async fn pages_are_followed_by_their_cursor() {
    let simulator = start(ChatAppSimulatorConfig::default()).await;
    let api = Api::log_in(&simulator).await;
    for id in 1..=5 {
        simulator.publish(&message(id, 1_700_000_000 + id / 2));
    }
    let chats = api.get(CHATS).await;
    assert_eq!(
        (&chats["data"]["items"][0]["lastTime"], &chats["data"]["nextPage"]),
        (&json!(1_700_000_002), &json!(null))
    );
    assert_eq!(api.get("/v1/chats?filter[licenseIds]=1229,7").await["data"]["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(api.get("/v1/chats?filter[licenseIds]=7").await["data"]["items"].as_array().map(Vec::len), Some(0));

    let path = format!("{CHATS}/private-1h2/messages?direction=next&limit=2");
    let (mut ids, mut next) = (Vec::new(), format!("{path}&lastTime=1700000001"));
    loop {
        let page = api.get(&next).await;
        ids.extend(page["data"]["items"].as_array().expect("items").iter().filter_map(|item| item["id"].as_u64()));
        let Some(cursor) = page["data"]["nextPage"].as_str() else { break };
        next = format!("{path}&nextPage={cursor}");
    }
    assert_eq!(ids, [2, 3, 4, 5]);
}

#[tokio::test]
async fn what_is_one_request_too_many_is_told_so() {
    let config = ChatAppSimulatorConfig { requests_per_second_max: 0, ..ChatAppSimulatorConfig::default() };
    let simulator = start(config).await;
    let api = Api::new(&simulator);
    for path in ["/v1/tokens", "/broadcasting/auth"] {
        assert_eq!(api.call(Method::POST, path, None).await.0, 429, "{path}");
    }
    assert_eq!(api.call(Method::GET, "/simulator/status", None).await.0, 200, "our own endpoint is not counted");
}

#[tokio::test]
async fn signatures_are_for_channels_there_are() {
    let simulator = start(ChatAppSimulatorConfig::default()).await;
    let api = Api::log_in(&simulator).await;
    let (status, answer) = api.authorise("123.456", "private-v1.users.685").await;
    assert_eq!(status, 200);
    assert!(answer["auth"].as_str().is_some_and(|auth| auth.starts_with("ChatsAppApiProdKey:")), "{answer}");
    assert_eq!(api.authorise("123.456", "private-v1.users.686").await.0, 403);
    let (status, _) = api.call(Method::POST, "/broadcasting/auth", Some(json!({"socket_id": "1.2"}))).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn requests_go_wrong_as_told() {
    let simulator = start(ChatAppSimulatorConfig::default()).await;
    let api = Api::log_in(&simulator).await;
    let go_wrong = |place, kind| simulator.add_fault(Fault::new(place, kind).times(1)).expect("it can happen");
    for code in [429, 500] {
        go_wrong(Place::Rest, FaultKind::Status { code });
        assert_eq!(api.call(Method::GET, CHATS, None).await.0, code);
    }
    go_wrong(Place::Chats, FaultKind::Garbled);
    let (status, body) = api.call(Method::GET, CHATS, None).await;
    assert!(status == 200 && body.as_str().is_some_and(|text| text.starts_with("<!DOCTYPE")), "{body}");
    go_wrong(Place::Chats, FaultKind::InvalidToken);
    assert_eq!(api.call(Method::GET, CHATS, None).await.1["error"]["code"], "ApiInvalidTokenError");
    for kind in [FaultKind::Reset, FaultKind::Hang { duration_ms: 10 }, FaultKind::Truncate { bytes: 5 }] {
        go_wrong(Place::Chats, kind);
        assert!(api.fails(CHATS).await);
    }
    go_wrong(Place::Auth, FaultKind::Delay { duration_ms: 10 });
    assert_eq!(api.authorise("1.2", CHANNEL).await.0, 200);
    api.get(CHATS).await;
    let faulted = simulator.journal().into_iter().filter(|entry| matches!(entry.what, JournalEvent::Faulted { .. }));
    assert_eq!(faulted.count(), 8);
}

#[tokio::test]
async fn the_control_endpoint_does_what_the_handles_do() {
    let (_simulator, api, mut client) = subscribed(ChatAppSimulatorConfig::default()).await;
    let post = async |path: &str, body| api.call(Method::POST, &format!("/simulator{path}"), Some(body)).await;
    let drop = json!({"place": "publication", "kind": {"type": "drop"}, "times": 1});
    assert_eq!(post("/faults", drop.clone()).await, (200, json!({"faults": 1})));
    let mut meaningless = drop;
    meaningless["place"] = json!("auth");
    assert_eq!(post("/faults", meaningless).await.0, 400);
    let event = json!({"channel": CHANNEL, "name": "chatRead", "body": {"data": []}});
    assert_eq!(post("/publish", event.clone()).await, (200, json!({"publication": 1})), "dropped");
    assert_eq!(post("/publish", event).await, (200, json!({"publication": 2})));
    assert_eq!(client.event().await, ("chatRead".to_owned(), r#"{"data":[]}"#.to_owned()));
    assert_eq!(api.call(Method::GET, "/simulator/status", None).await.1["subscribers"][CHANNEL], 1);
    assert_eq!(post("/acts", json!({"act": "disconnect", "code": 4200})).await.0, 200);
    assert_eq!(api.call(Method::GET, "/simulator/status", None).await.1["sockets"], 0);
    let (status, next) = post("/generate?events=50&first=10", json!(null)).await;
    assert!(status == 200 && next["next"].as_u64() > Some(10), "{next}");
    let (_, journal) = api.call(Method::GET, "/simulator/journal?after=2", None).await;
    let lines = journal.as_str().expect("lines").lines();
    assert_eq!(lines.filter(|line| line.contains(r#""event":"published""#)).count(), 52);
}
