//! The simulator from outside: over HTTP and WebSockets, as a client sees it.

mod acts;
mod client;
mod rest;
mod socket;

use std::time::Duration;

use client::{Api, Client};

use super::generator::Generator;
use super::{ChatAppSimulator, ChatAppSimulatorConfig, Event, Fate, JournalEvent, fates};

const CHANNEL: &str = "private-v1.licenses.1229.messengers.telegram";
const PATIENCE: Duration = Duration::from_secs(20);

async fn start(config: ChatAppSimulatorConfig) -> ChatAppSimulator {
    ChatAppSimulator::start(config).await.expect("free ports")
}

/// A simulator, a login, and a socket subscribed to [`CHANNEL`].
async fn subscribed(config: ChatAppSimulatorConfig) -> (ChatAppSimulator, Api, Client) {
    let simulator = start(config).await;
    let api = Api::log_in(&simulator).await;
    let mut client = Client::connect(&simulator).await;
    client.subscribe(&api, CHANNEL).await;
    (simulator, api, client)
}

fn message(id: u64, time: u64) -> Event {
    let body = serde_json::json!({
        "data": [{"id": id, "time": time, "type": "text", "chat": {"id": "private-1h2"}}],
        "meta": {"type": "message", "licenseId": 1229, "messengerType": "telegram"},
    });
    Event { channel: CHANNEL.to_owned(), name: "message".to_owned(), body: body.to_string() }
}

fn chat_read() -> Event {
    let body = r#"{"payload":{"data":[{"chat":{"id":"private-1h2"}}],"meta":{"type":"chatRead"}}}"#.to_owned();
    Event { channel: CHANNEL.to_owned(), name: "chatRead".to_owned(), body }
}

/// Within [`PATIENCE`], whatever it is.
async fn soon<T>(wanted: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, wanted).await.expect("it happens soon")
}

async fn written(simulator: &ChatAppSimulator, wanted: u64) {
    let is =
        |event: &JournalEvent| matches!(event, JournalEvent::Written { publication, .. } if *publication == wanted);
    soon(simulator.journalled(|entry| is(&entry.what))).await;
}

#[tokio::test]
async fn a_judge_can_tell_what_was_pushed_what_can_be_fetched_and_what_is_lost() {
    let (simulator, api, mut client) = subscribed(ChatAppSimulatorConfig::default()).await;
    let pushed = simulator.publish(&chat_read());
    assert_eq!(client.event().await, ("chatRead".to_owned(), chat_read().body));
    written(&simulator, pushed).await;
    simulator.act(&super::Act::Disconnect { code: 4200 });
    let fetchable = simulator.publish(&message(7, 1_700_000_000));
    let lost = simulator.publish(&chat_read());
    assert_eq!(fates(&simulator.journal()), [(pushed, Fate::Pushed), (fetchable, Fate::Fetchable), (lost, Fate::Lost)]);
    let messages = api.get("/v1/licenses/1229/messengers/telegram/chats/private-1h2/messages").await;
    assert_eq!(messages["data"]["items"][0]["id"], 7);
    let published = simulator.journal().into_iter().find_map(|entry| match entry.what {
        JournalEvent::Published { publication, items, .. } if publication == fetchable => Some(items),
        _ => None,
    });
    let items = published.expect("it is in the journal");
    assert_eq!((items[0].chat.as_deref(), items[0].id.as_deref()), (Some("private-1h2"), Some("7")));
}

#[tokio::test]
async fn what_the_generator_makes_comes_to_its_subscriber_in_order() {
    let config = ChatAppSimulatorConfig::default();
    let events: Vec<Event> = Generator::new(&config, 1).filter(|event| event.channel == CHANNEL).take(300).collect();
    let (simulator, _api, mut client) = subscribed(config).await;
    for event in &events {
        simulator.publish(event);
    }
    for event in events {
        assert_eq!(client.event().await, (event.name, event.body));
    }
}
