//! What strikes the sockets there are, and what happens to single publications.

use super::*;
use crate::chatapp::{Act, Dialect, Fault, FaultKind, Place, SocketConfig};

#[tokio::test]
async fn sockets_are_closed_with_a_code_or_reset() {
    let (simulator, api, mut client) = subscribed(ChatAppSimulatorConfig::default()).await;
    simulator.act(&Act::ErrorFrame { code: 4200 });
    assert_eq!(client.frame().await.expect("an error")["data"]["code"], 4200);
    assert_eq!(client.ping().await["event"], "pusher:pong", "it is still open");
    simulator.act(&Act::Disconnect { code: 4009 });
    assert_eq!(client.frame().await.expect("an error")["data"]["code"], 4009);
    assert_eq!(client.frame().await, Err(Some(4009)));

    let mut client = Client::connect(&simulator).await;
    client.subscribe(&api, CHANNEL).await;
    simulator.act(&Act::Reset);
    assert_eq!(client.frame().await, Err(None));
    let ended = |code: Option<u16>| move |event: &JournalEvent| matches!(event, JournalEvent::Disconnected { code: how, .. } if *how == code);
    soon(simulator.journalled(|entry| ended(Some(4009))(&entry.what))).await;
    soon(simulator.journalled(|entry| ended(None)(&entry.what))).await;
}

#[tokio::test]
async fn an_open_socket_may_say_nothing_for_a_while() {
    let (simulator, _api, mut client) = subscribed(ChatAppSimulatorConfig::default()).await;
    simulator.act(&Act::Silence { duration_ms: 50 });
    simulator.publish(&chat_read());
    assert_eq!(client.event().await.0, "chatRead", "as after SIGCONT");
    simulator.act(&Act::Silence { duration_ms: 3_600_000 });
    let unheard = simulator.publish(&chat_read());
    tokio::time::timeout(Duration::from_millis(100), client.frame()).await.expect_err("nothing comes");
    simulator.act(&Act::Reset);
    assert_eq!(client.frame().await, Err(None), "silence does not keep it from its end");
    assert_eq!(fates(&simulator.journal())[1], (unheard, Fate::Lost));
}

#[tokio::test]
async fn nobody_is_told_of_a_silent_unsubscription() {
    let (simulator, _api, mut client) = subscribed(ChatAppSimulatorConfig::default()).await;
    simulator.act(&Act::UnsubscribeSilently);
    let lost = simulator.publish(&chat_read());
    assert_eq!(client.ping().await["event"], "pusher:pong");
    assert_eq!(fates(&simulator.journal()), [(lost, Fate::Lost)]);
}

#[tokio::test]
async fn the_server_goes_and_comes_back_on_its_port() {
    for (dialect, killed, expected) in [
        (Dialect::Soketi, false, Err(Some(4200))),
        (Dialect::Soketi, true, Err(None)),
        (Dialect::LaravelWebsockets, false, Err(None)),
    ] {
        let socket = SocketConfig { dialect, ..SocketConfig::default() };
        let config = ChatAppSimulatorConfig { socket, ..ChatAppSimulatorConfig::default() };
        let (simulator, api, mut client) = subscribed(config).await;
        simulator.act(&Act::Restart { downtime_ms: 50, killed });
        assert_eq!(simulator.sockets(), 0);
        let fetchable = simulator.publish(&message(1, 1_700_000_000));
        let mut last = client.frame().await;
        while last.is_ok() {
            last = client.frame().await;
        }
        assert_eq!(last, expected, "{dialect:?}, killed: {killed}");
        let back = async {
            let host = simulator.socket_url().trim_start_matches("ws://").to_owned();
            while tokio::net::TcpStream::connect(&host).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        soon(back).await;
        let mut client = Client::connect(&simulator).await;
        client.subscribe(&api, CHANNEL).await;
        let pushed = simulator.publish(&chat_read());
        assert_eq!(client.event().await.0, "chatRead");
        written(&simulator, pushed).await;
        assert_eq!(fates(&simulator.journal()), [(fetchable, Fate::Fetchable), (pushed, Fate::Pushed)]);
    }
}

#[tokio::test]
async fn single_publications_are_dropped_doubled_and_struck() {
    let (simulator, _api, mut client) = subscribed(ChatAppSimulatorConfig::default()).await;
    let strike = FaultKind::Strike { act: Act::Disconnect { code: 4200 } };
    for kind in [FaultKind::Drop, FaultKind::Duplicate, FaultKind::ObjectData, strike] {
        simulator.add_fault(Fault::new(Place::Publication, kind).times(1)).expect("it can happen");
    }
    let dropped = simulator.publish(&message(1, 1_700_000_000));
    let doubled = simulator.publish(&message(2, 1_700_000_000));
    for _ in 0..2 {
        assert_eq!(client.event().await.1, message(2, 1_700_000_000).body);
    }
    let as_object = simulator.publish(&message(3, 1_700_000_000));
    assert_eq!(client.frame().await.expect("an event")["data"]["data"][0]["id"], 3);
    written(&simulator, as_object).await;
    let struck = simulator.publish(&chat_read());
    assert_eq!(client.frame().await.expect("an error")["data"]["code"], 4200);
    assert_eq!(client.frame().await, Err(Some(4200)), "it went before the event");
    let expected =
        [(dropped, Fate::Fetchable), (doubled, Fate::Pushed), (as_object, Fate::Pushed), (struck, Fate::Lost)];
    assert_eq!(fates(&simulator.journal()), expected);
}

#[tokio::test]
async fn an_end_of_the_simulator_is_a_shutdown_to_its_sockets() {
    let (simulator, _api, mut client) = subscribed(ChatAppSimulatorConfig::default()).await;
    let (_, end) = tokio::join!(soon(simulator.stop()), async { while client.frame().await.is_ok() {} });
    assert_eq!(end, ());
}
