//! The Pusher server without faults: who may come in, what is answered, what silence costs.

use serde_json::json;

use super::*;
use crate::chatapp::{Dialect, Fault, FaultKind, Place, SocketConfig};

const GOOD: &str = "/app/ChatsAppApiProdKey?protocol=7";

fn speaking(dialect: Dialect) -> ChatAppSimulatorConfig {
    let socket = SocketConfig { dialect, ..SocketConfig::default() };
    ChatAppSimulatorConfig { socket, ..ChatAppSimulatorConfig::default() }
}

async fn turned_away(simulator: &ChatAppSimulator, path: &str) -> (u64, Option<u16>) {
    let mut client = Client::open(simulator, path).await;
    let error = client.frame().await.expect("an error first");
    assert_eq!(error["event"], "pusher:error");
    (error["data"]["code"].as_u64().expect("a code"), client.frame().await.expect_err("a close"))
}

#[tokio::test]
async fn who_is_not_welcome_is_told_why_and_closed() {
    let simulator = start(speaking(Dialect::Soketi)).await;
    for (path, code) in [("/app/wrong?protocol=7", 4001), ("/app/ChatsAppApiProdKey", 4008), ("/other", 4005)] {
        assert_eq!(turned_away(&simulator, path).await, (code.into(), Some(code)), "{path}");
    }
    let socket = SocketConfig { connections_max: 1, ..SocketConfig::default() };
    let small = start(ChatAppSimulatorConfig { socket, ..ChatAppSimulatorConfig::default() }).await;
    let _first = Client::connect(&small).await;
    assert_eq!(turned_away(&small, GOOD).await, (4100, Some(4100)));
}

#[tokio::test]
async fn laravels_servers_leave_the_unwelcome_open() {
    let simulator = start(speaking(Dialect::LaravelWebsockets)).await;
    let mut client = Client::open(&simulator, "/app/wrong?protocol=7").await;
    assert_eq!(client.frame().await.expect("an error")["data"]["code"], 4001);
    client.say(json!({"event": "pusher:ping"})).await;
    tokio::time::timeout(Duration::from_millis(100), client.frame()).await.expect_err("neither a word nor a close");
}

#[tokio::test]
async fn a_bad_signature_is_refused_in_the_dialects_words_and_the_socket_stays() {
    for (dialect, event) in [
        (Dialect::Soketi, "pusher:subscription_error"),
        (Dialect::Pusher, "pusher:subscription_error"),
        (Dialect::LaravelWebsockets, "pusher:error"),
        (Dialect::Reverb, "pusher:error"),
    ] {
        let simulator = start(speaking(dialect)).await;
        let api = Api::log_in(&simulator).await;
        let mut client = Client::connect(&simulator).await;
        let (_, elsewhere) = api.authorise("1.2", CHANNEL).await;
        let refused = client.subscribe_with(elsewhere["auth"].as_str().expect("text"), CHANNEL).await;
        assert_eq!(refused["event"], event, "{dialect:?}");
        client.subscribe(&api, CHANNEL).await;
        assert_eq!(client.ping().await["event"], "pusher:pong");
    }
}

#[tokio::test]
async fn who_unsubscribes_gets_nothing_more() {
    let (simulator, _api, mut client) = subscribed(ChatAppSimulatorConfig::default()).await;
    client.say(json!({"event": "pusher:unsubscribe", "data": {"channel": CHANNEL}})).await;
    soon(simulator.subscribed(CHANNEL, 0)).await;
    simulator.publish(&chat_read());
    assert_eq!(client.ping().await["event"], "pusher:pong", "the pong is the next frame");
}

#[tokio::test]
async fn silence_costs_what_the_dialect_says() {
    let brief = |dialect, silence_ms| {
        let silence_max = Duration::from_millis(silence_ms);
        let socket = SocketConfig { silence_max, dialect, ..SocketConfig::default() };
        ChatAppSimulatorConfig { socket, ..ChatAppSimulatorConfig::default() }
    };
    let soketi = start(brief(Dialect::Soketi, 200)).await;
    let mut client = Client::connect(&soketi).await;
    assert_eq!(client.frame().await, Err(Some(4201)), "without a word before");

    let (laravel, _api, mut client) = subscribed(brief(Dialect::LaravelWebsockets, 200)).await;
    soon(laravel.subscribed(CHANNEL, 0)).await;
    laravel.publish(&chat_read());
    assert_eq!(client.ping().await["event"], "pusher:pong", "the socket is open, and the event never came");

    // A pong has half the time.
    let reverb = start(brief(Dialect::Reverb, 3_000)).await;
    let mut client = Client::connect(&reverb).await;
    assert_eq!(client.frame().await.expect("a ping")["event"], "pusher:ping");
    client.say(json!({"event": "pusher:pong", "data": {}})).await;
    assert_eq!(client.frame().await.expect("another")["event"], "pusher:ping", "a pong counts");
    assert_eq!(client.frame().await.expect("an error")["event"], "pusher:error");
    assert_eq!(client.frame().await, Err(Some(4201)));
}

#[tokio::test]
async fn connections_and_subscriptions_go_wrong_as_told() {
    let simulator = start(ChatAppSimulatorConfig::default()).await;
    let api = Api::log_in(&simulator).await;
    let go_wrong = |place, kind| simulator.add_fault(Fault::new(place, kind).times(1)).expect("it can happen");
    go_wrong(Place::Connect, FaultKind::Close { code: 4100 });
    assert_eq!(turned_away(&simulator, GOOD).await, (4100, Some(4100)));
    go_wrong(Place::Connect, FaultKind::Mute);
    let mut mute = Client::open(&simulator, GOOD).await;
    tokio::time::timeout(Duration::from_millis(100), mute.frame()).await.expect_err("never a word");

    let mut client = Client::connect(&simulator).await;
    let auth = api.authorise(&client.socket_id, CHANNEL).await.1["auth"].as_str().expect("text").to_owned();
    go_wrong(Place::Subscribe, FaultKind::Refuse);
    assert_eq!(client.subscribe_with(&auth, CHANNEL).await["event"], "pusher:subscription_error");
    go_wrong(Place::Subscribe, FaultKind::Mute);
    client.say(json!({"event": "pusher:subscribe", "data": {"channel": CHANNEL, "auth": auth}})).await;
    assert_eq!(client.ping().await["event"], "pusher:pong", "the subscription has no answer");
}
